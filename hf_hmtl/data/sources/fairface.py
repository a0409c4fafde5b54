"""FairFace: 97,698 faces with perceived gender, race and age, at two paddings; balanced over seven race groups.

Facts: datasets page, section 7. There is no public test split: validation is reported.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import datasets
from PIL import Image

from hf_hmtl.data.identity import identity
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_CODE, NO_SPLIT, NOT_IN_TABLE, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree, names_in, shortened, walk
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._building import drift, images_of_paths, make_dataset, text_table
from hf_hmtl.data.splits import class_counts

LICENCE = "cc-by-4.0"
CITATION = (
    "Kärkkäinen and Joo, FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age for Bias Measurement and "
    "Mitigation, WACV 2021, arXiv:1908.04913"
)
HOMEPAGE = "https://github.com/joojs/fairface"
GENDERS = ("Male", "Female")
RACES = ("East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian")
AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
CLASSES = {"gender": GENDERS, "race": RACES, "age": AGES}
EXPECTED = {"train": 86_744, "validation": 10_954}
LISTS = {"train": "fairface_label_train.csv", "validation": "fairface_label_val.csv"}
COLUMNS = ("file", "age", "gender", "race")
FOLDERS = {0.25: "fairface-img-margin025-trainval", 1.25: "fairface-img-margin125-trainval"}
SIDES = {0.25: 224, 1.25: 448}  # pixels
# dlib makes a chip of 1 + 2 * padding face widths: this share of the wide one is what the narrow one shows.
CROPS = {0.25: {"train": 1.0, "eval": 1.0}, 1.25: {"train": 3 / 7, "eval": 3 / 7}}

OTHER_PADDING = Reason("other_padding", "images of the other padding (padding)", expected=True)

# What spreadsheets make of the two ages that look like dates: 3-9 is shown as 9-Mar, 10-19 as 19-Oct, and in other
# countries and formats otherwise (issue 29 of dchen236/FairFace).
_DATES = {"3-9": ({3, 9}, {"mar", "mär", "mrz", "sep"}), "10-19": ({10, 19}, {"oct", "okt"})}

LAYOUTS = """FairFace is read as
  FOLDER/fairface_label_train.csv  fairface_label_val.csv
  FOLDER/train/<number>.jpg  FOLDER/val/<number>.jpg         or both in FOLDER/fairface-img-margin025-trainval/ and
                                                             FOLDER/fairface-img-margin125-trainval/
Images and lists are linked from github.com/joojs/fairface. Then type
  --data_dir FOLDER"""


def load(
    data_dir: str | Path | None = None, padding: float | None = None, allow_left_out: Sequence[str] = ()
) -> Source:
    """FairFace's train and val, as the splits train and validation: gender, race and age as perceived.

    Ages that a spreadsheet has turned into dates are mended, and counted in the notes; `service_test` is passed over.

    Args:
        data_dir: folder of images and lists; None means ${HF_HMTL_DATA}/fairface.
        padding: around the faces, 0.25 (224 pixels, the authors' own models) or 1.25 (448 pixels); None takes the one
            that is there, and 0.25 of both.
        allow_left_out: names of reasons that may take more than a tenth of the images.

    Raises:
        FileNotFoundError: no folder, no lists or no images of that padding in it.
        ValueError: another padding, a list with other columns, or too much that would be left out.
    """
    if padding not in (None, *FOLDERS):
        raise ValueError(f"fairface: padding is {padding!r}, allowed are {' and '.join(map(str, FOLDERS))}")
    folder, ledger = resolve("fairface", data_dir, LAYOUTS), Ledger(allow_left_out)
    tree = walk(folder)
    lists = _lists(tree)
    places = _places(tree)
    padding = padding or min(places)
    if padding not in places:
        there = " and ".join(map(str, sorted(places)))
        raise FileNotFoundError(f"fairface: {folder} holds no images of padding {padding}, but of {there}.\n{LAYOUTS}")
    notes = [
        f"padding {padding}, {SIDES[padding]} pixels in the release",
        "no public test split: validation is reported",
    ]
    splits, named = datasets.DatasetDict(), set()
    for split, file in lists.items():
        splits[split], files, found = _split(tree, file, places[padding], split, ledger)
        named |= files
        notes += found
        notes += drift("fairface", split, {"rows": len(splits[split])}, {"rows": EXPECTED[split]})
    _leave_out_the_rest(tree, places, padding, named | set(lists.values()), ledger)
    counts = {split: class_counts(data, "gender") for split, data in splits.items()}
    ledger.check(counts, {split: len(data) for split, data in splits.items()}, "fairface")
    return Source("fairface", splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), CROPS[padding], padding, ledger=ledger)


def _lists(tree: Tree) -> dict[str, str]:
    """{split: list}, the one that lies highest; repacks put them elsewhere."""
    found = {}
    for split, name in LISTS.items():
        paths = [path for path in tree.tables if path.split("/")[-1] == name]
        if not paths:
            there = names_in(tree.root)
            raise FileNotFoundError(f"fairface: {tree.root} holds no {name} (found: {there}).\n{LAYOUTS}")
        found[split] = min(paths, key=lambda path: path.count("/"))
    return found


def _places(tree: Tree) -> dict[float, str]:
    """{padding: prefix of the folder that holds train/ and val/}, by the folder's name, or by the size of an image."""
    found: dict[float, str] = {}
    for folder in sorted({"", *tree.folders}, key=lambda path: (path.count("/"), path)):
        prefix = f"{folder}/" if folder else ""
        first = next((path for path in tree.images if path.startswith((f"{prefix}train/", f"{prefix}val/"))), None)
        if first is not None:
            named = next((padding for padding, name in FOLDERS.items() if name in folder), None)
            found.setdefault(named or _padding_of(tree.root / first), prefix)
    if not found:
        there = names_in(tree.root)
        raise FileNotFoundError(
            f"fairface: {tree.root} holds no train/ and val/ with images (found: {there}).\n{LAYOUTS}"
        )
    return found


def _padding_of(path: Path) -> float:
    try:
        with Image.open(path) as image:
            return 1.25 if max(image.size) > (SIDES[0.25] + SIDES[1.25]) / 2 else 0.25
    except OSError:
        return 0.25


def _split(
    tree: Tree, file: str, prefix: str, split: str, ledger: Ledger
) -> tuple[datasets.Dataset, set[str], list[str]]:
    """The rows of one list whose image exists, the files that it names, and notes."""
    table = text_table(tree.root / file, COLUMNS, "fairface")
    images = set(tree.images)
    wanted = [prefix + name.strip().replace("\\", "/") for name in table["file"]]
    numbers, notes = {}, []
    for column, names in CLASSES.items():
        numbers[column], found = _numbers(table[column], names, column)
        notes += [f"{split}: {note}" for note in found]
    keep = []
    for row, name in enumerate(wanted):
        if name not in images:
            ledger.leave_out(split, MISSING_FILE, [name])
        elif numbers["gender"][row] < 0:
            ledger.leave_out(split, NO_CODE, [name])
        else:
            keep.append(row)
    columns = {
        column: (datasets.ClassLabel(names=list(names)), [numbers[column][row] for row in keep])
        for column, names in CLASSES.items()
    }
    files = [wanted[row] for row in keep]
    paths = [os.path.join(tree.root, name) for name in files]
    return make_dataset(images_of_paths(paths), columns, identity("fairface", files, files)), set(wanted), notes


def _numbers(cells: list[str], names: Sequence[str], column: str) -> tuple[list[int], list[str]]:
    """The class of each cell, -1 where it is none, and notes on those mended and those without one."""
    known = {_plain(name): number for number, name in enumerate(names)}
    numbers, mended, unknown = [], Counter(), Counter()
    for cell in cells:
        name = _plain(cell)
        if name not in known and column == "age" and (age := _age_of_date(cell)):
            mended[f"{cell} to {age}"] += 1
            name = age
        numbers.append(known.get(name, -1))
        if name not in known:
            unknown[cell] += 1
    notes = [f"{count:,} ages that a spreadsheet made dates of are mended: {how}" for how, count in mended.items()]
    if unknown:
        notes.append(f"{sum(unknown.values()):,} rows have no {column}: {shortened(map(repr, unknown))}")
    return numbers, notes


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", " ", text.replace("–", "-")).strip().lower()


def _age_of_date(cell: str) -> str | None:
    """The age that a spreadsheet has shown as a date; None where it shows no such date."""
    words = set(re.findall(r"[^\W\d_]{3,}", cell.lower()))
    days = {int(number) for number in re.findall(r"\d+", cell) if int(number) < 32}
    for age, (numbers, months) in _DATES.items():
        month = any(word.startswith(name) for word in words for name in months)
        if (month and days & numbers) or (not words and numbers <= days):
            return age
    return None


def _leave_out_the_rest(tree: Tree, places: dict[float, str], padding: float, used: set[str], ledger: Ledger) -> None:
    others = tuple(prefix for other, prefix in places.items() if other != padding and prefix)
    prefix = places[padding]
    for path in tree.images:
        if path in used:
            continue
        split = {"train": "train", "val": "validation"}.get(path.removeprefix(prefix).split("/")[0])
        if others and path.startswith(others):
            ledger.leave_out(FOLDER, OTHER_PADDING, [path])
        elif path.startswith(prefix) and split:
            ledger.leave_out(split, NOT_IN_TABLE, [path])
        else:
            ledger.leave_out(FOLDER, NO_SPLIT, [path])
    for path, reason in (*tree.others, *tree.unread_tables):
        if path not in used:
            ledger.leave_out(FOLDER, reason, [path])
