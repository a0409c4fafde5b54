"""CK+: sequences that begin with a neutral face and end at the peak of an expression; 327 of 593 have a label.

Facts: datasets page, section 4. The label stands in a file that is called as the last frame; the first frames are
neutral, so a label is one of the last frame, and at most of its neighbours.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets

from hf_hmtl.data import crops
from hf_hmtl.data.identity import identity, of_clips
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_ANNOTATION, NO_BOX, NO_CODE, NOT_IN_TABLE, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree, names_in, walk
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._building import drift, images_of_paths, in_first_fold, make_dataset
from hf_hmtl.data.sources._landmarks import box_of, checked_margin
from hf_hmtl.data.splits import class_counts
from hf_hmtl.parsing import text_of

LICENCE = "CK+ agreement (Pittsburgh and CMU): non-commercial research; images must not be redistributed"
CITATION = (
    "Lucey, Cohn, Kanade, Saragih, Ambadar and Matthews, The Extended Cohn-Kanade Dataset (CK+), CVPR Workshops 2010"
)
HOMEPAGE = "https://www.jeffcohn.net/Resources/"
NAMES = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")  # codes 1 .. 7
EXPECTED = dict(zip(NAMES, (45, 18, 59, 25, 69, 28, 83), strict=True))  # 327 sequences
PEOPLE, FOLDS = 118, 10
FRAMES = {"peak": 1, "last_three": 3, "all": None}
"""How many of the last frames of a sequence are rows; None for all."""

COPY = Reason("copy", "further copies of the same frames", expected=True)
UNLABELLED = Reason("unlabelled_sequence", "frames of sequences without a label", expected=True)
OTHER_FRAMES = Reason("other_frames", "frames of a sequence that are not asked for (frames)", expected=True)
BESIDE = Reason("beside_the_frames", "files of landmarks and action units that no row needs", expected=True)

_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})")
_REPACK = {"anger": 0, "contempt": 1, "disgust": 2, "fear": 3, "happy": 4, "happiness": 4, "sadness": 5, "surprise": 6}

LAYOUTS = """CK+ is read as
  FOLDER/cohn-kanade-images/S005/001/S005_001_00000001.png  ...
  FOLDER/Emotion/S005/001/S005_001_00000011_emotion.txt      (or Emotion_labels/Emotion/)
  FOLDER/Landmarks/S005/001/S005_001_00000011_landmarks.txt
or as it is passed on, 48 x 48 pixels and three frames a sequence
  FOLDER/CK+48/happy/S010_006_00000015.png  ...
It cannot be downloaded without an agreement: jeffcohn.net/Resources. Then type
  --data_dir FOLDER"""


@dataclass(frozen=True)
class _Files:
    """What lies below the folder, each by the name of its frame: "S005_001_00000011".

    Attributes:
        frames: images.
        emotions, landmarks: text files.
    """

    frames: dict[str, str]
    emotions: dict[str, str]
    landmarks: dict[str, str]


def load(
    data_dir: str | Path | None = None,
    frames: str = "peak",
    margin: float = 0.25,
    allow_left_out: Sequence[str] = (),
) -> Source:
    """Frames of CK+'s labelled sequences: expression, person as the group, sequence as the clip, and the face's box.

    It has no division of its own: train, validation and test are those of the first of ten folds of persons, and
    `source.fold: [k, 10]` takes another.

    Args:
        data_dir: folder of either layout; None means ${HF_HMTL_DATA}/ckplus.
        frames: "peak", the last frame of each sequence; "last_three", as most publications on images; or "all", of
            which the last one alone has a label: the others lead to it.
        margin: of the square around the landmarks, as a share of its longer side; CK+ gives no boxes.
        allow_left_out: names of reasons that may take a class, or more than a tenth of the images.

    Raises:
        FileNotFoundError: no folder, or no labelled frame of CK+ in it.
        ValueError: an option out of its range, fewer than three persons, or too much that would be left out.
    """
    if frames not in FRAMES:
        raise ValueError(f"ckplus: frames is {frames!r}, allowed are {', '.join(FRAMES)}")
    margin = checked_margin("ckplus", margin)
    folder, ledger = resolve("ckplus", data_dir, LAYOUTS), Ledger(allow_left_out)
    tree = walk(folder)
    files = _files(tree, ledger)
    labels, layout = _labels(tree, files, ledger)
    rows = _rows(files, labels, FRAMES[frames], ledger)
    if not rows:
        there = names_in(tree.root)
        raise FileNotFoundError(f"ckplus: {tree.root} holds no labelled frame of CK+ (found: {there}).\n{LAYOUTS}")
    every = _dataset(tree, files, rows, margin, ledger)
    counts = class_counts(every, "emotion")
    ledger.check({FOLDER: counts}, {FOLDER: len(every)}, "ckplus")
    sequences = class_counts(_dataset_of_labels(labels), "emotion") | {"persons": len(set(every["_group"]))}
    notes = [f"layout: {layout}", f"frames: {frames}"]
    notes += ["there are no landmarks: whole pictures are used"] * (not files.landmarks)
    notes += drift("ckplus", "labelled", sequences, EXPECTED | {"persons": PEOPLE})
    splits, note = in_first_fold("ckplus", every, FOLDS)
    return Source("ckplus", splits, LICENCE, CITATION, HOMEPAGE, (*notes, note), ledger=ledger)


def _dataset_of_labels(labels: Mapping[str, tuple[str, int]]) -> datasets.Dataset:
    """The class of each labelled sequence."""
    features = datasets.Features(emotion=datasets.ClassLabel(names=list(NAMES)))
    return datasets.Dataset.from_dict({"emotion": [number for _, number in labels.values()]}, features)


def _files(tree: Tree, ledger: Ledger) -> _Files:
    """The files by the frame that they are of; what is none of them goes to the ledger."""
    found = _Files({}, {}, {})
    kinds = {"_emotion.txt": found.emotions, "_landmarks.txt": found.landmarks}
    for path in tree.images:
        name = _FRAME.match(path.rsplit("/", 1)[-1])
        if name is None:
            ledger.leave_out(FOLDER, NOT_IN_TABLE, [path])
        elif name[0] in found.frames:
            ledger.leave_out(FOLDER, COPY, [path])
        else:
            found.frames[name[0]] = path
    for path, reason in (*tree.unread_tables, *tree.others):
        base = path.rsplit("/", 1)[-1]
        name = _FRAME.match(base)
        kind = next((known for ending, known in kinds.items() if base.lower().endswith(ending)), None)
        if name is not None and kind is not None and name[0] not in kind:
            kind[name[0]] = path
        else:
            ledger.leave_out(FOLDER, BESIDE if name is not None and base.endswith(".txt") else reason, [path])
    return found


def _labels(tree: Tree, files: _Files, ledger: Ledger) -> tuple[dict[str, tuple[str, int]], str]:
    """{sequence: (name of its labelled frame, class)}, and what the layout is called."""
    labels: dict[str, tuple[str, int]] = {}
    if not files.emotions:
        for name, path in sorted(files.frames.items()):  # the last frame of a sequence stays
            code = _REPACK.get(path.split("/")[-2].lower()) if "/" in path else None
            if code is None:
                ledger.leave_out(FOLDER, NO_ANNOTATION, [path])
            else:
                labels[_sequence(name)] = (name, code)
        return labels, "class folders of the last frames, as the data set is passed on"
    for name, path in sorted(files.emotions.items()):
        words = text_of(tree.root / path).split()
        try:
            code = int(float(words[0]))
        except (IndexError, OverflowError, ValueError):
            ledger.leave_out(FOLDER, NO_ANNOTATION, [path])
            continue
        if not 1 <= code <= len(NAMES):
            ledger.leave_out(FOLDER, NO_CODE, [path])
        elif name not in files.frames:
            ledger.leave_out(FOLDER, MISSING_FILE, [path], [NAMES[code - 1]])
        else:
            other, first = labels.setdefault(_sequence(name), (name, code - 1))
            if first != code - 1:
                raise ValueError(
                    f"ckplus: the sequence {_sequence(name)} has the label {NAMES[first]} at frame {other} and "
                    f"{NAMES[code - 1]} at {name}; remove the file of the one that is wrong"
                )
            labels[_sequence(name)] = (name, code - 1)
    return labels, "the official folders"


def _sequence(frame: str) -> str:
    return frame.rpartition("_")[0]


def _rows(files: _Files, labels: Mapping[str, tuple[str, int]], last: int | None, ledger: Ledger) -> dict[str, int]:
    """{frame: class, -1 where it has none}; frames that are left out go to the ledger."""
    sequences: dict[str, list[str]] = {}
    for name in sorted(files.frames):
        sequences.setdefault(_sequence(name), []).append(name)
    rows: dict[str, int] = {}
    for sequence, names in sequences.items():
        if sequence not in labels:
            left = [files.frames[name] for name in names] if files.emotions else []  # the repack's are told already
            ledger.leave_out(FOLDER, UNLABELLED, left)
            continue
        peak, code = labels[sequence]
        until = names[: names.index(peak) + 1]
        chosen = until if last is None else until[-last:]
        rows |= {name: code if last is not None or name == peak else -1 for name in chosen}
        ledger.leave_out(FOLDER, OTHER_FRAMES, [files.frames[name] for name in names if name not in rows])
    return rows


def _dataset(tree: Tree, files: _Files, rows: dict[str, int], margin: float, ledger: Ledger) -> datasets.Dataset:
    official = bool(files.landmarks)
    boxes = {name: _box(tree, files.landmarks.get(name), margin) for name in rows} if official else {}
    without = [name for name, box in boxes.items() if box is None]
    ledger.leave_out(
        FOLDER,
        NO_BOX,
        [files.frames[name] for name in without],
        [NAMES[rows[name]] for name in without if rows[name] >= 0],
    )
    names = [name for name in rows if name not in set(without)]
    ledger.leave_out(FOLDER, BESIDE, [path for name, path in files.landmarks.items() if name not in rows])
    paths = [files.frames[name] for name in names]
    columns: dict[str, tuple] = {"emotion": (datasets.ClassLabel(names=list(NAMES)), [rows[name] for name in names])}
    if official:
        columns[crops.BOX] = (crops.FEATURES[crops.BOX], [boxes[name] for name in names])
    who = identity("ckplus", paths, paths, [name.partition("_")[0] for name in names])
    who |= of_clips([_sequence(name) for name in names], [int(name.rpartition("_")[2]) for name in names])
    return make_dataset(images_of_paths([os.path.join(tree.root, path) for path in paths]), columns, who)


def _box(tree: Tree, path: str | None, margin: float) -> list[float] | None:
    if path is None:
        return None
    lines = text_of(tree.root / path).splitlines()
    return box_of([line.split() for line in lines if line.strip()], margin)
