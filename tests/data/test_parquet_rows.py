"""Rows of parquet files: as they were written, or one line about what is wrong with them."""

import re

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest

from hf_hmtl.data.parquet_rows import rows_in_memory, rows_of

TABLE = pa.table({"name": ["a", "b"], "number": [1, 2]})
READ = [lambda path: rows_of([path], "mine"), lambda path: rows_in_memory(path, "mine")]


@pytest.mark.parametrize("read", READ)
def test_rows_come_back_as_they_were_written(tmp_path, read):
    pyarrow.parquet.write_table(TABLE, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").to_dict() == TABLE.to_pydict()


def test_files_without_a_row_are_passed_over(tmp_path):
    features = datasets.Features(name=datasets.Value("string"), number=datasets.ClassLabel(names=["a", "b", "c"]))
    described = TABLE.cast(features.arrow_schema)
    pyarrow.parquet.write_table(described, tmp_path / "0.parquet")
    pyarrow.parquet.write_table(described.slice(0, 0), tmp_path / "1.parquet")
    assert rows_of([tmp_path / "1.parquet", tmp_path / "0.parquet"], "mine").to_dict() == TABLE.to_pydict()
    nothing = rows_of([tmp_path / "1.parquet"], "mine")
    assert len(nothing) == 0 and nothing.features == features


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("metadata", ["{", '{"info": 1}', '{"info": {"features": {"name": {"_type": "Nothing"}}}}'])
def test_columns_that_are_described_wrongly_are_told_with_their_place(tmp_path, read, metadata):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(TABLE.replace_schema_metadata({"huggingface": metadata}), path)
    with pytest.raises(ValueError, match=f"^mine: {re.escape(str(path))} cannot be read as parquet"):
        read(path)
