"""Parquet files: a table of what they hold, or one line about what is wrong with them."""

import re

import pyarrow as pa
import pyarrow.parquet
import pytest

from hf_hmtl.parquet import read_table

TABLE = pa.table({"name": ["a", "b"], "number": [1, 2]})


def test_a_table_comes_back_as_it_was_written(tmp_path):
    pyarrow.parquet.write_table(TABLE, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").equals(TABLE)
    assert read_table(tmp_path / "a.parquet", ["number"]).to_pydict() == {"number": [1, 2]}


@pytest.mark.parametrize("kind", ["no parquet", "cut", "names that are no text"])
def test_what_is_damaged_is_told_with_its_place(tmp_path, kind):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(TABLE, path)
    content = path.read_bytes()
    damaged = {"no parquet": b"PAR1", "cut": content[:-20], "names that are no text": content.replace(b"me", b"m\xbd")}
    path.write_bytes(damaged[kind])
    with pytest.raises(ValueError, match=re.escape(f"{path} cannot be read as parquet")):
        read_table(path)
