"""What is wrong with labels: too few of a class, names that look permuted, numbers out of range, torn persons."""

from collections.abc import Mapping

import numpy as np

from hf_hmtl.analysis.doctor.findings import NOTE, PROBLEM, WARNING, Finding, found
from hf_hmtl.analysis.doctor.reading import RANGES, Examined, numbers_of
from hf_hmtl.data.own_faces.leaks import shared_groups
from hf_hmtl.data.own_faces.spelling import plain_class
from hf_hmtl.data.sources import affectnet, fer2013
from hf_hmtl.data.splits import class_counts

IMBALANCED, FEW = 5.0, 10
"""Rows of the largest class to those of the smallest; rows that are too few to learn or to measure a class by."""
PUBLISHED = {"fer2013": fer2013.EXPECTED, "affectnet": affectnet.EXPECTED["npy"]}
"""Rows of each class in every split of the sources that say so."""
_TOLERANCE = 0.01  # releases drift by a few rows


def labels(examined: Examined) -> list[Finding]:
    """All findings on the labels."""
    findings: list[Finding] = []
    for column in examined.classes:
        findings += _of_classes(examined, column)
    for column in examined.numbers:
        findings += _of_numbers(examined, column)
    for earlier, later, shared in shared_groups(examined.splits):
        text = f"{{count}} persons are in {earlier} and in {later}: scores flatter the model"
        findings += found(f"persons_{earlier}_{later}", PROBLEM, text, shared)
    return findings


def counts_of(examined: Examined, column: str) -> dict[str, dict[str, int]]:
    """{split: {class: rows}}."""
    return {split: class_counts(data, column) for split, data in examined.splits.items()}


def known_set(examined: Examined) -> str | None:
    """The source whose published counts of classes these are, within a hundredth; None where there is none."""
    if examined.primary is None:
        return None
    counts = counts_of(examined, examined.primary)
    for name, expected in PUBLISHED.items():
        if set(counts) == set(expected) and all(_near(_plain(counts[split]), expected[split]) for split in counts):
            return name
    return None


def _plain(counts: Mapping[str, int]) -> dict[str, int]:
    return {plain_class(name): count for name, count in counts.items()}


def _near(counts: Mapping[str, int], expected: Mapping[str, int]) -> bool:
    wanted = _plain(expected)
    return set(counts) == set(wanted) and all(_close(counts[name], wanted[name]) for name in wanted)


def _close(count: int, expected: int) -> bool:
    return abs(count - expected) <= max(2, _TOLERANCE * expected)


def _of_classes(examined: Examined, column: str) -> list[Finding]:
    findings: list[Finding] = []
    counts, names = counts_of(examined, column), examined.features[column].names
    for split, of_split in counts.items():
        if not any(of_split.values()):
            severity = NOTE if split == "test" else PROBLEM  # a competition's test rows have none, and are left out
            findings.append(Finding("unlabelled_split", severity, f"{column}: {split} has no labels", 0))
            continue
        absent = [name for name, count in of_split.items() if not count]
        findings += found("no_rows", PROBLEM, f"{column}: {split} has no row of {{count}} classes", absent)
        few = [f"{name} {count}" for name, count in of_split.items() if 0 < count < FEW]
        findings += found("few_rows", WARNING, f"{column}: {split} has fewer than {FEW} rows of {{count}} classes", few)
    whole = {name: sum(of_split[name] for of_split in counts.values()) for name in names}
    ordered = sorted(whole, key=lambda name: -whole[name])
    most, least = ordered[0], ordered[-1]
    if whole[least] and whole[most] > IMBALANCED * whole[least]:
        text = (
            f"{column}: {most} has {whole[most]:,} rows and {least} {whole[least]:,}, 1 to "
            f"{whole[most] / whole[least]:.0f}; look at macro F1, and try --set supervised.label.class_weights=balanced"
        )
        findings.append(Finding("imbalance", WARNING, text, len(names)))
    values = examined.column(column)
    rows = examined.names()
    missing = [rows[row] for row, value in enumerate(values) if value is None or value == -1]
    findings += found("no_label", NOTE, f"{column}: {{count}} rows have no label", missing)
    return findings + _permuted(column, counts)


def _permuted(column: str, counts: dict[str, dict[str, int]]) -> list[Finding]:
    """Class names whose numbers of rows are those of other classes in a known data set."""
    train = _plain(counts.get("train") or next(iter(counts.values())))
    for name, of_splits in PUBLISHED.items():
        expected = _plain(of_splits["train"])
        if len(expected) != len(train):
            continue
        owners = {mine: [theirs for theirs in expected if _close(train[mine], expected[theirs])] for mine in train}
        if any(len(theirs) != 1 for theirs in owners.values()) or len({each[0] for each in owners.values()}) < len(
            train
        ):
            continue
        meant = {mine: theirs[0] for mine, theirs in owners.items()}
        if set(expected) == set(train):
            wrong = [f"{mine} is {theirs}" for mine, theirs in meant.items() if mine != theirs]
            text = f"{column}: the names of {{count}} classes look permuted, by the rows that they have in {name}"
            return found("permuted", PROBLEM, text, wrong)
        if all(mine.lstrip("-").isdecimal() for mine in train):
            text = f"{column}: {{count}} classes without names have as many rows as those of {name}"
            return found("unnamed", WARNING, text, [f"{mine} is {theirs}" for mine, theirs in meant.items()])
    return []


def _of_numbers(examined: Examined, column: str) -> list[Finding]:
    numbers, rows = numbers_of(examined, column), examined.names()
    findings = found("no_label", NOTE, f"{column}: {{count}} rows have no number",
                     [rows[row] for row in np.flatnonzero(np.isnan(numbers))])  # fmt: skip
    endless = [rows[row] for row in np.flatnonzero(np.isinf(numbers))]
    findings += found("out_of_range", PROBLEM, f"{column}: {{count}} rows have no finite number", endless)
    known = numbers[np.isfinite(numbers)]
    if len(known) > 1 and known.min() == known.max():
        findings.append(Finding("constant", WARNING, f"{column}: every row has {known[0]:g}", len(known)))
    low, high = RANGES.get(column.lower(), (-np.inf, np.inf))
    outside = np.flatnonzero(np.isfinite(numbers) & ((numbers < low) | (numbers > high)))
    marks = sorted({float(numbers[row]) for row in outside})
    hint = f"; if {marks[0]:g} means missing, --set supervised.{column}.missing={marks[0]:g}" if len(marks) == 1 else ""
    text = f"{column}: {{count}} rows are outside of [{low:g}, {high:g}]{hint}"
    return findings + found("out_of_range", PROBLEM, text, [f"{rows[row]} {numbers[row]:g}" for row in outside])
