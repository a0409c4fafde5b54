"""Commands in processes of their own that begin at once, and what befalls them there.

They come from one process that has imported everything and computed nothing (multiprocessing's fork server), so that
each begins in a moment, and real signals can kill it. A fault is a function that is called in it before the command.
"""

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_hmtl import commands

SECONDS = 300  # nothing here takes a tenth of it; a process that hangs is a failure and no wait for ever


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, negative for a signal, and what it printed."""

    status: int
    printed: str


def begin(arguments: Sequence[str], log: Path, fault: Callable[[], None] | None = None) -> multiprocessing.Process:
    """Begin a command; what it prints goes to a file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_command, args=(list(arguments), log, fault))
    process.start()
    return process


def run(arguments: Sequence[str], log: Path, fault: Callable[[], None] | None = None) -> Ended:
    """Make a command and wait for its end."""
    process = begin(arguments, log, fault)
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        raise TimeoutError(f"{arguments} hangs: {log.read_text()[-3000:]}")
    return Ended(process.exitcode, log.read_text())


def _command(arguments: list[str], log: Path, fault: Callable[[], None] | None) -> None:
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.pop("HF_HMTL_TRACEBACK", None)
    sys.argv = ["hf-hmtl", *arguments]
    if fault is not None:
        fault()
    commands.main()
