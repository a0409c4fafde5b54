"""The groups of rows, and a run of some of them."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from hf_hmtl.benchmark.rows import Row, write

GROUPS = {
    "images": "from files to batches in one thread, and the puzzle",
    "loaders": "loaders with two workers",
    "loops": "training loops: against bare PyTorch, hybrid against supervised, in-painting",
    "evaluations": "evaluation and feature extraction",
    "exports": "one image and a batch on the CPU: as it is, channels last, compiled, as ONNX, in 8 bits",
    "server": "a server with 64 clients for a minute",
    "gpus": "training on a GPU, where there is one",
    "starts": "from a command to its first step; memory of many rows",
}
"""{module of this package: what it measures}; each has `rows(rounds) -> Iterator[Row]`."""


def measured(names: Sequence[str], rounds: int) -> Iterator[Row]:
    """The rows of these groups, as they are measured; of all where none is named.

    Raises:
        ValueError: there is no group of that name.
    """
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise ValueError(f"no group of rows is called {unknown[0]!r}; there are {', '.join(GROUPS)}")
    for name in names or GROUPS:
        yield from importlib.import_module(f"hf_hmtl.benchmark.{name}").rows(rounds)


def measure(names: Sequence[str], rounds: int, path: Path) -> list[Row]:
    """Measure groups and write the file; it is written anew after each row, so that nothing is lost when it is stopped.

    Raises:
        ValueError: as `measured`.
    """
    rows: list[Row] = []
    with tqdm(measured(names, rounds), unit="row", disable=None) as bar:
        for row in bar:
            rows.append(row)
            bar.set_description(row.row)
            write(rows, path)
    return rows
