"""Pictures that occur twice, byte for byte or nearly, and what that means where splits or labels lie between them."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from hf_hmtl.analysis.doctor.findings import NOTE, PROBLEM, WARNING, Finding, found
from hf_hmtl.analysis.doctor.pictures import HASH_BITS, Pictures
from hf_hmtl.analysis.doctor.reading import Examined

NEAR = 56
"""Bits of 256 that two pictures of one photograph differ in at most. On FER2013 all pairs of up to 64 bits that were
looked at show one photograph; beyond 70 most show two persons, and pairs grow many."""
MOST_COMPARISONS = 4e9  # about a minute and a half on two cores
_BLOCK = 2048


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their numbers in the data set, and how many bits their hashes differ in."""

    first: int
    second: int
    distance: int


def near_pairs(
    hashes: np.ndarray, borders: dict[str, tuple[int, int]], usable: np.ndarray,
    watched: Callable[[Iterable], Iterable] = iter,
) -> tuple[list[Pair], list[tuple[str, str]]]:  # fmt: skip
    """All pairs that differ in `NEAR` bits or fewer, and the pairs of splits that are too large to be compared.

    Args:
        hashes: (pictures, bytes) uint8.
        borders: {split: (first, last + 1)}.
        usable: (pictures,) bool, which pictures are compared.
        watched: passes the blocks on.
    """
    rows = {split: np.flatnonzero(usable[first:last]) + first for split, (first, last) in borders.items()}
    left = MOST_COMPARISONS
    todo, passed_over = [], []
    pairs_of_splits = list(combinations_with_replacement(borders, 2))
    for one, other in sorted(pairs_of_splits, key=lambda pair: pair[0] == pair[1]):  # across splits comes first
        cost = len(rows[one]) * len(rows[other]) / (1 + (one == other))
        if cost > left:
            passed_over.append((one, other))
            continue
        left -= cost
        todo += [(one, other, start) for start in range(0, len(rows[one]), _BLOCK)]
    signs = {split: _signs(hashes[numbers]) for split, numbers in rows.items()}
    pairs: list[Pair] = []
    for one, other, start in watched(todo):
        behind = start if one == other else 0
        distances = (HASH_BITS - signs[one][start : start + _BLOCK] @ signs[other][behind:].T) / 2
        for a, b in zip(*np.nonzero(distances <= NEAR), strict=True):
            if one != other or b > a:
                numbers = rows[one][start + a], rows[other][behind + b]
                pairs.append(Pair(int(numbers[0]), int(numbers[1]), int(distances[a, b])))
    return pairs, passed_over


def _signs(hashes: np.ndarray) -> np.ndarray:
    """(pictures, bits) float32 of 1 and -1: their products count the bits that agree less those that differ."""
    return np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1


def duplicates(
    examined: Examined, pictures: Pictures, watched: Callable[[Iterable], Iterable] = iter
) -> tuple[list[Finding], list[Pair]]:
    """Findings on pictures that occur twice, and the pairs that are alike but not byte for byte, nearest first."""
    splits, names = examined.split_of_rows(), examined.names()
    borders, first = {}, 0
    for split, data in examined.splits.items():
        borders[split] = first, first + len(data)
        first += len(data)
    findings = _exact(examined, pictures, splits, names)
    pairs, passed_over = near_pairs(pictures.hashes, borders, pictures.seen & ~pictures.blank, watched)
    pairs = [pair for pair in pairs if pictures.digests[pair.first] != pictures.digests[pair.second]]
    pairs.sort(key=lambda pair: (pair.distance, pair.first, pair.second))
    exact = {split: set(pictures.digests[a:b]) for split, (a, b) in borders.items()}
    for earlier, later in combinations_with_replacement(borders, 2):
        between = [pair for pair in pairs if (splits[pair.first], splits[pair.second]) == (earlier, later)]
        if earlier == later:
            shown = [f"{names[pair.first]} = {names[pair.second]}" for pair in between]
            findings += found(
                "near_duplicates", NOTE, f"{{count}} pairs of {earlier} images are nearly the same", shown
            )
            continue
        nearest = {pair.second: pair for pair in reversed(between)}
        new = [pair for row, pair in sorted(nearest.items()) if pictures.digests[row] not in exact[earlier]]
        text = f"{{count}} {later} images more are nearly the same as one in {earlier}: scores flatter the model"
        shown = [f"{names[pair.second]} = {names[pair.first]}" for pair in new]
        findings += found(f"near_duplicates_{earlier}_{later}", PROBLEM, text, shown)
    for earlier, later in passed_over:
        where = f"within {earlier}" if earlier == later else f"between {earlier} and {later}"
        findings.append(
            Finding("not_compared", NOTE, f"near duplicates {where} were not looked for: too many pairs of rows", 1)
        )
    for column in examined.classes:
        findings += _labels_of_pairs(examined, column, pairs, names)
    return findings, pairs


def _exact(examined: Examined, pictures: Pictures, splits: list[str], names: list[str]) -> list[Finding]:
    where: dict[bytes, list[int]] = {}
    for row, digest in enumerate(pictures.digests):
        if digest:
            where.setdefault(digest, []).append(row)
    findings: list[Finding] = []
    order = list(examined.splits)
    for place, earlier in enumerate(order):
        for later in order[place + 1 :]:
            of_both = [rows for rows in where.values() if {earlier, later} <= {splits[row] for row in rows}]
            shown = [names[row] for rows in of_both for row in rows if splits[row] == later]
            text = f"{{count}} {later} images also occur, byte for byte, in {earlier}: scores flatter the model"
            findings += found(f"duplicates_{earlier}_{later}", PROBLEM, text, shown)
    for split in order:
        again = [names[row] for rows in where.values() for row in [row for row in rows if splits[row] == split][1:]]
        text = f"{{count}} {split} images repeat another one of {split}, byte for byte"
        findings += found(f"duplicates_{split}", NOTE, text, again)
    for column in examined.classes:
        labels = examined.column(column)
        shown = []
        for rows in where.values():
            if pictures.blank[rows[0]]:  # which shows nothing that a label could be of
                continue
            kinds = {labels[row]: row for row in reversed(rows) if labels[row] is not None and labels[row] >= 0}
            if len(kinds) > 1:
                classes = examined.features[column].names
                shown.append(" = ".join(f"{names[row]} ({classes[label]})" for label, row in sorted(kinds.items())))
        text = f"{{count}} images have two labels in {column!r}, byte for byte the same picture"
        findings += found("two_labels", PROBLEM, text, shown)
    return findings


def _labels_of_pairs(examined: Examined, column: str, pairs: list[Pair], names: list[str]) -> list[Finding]:
    labels, classes = examined.column(column), examined.features[column].names
    differing = [pair for pair in pairs if _known(labels[pair.first]) and _known(labels[pair.second])
                 and labels[pair.first] != labels[pair.second]]  # fmt: skip
    shown = [
        f"{names[pair.first]} ({classes[labels[pair.first]]}) = {names[pair.second]} ({classes[labels[pair.second]]})"
        for pair in differing
    ]
    usual = Counter(frozenset((classes[labels[p.first]], classes[labels[p.second]])) for p in differing).most_common(1)
    often = f"; most often {' and '.join(sorted(usual[0][0]))}, {usual[0][1]:,} times" if usual else ""
    text = f"{{count}} pairs of nearly the same images have two labels in {column!r}{often}"
    return found("two_labels_nearly", WARNING, text, shown)


def _known(label: int | None) -> bool:
    return label is not None and label >= 0
