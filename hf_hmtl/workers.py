"""The cores that this process may use, and processes beside it, which end with it, whatever ends it."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def usable_cores() -> int:
    """How many cores this process may use: a container or a scheduler often allows fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def pool(processes: int, begin: Callable[..., None] | None = None, *given: Any) -> Iterator[ProcessPoolExecutor]:
    """New processes that make calls.

    They are started and not forked: a process that has used its threads cannot be forked safely. Ctrl-C reaches this
    process alone; when it is told to end, so are they, and it waits until they have.

    Args:
        processes: how many.
        begin: called in each of them before anything else.
        given: to it.
    """
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (begin, given))
    try:
        yield executor
    except BaseException as error:
        if not isinstance(error, Exception):  # Ctrl-C, SIGTERM, or nobody wants the rest
            for process in multiprocessing.active_children():
                process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin(begin: Callable[..., None] | None, given: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if begin is not None:
        begin(*given)


def _end_with_the_parent() -> None:
    """Of a thread: a parent that is killed would otherwise leave its processes waiting, or working, unseen."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
