"""Parquet files that others wrote: a table of what they hold, or a ValueError of one line."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from hf_hmtl.parsing import shown


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell what of a file cannot be read in this block, whatever arrow raises for it.

    Raises:
        ValueError: the file is damaged, or holds what arrow does not read.
    """
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as parquet ({shown(str(error))})") from error


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The table of a file, or some of its columns.

    Raises:
        ValueError: as `told`.
        OSError: it cannot be opened.
    """
    with told(path):
        table = pyarrow.parquet.read_table(path, columns=columns)
        table.schema.names  # noqa: B018  names that are no text are seen here and not later
        return table
