"""Columns of a dataset as arrow arrays, at the speed of memory.

`datasets` reads a dataset whose rows were selected one row after the other, 20 microseconds each: minutes for ten
million. Here they are taken from each chunk at once.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import datasets
import numpy as np
import pyarrow as pa

_ROWS_AT_ONCE = 1 << 16


def column_array(dataset: datasets.Dataset, column: str) -> pa.Array:
    """One column of a dataset as an arrow array; no other column is read."""
    values, rows = dataset.data.column(column), _rows(dataset)
    return _together(values.chunks, values.type) if rows is None else _Chunks(values).take(rows)


def column_batches(dataset: datasets.Dataset, columns: Sequence[str], size: int) -> Iterator[dict[str, pa.Array]]:
    """{column: values} of so many rows at a time."""
    whole, rows = {name: _Chunks(dataset.data.column(name)) for name in columns}, _rows(dataset)
    for first in range(0, len(dataset), size):
        last = min(first + size, len(dataset))
        wanted = np.arange(first, last) if rows is None else rows[first:last]
        yield {name: chunks.take(wanted) for name, chunks in whole.items()}


def distinct_values(dataset: datasets.Dataset, column: str) -> tuple[pa.Array, np.ndarray]:
    """Each value of a column once, null among them; and (rows,) int32, which of them each row has.

    A text of ten million rows is thus never laid down ten million times.
    """
    encoded = dataset.data.column(column).dictionary_encode(null_encoding="encode")
    if not encoded.num_chunks:
        return pa.array([], dataset.data.column(column).type), np.empty(0, dtype=np.int32)
    places = np.empty(len(encoded), dtype=np.int32)
    first = 0
    for chunk in encoded.chunks:
        places[first : first + len(chunk)] = chunk.indices.to_numpy(zero_copy_only=False)
        first += len(chunk)
    values, rows = encoded.chunks[-1].dictionary, _rows(dataset)  # which has grown from chunk to chunk
    if rows is not None:
        places = places[rows]
    present = frequencies(places, len(values)) > 0
    if present.all():
        return values, places
    renumbered = (np.cumsum(present) - 1).astype(np.int32)
    return values.filter(pa.array(present)), renumbered[places]


def frequencies(numbers: np.ndarray, size: int) -> np.ndarray:
    """(size,) how often each of 0 .. size - 1 is among some numbers; `np.bincount` alone would first lay all of them
    down as int64."""
    blocks = (numbers[first : first + _ROWS_AT_ONCE] for first in range(0, len(numbers), _ROWS_AT_ONCE))
    return sum((np.bincount(block, minlength=size) for block in blocks), start=np.zeros(size, dtype=np.int64))


def table_of(dataset: datasets.Dataset) -> pa.Table:
    """The table below a dataset, with the rows that a selection has passed over."""
    return dataset.data.table


def over_table(dataset: datasets.Dataset, table: pa.Table, features: datasets.Features) -> datasets.Dataset:
    """The same selection of rows of another table with as many rows: columns are exchanged and no image is copied.

    `datasets` would write all rows anew first (`add_column` after `select`). The mark for its cache is drawn.
    """
    return datasets.Dataset(
        table.select(list(features)).cast(features.arrow_schema),
        info=datasets.DatasetInfo(features=features),
        split=dataset.split,
        indices_table=dataset._indices,
        fingerprint=datasets.fingerprint.generate_random_fingerprint(),
    )


def selected(dataset: datasets.Dataset, rows: np.ndarray) -> datasets.Dataset:
    """The rows of these numbers, in their order, as `dataset.select` gives them, which makes a Python number of each:
    50 bytes a row. The mark for the cache of `datasets` is drawn."""
    below = pa.array(np.ascontiguousarray(_below(dataset, rows), dtype=np.int64).view(np.uint64))
    return datasets.Dataset(
        dataset.data,
        info=dataset.info.copy(),
        split=dataset.split,
        indices_table=datasets.table.InMemoryTable(pa.table({"indices": below})),
        fingerprint=datasets.fingerprint.generate_random_fingerprint(),
    )


def rows_below(dataset: datasets.Dataset) -> np.ndarray:
    """(rows,) the row of the table that each row of a dataset is."""
    return _below(dataset, np.arange(len(dataset)))


def _below(dataset: datasets.Dataset, numbers: np.ndarray) -> np.ndarray:
    rows = _rows(dataset)
    return numbers if rows is None else rows[numbers]


def _rows(dataset: datasets.Dataset) -> np.ndarray | None:
    """The rows of the table below a dataset that was selected or shuffled; None where it is the table itself."""
    selected = dataset._indices  # datasets has no public name for it
    if selected is None:
        return None
    numbers = selected.column(0)
    return _together(numbers.chunks, numbers.type).to_numpy().view(np.int64)  # uint64 as they are; nothing is copied


class _Chunks:
    """A column in pieces, from which rows are taken; arrow's own `take` would lay all pieces together first."""

    def __init__(self, values: pa.ChunkedArray):
        self.type, self.chunks = values.type, values.chunks
        self.ends = np.cumsum([len(chunk) for chunk in self.chunks])

    def take(self, rows: np.ndarray) -> pa.Array:
        """The values of some rows, in their order."""
        if len(rows) > 1 and (np.diff(rows) < 0).any():
            order = np.argsort(rows, kind="stable")
            places = np.empty(len(rows), dtype=np.int64)
            places[order] = np.arange(len(rows))
            return self.take(rows[order]).take(pa.array(places))
        numbers = np.searchsorted(self.ends, rows, side="right")
        borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)] if len(rows) else [0]
        return _together(
            [self._of_one(int(numbers[first]), rows[first:last]) for first, last in pairwise(borders)], self.type
        )

    def _of_one(self, number: int, rows: np.ndarray) -> pa.Array:
        """Rows of one piece, none before the last; neighbours are not copied."""
        chunk = self.chunks[number]
        places = rows - (self.ends[number] - len(chunk))
        if places[-1] - places[0] == len(places) - 1 and (np.diff(places) == 1).all():
            return chunk.slice(int(places[0]), len(places))
        return chunk.take(pa.array(places))


def _together(pieces: list[pa.Array], kind: pa.DataType) -> pa.Array:
    return pieces[0] if len(pieces) == 1 else pa.chunked_array(pieces, kind).combine_chunks()
