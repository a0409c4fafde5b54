"""Which files are meant by the paths that a person types."""

import glob
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".mts", ".m2ts", ".3gp")


def image_suffixes() -> set[str]:
    """Suffixes of the files that Pillow reads as images, in lower case."""
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN} - {
        ".pdf", ".mpg", ".mpeg", ".eps", ".ps", ".h5", ".hdf", ".grib", ".bufr", ".fits", ".wmf", ".emf",
    }  # fmt: skip


def image_files(folder: Path, option: str) -> list[Path]:
    """All image files in a folder and below it, sorted; hidden ones are left out.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{option} {folder}: there is no such folder")
    suffixes = image_suffixes()
    found = [path for path in _below(folder) if path.suffix.lower() in suffixes]
    if not found:
        raise FileNotFoundError(f"{option} {folder}: there is no image in this folder or below it")
    return found


def media_files(given: Sequence[str]) -> list[Path]:
    """Images and videos that files, folders and patterns name: each once, in the order given, folders sorted.

    A file that is named itself is taken whatever its suffix, because whoever names it means it.

    Raises:
        FileNotFoundError: a path or a pattern leads to nothing, or there is no image or video among all of them.
    """
    suffixes = image_suffixes() | set(VIDEOS)
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        if path.is_dir():
            members = [each for each in _below(path) if each.suffix.lower() in suffixes]
        elif path.is_file():
            members = [path]
        else:
            matches = [Path(each) for each in sorted(glob.glob(text, recursive=True))]
            members = [each for each in matches if each.is_file()]
            if not members:
                raise FileNotFoundError(f"{text}: there is no such file or folder, and no file of that pattern")
        found |= dict.fromkeys(members)
    if not found:
        raise FileNotFoundError(
            f"{', '.join(given)}: there is no image and no video. Images are what Pillow reads; videos end in "
            f"{', '.join(VIDEOS)}"
        )
    return list(found)


def is_video(path: Path) -> bool:
    """Whether a file is one by its suffix."""
    return path.suffix.lower() in VIDEOS


def _below(folder: Path) -> list[Path]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not any(part[0] == "." for part in path.relative_to(folder).parts))
