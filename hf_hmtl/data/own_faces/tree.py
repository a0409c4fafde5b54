"""All files below a folder, walked once: images, tables, and what is neither."""

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

from hf_hmtl.data.ledger import BROKEN_LINK, NOT_IMAGE, SYSTEM, TABLE_PASSED_OVER, UNREADABLE_FORMAT, VIDEO, Reason

TEXT_TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")
PARQUET = ".parquet"
SPREADSHEETS = (".ods", ".xls", ".xlsm", ".xlsx")
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow knows by their header alone, or hands to another program."""
_FOREIGN = {
    ".3fr", ".arw", ".avif", ".cr2", ".cr3", ".crw", ".dng", ".eps", ".erf", ".exr", ".hdr", ".heic", ".heif",
    ".hif", ".jxl", ".jxr", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw", ".svg", ".wdp", ".wmf",
    ".x3f",
}  # fmt: skip
VIDEOS = {
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
}  # fmt: skip
_OTHERS = {
    ".7z", ".arrow", ".bin", ".bz2", ".doc", ".docx", ".gz", ".h5", ".hdf", ".hdf5", ".htm", ".html", ".ini",
    ".ipynb", ".lmdb", ".lnd", ".lock", ".log", ".m", ".mat", ".md", ".npy", ".npz", ".onnx", ".pdf", ".pkl", ".pt",
    ".pth", ".pts", ".py", ".rar", ".rst", ".safetensors", ".sh", ".tar", ".tfrecord", ".tgz", ".toml",
    ".xml", ".xz", ".yaml", ".yml", ".zip",
}  # fmt: skip
"""Suffixes whose files are no images; of every other kind of file, the content decides."""
_LEFT_BY_SYSTEMS = {
    "#recycle", "$recycle.bin", "@eadir", "__macosx", "__pycache__", "desktop.ini", "ehthumbs.db", "icon\r",
    "lost+found", "system volume information", "thumbs.db",
}  # fmt: skip


@dataclass
class Tree:
    """The files below a folder, as paths relative to it with / between their parts.

    Attributes:
        root: the folder, absolute.
        images: in the order of their parts.
        tables: files that may be tables of labels, and parquet files.
        others: every other file, and why it is no image.
        folders: folders that are looked into.
        by_content: images that only their content tells.
    """

    root: Path
    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    others: list[tuple[str, Reason]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    by_content: list[str] = field(default_factory=list)

    @property
    def unread_tables(self) -> list[tuple[str, Reason]]:
        """The tables, where none of them is read, and why they are left out."""
        return [
            (path, NOT_IMAGE if path.lower().endswith((".txt", ".json")) else TABLE_PASSED_OVER) for path in self.tables
        ]

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the files."""
        if not self.by_content:
            return []
        return [f"{len(self.by_content):,} files are images by their content alone ({shortened(self.by_content)})"]


def shortened(names, most: int = 3) -> str:
    """The first of some names: "a, b, c, ..."."""
    names = list(names)
    return ", ".join(map(str, names[:most])) + ", ..." * (len(names) > most)


def names_in(folder: Path) -> str:
    """What stands in a folder, for a message; "nothing" in an empty one."""
    return shortened(sorted(path.name for path in folder.iterdir()), 8) or "nothing"


@cache
def suffixes() -> frozenset[str]:
    """Suffixes of the files that Pillow decodes: those of the formats it registers, in small letters."""
    Image.init()
    readable = set(Image.OPEN) - _NOT_DECODED
    return frozenset(suffix for suffix, kind in Image.EXTENSION.items() if kind in readable) | {".mpo"}


def walk(folder: Path) -> Tree:
    """All files below a folder; links are followed, and hidden and system folders are not looked into.

    Raises:
        OSError: a folder cannot be read.
    """
    tree = Tree(Path(os.path.abspath(folder)))
    _walk(tree, "", (), hidden=False)
    tree.images.sort(key=_parts)
    tree.tables.sort(key=_parts)
    tree.folders.sort(key=_parts)
    tree.by_content.sort(key=_parts)
    return tree


def _parts(path: str) -> str:
    """What sorts paths by their parts: no name holds a character before the one that stands between them."""
    return path.replace("/", "\0")


def _walk(tree: Tree, below: str, above: tuple, hidden: bool) -> None:
    place = os.path.join(tree.root, below)
    status = os.stat(place)
    if (status.st_dev, status.st_ino) in above:  # a link to a folder above
        return
    folders = []
    with os.scandir(place) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            passed_over = hidden or entry.name.startswith(".") or entry.name.lower() in _LEFT_BY_SYSTEMS
            if entry.is_dir():
                folders.append((path, passed_over))
            elif passed_over:
                tree.others.append((path, SYSTEM))
            else:
                _sort(tree, path, entry)
    for path, passed_over in folders:
        if not passed_over:
            tree.folders.append(path)
        _walk(tree, path, (*above, (status.st_dev, status.st_ino)), passed_over)


def _sort(tree: Tree, path: str, entry: os.DirEntry) -> None:
    suffix = os.path.splitext(entry.name)[1].lower()
    if not entry.is_file():
        tree.others.append((path, BROKEN_LINK if entry.is_symlink() else NOT_IMAGE))
    elif suffix in suffixes():
        tree.images.append(path)
    elif suffix in TEXT_TABLES or suffix == PARQUET:
        tree.tables.append(path)
    elif suffix in _FOREIGN:
        tree.others.append((path, UNREADABLE_FORMAT))
    elif suffix in VIDEOS:
        tree.others.append((path, VIDEO))
    elif suffix not in (*_OTHERS, *SPREADSHEETS) and _is_image(entry.path):
        tree.images.append(path)
        tree.by_content.append(path)
    else:
        tree.others.append((path, NOT_IMAGE))


def _is_image(path: str) -> bool:
    """Whether Pillow knows a file by its header."""
    try:
        with Image.open(path, formats=sorted(set(Image.OPEN) - _NOT_DECODED)):
            return True
    except Exception:  # whatever its readers raise on a file that is not theirs
        return False
