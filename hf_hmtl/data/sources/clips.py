"""Clips of the user's own: prepared videos or folders of frames, and a table of labels of frames or of whole clips."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from hf_hmtl.data.arrow_columns import column_array, selected
from hf_hmtl.data.faces.record import RECORD
from hf_hmtl.data.faces.videos import are_videos
from hf_hmtl.data.identity import CLIP, FRAME, ID, identity, of_clips
from hf_hmtl.data.ledger import (
    FOLDER,
    MISSING_FILE,
    NO_ANNOTATION,
    NO_CLIP,
    UNLABELLED_SPLIT,
    Ledger,
    Reason,
)  # fmt: skip
from hf_hmtl.data.own_faces.label_columns import classes_among, has_label
from hf_hmtl.data.own_faces.labels import notes_on_absent_classes, unseen_classes
from hf_hmtl.data.own_faces.leaks import leaks
from hf_hmtl.data.own_faces.tree import PARQUET, Tree, shortened, walk
from hf_hmtl.data.sources import SPLITS, Source, resolve
from hf_hmtl.data.sources._building import images_of_paths, make_dataset
from hf_hmtl.data.sources._clip_labels import NO_LABELS, ClipTable, ends_of
from hf_hmtl.data.sources._prepared import prepared_frames
from hf_hmtl.data.splits import carve
from hf_hmtl.parsing import shown

LICENCE = "The user's own data: its terms are not known to hf_hmtl"
CITATION = "The user's own data: none known"
HOMEPAGE = ""
CARVED = 0.15
"""Share of the clips that validation and test have each, where no table says which."""
NO_ROW = Reason(NO_ANNOTATION.name, "frames that no row of the table names")
NO_FRAME = Reason(MISSING_FILE.name, "rows whose frame or clip does not exist")
_NUMBER = re.compile(r"(\d+)\D*$")

LAYOUTS = """Clips are read as
  FOLDER/                     what hf-hmtl prepare made of a folder of videos
  FOLDER/CLIP/0001.jpg ...    or a folder of frames a clip, at any depth
with a table of labels, in FOLDER or given by --set source.labels=TABLE: a column clip, for labels of frames a column
frame, as many columns of labels as you like (words are classes), and if known split and person. Then type
  --data_dir FOLDER"""


@dataclass(frozen=True)
class _Frames:
    """All frames, in any order.

    Attributes:
        images: of each.
        clips, numbers, files: of each; no file where images are inside the rows.
        face_margin: that of the faces, where it is known.
        notes: how they were read.
        counted: {clip: why}: clips whose frames are numbered by their places, as their files' names do not say.
        lasts: {clip: frames}, where frames may be missing that a clip has.
    """

    images: pa.Array
    clips: list[str]
    numbers: list[int]
    files: list[str] | None
    face_margin: float | None
    notes: tuple[str, ...]
    counted: Mapping[str, str] = field(default_factory=dict)
    lasts: Mapping[str, int] = field(default_factory=dict)

    def ends(self) -> dict[str, tuple[int, int]]:
        """{clip: its first and last frame}."""
        found = ends_of(self.clips, self.numbers)
        return found | {clip: (0, count - 1) for clip, count in self.lasts.items()}


def load(
    data_dir: str | Path | None = None,
    labels: str | None = None,
    class_map: Mapping[str, str] | None = None,
    merge_case: bool = False,
    allow_left_out: Sequence[str] = (),
) -> Source:
    """The frames of clips with their labels; no clip is in two splits, nor is anybody where splits are carved.

    A label without a frame is that of every frame of its clip. Where the table has no column `split`, validation and
    test are carved, 15 % of the clips each; where it has no validation clips, those are.

    Args:
        data_dir: folder of the clips; None means ${HF_HMTL_DATA}/clips.
        labels: the table; the only one in the folder if not given.
        class_map: {text: class}: how words of the table are called.
        merge_case: whether words that differ in case are one class.
        allow_left_out: names of reasons that may take more than a tenth of the frames or of the rows.

    Raises:
        FileNotFoundError: no folder, no clip or no table.
        ValueError: the table does not fit, or too much would be left out.
    """
    folder, ledger = resolve("clips", data_dir, LAYOUTS), Ledger(allow_left_out)
    tree = walk(folder)
    found = _frames(folder, tree, ledger.allowed)
    path = _table(tree) if labels is None else Path(labels).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"clips: there is no table of labels {path}.\n{LAYOUTS}")
    table = ClipTable.read(path)
    read = {RECORD, *(name for name in tree.tables if name.endswith(PARQUET))} if found.files is None else set()
    for name, reason in (*tree.others, *tree.unread_tables):
        if name not in read and os.path.realpath(tree.root / name) != os.path.realpath(path):
            ledger.leave_out(FOLDER, reason, [name])
    if found.files is not None:
        ledger.leave_out(FOLDER, NO_CLIP, [name for name in tree.images if "/" not in name])
    rows, splits, notes = _joined(found, table, class_map or {}, merge_case, ledger)
    ledger.check({}, {FOLDER: len(rows)}, "clips")
    divided, told = _divided(rows, splits, ledger)
    labels_of_frames = [name for name in divided["train"].column_names if name not in NO_LABELS]
    told += leaks(divided, classes_among(divided["train"], labels_of_frames))
    notes = [*found.notes, *tree.notes, f"labels: {path.name}", *table.notes, *notes, *told]
    return Source(
        "clips", divided, LICENCE, CITATION, HOMEPAGE, tuple(notes), face_margin=found.face_margin, ledger=ledger
    )


def _frames(folder: Path, tree: Tree, allowed: Collection[str]) -> _Frames:
    if (folder / RECORD).is_file() or are_videos(folder):
        faces = folder.with_name(f"{folder.name}-faces")
        if not (folder / RECORD).is_file():
            raise FileNotFoundError(
                f"clips: {folder} holds videos, whose faces are cut out once. Type hf-hmtl prepare {folder} {faces}, "
                f"and then --data_dir {faces}"
            )
        found = prepared_frames("clips", folder, f"hf-hmtl prepare VIDEOS {folder}", allowed)
        clips, numbers = (column_array(found.rows, name).to_pylist() for name in (CLIP, FRAME))
        images = column_array(found.rows, "image")
        notes = (f"layout: faces of {len(set(clips))} videos", *found.notes)
        return _Frames(images, clips, numbers, None, found.face_margin, notes, lasts=found.decoded)
    paths = [path for path in tree.images if "/" in path]
    if not paths:
        raise FileNotFoundError(f"clips: {folder} holds no clip.\n{LAYOUTS}")
    clips = [path.rpartition("/")[0] for path in paths]
    numbers, counted = _numbers(paths, clips)
    images = images_of_paths([os.path.join(tree.root, path) for path in paths])
    notes = [f"layout: folders of frames of {len(set(clips))} clips"]
    if counted:
        notes.append(
            f"the frames of {len(counted):,} clips are in the order of their names ({next(iter(counted.values()))})"
        )
    return _Frames(images, clips, numbers, paths, None, tuple(notes), counted=counted)


def _numbers(paths: Sequence[str], clips: Sequence[str]) -> tuple[list[int], dict[str, str]]:
    """The number in each file's name; of clips whose names have none, or one twice, their places in order, and why."""
    rows_of: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        rows_of.setdefault(clip, []).append(row)
    numbers, counted = [0] * len(paths), {}
    for clip, rows in rows_of.items():
        rows = sorted(rows, key=lambda row: paths[row])
        found = [_NUMBER.search(os.path.splitext(paths[row])[0].rpartition("/")[2]) for row in rows]
        own: dict[int, str] = {}
        for row, each in zip(rows, found, strict=True):
            if each is None:
                counted[clip] = f"{paths[row]} has no number"
            elif own.setdefault(int(each[1]), paths[row]) != paths[row]:
                counted[clip] = f"{own[int(each[1])]} and {paths[row]} have the number {int(each[1])}"
        for place, (row, each) in enumerate(zip(rows, found, strict=True)):
            numbers[row] = int(each[1]) if each and clip not in counted else place
    return numbers, counted


def _table(tree: Tree) -> Path:
    tables = [path for path in tree.tables if path != RECORD and not path.lower().endswith(PARQUET)]
    if len(tables) != 1:
        seen = f"{len(tables)} tables ({', '.join(tables[:3])})" if tables else "no table of labels"
        raise FileNotFoundError(f"clips: {tree.root} holds {seen}; say which: --set source.labels=TABLE.\n{LAYOUTS}")
    return tree.root / tables[0]


def _joined(
    found: _Frames, table: ClipTable, class_map: Mapping[str, str], merge_case: bool, ledger: Ledger
) -> tuple[datasets.Dataset, list[str] | None, list[str]]:
    """The frames with the labels of their rows, their splits if the table tells them, and notes; what fits nothing goes
    to the ledger."""
    if table.frame is not None:
        _require_numbers(found, table)
    lines = table.lines(found.clips, found.numbers)
    who = [f"{name}/{number}" for name, number in zip(found.clips, found.numbers, strict=True)]
    ledger.leave_out(FOLDER, NO_ROW, [who[row] for row, line in enumerate(lines) if line is None])
    kept = [(row, line) for row, line in enumerate(lines) if line is not None]
    used = {line for _, line in kept}
    lost = [name for line, name in enumerate(table.names()) if line not in used]
    if not kept:
        raise ValueError(
            f"clips: no row of {table.path} fits a frame: it names {shown(lost[0]) if lost else 'nothing'}, and the "
            f"clips are called {shown(found.clips[0])}, with frames such as {found.numbers[0]}"
        )
    ledger.leave_out(FOLDER, NO_FRAME, lost)
    of_rows = Ledger(ledger.allowed)  # a row may be that of a whole clip, which counts as more than one frame
    of_rows.leave_out(FOLDER, NO_FRAME, lost)
    of_rows.check({}, {FOLDER: len(used)}, "clips")
    clips, places = [found.clips[row] for row, _ in kept], [line for _, line in kept]
    persons, notes = table.persons(clips, places)
    columns, told = table.columns(places, class_map, merge_case)
    files = None if found.files is None else [found.files[row] for row, _ in kept]
    identities = identity("clips", [who[row] for row, _ in kept], files, persons)
    identities |= of_clips(clips, [found.numbers[row] for row, _ in kept])
    images = found.images.take(pa.array([row for row, _ in kept], pa.int64()))
    return make_dataset(images, columns, identities), table.splits(clips, places), told + notes


def _require_numbers(found: _Frames, table: ClipTable) -> None:
    """Raise where it is not certain which frame a row of the table means."""
    if found.counted:
        clip, why = next(iter(found.counted.items()))
        raise ValueError(
            f"clips: {table.path} has labels of single frames, and the frames of {shown(clip)} are not told apart by "
            f"the numbers in their names: {why}. Name the files by their numbers"
        )
    labelled, there = table.ends(found.clips), found.ends()
    off = {(first - there[clip][0], last - there[clip][1]) for clip, (first, last) in labelled.items() if clip in there}
    if off in ({(1, 1)}, {(-1, -1)}):
        clip = next(clip for clip in labelled if clip in there)
        raise ValueError(
            f"clips: {table.path} counts the frames of every clip from another number: those of {shown(clip)} "
            f"from {labelled[clip][0]} to {labelled[clip][1]}, which are {there[clip][0]} to {there[clip][1]}. Write "
            "the same numbers, or every label would be that of its neighbour"
        )


def _divided(rows: datasets.Dataset, told: list[str] | None, ledger: Ledger) -> tuple[datasets.DatasetDict, list[str]]:
    """The splits of the table, with those carved that it does not have, and notes."""
    splits, notes = datasets.DatasetDict(train=rows), []
    if told is not None:
        places = np.array(told)
        splits = datasets.DatasetDict(
            {split: selected(rows, np.flatnonzero(places == split)) for split in SPLITS if (places == split).any()}
        )
        notes.append("splits: those of the table")
    if "train" not in splits:
        raise ValueError(f"clips: no clip is in the train split; those of the table are {', '.join(splits)}")
    labels = [name for name in rows.column_names if name not in NO_LABELS]
    for split in [split for split in ("validation", "test") if split in splits]:
        if has_label(splits[split], labels).any():
            notes += [
                f"{split}: none of its {len(splits[split]):,} frames has a label in {name!r}"
                for name in labels
                if not has_label(splits[split], [name]).any()
            ]
        elif split == "validation":
            raise ValueError(
                f"clips: none of the {len(splits[split]):,} validation frames has a label, so no weights can be "
                "selected by them. Add the labels, or leave validation out: it is then carved from train"
            )
        else:
            ledger.leave_out("test", UNLABELLED_SPLIT, splits.pop("test")[ID][:])
            notes.append("the test split has no labels and is left out: validation is both selected on and reported")
    how = f"{CARVED:.0%} of the clips each, by person, or by clip where nobody knows the person"
    try:
        rest, validation = splits["train"], CARVED
        if told is None:
            rest, splits["test"] = carve(rest, None, CARVED)
            validation = CARVED / (1 - CARVED)
        if "validation" not in splits:
            splits["train"], splits["validation"] = carve(rest, None, validation)
            notes.append(f"{'validation and test were' if told is None else 'validation was'} carved, {how}")
    except ValueError as error:
        raise ValueError(f"clips: {error}. A column split of the table says which clips are which") from error
    if "test" not in splits and told is not None and not ledger.count("test"):
        notes.append("no test split was given: validation is both selected on and reported")
    for name in classes_among(rows, labels):
        for split, unseen in unseen_classes(splits, name).items():
            absent = shortened(f"{label!r} ({count:,})" for label, count in unseen.items())
            notes.append(f"{split}: training never shows {absent} of {name!r}, which no answer can be")
        notes += notes_on_absent_classes(splits, name)
    return datasets.DatasetDict({split: splits[split] for split in SPLITS if split in splits}), notes
