"""The label columns of the user's own data, one after the other: classes or numbers, as their tasks want them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.identity import RESERVED
from hf_hmtl.data.own_faces.labels import (
    ClassNames,
    Texts,
    class_column,
    find_column,
    is_numeric,
    number_column,
    says_yes_or_no,
)
from hf_hmtl.data.sources import did_you_mean

CLASSES, NUMBERS, WORDS = KINDS = ("classes", "numbers", "words")
"""What a column is read as. Words are classes too, but whole numbers, which may be classes or amounts, raise."""


@dataclass(frozen=True)
class LabelColumns:
    """Which columns are labels.

    Attributes:
        columns: {name in the dataset: column of the table}; the first is what splits are stratified by.
        kinds: {name: one of `KINDS`}; of those that are not named, the first is classes, and others what their type is.
        written: how classes are called, in every column of classes.
    """

    columns: Mapping[str, str]
    kinds: Mapping[str, str] = field(default_factory=dict)
    written: ClassNames = field(default_factory=ClassNames)

    def __post_init__(self):
        for name, kind in self.kinds.items():
            if name not in self.columns:
                raise ValueError(
                    f"custom: label_kinds names {name!r}, which is no label.{did_you_mean(name, list(self.columns))} "
                    f"Labels are {', '.join(self.columns)}"
                )
            if kind not in KINDS:
                raise ValueError(f"custom: label_kinds of {name!r} is {kind!r}, allowed are {', '.join(KINDS)}")
        for name in self.columns:
            if name in ("image", *RESERVED):
                raise ValueError(
                    f"custom: a label cannot be called {name!r}, which a column of every row is called already; rename "
                    "the column"
                )

    @property
    def first(self) -> str:
        """The name that splits are stratified by."""
        return next(iter(self.columns))

    def require(self, tables: dict[str, datasets.Dataset]) -> None:
        """Raise when a split lacks one of the columns; the message says which option named it."""
        for name, column in self.columns.items():
            alone = "--label_column NAME, or " * (name == self.first)
            find_column(tables, column, f"{alone}--label_columns TASK=NAME:KIND")

    def read(self, tables: dict[str, datasets.Dataset]) -> tuple[dict[str, dict[str, tuple]], list[str]]:
        """{name: {split: (feature, values)}} of the labels, classes with -1 and numbers with NaN for missing; notes.

        Raises:
            ValueError: a column does not hold what its kind says, or `class_map` names a text that none holds.
        """
        found: dict[str, dict[str, tuple]] = {}
        notes: list[str] = []
        kinds = {name: self._kind(name, tables) for name in self.columns}
        maps = self._class_maps(tables, [name for name, kind in kinds.items() if kind != NUMBERS])
        for name, column in self.columns.items():
            if kinds[name] == NUMBERS:
                numbers = {split: number_column(table, column) for split, table in tables.items()}
                found[name] = {split: (datasets.Value("float32"), values) for split, values in numbers.items()}
                notes += _holes(numbers, column)
                if any(says_yes_or_no(table, column) for table in tables.values()):
                    notes.append(f"column {column!r}: yes and true are 1, no and false are 0")
            else:
                if kinds[name] == WORDS:
                    _require_words(tables, column, name)
                names, places, told = class_column(tables, column, maps[name])
                found[name] = {split: (datasets.ClassLabel(names=names), places[split]) for split in tables}
                notes += told
        return found, notes

    def _kind(self, name: str, tables: dict[str, datasets.Dataset]) -> str:
        by_itself = name != self.first and is_numeric(tables["train"], self.columns[name])
        return self.kinds.get(name) or (NUMBERS if by_itself else CLASSES)

    def _class_maps(self, tables: dict[str, datasets.Dataset], names: list[str]) -> dict[str, ClassNames]:
        """The entries of `class_map` that each column of classes holds; those that none holds go to the first of them,
        which refuses them."""
        left, maps = dict(self.written.class_map), {}
        if left and not names:
            raise ValueError(
                f"custom: class_map names {', '.join(map(repr, left))}, and no label holds classes: "
                f"{', '.join(self.columns.values())} are numbers; leave class_map out"
            )
        for name in reversed(names):
            held: Collection[str] = left if name == names[0] else _texts_of(tables, self.columns[name])
            mine = {text: label for text, label in self.written.class_map.items() if text in held}
            left = {text: label for text, label in left.items() if text not in mine}
            maps[name] = ClassNames(mine, self.written.merge_case)
        return maps


def has_label(data: datasets.Dataset, names: Collection[str]) -> np.ndarray:
    """(rows,) bool: which rows have a label under any of these names."""
    known = np.zeros(len(data), dtype=bool)
    for name in names:
        values = column_array(data, name).to_numpy(zero_copy_only=False)
        known |= values >= 0 if isinstance(data.features[name], datasets.ClassLabel) else ~np.isnan(values)
    return known


def classes_among(data: datasets.Dataset, names: Collection[str]) -> list[str]:
    """Those of the names that are columns of classes."""
    return [name for name in names if isinstance(data.features[name], datasets.ClassLabel)]


def _texts_of(tables: dict[str, datasets.Dataset], column: str) -> set[str]:
    return {text for table in tables.values() for text in Texts.of(table, column).counts() if text}


def _holes(numbers: dict[str, np.ndarray], column: str) -> list[str]:
    """Notes on rows without a number.

    Raises:
        ValueError: no training row has one.
    """
    missing = {split: int(np.isnan(values).sum()) for split, values in numbers.items()}
    if missing["train"] == len(numbers["train"]):
        raise ValueError(f"custom: no training row has a number in {column!r}; check the column, or leave it out")
    return [
        f"{split}: {count:,} of {len(numbers[split]):,} rows have no number in {column!r}"
        for split, count in missing.items()
        if count
    ]


def _require_words(tables: dict[str, datasets.Dataset], column: str, name: str) -> None:
    if not is_numeric(tables["train"], column):
        return
    values = column_array(tables["train"], column)
    seen = pc.unique(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).drop_null()
    shown = ", ".join(f"{value:g}" for value in sorted(seen.to_pylist())[:4])
    raise ValueError(
        f"custom: column {column!r} holds numbers ({shown}{', ...' * (len(seen) > 4)}), which may be classes or "
        f"amounts. Say which: --label_columns {name}={column}:classification or {name}={column}:regression"
    )
