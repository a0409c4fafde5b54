"""A table of labels of frames, or of whole clips: which row is that of each frame, and who and what it tells."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.identity import OF_CLIPS, RESERVED
from hf_hmtl.data.own_faces.dividing import SPLIT_COLUMNS, split_word
from hf_hmtl.data.own_faces.groups import GROUP_COLUMNS
from hf_hmtl.data.own_faces.label_columns import CLASSES, NUMBERS, LabelColumns
from hf_hmtl.data.own_faces.labels import ClassNames, is_numeric
from hf_hmtl.data.own_faces.text_tables import read_text_table
from hf_hmtl.data.own_faces.tree import VIDEOS, shortened
from hf_hmtl.parsing import shown

CLIPS, FRAMES = ("clip", "video", "sequence"), ("frame", "frame_number")
NO_LABELS = ("image", *RESERVED, *OF_CLIPS)
_SUFFIX = re.compile(rf"({'|'.join(map(re.escape, sorted(VIDEOS)))})$", re.IGNORECASE)


@dataclass
class ClipTable:
    """A table with the meaning of its columns; None where it has none of that kind.

    Attributes:
        path: of the file.
        table: its rows.
        clip, frame, person, split: names of columns.
        labels: names of the others.
        notes: how it was read.
    """

    path: Path
    table: pa.Table
    clip: str
    frame: str | None
    person: str | None
    split: str | None
    labels: list[str]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "ClipTable":
        """Read a table of text.

        Raises:
            ValueError: it is none, has no column of clips or of labels, or one of frames that are no whole numbers.
        """
        try:
            text = read_text_table(path)
        except ValueError as error:
            raise ValueError(str(error).replace("custom:", "clips:", 1)) from error
        table = text.table
        clip, frame, person = (_column(table, names) for names in (CLIPS, FRAMES, GROUP_COLUMNS))
        if clip is None:
            raise ValueError(
                f"clips: {path} has the columns {shortened(map(shown, table.column_names), 8)}, of which none is "
                f"called {', '.join(CLIPS)}; name the column of the clips so"
            )
        split = _split_column(table)
        others = (clip, frame, person, split, *NO_LABELS)
        labels = [name for name in table.column_names if name not in others]
        if not labels:
            raise ValueError(
                f"clips: {path} has no column of labels, only {shortened(map(shown, table.column_names), 8)}"
            )
        if frame is not None:
            place = table.column_names.index(frame)
            table = table.set_column(place, frame, _whole_numbers(table[frame].combine_chunks(), frame, path))
        notes = list(text.notes)
        notes += [f"column {split!r} divides the clips"] * (split is not None and split != "split")
        return cls(path, table, clip, frame, person, split, labels, notes)

    def lines(self, clips: Sequence[str], numbers: Sequence[int]) -> list[int | None]:
        """The row of each frame, None where there is none.

        Args:
            clips: the clip of each frame.
            numbers: its number there.

        Raises:
            ValueError: a row names no clip or one of several, or a frame is named twice.
        """
        written, clip_of = self._written, self._clips(clips)
        line_of: dict[tuple[str | None, int | None], int] = {}
        for line, (name, frame) in enumerate(zip(written, self._frames(), strict=True)):
            if line_of.setdefault((clip_of[name] or f"\0{name}", frame), line) != line:
                raise ValueError(
                    f"clips: {self.path} names {shown(name)}{'' if frame is None else f', frame {frame},'} twice"
                )
        keys = zip(clips, numbers if self.frame else [None] * len(numbers), strict=True)
        return [line_of.get(key) for key in keys]

    def ends(self, clips: Sequence[str]) -> dict[str, tuple[int, int]]:
        """{clip: its first and last frame that has a row}, as `lines` takes the clips."""
        clip_of = self._clips(clips)
        rows = [(clip_of[name], frame) for name, frame in zip(self._written, self._frames(), strict=True)]
        known = [(clip, frame) for clip, frame in rows if clip is not None and frame is not None]
        return ends_of([clip for clip, _ in known], [frame for _, frame in known])

    def names(self) -> list[str]:
        """What each row is called."""
        rows = zip(self._written, self._frames(), strict=True)
        return [clip if frame is None else f"{clip}/{frame}" for clip, frame in rows]

    def persons(self, clips: Sequence[str], lines: Sequence[int]) -> tuple[list[str], list[str]]:
        """The person of each frame, or the clip itself where nobody knows the person; and notes.

        Raises:
            ValueError: a clip has two persons.
        """
        person_of: dict[str, str] = {}
        told = self._texts(self.person) if self.person else []
        for clip, line in zip(clips, lines, strict=True):
            if told and told[line] and person_of.setdefault(clip, told[line]) != told[line]:
                raise ValueError(
                    f"clips: {self.path} gives the clip {shown(clip)} two persons, {shown(person_of[clip])} and "
                    f"{shown(told[line])}; a clip is of one, and may be in one split alone"
                )
        alone = set(clips) - set(person_of)
        if not person_of:
            notes = ["no persons are known, so one may be on both sides of a split; a column person says who is seen"]
        else:
            notes = [f"{len(set(person_of.values())):,} persons by the column {self.person!r}"]
            notes += [f"{len(alone):,} clips have no person: each of them is a group"] * bool(alone)
        return [person_of.get(clip, clip) for clip in clips], notes

    def splits(self, clips: Sequence[str], lines: Sequence[int]) -> list[str] | None:
        """The split of each frame; None where the table tells none.

        Raises:
            ValueError: a row says none or an unknown one, or a clip is in two.
        """
        if self.split is None:
            return None
        told = self._texts(self.split)
        of_clip: dict[str, str] = {}
        for clip, line in zip(clips, lines, strict=True):
            found = split_word(told[line])
            if found is None:
                said = f"says {shown(told[line])}" if told[line] else "is empty"
                raise ValueError(
                    f"clips: {self.path}, row {line + 1}: the column {shown(self.split)} {said}; allowed are train, "
                    "validation, test"
                )
            if of_clip.setdefault(clip, found) != found:
                raise ValueError(f"clips: the frames of {shown(clip)} are in two splits; a clip is in one")
        return [of_clip[clip] for clip in clips]

    def columns(
        self, lines: Sequence[int], class_map: Mapping[str, str], merge_case: bool
    ) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
        """{column: (feature, values of each frame)}, and notes: words are classes, in the order of the alphabet;
        numbers are numbers. A column that says the same everywhere is no label.

        Raises:
            ValueError: no column is left, or classes are written in two ways.
        """
        taken = datasets.Dataset(self.table.select(self.labels).take(pa.array(lines, pa.int64())))
        values = {name: [value for value in taken.unique(name) if value is not None] for name in self.labels}
        alike = {
            name: found for name, found in values.items() if len(found) < 2 and not (found and is_numeric(taken, name))
        }
        labels = [name for name in self.labels if name not in alike]
        if not labels:
            told = "; ".join(
                f"{shown(name)} has no two classes: {shortened(map(shown, found), 8) or 'empty'}"
                for name, found in alike.items()
            )
            raise ValueError(f"clips: {self.path} has no column of labels: {told}")
        kinds = {name: NUMBERS if is_numeric(taken, name) else CLASSES for name in labels}
        try:
            read = LabelColumns({name: name for name in labels}, kinds, ClassNames(class_map, merge_case))
            found, notes = read.read({"train": taken})
        except ValueError as error:
            raise ValueError(str(error).replace("custom:", "clips:", 1)) from error
        notes = [note.removeprefix("train: ") for note in notes]
        if alike:
            notes.append(f"no labels, because they say the same in every row: {shortened(alike)}")
        return {name: of_splits["train"] for name, of_splits in found.items()}, notes

    @cached_property
    def _written(self) -> list[str]:
        """The clip that each row names."""
        written = [plain_clip(name) for name in self._texts(self.clip)]
        if nameless := [row for row, name in enumerate(written) if not name]:
            raise ValueError(
                f"clips: {self.path}, row {nameless[0] + 1} names no clip in the column {shown(self.clip)}"
            )
        return written

    def _clips(self, clips: Sequence[str]) -> dict[str, str | None]:
        return _clips_called(dict.fromkeys(self._written), dict.fromkeys(clips), self.path)

    def _texts(self, column: str) -> list[str]:
        return [(text or "").strip() for text in self.table[column].cast(pa.string()).to_pylist()]

    def _frames(self) -> list[int | None]:
        return [None] * len(self.table) if self.frame is None else self.table[self.frame].to_pylist()


def ends_of(clips: Sequence[str], numbers: Sequence[int]) -> dict[str, tuple[int, int]]:
    """{clip: the lowest and the highest number of its frames}."""
    found: dict[str, tuple[int, int]] = {}
    for clip, number in zip(clips, numbers, strict=True):
        first, last = found.get(clip, (number, number))
        found[clip] = min(first, number), max(last, number)
    return found


def plain_clip(name: str | None) -> str:
    """A clip as tables and folders may write it: without slashes at its ends, or the suffix of a video."""
    return _SUFFIX.sub("", (name or "").replace("\\", "/").strip("/ "))


def _column(table: pa.Table, names: Sequence[str]) -> str | None:
    plain = {column.strip().lower().replace("-", "_").replace(" ", "_"): column for column in table.column_names}
    return next((plain[name] for name in names if name in plain), None)


def _split_column(table: pa.Table) -> str | None:
    """The column `split`, or another of such a name that holds nothing but words of splits."""
    for name in table.column_names:
        texts = pc.unique(table[name].cast(pa.string())).to_pylist()
        if name.strip().lower() == "split" or (
            name.strip().lower() in SPLIT_COLUMNS and all(text is not None and split_word(text) for text in texts)
        ):
            return name
    return None


def _whole_numbers(values: pa.Array, name: str, path: Path) -> pa.Array:
    numbers = values
    if pa.types.is_floating(values.type):
        whole = pc.equal(values, pc.floor(values))
        numbers = pc.if_else(whole, values, pa.scalar(None, values.type)).cast(pa.int64())
    if not pa.types.is_integer(numbers.type):
        raise ValueError(f"clips: the column {shown(name)} of {path} holds no whole numbers, as frames have")
    if numbers.null_count:
        row = pc.index(pc.is_null(numbers), True).as_py()
        said = "is empty" if values[row].as_py() is None else f"says {values[row].as_py()}"
        raise ValueError(
            f"clips: {path}, row {row + 1}: the column {shown(name)} {said}; each row names one frame by a whole "
            "number. Labels of whole clips stand in a table without this column"
        )
    return numbers


def _clips_called(written: Mapping[str, Any], clips: Mapping[str, Any], path: Path) -> dict[str, str | None]:
    """{name in the table: the clip that is meant}: of that path, or else the one whose path ends so."""
    plain = {plain_clip(clip): clip for clip in clips}
    ends: dict[str, list[str]] = {}
    for name in plain:
        parts = name.split("/")
        for first in range(1, len(parts)):
            ends.setdefault("/".join(parts[first:]), []).append(name)
    found: dict[str, str | None] = {}
    for name in written:
        fitting = [name] if name in plain else ends.get(name, [])
        if len(fitting) > 1:
            raise ValueError(
                f"clips: {path} names the clip {shown(name)}, which may be {shortened(map(shown, sorted(fitting)))}; "
                "write their paths below the folder"
            )
        found[name] = plain[fitting[0]] if fitting else None
    return found
