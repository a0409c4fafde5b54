"""Shared by sources whose labels stand in very many small files: they are read once and kept in an index."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet

logger = logging.getLogger(__name__)


def indexed(name: str, facts: Iterable, read: Callable[[], pa.Table]) -> pa.Table:
    """The table that `read` gives, from the cache of datasets where it was read before.

    The data folder is left alone: it may be read-only or shared.

    Args:
        name: of the source, and a number that changes with what `read` gives: "affectnet-npy-2".
        facts: what tells whether the files are still the same: paths, sizes, times.
        read: reads the files.
    """
    key = hashlib.blake2b(repr(list(facts)).encode(), digest_size=12).hexdigest()
    file = Path(datasets.config.HF_DATASETS_CACHE) / "hf_hmtl" / f"{name}-{key}.parquet"
    if file.is_file():
        return pyarrow.parquet.read_table(file)
    table = read()
    _write(table, file)
    return table


def _write(table: pa.Table, file: Path) -> None:
    """Write under a temporary name, then rename; a cache that cannot be written costs time, not the run."""
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, part)
        os.replace(part, file)
    except OSError as error:
        logger.warning("cannot keep the index of labels in %s (%s); the next run reads them again", file, error)
        part.unlink(missing_ok=True)
