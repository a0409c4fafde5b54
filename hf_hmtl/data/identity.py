"""Who a row is: reserved columns that every source gives and that stay with a row up to `predictions.parquet`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.rows import RowReader, image_column

ID = "_id"
"""Text that is unique in a source and stays the same when rows are added or the folder is moved."""
FILE = "_file"
"""Path of the image relative to the data folder; null where the images are not files of their own."""
SOURCE = "_source"
"""Name of the source that the row comes from."""
GROUP = "_group"
"""What must not be torn apart by a split, usually a person; null where it is not known."""
CLIP = "_clip"
"""What a frame is a part of: text that is unique in a source."""
FRAME = "_frame"
"""The number of a frame in its clip, as its source numbers frames."""
PICTURE = "_picture"
"""`_file` of the photograph that a face was cut out of, or its `_id`, where one photograph may give several."""
RESERVED = (ID, FILE, SOURCE, GROUP)
OF_CLIPS = (CLIP, FRAME)
"""Of rows that are frames; other rows have neither."""

FEATURES = dict.fromkeys(RESERVED, datasets.Value("string"))
FEATURES_OF_CLIPS = {CLIP: datasets.Value("string"), FRAME: datasets.Value("int64")}


Text = pa.Array | pa.ChunkedArray
_ROWS_AT_ONCE = 1 << 16


def identity(
    source: str,
    ids: Sequence[str],
    files: Sequence[str | None] | None = None,
    groups: Sequence | pa.Array | None = None,
) -> dict[str, Text]:
    """The reserved columns of some rows: {column: text}.

    Args:
        source: name of the source.
        ids: one a row; a second row of the same id becomes "<id>#2".
        files, groups: one a row; None where the source knows none.
    """
    return {
        ID: pa.array(_distinct(ids), pa.string()),
        FILE: _texts(files, len(ids)),
        SOURCE: _repeated(source, len(ids)),
        GROUP: _texts(groups, len(ids)),
    }


def of_clips(clips: Sequence[str], frames: Sequence[int]) -> dict[str, pa.Array]:
    """The columns of rows that are frames: the clip of each, and its number there."""
    return {CLIP: pa.array(clips, pa.string()), FRAME: pa.array(frames, pa.int64())}


def numbered(source: str, split: str, rows: int, groups: Sequence | pa.Array | None = None) -> dict[str, Text]:
    """The reserved columns of rows that are known by their number in their split: "train/0", "train/1" ..."""
    blocks = [_numbered(split, first, min(first + _ROWS_AT_ONCE, rows)) for first in range(0, rows, _ROWS_AT_ONCE)]
    return {
        ID: pa.chunked_array(blocks, pa.string()),
        FILE: _texts(None, rows),
        SOURCE: _repeated(source, rows),
        GROUP: _texts(groups, rows),
    }


def _numbered(split: str, first: int, last: int) -> pa.Array:
    numbers = pa.array(np.arange(first, last)).cast(pa.string())
    return pc.binary_join_element_wise(split, numbers, "/").cast(pa.string())


def _texts(values: Sequence | pa.Array | None, rows: int) -> Text:
    return _repeated(None, rows) if values is None else pa.array(values, pa.string())


def _repeated(value: str | None, rows: int) -> pa.ChunkedArray:
    """A column that is the same in every row; one piece of memory stands for all of it."""
    piece = pa.repeat(pa.scalar(value, pa.string()), min(rows, _ROWS_AT_ONCE))
    whole, rest = divmod(rows, _ROWS_AT_ONCE)
    return pa.chunked_array([piece] * whole + [piece[:rest]] * bool(rest), pa.string())


def _distinct(ids: Sequence[str]) -> list[str]:
    ids = list(ids)
    if len(set(ids)) == len(ids):
        return ids
    seen: Counter = Counter()
    for place, name in enumerate(ids):
        seen[name] += 1
        if seen[name] > 1:
            ids[place] = f"{name}#{seen[name]}"
    return ids


def has_groups(dataset: datasets.Dataset) -> bool:
    """Whether any row of the dataset belongs to a known group."""
    if GROUP not in dataset.column_names:
        return False
    if dataset.data.column(GROUP).null_count == len(dataset.data):
        return False  # nor in any selection of these rows
    groups = column_array(dataset, GROUP)
    return groups.null_count < len(groups)


def readable(dataset: datasets.Dataset, column: str) -> list:
    """The values of a column as a reader knows them: classes by name, None where they are missing."""
    feature, values = dataset.features[column], dataset[column][:]
    if not isinstance(feature, datasets.ClassLabel):
        return values
    return [None if value is None or value < 0 else feature.names[value] for value in values]


def names_of(dataset: Any, rows: Sequence[int]) -> list[str]:
    """What a person finds rows by: the file of the image, else the row's `_id`, else its number: "row 7".

    Args:
        dataset: of any kind.
        rows: their numbers.
    """
    if not isinstance(dataset, datasets.Dataset) or dataset.format["type"] == "custom":
        return [f"row {row}" for row in rows]
    read = RowReader(dataset).__getitems__(list(rows)) if len(rows) else {}
    images = read.get(image_column(dataset), [None] * len(rows))
    paths = [image.get("path") if isinstance(image, dict) else image for image in images]
    candidates = zip(read.get(FILE, paths), paths, read.get(ID, paths), rows, strict=True)
    return [
        next((name for name in names if isinstance(name, str) and name), f"row {row}") for *names, row in candidates
    ]


def identities(dataset: datasets.Dataset) -> dict[str, list]:
    """The reserved columns of a dataset as lists, and those of clips where it has them; where it has none, rows are
    known by their number."""
    known = {name: dataset[name][:] for name in (*RESERVED, *OF_CLIPS) if name in dataset.column_names}
    return {ID: [str(row) for row in range(len(dataset))]} | known
