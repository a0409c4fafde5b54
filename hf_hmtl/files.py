"""Files appear whole or not at all, and what is written for others names no place on this machine."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from safetensors import SafetensorError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_TORCH_WRITES = ("PytorchStreamWriter", "inline_container.cc")  # what torch.save says where the system says no


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` only if the block ends well, and vanishes otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Name the file or folder that is written in this block where there is no room for it, whatever library says so.

    Raises:
        OSError: a disk that is full, read-only or broken, a quota, or a limit; the message has the place.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _TORCH_WRITES):
            raise
        raise OSError(f"{path} cannot be written; is the disk full? ({str(error).splitlines()[0]})") from error


def require_folder(folder: Path, option: str) -> None:
    """Raise where files cannot go into a folder because it, or what it is to lie in, is a file: before hours of work.

    Args:
        option: by which it was given.

    Raises:
        FileExistsError: it is a file, or lies in one.
    """
    for each in (folder, *folder.parents):
        if each.exists() and not each.is_dir():
            raise FileExistsError(f"{option} {folder}: {each} is a file; give a folder")


def is_local(name: str) -> bool:
    """Whether a name that could be one of the Hub is a place on this machine."""
    absolute = any(kind(name).is_absolute() for kind in (PurePosixPath, PureWindowsPath))
    return absolute or name.startswith((".", "~")) or (bool(name) and Path(name).exists())


def without_place(name: str) -> str:
    """The last part of a place on this machine; any other text as it is."""
    if not is_local(name):
        return name
    return PureWindowsPath(name).name if PureWindowsPath(name).is_absolute() else Path(name).resolve().name


def without_places(value: Any) -> Any:
    """The same, with every place on this machine by its last part alone; in dicts and lists too."""
    if isinstance(value, dict):
        return {key: without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_places(inner) for inner in value]
    return without_place(value) if isinstance(value, str) else value


def weights_of(folder: Path) -> dict[str, str]:
    """{file of weights in a folder: its SHA-256}, which tells what is made of them; {} where there is none."""
    digests = {}
    for path in sorted(folder.glob("*.safetensors")):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        digests[path.name] = digest.hexdigest()
    return digests
