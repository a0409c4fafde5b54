"""Commands in processes of their own that begin at once, and what befalls them there.

They come from one process that has imported everything and computed nothing (multiprocessing's fork server), so that
each begins in a moment, and real signals can kill it. What befalls them comes from inside, at a chosen call of a
function, so that nothing depends on time.
"""

import contextlib
import functools
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

import hf_hmtl.compare.advise
import hf_hmtl.compare.report
import hf_hmtl.data.faces.prepare
import hf_hmtl.run.train
import hf_hmtl.serving.predict  # noqa: F401  all of them for the process that the others come from
from hf_hmtl import commands

SECONDS = 100  # no command here takes a fifth of it; one that hangs is a failure and no wait for ever
Fault = Callable[[], None]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, negative for a signal, and what it printed; `group` is that of its processes."""

    status: int
    printed: str
    group: int

    @property
    def last_line(self) -> str:
        return self.printed.strip().splitlines()[-1]

    def leaves_no_process(self) -> bool:
        """Whether the processes that it has started end too; those of one that was killed see that within a second."""
        until = time.monotonic() + SECONDS
        while (left := self._processes()) and time.monotonic() < until:
            psutil.wait_procs(left, timeout=1)
        return not left

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getpgid(process.pid) == self.group and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def run(arguments: Sequence[str], log: Path, fault: Fault | None = None, prepared: Fault | None = None) -> Ended:
    """Make a command and wait for its end.

    Args:
        arguments: behind hf-hmtl.
        log: where what it prints goes.
        fault: called in the new process before the command.
        prepared: the same, before the fault.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_command, args=(list(arguments), log, [prepared, fault]))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
        raise TimeoutError(f"{arguments} hangs: {log.read_text()[-3000:]}")
    return Ended(process.exitcode, log.read_text(), process.pid)


def _command(arguments: list[str], log: Path, faults: list[Fault | None]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    multiprocessing.set_start_method(None, force=True)  # loaders get what they get in a shell
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.pop("HF_HMTL_TRACEBACK", None)
    sys.argv = ["hf-hmtl", *arguments]
    for fault in faults:
        if fault is not None:
            fault()
    commands.main()


# Faults


def at(place: str, call: int, befalls: Fault, behind: bool = False) -> Fault:
    """What befalls at a call of a function.

    Args:
        place: "module:function" or "module:Class.method".
        call: the first is 1.
        befalls: before it.
        behind: or after it.
    """
    return functools.partial(_at, place, call, befalls, behind)


def _at(place: str, call: int, befalls: Fault, behind: bool) -> None:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    original, calls = getattr(owner, name), []

    @functools.wraps(original)
    def function(*arguments, **options):
        calls.append(1)
        now = len(calls) == call
        if now and not behind:
            befalls()
        try:
            return original(*arguments, **options)
        finally:
            if now and behind:
                befalls()
            elif now:
                room()

    setattr(owner, name, function)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def tell() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def tell_all() -> None:
    """As a scheduler, which tells every process of a job."""
    os.killpg(0, signal.SIGTERM)


def interrupt_all() -> None:
    """As Ctrl-C in a terminal."""
    os.killpg(0, signal.SIGINT)


def kill_a_child() -> None:
    """As the system does where memory runs out."""
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def no_memory() -> None:
    raise MemoryError


def full_disk() -> None:
    """No file grows beyond 100 bytes: writes fail half-way, in Python, C++ and Rust alike, until `room`."""
    _limit_files(100)


def killed_in_a_write(size: int) -> Fault:
    """The system kills the process as soon as it writes a file beyond so many bytes."""
    return functools.partial(_killed_in_a_write, size)


def _killed_in_a_write(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    _limit_files(size)


def room() -> None:
    """An end to `full_disk`."""
    _limit_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
