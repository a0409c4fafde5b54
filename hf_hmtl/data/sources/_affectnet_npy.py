"""AffectNet's npy release of March 2021: one image and four small .npy files a face.

Facts: datasets page, section 1b. Opening a million files takes minutes, so the labels are kept in an index.
"""

import io
import json
import logging
import math
import os
from pathlib import Path
from tokenize import TokenError

import numpy as np
import pyarrow as pa
from tqdm.auto import tqdm

from hf_hmtl.data.sources._index import indexed
from hf_hmtl.parsing import shown

FOLDERS = {"train": "train_set", "validation": "val_set"}
LABELS = {"code": "exp", "valence": "val", "arousal": "aro"}

logger = logging.getLogger(__name__)


def find_npy(folder: Path) -> dict[str, Path] | None:
    """{split: folder with images/ and annotations/}, or None where this is no npy release.

    Folders may be doubled, and the training archive may have been unpacked without its `train_set/`.

    Raises:
        FileNotFoundError: only one of the two splits is there.
    """
    candidates = {split: [folder / name / name, folder / name] for split, name in FOLDERS.items()}
    candidates["train"].append(folder)
    found = {}
    for split, places in candidates.items():
        for place in places:
            if split not in found and all((place / part).is_dir() for part in ("images", "annotations")):
                found[split] = place
    if len(found) == 1:
        absent = next(split for split in FOLDERS if split not in found)
        raise FileNotFoundError(
            f"affectnet: {folder} holds the npy release without its {absent} split. Unpack that archive into "
            f"{folder / FOLDERS[absent]}, so that {FOLDERS[absent]}/images and {FOLDERS[absent]}/annotations exist"
        )
    return found or None


def read_npy(place: Path) -> dict:
    """The rows of one split with image and labels: paths, codes, valence, arousal, the names that lack either, and the
    files among the images that no row can have.

    Raises:
        FileNotFoundError: there is no image with labels.
    """
    index = _index(place)
    if len(index["file"]) == 0:
        raise FileNotFoundError(
            f"affectnet: {place} holds no image with its labels; expected are images/0.jpg with "
            "annotations/0_exp.npy, 0_val.npy and 0_aro.npy. Unpack the archive again"
        )
    return {
        "paths": [os.path.join(os.path.abspath(place), "images", name) for name in index["file"]],
        "codes": index["code"],
        "valence": index["valence"],
        "arousal": index["arousal"],
        "missing": index["missing"],
        "unlisted": index["unlisted"],
    }


def _index(place: Path) -> dict:
    """Labels of a split. Their index belongs to the folder's path, the modification times of its two parts and the
    number of images."""
    found = [entry.name for entry in os.scandir(place / "images")]
    names = sorted((name for name in found if name.endswith(".jpg")), key=_order)
    times = [(place / part).stat().st_mtime_ns for part in ("images", "annotations")]
    facts = (str(place.resolve()), times, len(names))
    table = indexed("affectnet-npy-2", facts, lambda: _read_labels(place, names))
    unlisted = [os.path.join(place, "images", name) for name in sorted(set(found).difference(names))]
    return {**table.to_pydict(), "missing": json.loads(table.schema.metadata[b"missing"]), "unlisted": unlisted}


def _read_labels(place: Path, names: list[str]) -> pa.Table:
    columns: dict[str, list] = {"file": [], **{column: [] for column in LABELS}}
    there = {entry.name for entry in os.scandir(place / "annotations")}
    labelled = {f"{name.removesuffix('_exp.npy')}.jpg" for name in there if name.endswith("_exp.npy")}
    for name in tqdm(names, desc=f"AffectNet: first reading of {place.name}", disable=None):
        files = {column: f"{name[:-4]}_{ending}.npy" for column, ending in LABELS.items()}
        if there.issuperset(files.values()):
            columns["file"].append(name)
            for column, file in files.items():
                number = _label(place / "annotations" / file)
                is_code = column == "code"
                columns[column].append((int(number) if number.is_integer() else None) if is_code else number)
    missing = sorted(labelled.union(names).difference(columns["file"]), key=_order)
    return pa.table(columns, schema=_SCHEMA).replace_schema_metadata({"missing": json.dumps(missing)})


_SCHEMA = pa.schema([("file", pa.string()), ("code", pa.int64()), ("valence", pa.float64()), ("arousal", pa.float64())])


def _label(file: Path) -> float:
    """The number in a .npy file: the release stores text of no dimension, array('-0.392238', '<U9')."""
    try:
        return float(_array(file.read_bytes()).reshape(-1)[0])
    except (ValueError, TypeError, IndexError, SyntaxError, TokenError) as error:  # what numpy raises of headers
        logger.warning("affectnet: %s holds no number (%s): the label counts as missing", file, shown(str(error)))
        return math.nan


def _array(content: bytes) -> np.ndarray:
    """The array of a .npy file, as numpy's own reader gives it, but nothing is allocated that is not there.

    Raises:
        ValueError, TypeError, SyntaxError, TokenError: it is none, holds objects (a pickle), or less than it says.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read_header(file)
    if kind.itemsize * math.prod(shape) > len(content):
        raise ValueError(f"{len(content)} bytes, and {shape} of {kind} are said to be there")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _order(name: str) -> tuple[int, str]:
    """Numeric ids by their number, anything else by name."""
    stem = name[:-4]
    return (int(stem), name) if stem.isdecimal() else (-1, name)
