"""What makes scores flatter a model: persons and images on both sides of a split, images under two labels."""

from collections.abc import Sequence
from itertools import combinations

import datasets
import pyarrow.compute as pc

from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.identity import FILE, GROUP, ID, has_groups
from hf_hmtl.data.splits import cross_split_duplicates, image_hashes

LARGEST = 50_000  # rows; beyond, reading every file to compare it would hold up the start


def leaks(splits: datasets.DatasetDict, classes: Sequence[str]) -> list[str]:
    """Notes on persons and images that occur in two splits, and on images with two labels.

    Args:
        splits: the rows, with their reserved columns.
        classes: columns of classes.
    """
    notes = [
        f"{len(shared)} groups are in train and in {later}: scores flatter the model"
        for earlier, later, shared in shared_groups(splits)
        if earlier == "train"
    ]
    if sum(map(len, splits.values())) > LARGEST:
        return [*notes, f"identical images across splits were not looked for: over {LARGEST:,} rows"]
    hashes = {split: image_hashes(data) for split, data in splits.items()}
    for (earlier, later), count in cross_split_duplicates(splits, hashes).items():
        if count:
            notes.append(f"{count} {later} images also occur, byte for byte, in {earlier}")
    return notes + [note for column in classes for note in _two_labels(splits, hashes, column)]


def shared_groups(splits: datasets.DatasetDict) -> list[tuple[str, str, list[str]]]:
    """(earlier, later, groups of both) for every two splits that have a group in common."""
    groups = {
        split: pc.unique(column_array(data, GROUP).drop_null()) for split, data in splits.items() if has_groups(data)
    }
    common = [
        (earlier, later, groups[later].filter(pc.is_in(groups[later], value_set=groups[earlier])).to_pylist())
        for earlier, later in combinations(groups, 2)
    ]
    return [each for each in common if each[2]]


def _two_labels(splits: datasets.DatasetDict, hashes: dict[str, list[bytes]], task: str) -> list[str]:
    """A note on images, byte for byte the same, whose rows have different labels."""
    labels: dict[bytes, dict[int, str]] = {}
    names: list[str] = splits["train"].features[task].names
    for split, data in splits.items():
        who = data[FILE][:], data[ID][:]
        for value, label, file, name in zip(hashes[split], data[task][:], *who, strict=True):
            if value and label >= 0:
                labels.setdefault(value, {}).setdefault(label, file or name)
    twice = [found for found in labels.values() if len(found) > 1]
    if not twice:
        return []
    shown = " and ".join(f"{name} as {names[label]!r}" for label, name in list(twice[0].items())[:2])
    return [f"{len(twice)} images have two labels in {task!r}, byte for byte the same picture: the first is {shown}"]
