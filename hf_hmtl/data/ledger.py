"""What was found and not used: found = used + left out, by reason, for every source.

Whoever leaves files or rows out says so here. What the ledger holds is printed before a training, stands in
result.json and on the card, and stops a run where a reason takes a class, a split or more than a tenth.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

NAMES_KEPT = 3
LONGEST_NAME = 200  # characters; the cell of a table may hold anything
LARGEST_SHARE = 0.1
"""Share of a split that one reason may take without being allowed by name."""
FOLDER = "folder"
"""Where files stand that belong to no split."""


@dataclass(frozen=True)
class Reason:
    """Why something is left out.

    Attributes:
        name: what one types to allow it.
        words: what is left out, for readers: "rows whose image file does not exist".
        expected: whether it takes nothing that anybody would train on: it may then take any share of the data.
        empties: whether it may leave a class without a row: True for what was no data in the first place.
    """

    name: str
    words: str
    expected: bool = False
    empties: bool = False


SYSTEM = Reason("system", "hidden files, and those that operating systems leave", expected=True, empties=True)
NOT_IMAGE = Reason("not_image", "files that are no image", expected=True)
UNREADABLE_FORMAT = Reason("unreadable_format", "image files of a format that Pillow does not read")
VIDEO = Reason("video", "videos")
NO_CLASS = Reason("no_class", "image files outside the class folders")
NO_CLIP = Reason("no_clip", "image files that lie in no folder of a clip")
NO_SPLIT = Reason("no_split", "image files outside the split folders")
NOT_IN_TABLE = Reason("not_in_table", "image files that no row of the table names")
TABLE_PASSED_OVER = Reason("table_passed_over", "tables that were not read", expected=True)
BROKEN_LINK = Reason("broken_link", "links to files that do not exist")
MISSING_FILE = Reason("missing_file", "rows whose image file does not exist")
OUTSIDE_FOLDER = Reason("outside_folder", "rows whose image lies outside the folder (--image_dir names another)")
MISSING_SHARD = Reason("missing_shard", "parquet files that others of their split count and that are not there")
NO_IMAGE = Reason("no_image", "rows without an image")
NO_ANNOTATION = Reason("no_annotation", "image files whose file of labels is absent or unreadable")
NO_BOX = Reason("no_box", "image files without landmarks that say where the face is")
NO_CODE = Reason("no_code", "rows whose class is none of the known ones")
NO_LABEL = Reason("no_label", "rows without a label (missing_labels: leave_out)", expected=True)
UNLABELLED_SPLIT = Reason("unlabelled_split", "rows of a test split without labels", expected=True, empties=True)
HELD_OUT = Reason("held_out", "rows of validation and test, which training must not see", expected=True, empties=True)
TRAIN_FRACTION = Reason("train_fraction", "rows beyond train_fraction", expected=True)
WITHOUT_CLASSES = Reason("without_classes", "rows of classes that are left out (without_classes)", True, True)
BALANCING = Reason("balancing", "rows of the larger classes (balancing: down)", expected=True)

OF_ANY_SOURCE = (
    NOT_IMAGE, UNREADABLE_FORMAT, VIDEO, NO_CLASS, NO_CLIP, NO_SPLIT, NOT_IN_TABLE, TABLE_PASSED_OVER,
    BROKEN_LINK, MISSING_SHARD,
    MISSING_FILE, OUTSIDE_FOLDER, NO_IMAGE, NO_ANNOTATION, NO_BOX, NO_CODE,
)  # fmt: skip
"""Reasons that may have to be allowed."""


@dataclass
class Entry:
    """What one reason takes from one split: how many, the first names, and how many of each class."""

    reason: Reason
    count: int = 0
    names: list[str] = field(default_factory=list)
    classes: Counter = field(default_factory=Counter)


class Ledger:
    """What is left out of some data, by split and reason.

    Args:
        allowed: names of the reasons that may take more than a tenth, a class or a split.

    Raises:
        ValueError: a name of no reason.
    """

    def __init__(self, allowed: Sequence[str] = ()):
        known = [reason.name for reason in OF_ANY_SOURCE]
        for name in allowed:
            if name not in known:
                raise ValueError(f"allow_left_out: {name!r} is no reason; the reasons are {', '.join(known)}")
        self.allowed = frozenset(allowed)
        self.entries: dict[tuple[str, str], Entry] = {}

    def leave_out(self, split: str, reason: Reason, names: Iterable[str], classes: Iterable[str | None] = ()) -> None:
        """Note that these files or rows are not used.

        Args:
            split: where they stand; `FOLDER` for files of no split.
            names: of each of them.
            classes: the class of each of them, where it is known.
        """
        names = list(names)
        if names:
            entry = self.entries.setdefault((split, reason.name), Entry(reason))
            entry.count += len(names)
            kept = names[: NAMES_KEPT - len(entry.names)]
            entry.names += [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in kept]
            entry.classes.update(name for name in classes if name is not None)

    def add(self, other: "Ledger", source: str) -> None:
        """Take over what another source has left out, under its name."""
        for (split, reason), entry in other.entries.items():
            self.entries[f"{source}, {split}", reason] = entry

    def count(self, split: str | None = None) -> int:
        """How much is left out of a split, or of everything."""
        return sum(entry.count for (where, _), entry in self.entries.items() if split in (None, where))

    def check(self, used: Mapping[str, Mapping[str, int]], rows: Mapping[str, int], source: str) -> None:
        """Raise where a reason takes a class, a split or more than a tenth of a split and was not allowed to.

        Args:
            used: {split: {class: rows used}}; empty where there are no classes.
            rows: {split: rows used}.
            source: name of the source, for the message.

        Raises:
            ValueError: it says what is left out, why, and what to type.
        """
        total = sum(rows.values())
        for (split, _), entry in self.entries.items():
            counted = _counted(entry.count, entry.reason.words, entry.names)
            reason, left = entry.reason, rows.get(split, 0) if split != FOLDER else total
            if reason.name in self.allowed:
                continue
            lost = [name for name in entry.classes if not used.get(split, {}).get(name)]
            if lost and not reason.empties:
                raise ValueError(
                    f"{source}: {_where(split)} has no row left of the class {', '.join(map(repr, sorted(lost)))}: "
                    f"{counted} are left out. {_advice(reason)}"
                )
            if not left and not reason.empties:
                raise ValueError(
                    f"{source}: {_where(split)} has no row left: {counted} are left out. {_advice(reason)}"
                )
            if not reason.expected and entry.count > LARGEST_SHARE * (left + entry.count):
                raise ValueError(
                    f"{source}: of {left + entry.count:,} in {_where(split)}, {counted} would be left out, "
                    f"which is more than a tenth. {_advice(reason)}"
                )

    def lines(self) -> list[str]:
        """One line a split and reason, for people: "train: 3 rows whose image file does not exist (a.jpg, ...)"."""
        return lines_of(self.to_dict())

    def to_dict(self) -> dict[str, dict[str, dict]]:
        """{split: {reason: {count, names: the first three, what}}}, as result.json keeps it."""
        found: dict[str, dict[str, dict]] = {}
        for (split, name), entry in self.entries.items():
            found.setdefault(split, {})[name] = {
                "count": entry.count,
                "names": list(entry.names),
                "what": entry.reason.words,
            }
        return found


def lines_of(left_out: Mapping[str, Mapping[str, Mapping]]) -> list[str]:
    """`Ledger.lines` of what `to_dict` gave."""
    return [
        f"{split}: {_counted(entry['count'], entry['what'], entry['names'])}"
        for split, reasons in left_out.items()
        for entry in reasons.values()
    ]


def _where(split: str) -> str:
    return "the folder" if split == FOLDER else f"the {split} split"


def _counted(count: int, words: str, names: Sequence[str]) -> str:
    return f"{count:,} {words} ({', '.join(names)}{', ...' * (count > len(names))})"


def _advice(reason: Reason) -> str:
    if reason.name not in {each.name for each in OF_ANY_SOURCE}:
        return "Check the data"
    return f"Mend the data, or type --allow_left_out {reason.name} to go on without them"
