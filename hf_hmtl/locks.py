"""One writer at a time: who comes second to a place is told who is there."""

import contextlib
import errno
import os
import platform
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
"""Of the lock in a folder."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def sole_writer(place: str | Path, lock: str | Path | None = None) -> Iterator[None]:
    """Be the only process that writes to a place, for the time of this block.

    The system itself lets go when the process ends, however it ends, so that a dead one holds nothing; and the lock is
    of this process alone, not of loader workers that outlive it by a moment. Without locks, as on some network file
    systems, nobody is told.

    Args:
        place: a folder, which is made where it does not exist, or a file.
        lock: the file of the lock; `NAME` in the folder unless given.

    Raises:
        BlockingIOError: another process is at it; the message says which.
        OSError: the place cannot be written to.
    """
    path = Path(place) / NAME if lock is None else Path(lock)
    if fcntl is None:
        yield
        return
    made = [each for each in (path.parent, *path.parent.parents) if not each.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _taken(path, place)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held, so that nobody holds a file that is gone
        os.close(descriptor)
        for folder in made:
            with contextlib.suppress(OSError):  # something was written
                folder.rmdir()


def _taken(path: Path, place: str | Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:  # of the place that was given, and not of a file that nobody knows of
            raise OSError(error.errno, os.strerror(error.errno), str(place)) from error
        try:
            # Of the process and not of what is open, as `flock` is: forked processes have the latter, too.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                return os.open(path, os.O_RDWR)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise BlockingIOError(
                f"{place} is being written by {owner or 'another process'}. Wait until it has ended, or choose another"
            ) from None
        try:
            is_there = os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            is_there = False
        if is_there:
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
            return descriptor
        os.close(descriptor)  # its owner has ended and removed it meanwhile
