"""How a process ends that is told to: SIGTERM raises as Ctrl-C does, unless somebody ends by himself, as a training."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

OF_A_LAUNCHER = ("ACCELERATE_MIXED_PRECISION", "ACCELERATE_DYNAMO_BACKEND")
"""Environment variables that `accelerate launch` gives to every process that it starts; one alone may be the user's."""
_SECONDS_BETWEEN_LOOKS = 1.0


class ToldToEnd(BaseException):
    """SIGTERM has come. As KeyboardInterrupt it is no `Exception`, so that nothing takes it for a mistake and goes on.

    Its text says what was left, where there is anything to say.
    """


def reason(end: BaseException) -> str:
    """Why a process ends, and what was left: of `ToldToEnd` or KeyboardInterrupt."""
    if not isinstance(end, ToldToEnd):
        return "interrupted"
    return f"told to end (SIGTERM){'; ' * bool(str(end))}{end}"


def status(end: BaseException) -> int:
    """The exit status of a process that ends so, as shells have it: 143 or 130."""
    return 128 + (signal.SIGTERM if isinstance(end, ToldToEnd) else signal.SIGINT)


class Wish:
    """Whether the process has been told to end since somebody began to look.

    Attributes:
        heard: whether it has.
    """

    def __init__(self):
        self.heard = False


def _raise(*_) -> None:
    raise ToldToEnd


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Raise `ToldToEnd` within this block when SIGTERM comes; outside of the main thread, which alone hears it, nothing
    changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_with(parent: int) -> None:
    """End this process within a second of another one, which has started it: one that is killed cannot do so itself."""
    _when_gone(parent, lambda: os._exit(1))


@contextlib.contextmanager
def with_the_launcher() -> Iterator[None]:
    """Take the end of `accelerate launch`, where it has started this process, for SIGTERM: it does not pass on the one
    that ends it, and this process would compute on, unseen."""
    if not all(name in os.environ for name in OF_A_LAUNCHER):
        yield
        return
    over = _when_gone(os.getppid(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        over.set()


def _when_gone(parent: int, act: Callable[[], None]) -> threading.Event:
    """Do something as soon as the process that has started this one is gone; setting the event calls it off."""
    over = threading.Event()

    def watch() -> None:
        """Look once a second."""
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            if os.getppid() != parent:
                act()
                return

    threading.Thread(target=watch, daemon=True).start()
    return over


@contextlib.contextmanager
def postponed() -> Iterator[Wish]:
    """Take note of SIGTERM where `told` would raise, for whoever ends by himself; it is raised behind the block if
    nobody did. Without `told` around it nothing changes, and no wish is heard: a library leaves signals alone."""
    wish = Wish()
    if signal.getsignal(signal.SIGTERM) is not _raise or threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def hear(*_) -> None:
        wish.heard = True

    signal.signal(signal.SIGTERM, hear)
    try:
        yield wish
    finally:
        signal.signal(signal.SIGTERM, _raise)
    if wish.heard:
        raise ToldToEnd
