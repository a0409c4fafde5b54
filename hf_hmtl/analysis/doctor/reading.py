"""A folder as the doctor looks at it: every row, what looks like labels, and what could not be read as such."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.analysis.doctor.findings import PROBLEM, Finding, found
from hf_hmtl.data import sources
from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.identity import FEATURES, FILE, ID, RESERVED, identity, numbered
from hf_hmtl.data.ledger import Ledger
from hf_hmtl.data.own_faces.dividing import SPLIT_COLUMNS
from hf_hmtl.data.own_faces.groups import GROUP_COLUMNS, Grouping
from hf_hmtl.data.own_faces.images import IMAGE_COLUMNS, files_of
from hf_hmtl.data.own_faces.labels import class_column, find_column, number_column
from hf_hmtl.data.own_faces.reading import Reading, image_folder
from hf_hmtl.data.own_faces.tables import with_every_column
from hf_hmtl.data.sources import SPLITS
from hf_hmtl.data.sources._building import IMAGE, in_memory

USUAL = ("label", "emotion", "expression")
RANGES = {
    "valence": (-1.0, 1.0), "arousal": (-1.0, 1.0), "yaw": (-180.0, 180.0), "pitch": (-180.0, 180.0),
    "roll": (-180.0, 180.0), "age": (0.0, 120.0),
}  # fmt: skip
"""Of columns that are called so."""
_MOST_CLASSES = 100
_ROWS_A_CLASS = 5
_LABELS = ("string", "large_string", "bool", "int", "uint", "float")


@dataclass
class Examined:
    """The rows of a data set with its labels.

    Attributes:
        name: of the folder or source.
        splits: the reserved columns, the images and the labels: ClassLabel (-1 for missing) or float32 (NaN).
        ledger: what is no row.
        notes: how it was read.
        findings: what is wrong with the columns themselves.
        primary: the column of classes that matters most; None where there is none.
        source: the source that it is read as; None for anybody's own.
    """

    name: str
    splits: datasets.DatasetDict
    ledger: Ledger
    notes: list[str]
    findings: list[Finding] = field(default_factory=list)
    primary: str | None = None
    source: str | None = None

    @property
    def features(self) -> datasets.Features:
        """Of the columns that all splits have."""
        return next(iter(self.splits.values())).features

    @property
    def classes(self) -> list[str]:
        """The columns of classes."""
        return [name for name, feature in self.features.items() if isinstance(feature, datasets.ClassLabel)]

    @property
    def numbers(self) -> list[str]:
        """The columns of numbers."""
        return [
            name
            for name, feature in self.features.items()
            if isinstance(feature, datasets.Value) and feature.dtype.startswith(("float", "int"))
        ]

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def column(self, name: str) -> list:
        """A column of all splits, one after the other."""
        return [value for data in self.splits.values() for value in column_array(data, name).to_pylist()]

    def names(self) -> list[str]:
        """What a person finds each row by: its file, else its `_id`."""
        return [file or name for file, name in zip(self.column(FILE), self.column(ID), strict=True)]

    def split_of_rows(self) -> list[str]:
        """The split of each row."""
        return [split for split, data in self.splits.items() for _ in range(len(data))]


def of_folder(
    place: Path,
    label_column: str | None = None,
    reading: Reading | None = None,
    group_column: str | None = None,
    group_pattern: str | None = None,
) -> Examined:
    """A folder or table of anybody's own.

    Columns that look like labels are taken for such: of class names, of text or whole numbers with few values, of
    numbers.

    Args:
        place: folder or table.
        label_column: the column that matters most; None takes `label`, `emotion` or the first of classes.
        reading: how it is read.
        group_column, group_pattern: who a row is of.

    Raises:
        OSError, ValueError: there are no images, or no such column.
    """
    place = place.expanduser().resolve()
    if not place.exists():
        raise FileNotFoundError(f"doctor: there is no folder or table {place}")
    reading = reading or Reading()
    image_dir = image_folder(reading.image_dir, place.parent if place.is_file() else place)
    read, ledger = with_every_column(place, replace(reading, image_dir=image_dir))
    tables = {split: read.tables[split] for split in SPLITS if len(read.tables.get(split, ()))}
    if label_column is not None:
        find_column(tables, label_column, "--label_column NAME")
    files = {split: files_of(table, read.folder) for split, table in tables.items()}
    columns, findings = _labels(tables, label_column)
    grouping = Grouping(group_column, group_pattern)
    # Columns of groups are looked for in the training rows; a data set to evaluate on has none.
    first = next(iter(tables))
    groups = grouping.of({"train": tables[first], **tables}, {"train": files[first], **files}, list(columns))
    name = place.stem if place.is_file() else place.name
    splits = {}
    for split, table in tables.items():
        ids = table[ID][:] if ID in table.column_names else files[split]
        who = groups[split]
        reserved = identity(name, ids, files[split], who) if ids is not None else numbered(name, split, len(table), who)
        features = datasets.Features({"image": IMAGE, **{column: FEATURES[column] for column in reserved}})
        arrays = {"image": table.with_format("arrow")[:]["image"], **reserved}
        for column, of_splits in columns.items():
            features[column], values = of_splits[split]
            arrays[column] = pa.array(values)
        splits[split] = in_memory(pa.table(arrays), features)
    notes = [f"layout: {read.layout}", *read.notes, *grouping.notes]
    examined = Examined(name, datasets.DatasetDict(splits), ledger, notes, findings)
    wanted = [name for name in (label_column, *USUAL) if name in examined.classes]
    examined.primary = next(iter([*wanted, *examined.classes]), None)
    return examined


def of_source(name: str, place: Path) -> Examined:
    """An official data set, as its source reads it.

    Raises:
        OSError, ValueError: no such source, or it does not find its files.
    """
    source = sources.load(name, place)
    examined = Examined(source.name, source.splits, source.ledger, list(source.notes), source=name)
    examined.primary = next((name for name in USUAL if name in examined.classes), next(iter(examined.classes), None))
    return examined


def _labels(
    tables: Mapping[str, datasets.Dataset], wanted: str | None
) -> tuple[dict[str, dict[str, tuple]], list[Finding]]:
    """{column: {split: (feature, values)}} of what looks like labels, and columns that cannot be read as they seem."""
    columns: dict[str, dict[str, tuple]] = {}
    findings: list[Finding] = []
    first = next(iter(tables.values()))
    for name in first.column_names:
        if name in ("image", *RESERVED) or name.startswith("_") or any(
            name not in table.column_names for table in tables.values()
        ):  # fmt: skip
            continue
        kind = _kind(tables, name, name == wanted or (wanted is None and name in USUAL))
        try:
            if isinstance(first.features[name], datasets.ClassLabel):
                columns[name], told = _named_classes(tables, name)
                findings += told
            elif kind == "classes":
                names, places, _ = class_column({"train": first, **tables}, name)
                columns[name] = {split: (datasets.ClassLabel(names=names), places[split]) for split in tables}
            elif kind == "numbers":
                values = {split: number_column(table, name) for split, table in tables.items()}
                columns[name] = {split: (datasets.Value("float32"), values[split]) for split in tables}
        except ValueError as error:
            text = str(error).removeprefix("custom: ")
            findings.append(Finding("labels", PROBLEM, f"column {name!r} cannot be learned as it is: {text}", 1))
    return columns, findings


def _named_classes(tables: Mapping[str, datasets.Dataset], name: str) -> tuple[dict[str, tuple], list[Finding]]:
    """A column of ClassLabel by split, and the rows whose number is none of its classes, which get no label."""
    inside, outside = {}, []
    for split, table in tables.items():
        numbers = column_array(table, name)
        is_outside = pc.fill_null(pc.greater_equal(numbers, len(table.features[name].names)), False)
        rows = np.flatnonzero(is_outside.to_numpy(zero_copy_only=False))
        outside += [f"{split}/{row}: {numbers[int(row)].as_py()}" for row in rows]
        arrow = table.select_columns(name).with_format("arrow")[:]
        kept = pc.if_else(is_outside, pa.scalar(None, numbers.type), numbers)
        features = datasets.Features({name: table.features[name]})
        inside[split] = in_memory(arrow.set_column(0, name, kept), features)
    names, places, _ = class_column({"train": next(iter(inside.values())), **inside}, name)
    text = f"{name}: {{count}} rows have a number that is no class"
    columns = {split: (datasets.ClassLabel(names=names), places[split]) for split in tables}
    return columns, found("out_of_range", PROBLEM, text, outside)


def _kind(tables: Mapping[str, datasets.Dataset], name: str, surely: bool) -> str | None:
    """ "classes", "numbers" or None for a column that is no label."""
    feature = next(iter(tables.values())).features[name]
    if surely:
        return "classes"
    if name.lower() in RANGES:
        return "numbers"
    known = (*GROUP_COLUMNS, *IMAGE_COLUMNS, "id", *SPLIT_COLUMNS)
    if name.lower() in known or not isinstance(feature, datasets.Value) or not feature.dtype.startswith(_LABELS):
        return None
    values = pa.concat_arrays([column_array(table, name).cast(pa.string()) for table in tables.values()]).drop_null()
    distinct = len(pc.unique(values))
    few = 1 < distinct <= min(_MOST_CLASSES, max(2, len(values) // _ROWS_A_CLASS))
    if feature.dtype.startswith("float"):
        return "numbers"
    if feature.dtype.startswith(("int", "uint")):
        return "classes" if few and distinct <= 20 else "numbers" if distinct < len(values) else None
    return "classes" if few else None


def numbers_of(examined: Examined, name: str) -> np.ndarray:
    """(rows,) float64 of a column of numbers."""
    return np.array([np.nan if value is None else value for value in examined.column(name)], dtype=np.float64)
