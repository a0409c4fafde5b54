"""Clips of the user's own: prepared videos or folders of frames, and a table of labels of frames or of whole clips."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.arrow_columns import column_array, selected
from hf_hmtl.data.faces.record import RECORD
from hf_hmtl.data.faces.videos import are_videos
from hf_hmtl.data.identity import CLIP, FRAME, identity, of_clips
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_ANNOTATION, Ledger
from hf_hmtl.data.own_faces.text_tables import read_text_table
from hf_hmtl.data.own_faces.tree import walk
from hf_hmtl.data.sources import SPLITS, Source, resolve
from hf_hmtl.data.sources._building import images_of_paths, make_dataset
from hf_hmtl.data.sources._prepared import prepared_frames
from hf_hmtl.data.splits import carve

LICENCE = "The user's own data: its terms are not known to hf_hmtl"
CITATION = "The user's own data: none known"
HOMEPAGE = ""
CLIPS, FRAMES, PERSONS = ("clip", "video", "sequence"), ("frame", "frame_number"), ("person", "subject", "group")
SPLIT = "split"
OTHERS = {"val": "validation", "valid": "validation", "dev": "validation", "training": "train", "testing": "test"}
CARVED = 0.15
"""Share of the clips that validation and test have each, where no table says which."""
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
    """

    images: pa.Array
    clips: list[str]
    numbers: list[int]
    files: list[str] | None
    face_margin: float | None
    notes: tuple[str, ...]


def load(data_dir: str | Path | None = None, labels: str | None = None, allow_left_out: Sequence[str] = ()) -> Source:
    """The frames of clips with their labels; nobody, and no clip, is in two splits.

    A label without a frame is that of every frame of its clip. Where the table has no column `split`, validation and
    test are carved, 15 % of the clips each.

    Args:
        data_dir: folder of the clips; None means ${HF_HMTL_DATA}/clips.
        labels: the table; the only one in the folder if not given.
        allow_left_out: names of reasons that may take more than a tenth of the frames.

    Raises:
        FileNotFoundError: no folder, no clip or no table.
        ValueError: the table does not fit, or too much would be left out.
    """
    folder, ledger = resolve("clips", data_dir, LAYOUTS), Ledger(allow_left_out)
    found = _frames(folder)
    path = _table(folder) if labels is None else Path(labels).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"clips: there is no table of labels {path}.\n{LAYOUTS}")
    try:
        table = read_text_table(path).table
    except ValueError as error:
        raise ValueError(str(error).replace("custom:", "clips:", 1)) from error
    rows = _joined(found, table, path, ledger)
    ledger.check({}, {FOLDER: len(rows)}, "clips")
    splits, note = _divided(rows)
    notes = (*found.notes, f"labels: {path.name}", note)
    return Source("clips", splits, LICENCE, CITATION, HOMEPAGE, notes, face_margin=found.face_margin, ledger=ledger)


def _frames(folder: Path) -> _Frames:
    if (folder / RECORD).is_file() or are_videos(folder):
        faces = folder.with_name(f"{folder.name}-faces")
        if not (folder / RECORD).is_file():
            raise FileNotFoundError(
                f"clips: {folder} holds videos, whose faces are cut out once. Type hf-hmtl prepare {folder} {faces}, "
                f"and then --data_dir {faces}"
            )
        found = prepared_frames("clips", folder, f"hf-hmtl prepare VIDEOS {folder}")
        clips, numbers = (column_array(found.rows, name).to_pylist() for name in (CLIP, FRAME))
        images = column_array(found.rows, "image")
        return _Frames(images, clips, numbers, None, found.face_margin, (f"layout: faces of {len(set(clips))} videos",))
    tree = walk(folder)
    paths = [path for path in tree.images if "/" in path]
    if not paths:
        raise FileNotFoundError(f"clips: {folder} holds no clip.\n{LAYOUTS}")
    clips = [path.rpartition("/")[0] for path in paths]
    numbers = _numbers(paths, clips)
    images = images_of_paths([os.path.join(tree.root, path) for path in paths])
    return _Frames(images, clips, numbers, paths, None, (f"layout: folders of frames of {len(set(clips))} clips",))


def _numbers(paths: Sequence[str], clips: Sequence[str]) -> list[int]:
    """The number in each file's name; of clips whose names have none, or one twice, their places in order."""
    rows_of: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        rows_of.setdefault(clip, []).append(row)
    numbers = [0] * len(paths)
    for rows in rows_of.values():
        rows = sorted(rows, key=lambda row: paths[row])
        found = [_NUMBER.search(os.path.splitext(paths[row])[0].rpartition("/")[2]) for row in rows]
        own = {int(each[1]) for each in found if each}
        for place, (row, each) in enumerate(zip(rows, found, strict=True)):
            numbers[row] = int(each[1]) if each and len(own) == len(rows) else place
    return numbers


def _table(folder: Path) -> Path:
    tables = [path for path in walk(folder).tables if path != RECORD and not path.lower().endswith(".parquet")]
    if len(tables) != 1:
        seen = f"{len(tables)} tables ({', '.join(tables[:3])})" if tables else "no table of labels"
        raise FileNotFoundError(f"clips: {folder} holds {seen}; say which: --set source.labels=TABLE.\n{LAYOUTS}")
    return folder / tables[0]


def _column(table: pa.Table, names: Sequence[str]) -> str | None:
    return next((column for column in table.column_names if column.strip().lower() in names), None)


def _joined(found: _Frames, table: pa.Table, path: Path, ledger: Ledger) -> datasets.Dataset:
    """The frames with the labels of their rows; what fits nothing goes to the ledger."""
    clip, frame, person, split = (_column(table, names) for names in (CLIPS, FRAMES, PERSONS, (SPLIT,)))
    if clip is None:
        raise ValueError(
            f"clips: {path} has the columns {', '.join(table.column_names)}, of which none is called "
            f"{', '.join(CLIPS)}; name the column of the clips so"
        )
    labels = [name for name in table.column_names if name not in (clip, frame, person, split)]
    if not labels:
        raise ValueError(f"clips: {path} has no column of labels, only {', '.join(table.column_names)}")
    names = [_plain(name) for name in table[clip].cast(pa.string()).to_pylist()]
    if frame is not None and not pa.types.is_integer(table[frame].type):
        raise ValueError(f"clips: the column {frame!r} of {path} holds no whole numbers, as frames have")
    frames = [None] * len(names) if frame is None else table[frame].to_pylist()
    line_of: dict[tuple[str, int | None], int] = {}
    for line, key in enumerate(zip(names, frames, strict=True)):
        if line_of.setdefault(key, line) != line:
            raise ValueError(f"clips: {path} names {key[0]}{'' if key[1] is None else f', frame {key[1]},'} twice")
    keys = [(_plain(name), None if frame is None else number)
            for name, number in zip(found.clips, found.numbers, strict=True)]  # fmt: skip
    lines = [line_of.get(key, line_of.get((key[0].rpartition("/")[2], key[1]))) for key in keys]
    kept = [row for row, line in enumerate(lines) if line is not None]
    who = [f"{name}/{number}" for name, number in zip(found.clips, found.numbers, strict=True)]
    ledger.leave_out(FOLDER, NO_ANNOTATION, [who[row] for row, line in enumerate(lines) if line is None])
    used = {lines[row] for row in kept}
    lost = [f"{names[line]}/{frames[line]}" if frame else names[line] for line in range(len(names)) if line not in used]
    ledger.leave_out(FOLDER, MISSING_FILE, lost)
    if not kept:
        raise ValueError(
            f"clips: no row of {path} fits a frame: it names {names[0] if names else 'nothing'}, and the clips are "
            f"called {found.clips[0]}"
        )
    taken = table.take(pa.array([lines[row] for row in kept], pa.int64()))
    clips = [found.clips[row] for row in kept]
    persons = clips if person is None else taken[person].cast(pa.string()).to_pylist()
    files = None if found.files is None else [found.files[row] for row in kept]
    identities = identity("clips", [who[row] for row in kept], files, persons)
    identities |= of_clips(clips, [found.numbers[row] for row in kept])
    columns = {name: _labels(taken[name].combine_chunks(), name, path) for name in labels}
    if split is not None:
        columns[SPLIT] = (datasets.Value("string"), taken[split].cast(pa.string()))
    images = found.images.take(pa.array(kept, pa.int64()))
    return make_dataset(images, columns, identities)


def _plain(name: str | None) -> str:
    """A clip as tables and folders may write it: without slashes at its ends, or the suffix of a video."""
    return re.sub(
        r"\.(avi|m4v|mkv|mov|mp4|mpe?g|webm|wmv)$", "", (name or "").replace("\\", "/").strip("/ "), flags=re.I
    )


def _labels(values: pa.Array, name: str, path: Path) -> tuple[Any, Any]:
    """The feature and values of a column: words are classes, in the order of the alphabet; numbers are numbers."""
    if pa.types.is_string(values.type):
        classes = sorted(set(values.to_pylist()) - {None, ""})
        if len(classes) < 2:
            raise ValueError(
                f"clips: the column {name!r} of {path} has no two classes: {', '.join(classes) or 'empty'}"
            )
        known: Mapping[str | None, int] = {label: number for number, label in enumerate(classes)}
        return datasets.ClassLabel(names=classes), [known.get(value, -1) for value in values.to_pylist()]
    numbers = pc.fill_null(values.cast(pa.float64()), float("nan"))
    return datasets.Value("float32"), numbers.cast(pa.float32())


def _divided(rows: datasets.Dataset) -> tuple[datasets.DatasetDict, str]:
    """The splits of the table, or carved ones, and a note."""
    if SPLIT not in rows.column_names:
        rest, test = carve(rows, None, CARVED)
        train, validation = carve(rest, None, CARVED / (1 - CARVED))
        note = (
            f"validation and test were carved, {CARVED:.0%} each, by person, or by clip where nobody knows the person"
        )
        return datasets.DatasetDict(train=train, validation=validation, test=test), note
    names = [OTHERS.get(str(name).strip().lower(), str(name).strip().lower()) for name in rows[SPLIT]]
    if unknown := sorted(set(names) - set(SPLITS)):
        raise ValueError(f"clips: the column {SPLIT!r} says {unknown[0]!r}; allowed are {', '.join(SPLITS)}")
    of_clip: dict[str, str] = {}
    for clip, name in zip(column_array(rows, CLIP).to_pylist(), names, strict=True):
        if of_clip.setdefault(clip, name) != name:
            raise ValueError(f"clips: the frames of {clip} are in two splits; a clip is in one")
    places = np.array(names)
    whole = rows.remove_columns(SPLIT)
    return (
        datasets.DatasetDict(
            {split: selected(whole, np.flatnonzero(places == split)) for split in SPLITS if (places == split).any()}
        ),
        "splits: those of the table",
    )
