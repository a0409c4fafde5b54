"""Answers of a run that somebody else may have written."""

import pyarrow as pa
import pytest

from hf_hmtl.results.predictions import column_of


def test_answers_are_words_or_numbers():
    table = pa.table({"word": pa.array(["a", "b"]).dictionary_encode(), "number": [1.5, None], "list": [[1], [2]]})
    assert column_of(table, "word").to_pylist() == ["a", "b"] and column_of(table, "number").to_pylist() == [1.5, None]
    with pytest.raises(ValueError, match="'list' holds list<.*; needed are words or numbers"):
        column_of(table, "list")
    with pytest.raises(ValueError, match="has no column 'split'; it has: 'word, number, list'"):
        column_of(table, "split")
