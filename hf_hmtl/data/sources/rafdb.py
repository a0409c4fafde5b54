"""RAF-DB, its basic subset: 15,339 faces in 7 expressions, each labelled by about 40 people.

Facts: datasets page, section 9. The codes are an order of their own, 1 surprise to 7 neutral.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import datasets

from hf_hmtl.data.identity import identity
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_CODE, NO_SPLIT, NOT_IN_TABLE, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree, names_in, walk
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._building import drift, images_of_paths, make_dataset, text_table
from hf_hmtl.data.splits import carve, class_counts
from hf_hmtl.parsing import text_of

LICENCE = "RAF-DB agreement: non-commercial research; images and labels must not be redistributed"
CITATION = (
    "Li, Deng and Du, Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the "
    "Wild, CVPR 2017"
)
HOMEPAGE = "http://www.whdeng.cn/RAF/model1.html"
NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")  # codes 1 .. 7
EXPECTED = {"train": 12_271, "test": 3_068}
IMAGES = ("aligned", "original")
LIST = "list_patition_label.txt"  # sic
REPACK_LISTS = {"train": "train_labels.csv", "test": "test_labels.csv"}

OTHER_IMAGES = Reason("other_images", "the same faces as they are not asked for: aligned or original (images)", True)

LAYOUTS = """RAF-DB is read as
  FOLDER/basic/EmoLabel/list_patition_label.txt
  FOLDER/basic/Image/aligned/train_00001_aligned.jpg  ...    and Image/original/train_00001.jpg  ...
or as it is passed on
  FOLDER/train_labels.csv  test_labels.csv                   columns image and label
  FOLDER/DATASET/train/<1 to 7>/train_00001_aligned.jpg  ... and test/ likewise
It cannot be downloaded: write to its authors, whdeng.cn/RAF/model1.html. Then type
  --data_dir FOLDER"""


def load(
    data_dir: str | Path | None = None,
    images: str = "aligned",
    validation_fraction: float = 0.1,
    allow_left_out: Sequence[str] = (),
) -> Source:
    """RAF-DB's training and test rows, which their names tell apart; a validation split is carved from the former.

    Args:
        data_dir: folder of either layout; None means ${HF_HMTL_DATA}/rafdb.
        images: "aligned", 100 x 100 pixels, or "original", the photographs in which the faces were found.
        validation_fraction: share of the training rows to select the best epoch on. 0 selects on the test rows, as most
            publications do, and reports them as validation.
        allow_left_out: names of reasons that may take a class, or more than a tenth of the images.

    Raises:
        FileNotFoundError: no folder, no list or none of those images in it.
        ValueError: an option out of its range, a line that names no code, or too much that would be left out.
    """
    if images not in IMAGES:
        raise ValueError(f"rafdb: images is {images!r}, allowed are {' and '.join(IMAGES)}")
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"rafdb: validation_fraction is {validation_fraction}, allowed is 0 <= fraction < 1")
    folder, ledger = resolve("rafdb", data_dir, LAYOUTS), Ledger(allow_left_out)
    tree = walk(folder)
    codes, lists, layout = _codes(tree)
    rows, notes = _rows(tree, codes, images, ledger), [f"layout: {layout}", f"{images} images"]
    for path, reason in (*tree.others, *tree.unread_tables):
        if path not in lists:
            ledger.leave_out(FOLDER, reason, [path])
    splits = datasets.DatasetDict({split: _dataset(tree, found) for split, found in rows.items()})
    counts = {split: class_counts(data, "emotion") for split, data in splits.items()}
    ledger.check(counts, {split: len(data) for split, data in splits.items()}, "rafdb")
    for split, data in splits.items():
        notes += drift("rafdb", split, {"rows": len(data)}, {"rows": EXPECTED[split]})
    if validation_fraction:
        splits["train"], validation = carve(splits["train"], "emotion", validation_fraction)
        splits = datasets.DatasetDict(train=splits["train"], validation=validation, test=splits["test"])
        notes.append(f"validation is a share of {validation_fraction:g} of the training rows, cut out by class")
    else:
        splits = datasets.DatasetDict(train=splits["train"], validation=splits["test"])
        notes.append("validation is the official test split: it selects the best epoch and is reported")
    return Source("rafdb", splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), ledger=ledger)


def _codes(tree: Tree) -> tuple[dict[str, str], set[str], str]:
    """{name of an image without suffix: code as text}, the lists, and what the layout is called."""
    official = next((path for path in tree.tables if path.split("/")[-1] == LIST), None)
    if official is not None:
        lines = text_of(tree.root / official).splitlines()
        return _of_lines(lines, tree.root / official), {official}, LIST
    found = {}
    for split, name in REPACK_LISTS.items():
        path = next((path for path in tree.tables if path.split("/")[-1] == name), None)
        if path is None:
            there = names_in(tree.root)
            raise FileNotFoundError(f"rafdb: {tree.root} holds neither {LIST} nor {name} (found: {there}).\n{LAYOUTS}")
        found[split] = path
    codes = {}
    for path in found.values():
        table = text_table(tree.root / path, ("image", "label"), "rafdb")
        codes |= {_plain(name): code.strip() for name, code in zip(table["image"], table["label"], strict=True)}
    return codes, set(found.values()), "class folders and two lists, as the data set is passed on"


def _of_lines(lines: list[str], path: Path) -> dict[str, str]:
    codes = {}
    for number, line in enumerate(lines, start=1):
        cells = line.split()
        if cells and len(cells) != 2:
            raise ValueError(f"rafdb: {path}, line {number}: {line[:60]!r}; needed are a name and a code")
        if cells:
            codes[_plain(cells[0])] = cells[1]
    return codes


def _plain(name: str) -> str:
    """The name that the lists, the aligned and the original image of a face have in common."""
    return Path(name.strip().replace("\\", "/")).stem.removesuffix("_aligned")


def _rows(tree: Tree, codes: dict[str, str], images: str, ledger: Ledger) -> dict[str, dict[str, int]]:
    """{split: {image file: code}}; what is left out goes to the ledger."""
    rows: dict[str, dict[str, int]] = {"train": {}, "test": {}}
    found, others = set(), []
    for path in tree.images:
        name = _plain(path)
        split = name.split("_")[0]
        if split not in rows:
            ledger.leave_out(FOLDER, NO_SPLIT, [path])
        elif (Path(path).stem == name) == (images == "aligned"):
            others.append(path)
        elif name not in codes:
            ledger.leave_out(split, NOT_IN_TABLE, [path])
        elif codes[name] not in map(str, range(1, len(NAMES) + 1)):
            ledger.leave_out(split, NO_CODE, [path])
            found.add(name)
        else:
            rows[split][path] = int(codes[name]) - 1
            found.add(name)
    ledger.leave_out(FOLDER, OTHER_IMAGES, others)
    for name in sorted(set(codes) - found):
        split = name.split("_")[0]
        ledger.leave_out(split if split in rows else FOLDER, MISSING_FILE, [name])
    if not any(rows.values()):
        raise FileNotFoundError(f"rafdb: {tree.root} holds none of the {images} images that the list names.\n{LAYOUTS}")
    return rows


def _dataset(tree: Tree, rows: dict[str, int]) -> datasets.Dataset:
    files = list(rows)
    columns = {"emotion": (datasets.ClassLabel(names=list(NAMES)), list(rows.values()))}
    paths = [os.path.join(tree.root, file) for file in files]
    return make_dataset(images_of_paths(paths), columns, identity("rafdb", files, files))
