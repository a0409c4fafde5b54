"""Facts about splits and ways to cut them: class counts, stratified shares, fingerprints, duplicates across splits.

Which rows a share takes depends on the labels, the fraction and a seed of its own, never on the seed of a training
run: several training seeds then differ in training alone.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.arrow_columns import column_array, column_batches, distinct_values, frequencies, selected
from hf_hmtl.data.identity import GROUP, ID, OF_CLIPS, RESERVED, has_groups
from hf_hmtl.data.stratified_groups import chosen_groups
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
    values, places = distinct_values(dataset, column)
    counted = dict(zip(values.to_pylist(), frequencies(places, len(values)).tolist(), strict=True))
    return {name: counted.get(number, 0) for number, name in enumerate(feature.names)}


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
    return selected(dataset, _taken(dataset, column, fraction, seed, leave_one=False))


def carve(
    dataset: datasets.Dataset, column: str | None, fraction: float, seed: int = SPLIT_SEED
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """(rest, part): a stratified part cut out of the rows, both in the original order.

    Every class with two rows or more is in both; a class with one row stays in the rest. When rows have a
    `_group`, whole groups are taken, so that each class comes as near to its share as they allow, and no group is in
    both; a class of one group stays in the rest. Rows without one are a group each.

    Raises:
        ValueError: fraction outside 0 < fraction < 1, the column is absent, or there are too few rows or groups to
            leave both sides non-empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, allowed is 0 < fraction < 1, for example 0.15")
    grouped = has_groups(dataset)
    if grouped:
        taken = _taken_groups(dataset, column, fraction, seed)
    else:
        taken = _taken(dataset, column, fraction, seed, leave_one=True)
    if len(taken) in (0, len(dataset)):
        unit = "groups" if grouped else "rows of a class"
        raise ValueError(
            f"cannot cut a share of {fraction} out of {len(dataset)} rows: there are too few {unit} for both sides. "
            "Give the split as files of its own, or add images"
        )
    stays = np.ones(len(dataset), dtype=bool)
    stays[taken] = False
    return selected(dataset, np.flatnonzero(stays)), selected(dataset, taken)


def without(whole: datasets.Dataset, part: datasets.Dataset) -> list[str]:
    """`_id` of the rows of a dataset that are not in a part of it."""
    ids = column_array(whole, ID)
    return ids.filter(pc.invert(pc.is_in(ids, value_set=column_array(part, ID)))).to_pylist()


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
    labels = column_array(dataset, column).to_numpy(zero_copy_only=False)
    words = Draws(seed, 0, np.arange(len(labels))).words("splits/balanced", 1)[:, 0]
    chosen = [np.flatnonzero(labels < 0)]
    for number in range(len(counts)):
        rows = np.flatnonzero(labels == number)
        rows = rows[np.argsort(words[rows], kind="stable")]
        chosen.append(np.resize(rows, target))  # cut short, or repeated from its beginning
    return selected(dataset, np.sort(np.concatenate(chosen)))


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
        passed_over = {"image", *RESERVED, *OF_CLIPS, *ignored} - {ID}
        columns = sorted(name for name in dataset.column_names if name not in passed_over)
        described = {name: str(dataset.features[name]) for name in columns}
        digest.update(json.dumps([split, len(dataset), described]).encode())
        step, row = math.ceil(len(dataset) / SAMPLED_FILES), 0
        for images, batch in _batches(dataset, columns):
            content, paths = images.flatten()[:2]
            sizes = pc.binary_length(content).to_pylist()
            files = {place: paths[place].as_py() for place in np.flatnonzero(content.is_null())}
            for place, path in files.items():
                sizes[place] = _size(path)
            digest.update(json.dumps([sizes, batch], default=str).encode())
            if not files:
                digest.update(_joined(content))
            for place in range(len(content) if files else 0):
                if place not in files:
                    digest.update(content[place].as_buffer())
                elif (row + place) % step == 0:
                    digest.update(_content(files[place]))
            row += len(content)
    return f"{FINGERPRINT_VERSION}{digest.hexdigest()}"


def image_hashes(dataset: datasets.Dataset) -> list[bytes]:
    """A 16-byte hash of the encoded image of each row, whose file is read where it holds a path; b"" where there is
    nothing to read."""
    return [_image_hash(image) for images, _ in _batches(dataset, []) for image in images.to_pylist()]


def cross_split_duplicates(
    splits: datasets.DatasetDict, hashes: dict[str, list[bytes]] | None = None
) -> dict[tuple[str, str], int]:
    """For each pair of splits, the rows of the later one whose image also occurs, byte for byte, in the earlier one.

    The order is that of the DatasetDict, train first: {("train", "test"): 300} says that 300 test images were seen in
    training. Costs one read of every file where rows hold paths.

    Args:
        splits: the rows.
        hashes: {split: `image_hashes`}, where they are known already.
    """
    hashes = hashes or {split: image_hashes(dataset) for split, dataset in splits.items()}
    counts = {}
    for earlier, later in combinations(hashes, 2):
        seen = set(hashes[earlier]) - {b""}
        counts[earlier, later] = sum(value in seen for value in hashes[later])
    return counts


def _feature(dataset: datasets.Dataset, column: str):
    if column not in dataset.features:
        raise ValueError(f"there is no column {column!r}; the columns are {', '.join(dataset.column_names)}")
    return dataset.features[column]


def strata_of(dataset: datasets.Dataset, column: str | None) -> tuple[np.ndarray, dict]:
    """(rows,) number of the stratum of each row, and {stratum: rows}, in the order of these numbers.

    A stratum is a class, or whether a row is labelled where the column holds numbers.
    """
    if column is None:
        return np.zeros(len(dataset), dtype=np.int64), {"all": len(dataset)}
    _feature(dataset, column)
    kind = dataset.data.column(column).type
    if pa.types.is_floating(kind):
        values = column_array(dataset, column)
        missing = pc.or_kleene(pc.is_null(values), pc.is_nan(values)).fill_null(True)
        numbers = missing.to_numpy(zero_copy_only=False).astype(np.int32)
        if len(numbers) and numbers[0]:  # by the order in which they come
            names, numbers = [UNLABELLED, "labelled"], 1 - numbers
        else:
            names = ["labelled", UNLABELLED]
        names = names[: numbers.max(initial=-1) + 1]
    else:
        distinct, numbers = distinct_values(dataset, column)
        nothing = (None, -1) if pa.types.is_integer(kind) else (None,)
        names = [UNLABELLED if value in nothing else value for value in distinct.to_pylist()]
        if names.count(UNLABELLED) > 1:  # null and -1 say the same
            first, second = (place for place, name in enumerate(names) if name == UNLABELLED)
            numbers = np.where(numbers == second, first, numbers)
            numbers = numbers - (numbers > second)
            del names[second]
    return numbers, dict(zip(names, frequencies(numbers, len(names)).tolist(), strict=True))


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
    return {name: quotas[name] for name in rows_of}


def _taken(dataset: datasets.Dataset, column: str | None, fraction: float, seed: int, leave_one: bool) -> np.ndarray:
    """Row numbers in order: in each stratum, the rows with the smallest random words."""
    strata, sizes = strata_of(dataset, column)
    quotas = _quotas(sizes, fraction, leave_one)
    by_stratum = np.argsort(strata, kind="stable")
    ends = np.cumsum(frequencies(strata, len(quotas)))
    taken = [np.empty(0, dtype=np.int64)]
    for first, last, quota in zip([0, *ends[:-1]], ends, quotas.values(), strict=True):
        rows = by_stratum[first:last]
        words = Draws(seed, 0, rows).words("splits/share", 1)[:, 0]
        taken.append(rows[np.argsort(words, kind="stable")[:quota]])
    return np.sort(np.concatenate(taken))


def _taken_groups(dataset: datasets.Dataset, column: str | None, fraction: float, seed: int) -> np.ndarray:
    """Row numbers, in order, of the groups taken: by stratum where there are several."""
    strata, sizes = strata_of(dataset, column)
    if len(sizes) < 2:
        return _taken_by_size(dataset, fraction, seed)
    names = sorted(sizes, key=str)  # a class has its number by its name, wherever its rows lie
    numbers = np.array([names.index(name) for name in sizes])
    quotas = _quotas(sizes, fraction, leave_one=True)
    ids = dataset[ID][:] if ID in dataset.column_names else map(str, range(len(dataset)))
    groups = [
        f"row {own}" if not group else f"group {group}"
        for own, group in zip(ids, column_array(dataset, GROUP).to_pylist(), strict=True)
    ]
    return np.flatnonzero(chosen_groups(groups, numbers[strata], [quotas[name] for name in names], seed))


def _taken_by_size(dataset: datasets.Dataset, fraction: float, seed: int) -> np.ndarray:
    """Row numbers, in order, of the groups taken: each one that brings the part nearer to fraction * rows; the smallest
    is taken, or stays, where one side would have none."""
    rows_of: dict = {}
    for row, group in enumerate(column_array(dataset, GROUP).to_pylist()):
        rows_of.setdefault(group or ("no group", row), []).append(row)
    groups = list(rows_of)
    words = Draws(seed, 0, np.arange(len(groups))).words("splits/subjects", 1)[:, 0]
    target, taken = fraction * len(dataset), []
    order = np.argsort(words, kind="stable").tolist()
    for place in order:
        rows = rows_of[groups[place]]
        if abs(len(taken) + len(rows) - target) < abs(len(taken) - target):
            taken += rows
    if len(groups) > 1 and len(taken) in (0, len(dataset)):
        smallest = min((rows_of[groups[place]] for place in order), key=len)
        taken = sorted(set(taken) ^ set(smallest))
    return np.array(sorted(taken), dtype=np.int64)


def _batches(dataset: datasets.Dataset, columns: list[str]) -> Iterator[tuple[pa.StructArray, list[list]]]:
    """Images {bytes, path} of 1000 rows at a time, and their label columns as plain Python values."""
    for values in column_batches(dataset, ["image", *columns], _BATCH):
        yield values["image"], [values[name].to_pylist() for name in columns]


def _joined(content: pa.BinaryArray) -> memoryview:
    """The bytes of all rows, none of which is null, one after the other as they lie in memory."""
    width = np.int64 if pa.types.is_large_binary(content.type) else np.int32
    _, offsets, values = content.buffers()
    places = np.frombuffer(offsets, width, len(content) + 1, content.offset * np.dtype(width).itemsize)
    return memoryview(values or b"")[int(places[0]) : int(places[-1])]


def _size(path: str | None) -> int:
    """Bytes of a file; -1 where it cannot be read, which a run counts as broken and does not stop at."""
    try:
        return os.stat(path or "").st_size
    except OSError:
        return -1


def _content(path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _image_hash(image: dict) -> bytes:
    content = image["bytes"] if image["bytes"] is not None else _content(image["path"])
    return hashlib.blake2b(content, digest_size=16).digest() if content else b""
