"""Files appear whole or not at all, and what is written for others names no place on this machine."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` only if the block ends well, and vanishes otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_local(name: str) -> bool:
    """Whether a name that could be one of the Hub is a place on this machine."""
    absolute = any(kind(name).is_absolute() for kind in (PurePosixPath, PureWindowsPath))
    return absolute or name.startswith((".", "~")) or (bool(name) and Path(name).exists())


def without_place(name: str) -> str:
    """The last part of a place on this machine; any other text as it is."""
    if not is_local(name):
        return name
    return PureWindowsPath(name).name if PureWindowsPath(name).is_absolute() else Path(name).resolve().name


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
