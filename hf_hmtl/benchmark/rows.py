"""A row of the benchmark: what was measured, against what, and whether the goal is met."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hf_hmtl.benchmark.measuring import Seconds, median_ratio
from hf_hmtl.files import replacing

OURS = "ours"


@dataclass(frozen=True)
class Row:
    """One ratio with its goal.

    Attributes:
        row: what is measured / against what.
        unit: of `ours`, `peer`, `limit` and the numbers of `lost`.
        ours: the median.
        peer: of another library's way, or None.
        limit: of what cannot be beaten, or None; one of the two stands here.
        ratio: ours / peer or ours / limit, the median over the rounds.
        goal: ">= number" or "<= number", for the ratio; "" where there is none.
        met: whether the ratio reaches the goal; None without a goal, or when nothing was measured.
        repeats: rounds.
        spread: (largest - smallest) / median of the ratio over the rounds.
        lost: {design that was tried and is slower: its median}, measured in the same rounds.
        note: a sentence on the circumstances, as that nothing could be measured here.
    """

    row: str
    unit: str
    ours: float | None
    peer: float | None
    limit: float | None
    ratio: float | None
    goal: str
    met: bool | None
    repeats: int
    spread: float | None
    lost: dict[str, float] = field(default_factory=dict)
    note: str = ""


def compared(
    row: str,
    seconds: Seconds,
    against: str,
    goal: str,
    *,
    limit: bool,
    images: int | None = None,
    lost: Sequence[str] = (),
    note: str = "",
) -> Row:
    """What `in_turn` has measured, as a row.

    Args:
        row: its name.
        seconds: of `in_turn`; "ours" among them.
        against: the way that ours is compared with.
        goal: of ours / against.
        limit: whether `against` is a limit; a peer otherwise.
        images: that one run of each way handles: the numbers are then images a second, and more is better. Without it
            they are milliseconds of a run.
        lost: names of designs among the ways.
        note: on the circumstances.
    """
    middle = {way: statistics.median(each) for way, each in seconds.items()}
    if images is None:
        unit, numbers = "ms", {way: 1000 * each for way, each in middle.items()}
        ratio, spread = median_ratio(seconds[OURS], seconds[against])
    else:
        unit, numbers = "images/s", {way: images / each for way, each in middle.items()}
        ratio, spread = median_ratio(seconds[against], seconds[OURS])
    return Row(
        row,
        unit,
        numbers[OURS],
        None if limit else numbers[against],
        numbers[against] if limit else None,
        ratio,
        goal,
        reaches(ratio, goal),
        len(seconds[OURS]),
        spread,
        {name: numbers[name] for name in lost},
        note,
    )


def value_row(row: str, unit: str, values: Sequence[float], goal: str) -> Row:
    """A row that is a number of its own, as seconds to the first step: the ratio is the number itself."""
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / middle if middle else 0.0
    return Row(row, unit, middle, None, None, middle, goal, reaches(middle, goal), len(values), spread)


def missing_row(row: str, goal: str, reason: str) -> Row:
    """A row that could not be measured here."""
    return Row(row, "", None, None, None, None, goal, None, 0, None, note=reason)


def reaches(ratio: float, goal: str) -> bool | None:
    """Whether a ratio reaches a goal as ">= 0.75"; None where there is no goal."""
    if not goal:
        return None
    sign, number = goal.split()
    return ratio >= float(number) if sign == ">=" else ratio <= float(number)


def write(rows: Sequence[Row], path: Path) -> None:
    """Write rows as a JSON list, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, and under it the designs that lost and what could not be measured."""
    lines = ["| row | ours | against | ratio | goal | met |", "|---|--:|--:|--:|---|---|"]
    notes = []
    for row in rows:
        if row.ratio is None:
            lines.append(f"| {row.row} | | | | {row.goal} | not measured |")
        else:
            beside = _short(row.limit if row.peer is None else row.peer)
            met = {True: "yes", False: "**no**", None: ""}[row.met]
            numbers = f"{_short(row.ours)} {row.unit} | {beside} | {row.ratio:.3g}"
            lines.append(f"| {row.row} | {numbers} | {row.goal} | {met} |")
        if row.lost:
            lost = ", ".join(f"{name} {_short(number)} {row.unit}" for name, number in row.lost.items())
            notes.append(f"- {row.row}: {lost}")
        if row.note:
            notes.append(f"- {row.row}: {row.note}")
    return "\n".join([*lines, *(["", "Designs that lost, and notes:", *notes] if notes else [])])


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:.0f}" if number >= 100 else f"{number:.3g}"
