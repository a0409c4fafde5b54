"""Work that is done in a thread of its own while its results are used."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
_SECONDS_BETWEEN_LOOKS = 0.05


def ahead(items: Iterable[Item], size: int) -> Iterator[Item]:
    """The items, in their order, taken in a thread that is at most `size` of them ahead.

    What they raise is raised here. When the iterator is closed, the thread ends before the next item.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(size)
    stopped = threading.Event()

    def hand_over(kind: str, what: Any) -> bool:
        """Whether somebody still waits for it."""
        while not stopped.is_set():
            try:
                waiting.put((kind, what), timeout=_SECONDS_BETWEEN_LOOKS)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        """Of the thread."""
        try:
            for item in items:
                if not hand_over("item", item):
                    return
            hand_over("end", None)
        except BaseException as error:  # raised again where the items are used
            hand_over("error", error)
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, what = waiting.get()
            if kind == "error":
                raise what
            if kind == "end":
                return
            yield what
    finally:
        stopped.set()
        thread.join()
