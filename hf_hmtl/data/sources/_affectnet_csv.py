"""AffectNet's full CSV release: lists of 9 columns, in three placements, with or without a header.

Facts: datasets page, section 1a.
"""

import math
import os
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from hf_hmtl.data.own_faces.tree import Tree
from hf_hmtl.parsing import shown

COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
USED = ("subDirectory_filePath", "expression", "valence", "arousal")
LISTS = {"train": "training.csv", "validation": "validation.csv"}
LIST_FOLDERS = ("Manually_Annotated_file_lists", "label", ".")
IMAGE_FOLDER = "Manually_Annotated_Images"


def find_csv(folder: Path) -> dict[str, tuple[Path, list[Path]]] | None:
    """{split: (list, image folders)}, or None where this is no CSV release.

    Lists stand in `Manually_Annotated_file_lists/`, in `label/` or beside the image folder, and unpacking often
    doubles a folder; images are then looked for in both, the inner one first.

    Raises:
        FileNotFoundError: the lists are there, the image folder is not.
    """
    bases = (folder, folder / "Manually_Annotated", folder / IMAGE_FOLDER)
    doubled = (f"{IMAGE_FOLDER}/{IMAGE_FOLDER}", IMAGE_FOLDER)
    images = [base / name for base, name in product(bases, doubled) if (base / name).is_dir()]
    for base, name in product(bases, LIST_FOLDERS):
        for place in (base / name / name, base / name):
            if all((place / file).is_file() for file in LISTS.values()):
                if not images:
                    raise FileNotFoundError(
                        f"affectnet: {place} holds the lists, but there is no {IMAGE_FOLDER}/ in {folder}. Unpack the "
                        "image archive there"
                    )
                return {split: (place / file, list(dict.fromkeys(images))) for split, file in LISTS.items()}
    return None


def read_csv(place: tuple[Path, list[Path]], existing: dict[str, str]) -> dict:
    """The rows of one list whose image exists: paths, codes, valence, arousal, and the names of missing files.

    Args:
        place: the list and the image folders.
        existing: the images, as `images_of` gives them.

    Raises:
        ValueError: the list has other columns.
        FileNotFoundError: every image is missing.
    """
    file, image_folders = place
    table = _table(file)
    relative = [path.strip().replace("\\", "/") for path in table["subDirectory_filePath"].to_pylist()]
    rows = [row for row, path in enumerate(relative) if path in existing]
    if not rows:
        raise FileNotFoundError(
            f"affectnet: none of the {len(relative):,} images of {file} is in {image_folders[0]}; the first is "
            f"{relative[0] if relative else 'absent: the list is empty'}. Unpack all parts of the image archive there"
        )
    values = {name: table[name].to_pylist() for name in USED[1:]}
    codes = [_number(values["expression"][row]) for row in rows]
    return {
        "paths": [existing[relative[row]] for row in rows],
        "codes": [int(code) if code.is_integer() else None for code in codes],
        "valence": [_number(values["valence"][row]) for row in rows],
        "arousal": [_number(values["arousal"][row]) for row in rows],
        "missing": [path for path in relative if path not in existing],
    }


def _table(file: Path):
    """The used columns as text: types are mixed, and training.csv has a header where validation.csv has none."""
    with open(file, encoding="utf-8-sig", errors="replace") as lines:
        first = [cell.strip().strip('"') for cell in next(lines, "").rstrip("\r\n").split(",")]
    has_header = first[0] == COLUMNS[0]
    absent = [name for name in USED if name not in first] if has_header else []
    if absent or (not has_header and len(first) != len(COLUMNS)):
        raise ValueError(
            f"affectnet: {file} begins with {', '.join(first)[:120]!r}; expected are the {len(COLUMNS)} columns "
            f"{', '.join(COLUMNS)}, with or without this header"
        )
    reading = pyarrow.csv.ReadOptions(column_names=first if has_header else COLUMNS, skip_rows=int(has_header))
    as_text = pyarrow.csv.ConvertOptions(
        include_columns=USED, column_types=dict.fromkeys(USED, pyarrow.string()), strings_can_be_null=False
    )
    try:
        return pyarrow.csv.read_csv(file, read_options=reading, convert_options=as_text)
    except pa.ArrowException as error:
        raise ValueError(f"affectnet: {file} is no such list ({shown(str(error))})") from error


def images_of(tree: Tree, image_folders: list[Path]) -> dict[str, str]:
    """{path in the image folder: absolute path} of the images; of two in doubled folders the inner one's."""
    found: dict[str, str] = {}
    for folder in image_folders:
        prefix, above = f"{os.path.relpath(folder, tree.root)}/".replace(os.sep, "/"), os.path.abspath(folder)
        here = {
            path[len(prefix) :]: f"{above}/{path[len(prefix) :]}" for path in tree.images if path.startswith(prefix)
        }
        found = here | found
    return found


def _number(text: str) -> float:
    """A number written as 1, 1.0 or '1'; NaN for anything else, which the caller counts."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
