"""AFEW-VA: 600 clips of films, valence and arousal of every frame in whole numbers from -10 to 10, here from -1 to 1.

Facts: datasets page, section 3. An actor plays in several clips, so folds go by actor.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from hf_hmtl.data import crops
from hf_hmtl.data.identity import identity, of_clips
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_ANNOTATION, NO_BOX, NO_CODE, NOT_IN_TABLE, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree, names_in, walk
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._building import drift, images_of_paths, in_first_fold, make_dataset
from hf_hmtl.data.sources._landmarks import box_of, checked_margin
from hf_hmtl.parsing import read_json

LICENCE = "AFEW-VA terms (iBUG): research only; frames and labels must not be redistributed"
CITATION = (
    "Kossaifi, Tzimiropoulos, Todorovic and Pantic, AFEW-VA database for valence and arousal estimation in-the-wild, "
    "Image and Vision Computing 65, 2017"
)
HOMEPAGE = "https://ibug.doc.ic.ac.uk/resources/afew-va-database/"
CLIPS, FOLDS = 600, 10
LARGEST = 10.0
"""What the labels are divided by, as the errors of Table 9 (0.22 to 0.27) and of the data set's own paper imply."""
GROUPS = ("actor", "clip")

COPY = Reason("copy", "further copies of the same clips and frames", expected=True)
CROPPED = Reason("cropped", "cropped copies of the frames", expected=True)

LAYOUTS = """AFEW-VA is read as
  FOLDER/001/00000.png  00001.png  ...  001.json             one folder a clip, at any depth
It cannot be downloaded without an agreement: ibug.doc.ic.ac.uk/resources/afew-va-database. Then type
  --data_dir FOLDER"""


def load(
    data_dir: str | Path | None = None,
    group: str = "actor",
    margin: float = 0.25,
    allow_left_out: Sequence[str] = (),
) -> Source:
    """Every frame of AFEW-VA: valence and arousal from -1 to 1, the clip and its frame, and the face's box.

    It has no division of its own: train, validation and test are those of the first of ten folds, and
    `source.fold: [k, 10]` takes another.

    Args:
        data_dir: folder of the clips; None means ${HF_HMTL_DATA}/afew_va.
        group: "actor", so that nobody is in two folds, or "clip", which knows actors again; the paper does not say.
        margin: of the square around the landmarks, as a share of its longer side; AFEW-VA gives no boxes.
        allow_left_out: names of reasons that may take more than a tenth of the frames.

    Raises:
        FileNotFoundError: no folder, or no clip of AFEW-VA in it.
        ValueError: an option out of its range, a file of labels that is none, fewer than three groups, or too much that
            would be left out.
    """
    if group not in GROUPS:
        raise ValueError(f"afew_va: group is {group!r}, allowed are {' and '.join(GROUPS)}")
    margin = checked_margin("afew_va", margin)
    folder, ledger = resolve("afew_va", data_dir, LAYOUTS), Ledger(allow_left_out)
    tree = walk(folder)
    clips, copies = _clips(tree)
    for path, reason in (*tree.others, *tree.unread_tables):
        if path not in clips.values():
            ledger.leave_out(FOLDER, COPY if path.rpartition("/")[0] in copies else reason, [path])
    rows = _rows(tree, clips, copies, margin, ledger)
    if not rows["file"]:
        there = names_in(tree.root)
        raise FileNotFoundError(f"afew_va: {tree.root} holds no clip of AFEW-VA (found: {there}).\n{LAYOUTS}")
    number = datasets.Value("float32")
    columns = {name: (number, np.array(rows[name]) / LARGEST) for name in ("valence", "arousal")}
    columns[crops.BOX] = (crops.FEATURES[crops.BOX], rows["box"])
    who = identity("afew_va", rows["file"], rows["file"], rows[group]) | of_clips(rows["clip"], rows["frame"])
    every = make_dataset(images_of_paths([os.path.join(tree.root, file) for file in rows["file"]]), columns, who)
    ledger.check({}, {FOLDER: len(every)}, "afew_va")
    found = {"clips": len(set(rows["clip"]))}
    notes = [f"groups: {group}s", f"valence and arousal are divided by {LARGEST:g}"]
    notes += drift("afew_va", "all", found, {"clips": CLIPS})
    splits, note = in_first_fold("afew_va", every, FOLDS)
    return Source("afew_va", splits, LICENCE, CITATION, HOMEPAGE, (*notes, note), ledger=ledger)


def _clips(tree: Tree) -> tuple[dict[str, str], set[str]]:
    """{folder of a clip: its file of labels}, which is called as the folder; and folders of further copies."""
    found: dict[str, str] = {}
    copies, names = set(), set()
    for path in tree.tables:
        place, _, name = path.rpartition("/")
        clip = place.rpartition("/")[2]
        if not clip or name.lower() != f"{clip}.json".lower():
            continue
        if clip in names:
            copies.add(place)
        else:
            found[place] = path
            names.add(clip)
    return found, copies


def _rows(
    tree: Tree, clips: Mapping[str, str], copies: Collection[str], margin: float, ledger: Ledger
) -> dict[str, list]:
    """{file, clip, frame, actor, valence, arousal, box: one a frame}; what is left out goes to the ledger."""
    rows: dict[str, list] = {name: [] for name in ("file", "clip", "frame", "actor", "valence", "arousal", "box")}
    images: dict[str, dict[str, str]] = {}
    for path in tree.images:
        place, _, name = path.rpartition("/")
        if place in copies or os.path.splitext(name)[0] in images.get(place, ()):
            ledger.leave_out(FOLDER, COPY, [path])
        elif place in clips:
            images.setdefault(place, {})[os.path.splitext(name)[0]] = path
        else:
            ledger.leave_out(FOLDER, CROPPED if place.endswith("_cropped") else NOT_IN_TABLE, [path])
    for place, path in clips.items():
        content = _read(tree.root / path)
        for name, labels in sorted(content["frames"].items()):
            file = images.get(place, {}).pop(name, None)
            reason, found = _frame(name, file, labels, margin)
            if reason is not None:
                ledger.leave_out(FOLDER, reason, [file or f"{place}/{name}"])
                continue
            found |= {"file": file, "clip": place.rsplit("/", 1)[-1], "actor": str(content["actor"])}
            for column, value in found.items():
                rows[column].append(value)
        ledger.leave_out(FOLDER, NO_ANNOTATION, sorted(images.get(place, {}).values()))
    return rows


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(f"afew_va: {error}; unpack its part of the data set again") from error
    if not isinstance(content, dict) or not isinstance(content.get("frames"), dict) or "actor" not in content:
        raise ValueError(f"afew_va: {path} has no `actor` and `frames`, as a clip's file of labels has")
    return content


def _frame(name: str, file: str | None, labels: Any, margin: float) -> tuple[Reason | None, dict[str, Any]]:
    """Why a frame is left out, or None, and what is known of it."""
    if file is None:
        return MISSING_FILE, {}
    try:
        numbers = {label: float(labels[label]) for label in ("valence", "arousal")}
        number = int(name)
    except (KeyError, TypeError, ValueError):
        return NO_ANNOTATION, {}
    if not all(abs(value) <= LARGEST for value in numbers.values()):
        return NO_CODE, {}
    box = box_of(labels.get("landmarks") or [], margin)
    return (NO_BOX, {}) if box is None else (None, numbers | {"frame": number, "box": box})
