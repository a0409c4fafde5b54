"""Facts about splits and ways to cut them: class counts, stratified shares, fingerprints, duplicates across splits.

Which rows a share takes depends on the labels, the fraction and a seed of its own, never on the seed of a training
run: several training seeds then differ in training alone.
"""

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import datasets
import numpy as np

from hf_hmtl.data.identity import GROUP, ID, RESERVED, has_groups
from hf_hmtl.draws import Draws

SPLIT_SEED = 2106  # fixed: a split belongs to the data, a training seed to the run
UNLABELLED = "unlabelled"
FINGERPRINT_VERSION = "2:"
SAMPLED_FILES = 1000
"""Files of a split whose contents the fingerprint covers; it covers the sizes of all."""
_BATCH = 1000  # rows hashed at a time; part of the definition of the fingerprint


def class_counts(dataset: datasets.Dataset, column: str) -> dict[str, int]:
    """Rows of each class in the order of the class names, classes without rows included.

    Rows without a label (-1) are in no class: their number is `len(dataset) - sum(counts.values())`.

    Raises:
        ValueError: the column is absent or is not a `datasets.ClassLabel`.
    """
    feature = _feature(dataset, column)
    if not isinstance(feature, datasets.ClassLabel):
        raise ValueError(f"column {column!r} is {feature}, not a ClassLabel: only named classes can be counted")
    counted = Counter(dataset[column][:])
    return {name: counted[number] for number, name in enumerate(feature.names)}


def stratified_fraction(
    dataset: datasets.Dataset, column: str | None, fraction: float, seed: int = SPLIT_SEED
) -> datasets.Dataset:
    """A share of the rows with the class distribution of the whole, in the original order (the low-data regime).

    Every class keeps at least one row, so very small fractions give a few rows more than fraction * rows. Shares of
    the same seed are nested but for the rounding: nearly all rows of the 10 % are among the 20 %.

    Args:
        column: label column, or None for a plain random share. Rows without a label are a stratum of their own;
            a column of numbers has two strata, labelled and not.
        fraction: 0 < fraction <= 1.

    Raises:
        ValueError: fraction outside its range, or the column is absent.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}, allowed is 0 < fraction <= 1; a fifth of the rows is 0.2")
    strata = _strata(dataset, column)
    quotas = _quotas(Counter(strata), fraction, leave_one=False)
    return dataset.select(sorted(_taken(strata, quotas, seed)))


def carve(
    dataset: datasets.Dataset, column: str | None, fraction: float, seed: int = SPLIT_SEED
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """(rest, part): a stratified part cut out of the rows, both in the original order.

    Every class with two rows or more is in both; a class with one row stays in the rest. When rows have a
    `_group`, whole groups are taken in a random order until the part is as near to its size as they allow; no group is
    in both, and the classes are then only as balanced as the groups. Rows without one are a group each.

    Raises:
        ValueError: fraction outside 0 < fraction < 1, the column is absent, or there are too few rows or groups to
            leave both sides non-empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, allowed is 0 < fraction < 1, for example 0.15")
    grouped = has_groups(dataset)
    if grouped:
        taken = _taken_groups(dataset, fraction, seed)
    else:
        strata = _strata(dataset, column)
        quotas = _quotas(Counter(strata), fraction, leave_one=True)
        taken = _taken(strata, quotas, seed)
    if not taken or len(taken) == len(dataset):
        unit = "groups" if grouped else "rows of a class"
        raise ValueError(
            f"cannot cut a share of {fraction} out of {len(dataset)} rows: there are too few {unit} for both sides. "
            "Give the split as files of its own, or add images"
        )
    rest = np.setdiff1d(np.arange(len(dataset)), np.fromiter(taken, dtype=np.int64))
    return dataset.select(rest), dataset.select(sorted(taken))


def balanced(dataset: datasets.Dataset, column: str, how: str, seed: int = SPLIT_SEED) -> datasets.Dataset:
    """Rows with equally many of each class, in the original order; rows without a label stay as they are.

    Args:
        column: a ClassLabel column.
        how: "down" cuts every class to the size of the smallest (appendix B); "up" repeats every class to the size of
            the largest: whole copies first, then a random part. Repeated rows are augmented each in their own way.

    Raises:
        ValueError: a class has no row, or the column is absent or holds no classes.
    """
    counts = class_counts(dataset, column)
    empty = [name for name, count in counts.items() if count == 0]
    if empty:
        raise ValueError(f"{column}: no training row shows {', '.join(empty)}, so the classes cannot be balanced")
    target = min(counts.values()) if how == "down" else max(counts.values())
    labels = np.asarray(dataset[column][:])
    words = Draws(seed, np.zeros(len(labels)), np.arange(len(labels))).words("splits/balanced", 1)[:, 0]
    chosen = [np.flatnonzero(labels < 0)]
    for number in range(len(counts)):
        rows = np.flatnonzero(labels == number)
        rows = rows[np.argsort(words[rows], kind="stable")]
        chosen.append(np.resize(rows, target))  # cut short, or repeated from its beginning
    return dataset.select(np.sort(np.concatenate(chosen)))


def fingerprint(splits: datasets.DatasetDict, ignored: Sequence[str] = ()) -> str:
    """A text that tells whether two runs saw the same data: "2:" and 32 hexadecimal digits, in every interpreter.

    Covers, in order: the names of the splits; the columns of labels and their types with class names; of every row its
    `_id`, its labels and the size of its image in bytes; and contents: of every image that the rows embed, and of up to
    `SAMPLED_FILES` files of each split, at equal distances. The folder may move. Images overwritten in place are
    noticed by their sizes, or where they are in the sample.

    Args:
        splits: the data.
        ignored: columns that are no labels.
    """
    digest = hashlib.blake2b(digest_size=16)
    for split, dataset in sorted(splits.items()):
        passed_over = {"image", *RESERVED, *ignored} - {ID}
        columns = sorted(name for name in dataset.column_names if name not in passed_over)
        described = {name: str(dataset.features[name]) for name in columns}
        digest.update(json.dumps([split, len(dataset), described]).encode())
        step, row = math.ceil(len(dataset) / SAMPLED_FILES), 0
        for images, batch in _batches(dataset, columns):
            digest.update(json.dumps([[_size(image) for image in images], batch], default=str).encode())
            for image in images:
                if image["bytes"] is not None:
                    digest.update(image["bytes"])
                elif row % step == 0:
                    digest.update(_content(image["path"]))
                row += 1
    return f"{FINGERPRINT_VERSION}{digest.hexdigest()}"


def image_hashes(dataset: datasets.Dataset) -> list[bytes]:
    """A 16-byte hash of the encoded image of each row; files are read where a row holds only a path."""
    return [_image_hash(image) for images, _ in _batches(dataset, []) for image in images]


def cross_split_duplicates(splits: datasets.DatasetDict) -> dict[tuple[str, str], int]:
    """For each pair of splits, the rows of the later one whose image also occurs, byte for byte, in the earlier one.

    The order is that of the DatasetDict, train first: {("train", "test"): 300} says that 300 test images were seen in
    training. Costs one read of every file where rows hold paths.
    """
    hashes = {split: image_hashes(dataset) for split, dataset in splits.items()}
    counts = {}
    for earlier, later in combinations(hashes, 2):
        seen = set(hashes[earlier])
        counts[earlier, later] = sum(value in seen for value in hashes[later])
    return counts


def _feature(dataset: datasets.Dataset, column: str):
    if column not in dataset.features:
        raise ValueError(f"there is no column {column!r}; the columns are {', '.join(dataset.column_names)}")
    return dataset.features[column]


def _strata(dataset: datasets.Dataset, column: str | None) -> list:
    """The stratum of each row: its class, or whether it is labelled where the column holds numbers."""
    if column is None:
        return ["all"] * len(dataset)
    _feature(dataset, column)
    values = dataset[column][:]
    if any(isinstance(value, float) for value in values):
        return [UNLABELLED if value is None or math.isnan(value) else "labelled" for value in values]
    return [UNLABELLED if value is None or value == -1 else value for value in values]


def _quotas(rows_of: dict, fraction: float, leave_one: bool) -> dict:
    """Rows to take from each stratum: largest remainders, at least one, and not the last one if `leave_one`."""
    exact = Fraction(str(fraction))  # 0.1 means a tenth, not its nearest binary float
    names = sorted(rows_of, key=str)
    shares = {name: exact * rows_of[name] for name in names}
    most = {name: rows_of[name] - leave_one for name in names}
    quotas = {name: min(max(math.floor(shares[name]), 1), most[name]) for name in names}
    wanted = math.floor(exact * sum(rows_of.values()) + Fraction(1, 2))
    growing = [name for name in names if quotas[name] < most[name]]
    growing.sort(key=lambda name: quotas[name] - shares[name])
    for name in growing[: max(wanted - sum(quotas.values()), 0)]:
        quotas[name] += 1
    return quotas


def _taken(strata: list, quotas: dict, seed: int) -> set[int]:
    """Row numbers: in each stratum, the rows with the smallest random words."""
    words = Draws(seed, np.zeros(len(strata)), np.arange(len(strata))).words("splits/share", 1)[:, 0]
    remaining, taken = dict(quotas), set()
    for row in np.argsort(words, kind="stable").tolist():
        if remaining[strata[row]] > 0:
            remaining[strata[row]] -= 1
            taken.add(row)
    return taken


def _taken_groups(dataset: datasets.Dataset, fraction: float, seed: int) -> set[int]:
    """Row numbers of the groups taken: each one that brings the part nearer to fraction * rows."""
    rows_of: dict = {}
    for row, group in enumerate(dataset[GROUP][:]):
        rows_of.setdefault(group or ("no group", row), []).append(row)
    groups = list(rows_of)
    words = Draws(seed, np.zeros(len(groups)), np.arange(len(groups))).words("splits/subjects", 1)[:, 0]
    target, taken = fraction * len(dataset), set()
    for place in np.argsort(words, kind="stable").tolist():
        rows = rows_of[groups[place]]
        if abs(len(taken) + len(rows) - target) < abs(len(taken) - target):
            taken.update(rows)
    return taken


def _batches(dataset: datasets.Dataset, columns: list[str]) -> Iterator[tuple[list[dict], list[list]]]:
    """Images and the label columns of 1000 rows at a time, as plain Python values."""
    for table in dataset.with_format("arrow").iter(_BATCH):
        yield table["image"].to_pylist(), [table[name].to_pylist() for name in columns]


def _size(image: dict) -> int:
    """Bytes of an image; -1 for a file that cannot be read, which a run counts as broken and does not stop at."""
    if image["bytes"] is not None:
        return len(image["bytes"])
    try:
        return os.stat(image["path"]).st_size
    except OSError:
        return -1


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _image_hash(image: dict) -> bytes:
    content = image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
    return hashlib.blake2b(content, digest_size=16).digest()
