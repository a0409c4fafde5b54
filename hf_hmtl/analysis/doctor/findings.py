"""One thing that the doctor found: how bad it is, in words and in figures."""

from dataclasses import dataclass

PROBLEM, WARNING, NOTE = SEVERITIES = ("problem", "warning", "note")
"""What makes scores wrong or stops a training; what a person should look at; what is good to know."""
NAMES_SHOWN = 3
NAMES_KEPT = 100


@dataclass(frozen=True)
class Finding:
    """Something about a data set.

    Attributes:
        kind: a word for programs, such as "near_duplicates".
        severity: one of `SEVERITIES`.
        text: for people.
        count: how many rows, pictures or classes it is about.
        rows: their names, the first hundred; of pairs, the two names with = between them.
    """

    kind: str
    severity: str
    text: str
    count: int
    rows: tuple[str, ...] = ()

    def line(self) -> str:
        """One line with the first names."""
        shown = ", ".join(self.rows[:NAMES_SHOWN]) + ", ..." * (self.count > NAMES_SHOWN)
        return f"{self.severity:8} {self.text}" + f" ({shown})" * bool(self.rows)


def found(kind: str, severity: str, text: str, rows) -> list[Finding]:
    """A finding about these rows; none where there are none. `{count}` in the text is their number."""
    rows = list(rows)
    told = text.format(count=f"{len(rows):,}")
    return [Finding(kind, severity, told, len(rows), tuple(rows[:NAMES_KEPT]))] if rows else []
