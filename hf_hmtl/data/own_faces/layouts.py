"""Which split and which class a file belongs to, told by the folders that it lies in.

Wherever two readings are possible, the choice and its reason are a note, and `layout` decides otherwise.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hf_hmtl.data.ledger import FOLDER, NO_CLASS, NO_SPLIT, UNLABELLED_SPLIT, Ledger, Reason
from hf_hmtl.data.own_faces.spelling import KNOWN_CLASSES, normal
from hf_hmtl.data.own_faces.tree import Tree, shortened

SPLIT_NAMES = {
    "train": ("train", "training", "trainset"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "testset", "eval", "evaluation"),
}
LAYOUTS = ("table", "classes", "splits", "inner_classes", "inner_splits")


def split_of(name: str) -> str | None:
    """train, validation or test for a file or folder name such as Train, val-00000-of-00001 or testing; else None."""
    word = name.lower().replace("-", "_").replace(" ", "_").replace(".", "_").split("_")[0]
    return next((split for split, names in SPLIT_NAMES.items() if word in names), None)


@dataclass
class ClassFolders:
    """The images of class folders: {split: paths} and, in the same order, {split: classes}."""

    name: str
    files: dict[str, list[str]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, split: str, path: str, label: str) -> None:
        """One file more."""
        self.files.setdefault(split, []).append(path)
        self.classes.setdefault(split, []).append(label)


Place = Callable[[list[str]], tuple[str, str | None, Reason | None]]
"""The parts of a path -> its split, its class, and why it has none."""


def class_folders(tree: Tree, ledger: Ledger, layout: str | None = None) -> ClassFolders:
    """The images of a tree by split and class; the rest goes to the ledger.

    Args:
        tree: the files.
        ledger: takes what is left out.
        layout: classes, splits, inner_classes or inner_splits instead of what the folders suggest.

    Raises:
        FileNotFoundError: there is no class folder with images, or none of a split whose folder is there.
        ValueError: the folders can be read in two ways that differ too much to choose.
    """
    parts = [path.split("/") for path in tree.images]
    wrapped = _wrapping(parts)
    notes = [f"the images are in the folder {'/'.join(parts[0][:wrapped])}"] if wrapped else []
    inner = [path[wrapped:] for path in parts]
    place, name, found = _placing(inner, layout)
    arranged = ClassFolders(name, notes=notes + found)
    for path, below in zip(tree.images, inner, strict=True):
        split, label, reason = place(below)
        if reason is None and label is not None:
            arranged.add(split, path, normal(label))
        elif reason is not None:
            ledger.leave_out(split, reason, [path])
    for path, reason in [*tree.others, *tree.unread_tables]:
        split, label, _ = place(path.split("/")[wrapped:])
        ledger.leave_out(split, reason, [path], [None if label is None else normal(label)])
    _require_images(tree, arranged, wrapped, name)
    arranged.notes += _spellings(tree, arranged, wrapped)
    return arranged


def _wrapping(parts: Sequence[list[str]]) -> int:
    """Folders that hold everything and say nothing, as a zip archive leaves them."""
    depth = 0
    while True:
        tops = {path[depth] if len(path) > depth + 1 else None for path in parts}
        below = {path[depth + 1] for path in parts if len(path) > depth + 2}
        direct = any(len(path) == depth + 2 for path in parts)
        only = next(iter(tops)) if len(tops) == 1 else None
        if only is None or split_of(only) or not below or (direct and len(below) < 2):
            return depth
        if not direct and len(below) == 1 and all(len(path) == depth + 3 for path in parts):
            return depth  # one folder in one folder: the inner one is a class, and there is no other
        depth += 1


def _placing(parts: Sequence[list[str]], layout: str | None) -> tuple[Place, str, list[str]]:
    """How paths are placed, the name of that layout, and notes on the choice."""
    tops = list(dict.fromkeys(path[0] for path in parts if len(path) > 1))
    if not tops:
        raise FileNotFoundError(
            f"custom: there is no class folder: all {len(parts):,} images lie side by side ({parts[0][-1]}, ...). "
            "Sort them into one folder a class, or give a table with --label_column NAME"
            if parts
            else "custom: there is no class folder with images"
        )
    splits = {top: split_of(top) for top in tops}
    named = {top: split for top, split in splits.items() if split}
    direct = {top for top in named if any(len(path) == 2 and path[0] == top for path in parts)}
    teaching = [top for top, split in named.items() if split == "train" and top in _with_folders(parts)]
    if layout == "splits" or (layout in (None, "inner_classes") and teaching):
        return _by_split(parts, named, layout)
    if layout == "inner_splits" or (layout is None and _splits_below(parts)):
        note = "the folders inside the class folders are called train, validation or test; --layout classes reads both"
        return _inner_split, "split folders in class folders", [note] * (layout is None)
    notes = []
    if named and layout is None:
        others = [top for top in tops if top not in named]
        if not direct:
            if others:
                raise ValueError(
                    f"custom: beside the folders {shortened(others)} lies {shortened(named)}, which may be a class or "
                    f"a split. Type --layout classes, or rename it, or put the others into a folder train/"
                )
            raise FileNotFoundError(
                f"custom: there are the folders {shortened(named)}, but no train folder with class folders in it. "
                "Put the training images into train/<class>/"
            )
        notes.append(
            f"{shortened(named)} {'is a class' if len(named) == 1 else 'are classes'} here, because images lie "
            "directly in it and no train/<class>/ stands beside; --layout splits reads it as a split"
        )
    depth, found = _class_depth(parts, layout)
    return _by_class(depth, "train"), "class folders", notes + found


def _with_folders(parts: Sequence[list[str]]) -> set[str]:
    return {path[0] for path in parts if len(path) > 2}


def _splits_below(parts: Sequence[list[str]]) -> bool:
    """Whether every folder holds folders of splits, and nothing else."""
    if not all(len(path) > 2 for path in parts):
        return False
    words = {split_of(path[1]) for path in parts}
    return None not in words and "train" in words and not any(split_of(path[0]) for path in parts)


def _inner_split(path: list[str]) -> tuple[str, str | None, Reason | None]:
    split = split_of(path[1]) if len(path) > 2 else None
    return (split, path[0], None) if split else (FOLDER, None, NO_SPLIT)


def _by_class(depth: int, split: str) -> Place:
    def place(path: list[str]) -> tuple[str, str | None, Reason | None]:
        return (split, path[depth], None) if len(path) > depth + 1 else (split, None, NO_CLASS)

    return place


def _class_depth(parts: Sequence[list[str]], layout: str | None) -> tuple[int, list[str]]:
    """Which folder of a path is its class: the first, or the one below it."""
    deep = [path for path in parts if len(path) > 2]
    if not deep:
        return 0, []
    outer, inner = {path[0] for path in parts if len(path) > 1}, {path[1] for path in deep}
    shallow = any(len(path) == 2 for path in parts)
    if layout == "inner_classes":
        return 1, []
    if layout is None and not shallow and _known(inner) and not _known(outer):
        return 1, [
            f"the classes are the inner folders ({shortened(sorted(inner))}), which are named as expressions are; "
            "--layout classes takes the outer ones, and --group_pattern '([^/]+)/[^/]+/[^/]+$' takes them for persons"
        ]
    places = dict.fromkeys("/".join(path[:-1]) for path in deep)
    return 0, [
        f"the classes are the outer folders; what lies deeper is read too ({shortened(places)}); --layout "
        "inner_classes takes the folders below them"
    ]


def _known(names: set[str]) -> bool:
    return len(names) > 1 and all(normal(name).casefold() in KNOWN_CLASSES for name in names)


def _by_split(parts: Sequence[list[str]], named: dict[str, str], layout: str | None) -> tuple[Place, str, list[str]]:
    notes = []
    for split in SPLIT_NAMES:
        merged = [top for top, of in named.items() if of == split]
        if len(merged) > 1:
            notes.append(f"{split}: the folders {', '.join(merged)} were put together")
    wraps, depths = {}, {}
    for top in named:
        inside = [path[1:] for path in parts if path[0] == top and len(path) > 1]
        wraps[top] = _wrapping(inside)
        inner = "inner_classes" if layout == "inner_classes" else None
        depths[top], found = _class_depth([path[wraps[top] :] for path in inside], inner)
        notes += [f"{top}: {note}" for note in found]
    labelled = Counter(
        named[path[0]] for path in parts if path[0] in named and len(path) > 2 + wraps[path[0]] + depths[path[0]]
    )

    def place(path: list[str]) -> tuple[str, str | None, Reason | None]:
        """Split, class and reason to leave it out of a file."""
        split = named.get(path[0])
        if split is None or len(path) == 1:
            return FOLDER, None, NO_SPLIT
        below = path[1 + wraps[path[0]] :]
        if len(below) > depths[path[0]] + 1:
            return split, below[depths[path[0]]], None
        return split, None, UNLABELLED_SPLIT if split == "test" and not labelled["test"] else NO_CLASS

    return place, "class folders in split folders", notes


def _require_images(tree: Tree, arranged: ClassFolders, wrapped: int, name: str) -> None:
    """Raise where a split's folder gives nothing to train on or to report on."""
    if "train" not in arranged.files:
        raise FileNotFoundError(f"custom: {tree.root} holds no class folder with images")
    if name != "class folders in split folders":
        return
    tops = [path.split("/")[wrapped:] for path in tree.folders]
    for top in {path[0] for path in tops if len(path) == 1}:
        split = split_of(top)
        images = any(path.split("/")[wrapped : wrapped + 1] == [top] for path in tree.images)
        if split and split not in arranged.files and not images:
            raise FileNotFoundError(
                f"custom: the folder {top} holds no class folder with images. Add its images, or remove the folder"
            )


def _spellings(tree: Tree, arranged: ClassFolders, wrapped: int) -> list[str]:
    """Notes on class folders that are one class in two encodings, and on those without a file."""
    notes = []
    written: dict[str, set[str]] = {}
    for path in tree.images:
        for part in path.split("/")[wrapped:-1]:
            written.setdefault(unicodedata.normalize("NFC", part), set()).add(part)
    joined = [name for name, forms in written.items() if len(forms) > 1]
    if joined:
        notes.append(f"folders that write {shortened(joined)} in two ways of Unicode are one")
    files = [*tree.images, *tree.tables, *(path for path, _ in tree.others)]
    full = {path.rsplit("/", 1)[0] for path in files if "/" in path}
    full |= {"/".join(path.split("/")[:end]) for path in full for end in range(1, path.count("/") + 1)}
    empty = [path for path in tree.folders if path not in full]
    if empty:
        notes.append(f"{len(empty)} folders hold no file: {shortened(empty)}")
    return notes
