"""AffectNet: both official releases, the full CSV one and the npy one of March 2021.

Facts: datasets page, sections 1a (CSV), 1b (npy), 1d (repacks), 1e (protocols), 13.10 (crops).
"""

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets

from hf_hmtl.data.identity import identity
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_CODE, NOT_IN_TABLE, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree, walk
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._affectnet_csv import IMAGE_FOLDER, find_csv, images_of, read_csv
from hf_hmtl.data.sources._affectnet_npy import find_npy, read_npy
from hf_hmtl.data.sources._building import drift, images_of_paths, make_dataset
from hf_hmtl.data.splits import class_counts

LICENCE = "AffectNet agreement: research use by the lab that signed it; images and lists must not be redistributed"
CITATION = (
    "Mollahosseini, Hasani and Mahoor, AffectNet: A Database for Facial Expression, Valence, and Arousal Computing "
    "in the Wild, IEEE Transactions on Affective Computing 2017, arXiv:1708.03985"
)
HOMEPAGE = "https://www.mohammadmahoor.com/affectnet"
EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")  # codes 0 .. 7
NONE = 8  # no expression of the eight, but valence and arousal are real
CODES = (*EMOTIONS, "none", "uncertain", "non-face")  # codes 0 .. 10

TRAIN_COUNTS = (74_874, 134_415, 25_459, 14_090, 6_378, 3_803, 24_882, 3_750, 33_088, 11_645, 82_415)
EXPECTED = {
    "csv": {
        "train": dict(zip(CODES, TRAIN_COUNTS, strict=True)),
        "validation": dict.fromkeys(CODES, 500),
    },
    "npy": {
        "train": dict(zip(EMOTIONS, TRAIN_COUNTS, strict=False)),
        "validation": {**dict.fromkeys(EMOTIONS, 500), "contempt": 499},
    },
}
OF_CODE = {
    code: Reason(name.replace("-", "_"), f"rows of code {code} ({name})", expected=True)
    for code, name in enumerate(CODES)
    if code >= NONE
}

AUTOMATIC = Reason("automatic", "images of the automatically annotated part", expected=True)
DOUBLED = Reason("doubled", "images that stand in the inner one of two doubled folders as well", expected=True)

# The authors' central crops suit the margin around the faces of the CSV release; the npy release is cropped already.
CROPS = {"csv": {"train": 0.69, "eval": 0.80}, "npy": {"train": 1.0, "eval": 1.0}}

LAYOUTS = """AffectNet is read in its two official releases:
  FOLDER/Manually_Annotated_Images/<number>/<hash>.jpg    with training.csv and validation.csv in
  FOLDER/Manually_Annotated_file_lists/, FOLDER/label/, or FOLDER/ itself
or
  FOLDER/train_set/images/<id>.jpg     FOLDER/train_set/annotations/<id>_exp.npy _val.npy _aro.npy
  FOLDER/val_set/images, annotations   likewise
It cannot be downloaded: a professor or head of a lab signs the agreement at mohammadmahoor.com/affectnet (students
through their supervisor) and receives the archives. Unpack them into FOLDER and type
  --data_dir FOLDER"""


@dataclass(frozen=True)
class Rows:
    """What a release says of the rows of one split, before any is left out: lists of one length.

    `missing` has the names of those whose image or label file does not exist, which are in no list. `unlisted` has the
    paths of files among the images that no row can have.
    """

    paths: list[str]
    codes: list[int | None]
    valence: list[float]
    arousal: list[float]
    missing: list[str]
    unlisted: Sequence[str] = ()


def load(
    data_dir: str | Path | None = None,
    with_none: bool = False,
    upstream_filter: bool = False,
    with_uncertain: bool = False,
    allow_left_out: Sequence[str] = (),
) -> Source:
    """AffectNet's official training and validation rows; there is no public test split, so validation is reported.

    Columns: image (a path), emotion (8 classes, -1 for codes 8 and 9), valence and arousal (NaN where the lists have -2
    or any number outside -1 .. 1). Code 10 (non-face) is left out, and so is 9 (uncertain) unless asked for.

    Args:
        data_dir: folder of either release; None means ${HF_HMTL_DATA}/affectnet.
        with_none: keep code 8, which has valence and arousal but no emotion (the dimensional protocol, codes 0-8).
        with_uncertain: keep codes 8 and 9: every row that shows a face, for self-supervised training (section 4.3).
        upstream_filter: leave out .tif and .bmp from training and .tif from validation, as the authors' code did.
        allow_left_out: names of reasons that may take more than a tenth of the rows.

    Raises:
        FileNotFoundError: no folder, no official layout in it, or every image file is missing.
        ValueError: the folder is a repack with other labels, a list has other columns, or more than a tenth of the
            images are missing, or are named by neither list.
    """
    folder, ledger = resolve("affectnet", data_dir, LAYOUTS), Ledger(allow_left_out)
    if found := find_csv(folder):
        layout, tree = "csv", walk(folder)
        images = images_of(tree, found["train"][1])
        rows = {split: Rows(**read_csv(place, images)) for split, place in found.items()}
        _leave_out_unlisted(tree, [file for file, _ in found.values()], rows, ledger)
    elif found := find_npy(folder):
        layout = "npy"
        rows = {split: Rows(**read_npy(place)) for split, place in found.items()}
    else:
        refuse_repack(folder)
        names = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise FileNotFoundError(f"affectnet: {folder} holds no official release (found: {names}).\n{LAYOUTS}")
    notes = [f"layout: {layout} release ({found['train']})", "no public test split: validation is reported"]
    splits = datasets.DatasetDict()
    highest = NONE + 1 if with_uncertain else NONE if with_none else NONE - 1
    for split, of_split in rows.items():
        counts = {CODES[code]: number for code, number in Counter(of_split.codes).items() if code in range(len(CODES))}
        notes += drift("affectnet", split, counts, EXPECTED[layout][split])
        splits[split], found_out = _dataset(split, of_split, highest, upstream_filter, os.path.abspath(folder), ledger)
        notes += found_out
    counts = {split: class_counts(data, "emotion") for split, data in splits.items()}
    ledger.check(counts, {split: len(data) for split, data in splits.items()}, "affectnet")
    return Source("affectnet", splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), CROPS[layout], ledger=ledger)


def _leave_out_unlisted(tree: Tree, lists: list[Path], rows: dict[str, Rows], ledger: Ledger) -> None:
    """The files of the CSV release that no row of either list names go to the ledger."""
    above = len(str(tree.root)) + 1
    used = {path[above:] for of_split in rows.values() for path in of_split.paths}
    unused = [path for path in tree.images if path not in used]
    names = {path.split(f"{IMAGE_FOLDER}/")[-1] for path in used} if unused else set()
    left_out: dict[Reason, list[str]] = {}
    for path in unused:
        automatic = "automatically_annotated" in path.lower()
        doubled = path.split(f"{IMAGE_FOLDER}/")[-1] in names
        left_out.setdefault(AUTOMATIC if automatic else DOUBLED if doubled else NOT_IN_TABLE, []).append(path)
    read = {os.path.abspath(file)[above:] for file in lists}
    for path, reason in (*tree.others, *tree.unread_tables):
        if path not in read:
            left_out.setdefault(reason, []).append(path)
    for reason, paths in left_out.items():
        ledger.leave_out(FOLDER, reason, paths)


def refuse_repack(folder: Path) -> None:
    """Say why a repack is not AffectNet: its labels or rows differ, so no score on it compares with published ones.

    Raises:
        ValueError: the folder looks like AffectNet+, or like one of the repacks with class folders or labels.csv.
    """
    reason = None
    if (folder / "human_annotated").is_dir():
        reason = "AffectNet+ (one JSON an image), which has other labels and is not read"
    elif (folder / "labels.csv").is_file():
        reason = "the 96 x 96 repack, whose labels a model made and whose monochrome images were removed"
    else:
        for parent in (folder, folder / "train", folder / "Train"):
            names = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
            classes = [name for name in names if name.lower().split("-")[-1].strip() in _FOLDER_NAMES]
            if len(classes) >= 3:
                reason = f"a repack in class folders ({', '.join(sorted(classes)[:3])}, ...) in an order of its own"
                break
        if reason is None and any(folder.rglob("*.parquet")):
            reason = "a repack as parquet files (the known one has 27,823 images and 7 classes in another order)"
    if reason:
        raise ValueError(
            f"affectnet: {folder} looks like {reason}. Scores on it do not compare with AffectNet's. To train on it "
            f"all the same, with its own names, use the source 'custom'.\n{LAYOUTS}"
        )


_FOLDER_NAMES = {*EMOTIONS, "angry", "happiness", "sadness", "surprised", "fearful", "disgusted", *map(str, range(8))}


def _dataset(
    split: str, rows: Rows, highest: int, upstream_filter: bool, folder: str, ledger: Ledger
) -> tuple[datasets.Dataset, list[str]]:
    """The rows up to the highest code, and notes; the others go to the ledger."""
    unread = (".tif", ".bmp") if split == "train" else (".tif",)
    suffixes = Reason("upstream_filter", f"rows with {' or '.join(unread)} in their path (upstream_filter)", True)
    ledger.leave_out(split, MISSING_FILE, rows.missing)
    ledger.leave_out(split, NOT_IN_TABLE, [_relative(path, folder) for path in rows.unlisted])
    left_out: dict[Reason, list[str]] = {}
    keep = []
    for row, (path, code) in enumerate(zip(rows.paths, rows.codes, strict=True)):
        if code not in range(len(CODES)):
            left_out.setdefault(NO_CODE, []).append(path)
        elif code > highest:
            left_out.setdefault(OF_CODE[code], []).append(path)
        elif upstream_filter and any(suffix in path for suffix in unread):
            left_out.setdefault(suffixes, []).append(path)
        else:
            keep.append(row)
    for reason, paths in left_out.items():
        ledger.leave_out(split, reason, [_relative(path, folder) for path in paths])
    notes = []
    emotions = [code if code < NONE else -1 for code in (rows.codes[row] for row in keep)]
    columns = {"emotion": (datasets.ClassLabel(names=list(EMOTIONS)), emotions)}
    for name, values in (("valence", rows.valence), ("arousal", rows.arousal)):
        kept = [_in_range(values[row]) for row in keep]
        columns[name] = (datasets.Value("float32"), kept)
        if missing := sum(map(math.isnan, kept)):
            notes.append(f"{split}: {missing:,} rows have no {name}")
    paths = [rows.paths[row] for row in keep]
    files = [_relative(path, folder) for path in paths]
    return make_dataset(images_of_paths(paths), columns, identity("affectnet", files, files)), notes


def _relative(path: str, folder: str) -> str:
    return path.removeprefix(folder).lstrip(os.sep).replace(os.sep, "/")


def _in_range(value: float) -> float:
    return value if -1 <= value <= 1 else math.nan
