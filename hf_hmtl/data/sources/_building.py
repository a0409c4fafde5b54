"""Shared by the sources: building the rows of the dataset contract, and checking counts against published ones."""

import csv
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import datasets
import pyarrow as pa

from hf_hmtl.data.folds import cut_fold
from hf_hmtl.data.identity import FEATURES, FEATURES_OF_CLIPS
from hf_hmtl.data.own_faces.text_tables import read_text_table
from hf_hmtl.data.splits import class_counts
from hf_hmtl.parsing import shown

IMAGE = datasets.Image(decode=False)


def require_no_folder(name: str, drawings: str, own: str, data_dir: str | Path | None) -> None:
    """Raise when a source that draws is given a folder.

    Args:
        name: of the source.
        drawings: what it draws, in the plural.
        own: name of the source that reads one's own of them.
        data_dir: what was given.
    """
    if data_dir is not None:
        raise ValueError(
            f"{name}: data_dir is {str(data_dir)!r}, but these {drawings} are drawn and no file is read. Leave "
            f"--data_dir out, or train on your own files with the source {own!r}"
        )


def images_of_paths(paths: Sequence[str] | pa.Array) -> pa.StructArray:
    """{bytes: None, path} of each path; built by arrow, because `Dataset.from_dict` needs seconds for AffectNet."""
    return pa.StructArray.from_arrays(
        [pa.nulls(len(paths), pa.binary()), pa.array(paths, pa.string())], names=["bytes", "path"]
    )


def images_of_bytes(contents: Sequence[bytes] | pa.Array) -> pa.StructArray:
    """{bytes, path: None} of each encoded image."""
    return pa.StructArray.from_arrays(
        [pa.array(contents, pa.binary()), pa.nulls(len(contents), pa.string())], names=["bytes", "path"]
    )


def make_dataset(images: pa.StructArray, columns: dict[str, tuple], identity: dict[str, pa.Array]) -> datasets.Dataset:
    """A dataset in memory of images, {name: (feature, values)} and the reserved columns of `data.identity`."""
    columns = columns | {name: ((FEATURES | FEATURES_OF_CLIPS)[name], values) for name, values in identity.items()}
    features = datasets.Features({"image": IMAGE, **{name: feature for name, (feature, _) in columns.items()}})
    known = (pa.Array, pa.ChunkedArray)
    arrays = [images, *(values if isinstance(values, known) else pa.array(values) for _, values in columns.values())]
    return in_memory(pa.table(dict(zip(features, arrays, strict=True))), features)


def in_first_fold(source: str, rows: datasets.Dataset, folds: int) -> tuple[datasets.DatasetDict, str]:
    """Train, validation and test of rows that nobody has divided: the first fold, by person, and a note.

    Args:
        source: name of the source.
        rows: with a `_group` each.
        folds: as many as the data set's publications have; fewer where there are fewer persons.

    Raises:
        ValueError: there are fewer than three persons.
    """
    folds = min(folds, len(set(rows["_group"])))
    try:
        splits, note = cut_fold(datasets.DatasetDict({"all": rows}), (1, max(folds, 2)), None)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return splits, f"it comes undivided; unless source.fold says otherwise, {note}"


def in_memory(table: pa.Table, features: datasets.Features) -> datasets.Dataset:
    """A dataset of a table; its mark for the cache of `datasets` is drawn, which would read all images to find one."""
    return datasets.Dataset(
        table.cast(features.arrow_schema),
        info=datasets.DatasetInfo(features=features),
        fingerprint=datasets.fingerprint.generate_random_fingerprint(),
    )


def text_table(path: Path, columns: Sequence[str], source: str) -> dict[str, list[str]]:
    """{column: its cells as text} of a list with a header; encoding and delimiter are found out, cells may be empty.

    Raises:
        ValueError: the list is empty or lacks a column.
    """
    try:
        table = read_text_table(path).table
    except ValueError as error:
        raise ValueError(str(error).replace("custom:", f"{source}:", 1)) from error
    if absent := [name for name in columns if name not in table.column_names]:
        raise ValueError(
            f"{source}: {path} has the columns {', '.join(table.column_names)}; needed are {', '.join(columns)}, of "
            f"which it lacks {', '.join(absent)}"
        )
    return {name: table[name].cast(pa.string()).fill_null("").to_pylist() for name in columns}


def csv_rows(file: Iterable[str], path: Path, source: str) -> Iterator[list[str]]:
    """The cells of each row of an open CSV file.

    Raises:
        ValueError: it is not in UTF-8, or no CSV.
    """
    try:
        yield from csv.reader(file)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{source}: {path} is no CSV file in UTF-8 ({shown(str(error))})") from error


def drift(name: str, split: str, counts: dict[str, int], expected: dict[str, int]) -> list[str]:
    """A warning and a note when counts differ from the published ones; releases drift, so this never raises."""
    differing = [
        f"{label} {counts.get(label, 0):,} (published {number:,})"
        for label, number in expected.items()
        if counts.get(label, 0) != number
    ]
    if not differing:
        return []
    note = f"{split} rows differ from the published counts: {', '.join(differing)}"
    warnings.warn(f"{name}: {note}", stacklevel=3)
    return [note]


def label_drift(name: str, splits: datasets.DatasetDict, column: str, expected: dict[str, dict]) -> list[str]:
    """`drift` of the class counts of every split that has published ones."""
    return [
        note
        for split, dataset in splits.items()
        if split in expected
        for note in drift(name, split, class_counts(dataset, column), expected[split])
    ]
