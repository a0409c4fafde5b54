"""What the doctor says in the end, for people and for programs."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hf_hmtl.analysis.doctor.duplicates import Pair, duplicates
from hf_hmtl.analysis.doctor.faces import LOOKED_AT, faces
from hf_hmtl.analysis.doctor.findings import NOTE, PROBLEM, SEVERITIES, Finding, found
from hf_hmtl.analysis.doctor.labels import counts_of, known_set, labels
from hf_hmtl.analysis.doctor.pictures import Pictures, measured
from hf_hmtl.analysis.doctor.reading import Examined, numbers_of
from hf_hmtl.model.face_detector_hmtl import FaceDetector

ROWS = {
    "fer2013": "fer2013/puzzle-3x3",
    "affectnet": "affectnet/puzzle-3x3-weak",
    "the300w_lp": "300w-lp/puzzle-3x3",
    "fairface": "fairface/puzzle-3x3",
    "rafdb": "rafdb/puzzle-3x3",
    "ferplus": "ferplus/cross-entropy",
}
"""What to train first on a source."""
SMALL_SHARE = 0.1
"""Of the pictures that were looked at: where more show a small face, faces are to be cut out first."""
Watch = Callable[[str, int], Callable[[Iterable], Iterable]]
"""(what is done, how often) -> something that passes the rows on, and may show how far they are."""


@dataclass
class Report:
    """A data set and what is wrong with it.

    Attributes:
        name: of the folder or source.
        known_as: the source that it is read as, or whose published numbers of rows these are; None where there is none.
        rows: {split: rows}.
        classes: {column: {split: {class: rows}}}.
        numbers: {column: {split: {count, mean, lowest, highest}}}.
        left_out: the ledger: {split: {reason: {count, names, what}}}.
        notes: how the folder was read.
        findings: the worst first.
        next_command: what to type.
        pairs: pictures that are nearly the same.
        of_faces: {kind: rows} of what is wrong with faces.
    """

    name: str
    known_as: str | None
    rows: dict[str, int]
    classes: dict[str, dict[str, dict[str, int]]]
    numbers: dict[str, dict[str, dict[str, float]]]
    left_out: dict[str, dict[str, dict]]
    notes: list[str]
    findings: list[Finding]
    next_command: str
    pairs: list[Pair] = field(default_factory=list)
    of_faces: dict[str, list[int]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        content = asdict(self)
        del content["pairs"], content["of_faces"]
        return content

    def text(self, left_out: Iterable[str]) -> str:
        """The report for people; `left_out` are the lines of the ledger."""
        total = sum(self.rows.values())
        splits = ", ".join(f"{split} {count:,}" for split, count in self.rows.items())
        is_known = f" (the rows of {self.known_as})" if self.known_as else ""
        lines = [f"{self.name}: {total:,} images{is_known}: {splits}"]
        for column, counts in self.classes.items():
            lines.append(f"  {column}: {len(next(iter(counts.values())))} classes")
            for split, of_split in counts.items():
                lines.append(f"    {split}: {', '.join(f'{name} {count:,}' for name, count in of_split.items())}")
        for column, of_splits in self.numbers.items():
            for split, facts in of_splits.items():
                known = (
                    f"mean {facts['mean']:.3g}, {facts['lowest']:.3g} to {facts['highest']:.3g}"
                    if facts["count"]
                    else ""
                )
                lines.append(f"  {column}, {split}: {facts['count']:,} numbers" + f", {known}" * bool(known))
        lines += [f"  left out, {line}" for line in left_out] + [f"  note: {note}" for note in self.notes]
        lines += ["", *(finding.line() for finding in self.findings)] if self.findings else ["", "nothing was found"]
        return "\n".join([*lines, "", f"next: {self.next_command}"])


def examine(
    examined: Examined, place: str, detector: FaceDetector | None, most_faces: int = LOOKED_AT,
    watch: Watch = lambda what, total: iter,
) -> tuple[Report, Pictures]:  # fmt: skip
    """Look at everything.

    Args:
        examined: the data set.
        place: its folder, for the command to type next.
        detector: finds faces; None where it is not installed.
        most_faces: pictures that it looks at.
        watch: shows how far it is.
    """
    pictures = measured(examined, watch("reading pictures", len(examined)))
    names = examined.names()
    findings = [*examined.findings, *labels(examined)]
    broken = [f"{names[row]}: {why}" for row, why in pictures.broken.items()]
    findings += found("unreadable", PROBLEM, "{count} images cannot be read", broken)
    blank = [name for name, is_blank in zip(names, pictures.blank, strict=True) if is_blank]
    findings += found("blank", PROBLEM, "{count} images are blank: of one colour", blank)
    twice, pairs = duplicates(examined, pictures, watch("comparing pictures", 0))
    of_faces, rows = faces(examined, pictures, detector, most_faces, watch("looking for faces", most_faces))
    findings += twice + of_faces
    if not examined.classes and not examined.numbers:
        findings.append(Finding("unlabelled", NOTE, "there are no labels: images to pre-train on", len(examined)))
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    known = examined.source or known_set(examined)
    small = len(rows.get("not_cropped", ())) > SMALL_SHARE * min(most_faces, len(examined))
    report = Report(
        name=examined.name,
        known_as=known,
        rows={split: len(data) for split, data in examined.splits.items()},
        classes={column: counts_of(examined, column) for column in examined.classes},
        numbers=_numbers(examined),
        left_out=examined.ledger.to_dict(),
        notes=examined.notes,
        findings=findings,
        next_command=_next_command(examined, known, place, small),
        pairs=pairs,
        of_faces=rows,
    )
    return report, pictures


def _numbers(examined: Examined) -> dict[str, dict[str, dict[str, float]]]:
    facts: dict[str, dict[str, dict[str, float]]] = {}
    splits = np.array(examined.split_of_rows())
    for column in examined.numbers:
        values = numbers_of(examined, column)
        for split in examined.splits:
            known = values[(splits == split) & np.isfinite(values)]
            some = {"mean": known.mean(), "lowest": known.min(), "highest": known.max()} if len(known) else {}
            facts.setdefault(column, {})[split] = {"count": len(known), **{k: float(v) for k, v in some.items()}}
    return facts


def _next_command(examined: Examined, known: str | None, place: str, are_small: bool) -> str:
    folder = shlex.quote(place)
    if known in ROWS:
        return f"hf-hmtl train {ROWS[known]} --data_dir {folder} --dry_run"
    if are_small:
        return f"hf-hmtl prepare {folder} {shlex.quote(f'{examined.name}-faces')}"
    if examined.primary is not None:
        column = "" if examined.primary == "label" else f" --label_column {shlex.quote(examined.primary)}"
        return f"hf-hmtl train custom/supervised --data_dir {folder}{column} --dry_run"
    if examined.numbers:
        columns = " ".join(shlex.quote(f"{name}={name}:regression") for name in examined.numbers)
        return f"hf-hmtl train custom/supervised --data_dir {folder} --label_columns {columns} --dry_run"
    return f"hf-hmtl train custom/pretrain-puzzle-3x3 --data_dir {folder} --dry_run"
