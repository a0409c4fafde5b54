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
MOST_PAIRS = 100_000
"""Of two splits."""
_BLOCK = 2048


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their numbers in the data set, and how many bits their hashes differ in."""

    first: int
    second: int
    distance: int


def near_pairs(
    hashes: np.ndarray, contents: np.ndarray, borders: dict[str, tuple[int, int]], usable: np.ndarray,
    watched: Callable[[Iterable], Iterable] = iter,
) -> tuple[list[Pair], dict[tuple[str, str], str]]:  # fmt: skip
    """All pairs of different pictures that differ in `NEAR` bits or fewer, and of which two splits not all are found,
    with the reason.

    Args:
        hashes: (pictures, bytes) uint8.
        contents: (pictures,) numbers that are the same for files of the same bytes.
        borders: {split: (first, last + 1)}.
        usable: (pictures,) bool, which pictures are compared.
        watched: passes the blocks on.
    """
    rows = {split: np.flatnonzero(usable[first:last]) + first for split, (first, last) in borders.items()}
    signs = {split: _signs(hashes[numbers]) for split, numbers in rows.items()}
    todo, incomplete = _blocks(rows)
    pairs: list[Pair] = []
    of_splits: Counter = Counter()
    for one, other, start in watched(todo):
        if (one, other) in incomplete:
            continue
        behind = start if one == other else 0
        distances = (HASH_BITS - signs[one][start : start + _BLOCK] @ signs[other][behind:].T) / 2
        here, there = np.nonzero(distances <= NEAR)
        first, second = rows[one][start + here], rows[other][behind + there]
        kept = (contents[first] != contents[second]) & (second > first)  # within a split, each pair once
        left = MOST_PAIRS - of_splits[one, other]
        if kept.sum() > left:
            incomplete[one, other] = f"there are more than {MOST_PAIRS:,} of them, as among frames of one video"
        kept = np.flatnonzero(kept)[:left]
        of_splits[one, other] += len(kept)
        found_here = zip(first[kept], second[kept], distances[here, there][kept], strict=True)
        pairs += [Pair(int(a), int(b), int(distance)) for a, b, distance in found_here]
    return pairs, incomplete


def _blocks(rows: dict[str, np.ndarray]) -> tuple[list[tuple[str, str, int]], dict[tuple[str, str], str]]:
    """(split, split, first row) of what is compared at once, pairs across splits first; and what would be too much."""
    left, todo = MOST_COMPARISONS, []
    too_many: dict[tuple[str, str], str] = {}
    for one, other in sorted(combinations_with_replacement(rows, 2), key=lambda pair: pair[0] == pair[1]):
        cost = len(rows[one]) * len(rows[other]) / (1 + (one == other))
        if cost > left:
            too_many[one, other] = f"{len(rows[one]):,} by {len(rows[other]):,} rows are too many to compare"
            continue
        left -= cost
        todo += [(one, other, start) for start in range(0, len(rows[one]), _BLOCK)]
    return todo, too_many


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
    contents = np.unique([digest.hex() for digest in pictures.digests], return_inverse=True)[1]
    usable = pictures.seen & ~pictures.blank
    pairs, incomplete = near_pairs(pictures.hashes, contents, borders, usable, watched)
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
    for (earlier, later), why in incomplete.items():
        where = f"within {earlier}" if earlier == later else f"between {earlier} and {later}"
        findings.append(Finding("not_compared", NOTE, f"near duplicates {where} were not all looked for: {why}", 1))
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
