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
FILES = 280_000
FEW_ROWS, SOME_ROWS, MANY_ROWS = 10_000, 200_000, 10_000_000
_ROWS_AT_ONCE = 100_000
_SMALL_NETWORK = ["--backbone", "test_efficientnet", "--image_size", "48", "--per_device_train_batch_size", "32"]


def rows(rounds: int, files: int = FILES, many: int = MANY_ROWS) -> Iterator[Row]:
    """Rows of the start; the two large ones are measured once.

    Args:
        rounds: of the small ones.
        files: images in class folders.
        many: rows of a parquet file.
    """
    yield _start("drawn faces", "<= 8", ["quickstart"], rounds)
    fer2013 = Path(os.environ.get("HF_HMTL_DATA", ".")) / "fer2013"
    if fer2013.is_dir():
        yield _start("FER2013", "<= 12", ["fer2013-small"], rounds)
    else:
        reason = "HF_HMTL_DATA names no folder with fer2013/ in it"
        yield missing_row("command to first step, FER2013", "<= 12", reason)
    with tempfile.TemporaryDirectory() as folder:
        _write_class_folders(Path(folder), files)
        yield _start(f"{files:,} files in class folders", "<= 40", _custom(folder), rounds=1)
    yield from _memory(many)


def _start(name: str, goal: str, arguments: Sequence[str], rounds: int) -> Row:
    name = f"command to first step, {name}"
    try:
        return value_row(name, "s", [_first_step(arguments)[0] for _ in range(rounds)], goal)
    except NoFirstStep as error:
        return missing_row(name, goal, str(error))


def _memory(many: int) -> Iterator[Row]:
    names = (
        f"memory, {many:,} rows of parquet beside {FEW_ROWS:,}",
        f"command to first step, {many:,} rows of parquet",
    )
    goals = ("<= 600", "<= 60")
    try:
        few, some = _parquet_start(FEW_ROWS), _parquet_start(SOME_ROWS)
        needed, free = (some[1] - few[1]) * many / SOME_ROWS, _free_megabytes()
        if needed > free:
            raise NoFirstStep(
                f"it would take about {needed:,.0f} MB, and {free:,.0f} MB are free; {SOME_ROWS:,} rows take "
                f"{some[1] - few[1]:,.0f} MB more than {FEW_ROWS:,}"
            )
        all_of_them = _parquet_start(many)
    except NoFirstStep as error:
        yield from (missing_row(name, goal, str(error)) for name, goal in zip(names, goals, strict=True))
    else:
        yield value_row(names[0], "MB", [all_of_them[1] - few[1]], goals[0])
        yield value_row(names[1], "s", [all_of_them[0]], goals[1])


def _parquet_start(count: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        _write_parquet(Path(folder) / "train.parquet", count)
        return _first_step(_custom(folder))


def _free_megabytes() -> float:
    """Memory that is free now; where the system does not say it (macOS), half of all memory."""
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    share = 1 if pages == "SC_AVPHYS_PAGES" else 0.5
    return share * os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _custom(folder: str) -> list[str]:
    return ["custom", "--data_dir", folder, *_SMALL_NETWORK]


class NoFirstStep(RuntimeError):
    """A command has not made its first step, or cannot; the message says why."""


def _first_step(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds of a process that trains one step, and its peak of memory in MB (see `first_step`).

    Raises:
        NoFirstStep: it did not get so far.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hf_hmtl.benchmark.first_step", str(os.getpid()), *arguments]
        command += ["--output_dir", folder]
        environment = {**os.environ, "HF_DATASETS_CACHE": folder}  # nothing is there from an earlier run
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - began
    peaks = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("peak ")]
    if not peaks:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise NoFirstStep(f"it ended before its first step, with status {done.returncode}; it said: {said[-1]}")
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
