"""From a command to its first step, Python's own start included, and the memory that many rows take."""

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from hf_hmtl.benchmark.rows import Row, missing_row, value_row

CLASSES = 8
FILES, MANY_ROWS, FEW_ROWS = 280_000, 10_000_000, 10_000
_ROWS_AT_ONCE = 100_000
_SMALL_NETWORK = ["--backbone", "test_efficientnet", "--image_size", "48", "--per_device_train_batch_size", "32"]


def rows(rounds: int, files: int = FILES, many: int = MANY_ROWS) -> Iterator[Row]:
    """Rows of the start; the two large ones are measured once.

    Args:
        rounds: of the small ones.
        files: images in class folders.
        many: rows of a parquet file.
    """
    seconds = [_first_step(["quickstart"])[0] for _ in range(rounds)]
    yield value_row("command to first step, drawn faces", "s", seconds, "<= 8")
    name, goal = "command to first step, FER2013", "<= 12"
    fer2013 = os.environ.get("HF_HMTL_DATA")
    if fer2013 and (Path(fer2013) / "fer2013").is_dir():
        yield value_row(name, "s", [_first_step(["fer2013-small"])[0] for _ in range(rounds)], goal)
    else:
        yield missing_row(name, goal, "HF_HMTL_DATA names no folder with fer2013/ in it")
    with tempfile.TemporaryDirectory() as folder:
        _write_class_folders(Path(folder), files)
        once, _ = _first_step(["custom", "--data_dir", folder, *_SMALL_NETWORK])
        yield value_row(f"command to first step, {files:,} files in class folders", "s", [once], "<= 40")
    yield from _memory(many)


def _memory(many: int) -> Iterator[Row]:
    found = {}
    for count in (FEW_ROWS, many):
        with tempfile.TemporaryDirectory() as folder:
            _write_parquet(Path(folder) / "train.parquet", count)
            found[count] = _first_step(["custom", "--data_dir", folder, *_SMALL_NETWORK], cache=folder)
    more = found[many][1] - found[FEW_ROWS][1]
    yield value_row(f"memory, {many:,} rows of parquet beside {FEW_ROWS:,}", "MB", [more], "<= 600")
    yield value_row(f"command to first step, {many:,} rows of parquet", "s", [found[many][0]], "<= 60")


def _first_step(arguments: Sequence[str], cache: str | None = None) -> tuple[float, float]:
    """Seconds of a process that trains one step, and its peak of resident memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hf_hmtl.benchmark.first_step", *arguments, "--output_dir", folder]
        environment = {**os.environ, "HF_DATASETS_CACHE": cache or folder}
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - began
    peaks = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("peak ")]
    if not peaks:
        raise RuntimeError(f"{' '.join(command)} made no step:\n{done.stdout}\n{done.stderr}")
    return seconds, float(peaks[0])


def _tiny_files(count: int) -> list[bytes]:
    generator, files = np.random.default_rng(0), []
    for _ in range(count):
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8)).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


def _write_class_folders(folder: Path, count: int) -> None:
    """Names of as many files; those of a class are one file on the disk, as far as it has room for names."""
    contents = _tiny_files(CLASSES)
    for number in range(CLASSES):
        place = folder / f"class_{number}"
        place.mkdir()
        first = place / "0.png"
        first.write_bytes(contents[number])
        for row in range(1, count // CLASSES):
            os.link(first, place / f"{row}.png")


def _write_parquet(path: Path, count: int) -> None:
    """Rows of tiny pictures, each its own bytes, and a label of text."""
    files = _tiny_files(1000)
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.string())])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, count, _ROWS_AT_ONCE):
            numbers = range(first, min(count, first + _ROWS_AT_ONCE))
            images = [{"bytes": files[row % 1000], "path": f"{row}.png"} for row in numbers]
            labels = [f"class_{row % CLASSES}" for row in numbers]
            writer.write_table(pa.table({"image": images, "label": labels}, schema=schema))
