"""JAFFE: 213 photographs of ten Japanese women in seven expressions, 256 x 256 pixels in shades of gray.

Facts: datasets page, section 5. Everything stands in a file's name: KA.AN1.39.tiff is person KA, angry, take 1, the
39th photograph.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import datasets

from hf_hmtl.data.identity import identity
from hf_hmtl.data.ledger import FOLDER, NO_CODE, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree, names_in, walk
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._building import drift, images_of_paths, in_first_fold, make_dataset
from hf_hmtl.data.splits import class_counts

LICENCE = "JAFFE terms: non-commercial scientific research; images must not be redistributed"
CITATION = (
    "Lyons, Akamatsu, Kamachi and Gyoba, Coding Facial Expressions with Gabor Wavelets, FG 1998, arXiv:2009.05938"
)
HOMEPAGE = "https://zenodo.org/records/3451524"
CODES = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness",
         "SU": "surprise"}  # fmt: skip
NAMES = tuple(CODES.values())
EXPECTED = dict(zip(NAMES, (30, 29, 32, 31, 30, 31, 30), strict=True))  # 213
PEOPLE = 10

COPY = Reason("copy", "further copies of the same photographs", expected=True)
_NAME = re.compile(rf"\s*([A-Z]{{2}})\.({'|'.join(CODES)})(\d*)\.(\d+)(?!\d)", re.IGNORECASE)
_ORIGINAL = (".tiff", ".tif")

LAYOUTS = """JAFFE is read as
  FOLDER/jaffe/KA.AN1.39.tiff  KA.AN2.40.tiff  ...           at any depth, in any format, under these names
It cannot be downloaded without a form: zenodo.org/records/3451524. Then type
  --data_dir FOLDER"""


def load(data_dir: str | Path | None = None, allow_left_out: Sequence[str] = ()) -> Source:
    """JAFFE's photographs, their expression and, as the group, their person.

    It has no division of its own: train, validation and test are those of the first of ten folds, one person each, and
    `source.fold: [k, 10]` takes another.

    Args:
        data_dir: folder of the images; None means ${HF_HMTL_DATA}/jaffe.
        allow_left_out: names of reasons that may take a class, or more than a tenth of the images.

    Raises:
        FileNotFoundError: no folder, or no photograph of JAFFE in it.
        ValueError: fewer than three persons, or too much that would be left out.
    """
    folder, ledger = resolve("jaffe", data_dir, LAYOUTS), Ledger(allow_left_out)
    tree = walk(folder)
    rows = _rows(tree, ledger)
    for path, reason in (*tree.others, *tree.unread_tables):
        ledger.leave_out(FOLDER, reason, [path])
    files = list(rows)
    people, labels = ([row[place] for row in rows.values()] for place in (0, 1))
    columns = {"emotion": (datasets.ClassLabel(names=list(NAMES)), labels)}
    paths = [os.path.join(tree.root, file) for file in files]
    every = make_dataset(images_of_paths(paths), columns, identity("jaffe", files, files, people))
    counts = class_counts(every, "emotion")
    ledger.check({FOLDER: counts}, {FOLDER: len(every)}, "jaffe")
    notes = drift("jaffe", "all", counts | {"persons": len(set(people))}, EXPECTED | {"persons": PEOPLE})
    splits, note = in_first_fold("jaffe", every, PEOPLE)
    return Source("jaffe", splits, LICENCE, CITATION, HOMEPAGE, (*notes, note), ledger=ledger)


def _rows(tree: Tree, ledger: Ledger) -> dict[str, tuple[str, int]]:
    """{image file: (person, class)}; what is left out goes to the ledger."""
    rows: dict[str, tuple[str, int]] = {}
    seen = set()
    for path in sorted(tree.images, key=lambda path: not path.lower().endswith(_ORIGINAL)):  # copies come second
        found = _NAME.match(path.rsplit("/", 1)[-1])
        if found is None:
            ledger.leave_out(FOLDER, NO_CODE, [path])
            continue
        person, code, take, number = (part.upper() for part in found.groups())
        if (person, code, take, number) in seen:
            ledger.leave_out(FOLDER, COPY, [path])
            continue
        seen.add((person, code, take, number))
        rows[path] = (person, NAMES.index(CODES[code]))
    if not rows:
        there = names_in(tree.root)
        raise FileNotFoundError(f"jaffe: {tree.root} holds no photograph of JAFFE (found: {there}).\n{LAYOUTS}")
    return dict(sorted(rows.items()))
