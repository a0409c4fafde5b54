"""Rows of parquet files that others wrote, as `datasets` reads them, with what it knows of their columns."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet

from hf_hmtl.parquet import read_table
from hf_hmtl.parsing import shown

# What arrow and `datasets` raise of bytes, types and descriptions of columns that are damaged.
_DAMAGED = (
    datasets.exceptions.DatasetGenerationError, pa.ArrowException, ValueError, TypeError, KeyError, IndexError,
    AttributeError,
)  # fmt: skip


@contextlib.contextmanager
def told(path: Path, source: str) -> Iterator[None]:
    """Tell what of a file cannot be read in this block, whatever a library raises for it.

    Raises:
        ValueError: the file is damaged, or describes columns that there are not.
    """
    try:
        yield
    except _DAMAGED as error:
        reason = shown(str(error.__cause__ or error))
        raise ValueError(f"{source}: {path} cannot be read as parquet: {reason}") from error


def rows_of(paths: Sequence[Path], source: str, **options: Any) -> datasets.Dataset:
    """The rows of some files, in the cache of `datasets`: their modification times are part of its key.

    Files without a row are passed over, which `datasets` cannot read.

    Args:
        paths: of one split.
        source: name of the source, for messages.
        options: of `datasets.load_dataset`.

    Raises:
        ValueError: a file is damaged, or not as the first.
    """
    with told(paths[0], source):
        full = [str(path) for path in paths if pyarrow.parquet.read_metadata(path).num_rows]
        if not full:
            return datasets.Dataset(read_table(paths[0]))
        return datasets.load_dataset("parquet", data_files=full, split="train", **options)


def rows_in_memory(path: Path, source: str) -> datasets.Dataset:
    """The rows of a file; raises as `rows_of`."""
    with told(path, source):
        return datasets.Dataset(read_table(path))
