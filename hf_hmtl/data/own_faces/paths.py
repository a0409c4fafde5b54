"""From a path as a table writes it to the file that is meant."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hf_hmtl.data.own_faces.tree import Tree, shortened

URLS = ("http://", "https://", "data:")

AS_WRITTEN, SLASHES, SHORTER = "as written", "with / for \\", "without the folders of another machine"
BY_NAME, STEM = "by their names below the folder", "without suffix"


class Within:
    """Some folders, and whether a path lies in one of them, by its name: links are not followed.

    Args:
        folders: absolute, or relative to the folder of now.
    """

    def __init__(self, folders: Iterable[str | Path]):
        self._folders = tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)

    def holds(self, path: str) -> bool:
        """Whether a path lies in one of the folders."""
        return os.path.abspath(path).startswith(self._folders)


class Finder:
    """Finds the image files that a table names.

    A path is taken as it stands, relative to `image_dir`, to its table or to the folder; else with the other slash,
    without a leading one; else it is the one image below the folder whose path ends so, be it written in another form
    of Unicode, in other case or without its suffix. Where a table names the folders of another machine, these are cut
    off, from every row alike: a missing train/1.jpg is not the 1.jpg of test.

    Whoever gives a folder may have it from a stranger: its tables lead to files of the folder and of `image_dir` alone.
    Links in there are followed, since the caches of the Hub and many people's folders are made of them.

    Args:
        tree: the files below the folder.
        image_dir: where the images are, if the user says so.
        anywhere: whether paths may lead out of both.

    Attributes:
        outside: cells whose file is there, and lies outside.
    """

    def __init__(self, tree: Tree, image_dir: Path | None = None, anywhere: bool = False):
        self.tree, self.image_dir, self.anywhere = tree, image_dir, anywhere
        self.within = Within([tree.root, *([image_dir] if image_dir else [])])
        self.outside: set[str] = set()
        self.root = os.path.join(tree.root, "")
        self.images = set(tree.images)
        self.prefix: str | None = None
        self.by_name: dict[str, list[str]] = {}
        self.by_stem: dict[str, list[str]] = {}
        for path in tree.images:
            name = _plain(path.rsplit("/", 1)[-1])
            self.by_name.setdefault(name, []).append(path)
            self.by_stem.setdefault(os.path.splitext(name)[0], []).append(path)
        self.ways: Counter = Counter()

    def find(self, written: str, table: Path) -> str | None:
        """The absolute path, or the URL, of the image that a cell names; None where there is no such file.

        Args:
            written: the cell.
            table: the file that holds it.

        Raises:
            ValueError: several images below the folder fit.
        """
        written = str(written).strip()
        if written.startswith(URLS):
            return written
        slashed = written.replace("\\", "/").strip()
        for way, path in ((AS_WRITTEN, written), (SLASHES, slashed.lstrip("/"))):
            found = self._at(path, table)
            if found is not None:
                self.ways[way] += 1
                return found
        found = self._shorter(slashed, table) or self._below(slashed, table)
        if found is None and any(map(os.path.isfile, self._places(slashed, table))):
            self.outside.add(written)
        return found

    def notes(self, where: str) -> list[str]:
        """How the paths of a table were found, if not as they are written."""
        return [f"{where}: {count:,} images were found {way}" for way, count in self.ways.items() if way != AS_WRITTEN]

    def _at(self, path: str, table: Path) -> str | None:
        for full in self._places(path, table):
            if full.removeprefix(self.root) in self.images:
                return full
            if (self.anywhere or self.within.holds(full)) and os.path.isfile(full):
                return full
        return None

    def _places(self, path: str, table: Path) -> list[str]:
        """Where a path may lead to, in the order of what it is relative to."""
        if not path or "\0" in path:
            return []
        places = (self.image_dir, table.parent, self.tree.root)
        return [os.path.normpath(os.path.join(place, path)) for place in places if place is not None]

    def _shorter(self, path: str, table: Path) -> str | None:
        """The file without the leading folders that the first such row of the table shows to be superfluous."""
        if self.prefix is None:
            parts = path.split("/")
            for cut in range(1, len(parts) - 1):
                if self._at("/".join(parts[cut:]), table):
                    self.prefix = "/".join(parts[:cut]) + "/"
                    break
        found = None
        if self.prefix is not None and path.startswith(self.prefix):
            found = self._at(path.removeprefix(self.prefix), table)
        if found is not None:
            self.ways[SHORTER] += 1
        return found

    def _below(self, written: str, table: Path) -> str | None:
        path = _plain(written).strip("/").removeprefix("./")
        name = path.rsplit("/", 1)[-1]
        for way, candidates in ((BY_NAME, self.by_name.get(name)), (STEM, self.by_stem.get(name))):
            fitting = [each for each in candidates or () if f"/{_stemmed(_plain(each), way)}".endswith(f"/{path}")]
            if len(fitting) > 1:  # those in the table's own folder come first
                beside = os.path.join(table.parent, "").removeprefix(self.root)
                fitting = [each for each in fitting if each.startswith(beside)] or fitting
            if len(fitting) > 1:
                raise ValueError(
                    f"custom: {table} names {written!r}, which may be {shortened(fitting)}. Write the paths relative "
                    "to the table, or type --image_dir FOLDER"
                )
            if fitting:
                self.ways[way] += 1
                return os.path.join(self.tree.root, fitting[0])
        return None


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _stemmed(path: str, way: str) -> str:
    return os.path.splitext(path)[0] if way == STEM else path
