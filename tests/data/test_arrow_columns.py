"""Columns of selected datasets are what `datasets` reads row by row."""

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hf_hmtl.data.arrow_columns import (
    column_array,
    column_batches,
    distinct_values,
    frequencies,
    over_table,
    rows_below,
    selected,
    table_of,
)
from hf_hmtl.data.identity import GROUP, SOURCE, identity, numbered


def in_chunks(*sizes):
    """Rows of numbers, texts with holes and images, in chunks of these sizes."""
    pieces, first = [], 0
    for size in sizes:
        rows = range(first, first + size)
        images = [{"bytes": bytes([row % 251]) * (row % 7), "path": None} for row in rows]
        names = [None if row % 5 == 0 else f"row {row}" for row in rows]
        pieces.append(datasets.Dataset.from_dict({"number": list(rows), "name": names, "image": images}))
        first += size
    return datasets.concatenate_datasets(pieces)


def in_pieces(values):
    """One column of texts, in the pieces that it has."""
    features = datasets.Features({"value": datasets.Value("string")})
    return datasets.Dataset(pa.table({"value": values}), info=datasets.DatasetInfo(features=features))


def selections():
    whole = in_chunks(3, 40, 1, 100, 16)
    draws = np.random.default_rng(0)
    yield "whole", whole
    yield "neighbours", whole.select(range(2, 60))
    yield "sorted", whole.select(np.sort(draws.choice(160, 90, replace=False)))
    yield "shuffled", whole.shuffle(seed=1)
    yield "repeated", whole.select([5, 5, 159, 0, 44, 44, 43])
    yield "twice", whole.shuffle(seed=1).select([7, 3, 100, 99, 98])
    yield "together", datasets.concatenate_datasets([whole.select([4, 2]), whole.shuffle(seed=2)])
    yield "one", whole.select([43])
    yield "none", whole.select([])


@pytest.mark.parametrize("name, dataset", list(selections()))
def test_a_column_is_what_datasets_reads(name, dataset):
    for column in dataset.column_names:
        assert column_array(dataset, column).to_pylist() == list(dataset[column])


@pytest.mark.parametrize("name, dataset", list(selections()))
def test_batches_are_the_columns_in_pieces(name, dataset):
    batches = list(column_batches(dataset, ["image", "name"], 16))
    assert [len(batch["image"]) for batch in batches[:-1]] == [16] * (len(batches) - 1)
    for column in ("image", "name"):
        assert [value for batch in batches for value in batch[column].to_pylist()] == list(dataset[column])


def test_neighbours_are_not_copied():
    whole = in_chunks(200)
    taken = column_array(whole.select(range(10, 60)), "number")
    assert taken.buffers()[1].address == whole.data.column("number").chunk(0).buffers()[1].address


def test_a_column_of_one_text_takes_the_memory_of_one_piece():
    columns = numbered("faces", "train", 1_000_000)
    for name, value in ((SOURCE, "faces"), (GROUP, None)):
        assert len(columns[name]) == 1_000_000 and pc.unique(columns[name]).to_pylist() == [value]
        assert len({chunk.buffers()[1].address for chunk in columns[name].chunks}) == 1
    assert identity("faces", ["a", "b"])[SOURCE].to_pylist() == ["faces", "faces"]
    assert [len(numbered("faces", "train", rows)[SOURCE]) for rows in (0, 1, 1 << 16)] == [0, 1, 1 << 16]


def test_selected_rows_are_those_of_datasets_itself_selection_of_a_selection_included():
    rows = in_pieces(pa.chunked_array([["a", None, "c"], [], ["d", "a", "f"]], pa.string()))
    once = [5, 0, 3, 3]
    ours, theirs = selected(rows, np.array(once)), rows.select(once)
    assert ours["value"][:] == theirs["value"][:] == ["f", "a", "d", "d"]
    again = [3, 0]
    assert selected(ours, np.array(again))["value"][:] == theirs.select(again)["value"][:]
    assert len(selected(ours, np.empty(0, dtype=int))) == 0 and ours.features == rows.features


@pytest.mark.parametrize("taken", [None, [5, 1, 1, 0], [3], []])
def test_distinct_values_put_each_row_together_again(taken):
    whole = in_pieces(pa.chunked_array([["a", None, "c"], [], ["d", "a", None]], pa.string()))
    rows = whole if taken is None else selected(whole, np.array(taken, dtype=int))
    values, places = distinct_values(rows, "value")
    assert [values[int(place)].as_py() for place in places] == rows["value"][:]
    assert sorted(values.to_pylist(), key=str) == sorted(set(rows["value"][:]), key=str) and places.dtype == np.int32


@pytest.mark.parametrize("rows", [0, 1, 1 << 16, (1 << 17) + 5])
def test_frequencies_are_those_of_numpy(rows):
    numbers = np.random.default_rng(0).integers(0, 7, rows, dtype=np.int32)
    assert frequencies(numbers, 9).tolist() == np.bincount(numbers, minlength=9).tolist()


def test_an_exchanged_column_stands_in_the_selected_rows():
    rows = selected(in_pieces(pa.chunked_array([["a", "b", "c"]])), np.array([2, 0]))
    features = datasets.Features({"value": datasets.Value("string"), "more": datasets.Value("int64")})
    table = table_of(rows).append_column("more", pa.array([10, 11, 12]))
    assert over_table(rows, table, features).to_dict() == {"value": ["c", "a"], "more": [12, 10]}
    assert rows_below(rows).tolist() == [2, 0]
