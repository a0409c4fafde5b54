"""Aff-Wild: videos of people who react, valence and arousal of every frame from -1 to 1 (First Affect-in-the-Wild).

Facts: datasets page, section 2. The videos are decoded and the faces cut out once, by `hf-hmtl prepare`. Line k of a
list of labels, counted from 0, is that of frame k, whose files of boxes and landmarks are called k + 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from hf_hmtl.data.arrow_columns import column_array, selected
from hf_hmtl.data.identity import CLIP, FRAME, GROUP, ID, RESERVED, SOURCE
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_ANNOTATION, NO_CODE, Ledger
from hf_hmtl.data.own_faces.tree import shortened
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._building import drift, make_dataset
from hf_hmtl.data.sources._prepared import PreparedFrames, prepared_frames
from hf_hmtl.parsing import shown, text_of

LICENCE = "Aff-Wild terms (iBUG): non-commercial research on request; videos and labels must not be redistributed"
CITATION = (
    "Zafeiriou, Kollias, Nicolaou, Papaioannou, Zhao and Kotsia, Aff-Wild: Valence and Arousal 'In-the-Wild' "
    "Challenge, CVPR Workshops 2017"
)
HOMEPAGE = "https://ibug.doc.ic.ac.uk/resources/first-affect-wild-challenge/"
VIDEOS = 252  # with labels: the challenge's training set
VALIDATION = (
    "110", "179", "189", "203", "221", "249", "260", "306", "330", "332", "345", "402", "415", "433", "448", "449",
)  # fmt: skip
"""Appendix D of the paper."""
AFFECTS = ("valence", "arousal")
FEW_FRAMES = 5
"""By how many frames a list of labels and its video usually differ, at most."""

LAYOUTS = """Aff-Wild is read as
  FOLDER/annotations/train/valence/105.txt  arousal/105.txt     one number a frame
  FOLDER/faces/                                                 what hf-hmtl prepare makes of FOLDER/videos/train
It cannot be downloaded without an agreement: ibug.doc.ic.ac.uk/resources/first-affect-wild-challenge. Then type
  hf-hmtl prepare FOLDER/videos/train FOLDER/faces
which finds the largest face of each frame; --boxes FOLDER/bboxes/train takes the boxes that come with it (the paper's
appendix D finds them to switch between faces), --boxes TABLE those of another detector. Then
  --data_dir FOLDER"""


def load(data_dir: str | Path | None = None, faces: str | None = None, allow_left_out: Sequence[str] = ()) -> Source:
    """Every labelled frame with a face: valence and arousal, the video as clip and group.

    Validation is the paper's 16 videos, train all others that have labels; there is no test split with labels.

    Args:
        data_dir: folder of the annotations; None means ${HF_HMTL_DATA}/aff_wild.
        faces: folder that `hf-hmtl prepare` wrote; `faces` in the data folder if not given.
        allow_left_out: names of reasons that may take more than a tenth of the frames.

    Raises:
        FileNotFoundError: no folder, no annotations in it, or no faces.
        ValueError: a list of labels that is none, no video of one of the splits, or too much that would be left out.
    """
    folder, ledger = resolve("aff_wild", data_dir, LAYOUTS), Ledger(allow_left_out)
    labels, uneven = _labels(folder)
    if not labels:
        raise FileNotFoundError(f"aff_wild: {folder} holds no annotations of valence and arousal.\n{LAYOUTS}")
    place = folder / "faces" if faces is None else Path(faces).expanduser()
    command = f"hf-hmtl prepare {folder / 'videos' / 'train'} {place}"
    found = prepared_frames("aff_wild", place, command, ledger.allowed)
    every = _labelled(found, labels, ledger)
    videos = list(dict.fromkeys(column_array(every, CLIP).to_pylist()))
    ledger.leave_out(FOLDER, MISSING_FILE, sorted(set(labels) - {_name(clip) for clip in found.decoded}))
    ledger.check({}, {FOLDER: len(every)}, "aff_wild")
    held_out = np.array([clip in VALIDATION for clip in column_array(every, CLIP).to_pylist()])
    for split, rows in (("validation", held_out), ("train", ~held_out)):
        if not rows.any():
            raise ValueError(
                f"aff_wild: no frame of a {split} video has a face and a label; validation are the videos "
                f"{', '.join(VALIDATION)}, train all others. The faces are those of: {', '.join(videos[:5]) or 'none'}"
            )
    splits = datasets.DatasetDict(
        train=selected(every, np.flatnonzero(~held_out)), validation=selected(every, np.flatnonzero(held_out))
    )
    notes = ["validation: the 16 videos of the paper's appendix D", *found.notes, *uneven]
    notes += _counts_that_differ(found, labels)
    notes += drift("aff_wild", "labelled", {"videos": len(videos)}, {"videos": VIDEOS})
    return Source(
        "aff_wild", splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), face_margin=found.face_margin, ledger=ledger
    )


def _name(clip: str) -> str:
    """The number of a video, of whichever folder it lay in."""
    return clip.rpartition("/")[2]


def _labels(folder: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """{video: (labels, 2) valence and arousal}, as many as the shorter list has, and a note where they differ; at any
    depth, as archives unpack.

    Raises:
        ValueError: a list is none, is there twice with other numbers, or lacks its counterpart.
    """
    lists: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob("*.txt")):
        name = path.parent.name
        if name not in AFFECTS or path.name.startswith("."):
            continue
        first = lists.setdefault(path.stem, {}).setdefault(name, path)
        if first != path and first.read_bytes() != path.read_bytes():
            raise ValueError(
                f"aff_wild: {first} and {path} are two lists of one video; remove the one that is not meant"
            )
    found, uneven = {}, []
    for video, paths in lists.items():
        if absent := [name for name in AFFECTS if name not in paths]:
            there = next(iter(paths.values()))
            raise ValueError(f"aff_wild: {there} has no list of {absent[0]} beside it; unpack the annotations again")
        columns = [_numbers(paths[name]) for name in AFFECTS]
        count = min(map(len, columns))
        uneven += [f"{video} ({len(columns[0]):,} and {len(columns[1]):,})"] * (len(columns[0]) != len(columns[1]))
        found[video] = np.stack([column[:count] for column in columns], axis=1)
    told = f"valence and arousal have lists of other lengths, the shorter of which counts: {shortened(uneven)}"
    return found, [told] * bool(uneven)


def _numbers(path: Path) -> np.ndarray:
    try:
        return np.array([float(line) for line in text_of(path).split()])
    except ValueError as error:
        raise ValueError(f"aff_wild: {path} is no list of numbers, one a line ({shown(str(error))})") from error


def _labelled(found: PreparedFrames, labels: Mapping[str, np.ndarray], ledger: Ledger) -> datasets.Dataset:
    """The frames with their labels; those without go to the ledger."""
    names = [_name(clip) for clip in column_array(found.rows, CLIP).to_pylist()]
    frames = column_array(found.rows, FRAME).to_pylist()
    affects = np.full((len(names), len(AFFECTS)), np.nan)
    known = np.zeros(len(names), dtype=bool)
    for row, (name, frame) in enumerate(zip(names, frames, strict=True)):
        known[row] = name in labels and frame < len(labels[name])
        if known[row]:
            affects[row] = labels[name][frame]
    sound = (np.abs(affects) <= 1).all(axis=1)
    ids = column_array(found.rows, ID)
    ledger.leave_out(FOLDER, NO_ANNOTATION, ids.filter(pa.array(~known)).to_pylist())
    ledger.leave_out(FOLDER, NO_CODE, ids.filter(pa.array(known & ~sound)).to_pylist())
    kept = np.flatnonzero(known & sound)
    rows = selected(found.rows, kept)
    who = {name: column_array(rows, name) for name in (*RESERVED, FRAME)}
    clips = pa.array([names[row] for row in kept], pa.string())
    who |= {CLIP: clips, GROUP: clips, SOURCE: pa.array(["aff_wild"] * len(kept), pa.string())}
    number = datasets.Value("float32")
    columns = {name: (number, affects[kept, place]) for place, name in enumerate(AFFECTS)}
    return make_dataset(column_array(rows, "image"), columns, who)


def _counts_that_differ(found: PreparedFrames, labels: Mapping[str, np.ndarray]) -> list[str]:
    """A note on videos that have many more or fewer frames than labels, as another decoder may count."""
    differing = [
        f"{_name(clip)} ({count:,} frames, {len(labels[_name(clip)]):,} labels)"
        for clip, count in found.decoded.items()
        if _name(clip) in labels and abs(count - len(labels[_name(clip)])) > FEW_FRAMES
    ]
    return [f"frames and labels differ in number by more than {FEW_FRAMES}: {', '.join(differing)}"] * bool(differing)
