"""FER+: the images of FER2013 with the votes of ten people each, in 8 expressions.

Facts: datasets page, section 8. Its order of the classes is neither FER2013's nor AffectNet's.

The authors' reader keeps rows whose leading class is below `emotion_count - 2`, with an `emotion_count` of 8 that no
longer counts "unknown" and "no face": it leaves out, without a word, every row that shows fear or contempt. They are
kept here, so counts and scores differ from those of that code.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from hf_hmtl.data.identity import identity
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_SPLIT, NOT_IN_TABLE, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree, names_in, walk
from hf_hmtl.data.sources import DATA_ROOT, SPLITS, Source, fer2013, resolve
from hf_hmtl.data.sources._building import csv_rows, drift, make_dataset
from hf_hmtl.data.sources._votes import NO_FACE, UNKNOWN, distribution, majority, several
from hf_hmtl.data.splits import class_counts
from hf_hmtl.parsing import shown

LICENCE = f"labels: MIT; images: {fer2013.LICENCE}"
CITATION = (
    "Barsoum, Zhang, Canton Ferrer and Zhang, Training Deep Networks for Facial Expression Recognition with "
    "Crowd-Sourced Label Distribution, ICMI 2016, arXiv:1608.01041"
)
HOMEPAGE = "https://github.com/microsoft/FERPlus"
NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
VOTED = (*NAMES, "unknown", "NF")  # the columns of votes, in the order of the file
EXPECTED = {"train": 28_709, "validation": 3_589, "test": 3_589}  # rows, before any is left out
FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
_MOST_DIGITS = 9  # of a number of votes, of which there are ten
VOTES, FOLDER_LIST = "fer2013new.csv", "label.csv"
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "majority": majority,
    "probability": distribution,
    "cross_entropy": distribution,
    "multi_target": several,
}

NOT_AN_EMOTION = Reason("unknown", "rows whose votes are for no emotion, or too far apart", expected=True)
NOT_A_FACE = Reason("no_face", "rows voted to be no face", expected=True)

LAYOUTS = """FER+ is read as one of
  FOLDER/fer2013new.csv  fer2013.csv                         votes of Microsoft, pixels of Kaggle, row by row (or in
                                                             $HF_HMTL_DATA/fer2013)
  FOLDER/FER2013Train/label.csv  fer0000000.png  ...         and FER2013Valid, FER2013Test, as Microsoft's script leaves
                                                             them
The votes are at github.com/microsoft/FERPlus; the source fer2013 says where the pixels are. Then type
  --data_dir FOLDER"""


@dataclass
class Rows:
    """What is known of the rows of one split: names, votes, and an image or its path."""

    names: list[str] = field(default_factory=list)
    votes: list[list[int]] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    files: list[str | None] = field(default_factory=list)

    def add(self, name: str, votes: list[int], image: dict, file: str | None) -> None:
        """One row more."""
        self.names.append(name)
        self.votes.append(votes)
        self.images.append(image)
        self.files.append(file)


def load(
    data_dir: str | Path | None = None,
    votes: str = "majority",
    fer2013_dir: str | Path | None = None,
    allow_left_out: Sequence[str] = (),
) -> Source:
    """FER+ in the splits of FER2013. Columns: emotion, the leading class; and emotion_shares, the share of each class.

    Validation and test rows are always those with a majority, as in the authors' training, whatever `votes` says.

    Args:
        data_dir: folder in one of the layouts; None means ${HF_HMTL_DATA}/ferplus.
        votes: what the votes of a training row mean: "majority", the class of more than half of them; "probability" and
            "cross_entropy", the shares of the leading classes; "multi_target", equal shares of all classes from 30 % of
            the votes. The task `votes` learns from shares, in the way of the same name.
        fer2013_dir: folder of fer2013.csv; None looks beside the votes, then in ${HF_HMTL_DATA}/fer2013.
        allow_left_out: names of reasons that may take more than a tenth of the rows.

    Raises:
        FileNotFoundError: no folder, no votes or no pixels in it.
        ValueError: another way, a list with other columns, or lists that do not belong together.
    """
    if votes not in WAYS:
        raise ValueError(f"ferplus: votes is {votes!r}, allowed are {', '.join(WAYS)}")
    folder, ledger = resolve("ferplus", data_dir, LAYOUTS), Ledger(allow_left_out)
    tree = walk(folder)
    rows, read, layout = _read(tree, fer2013_dir, ledger)
    for path, reason in (*tree.others, *tree.unread_tables):
        if path not in read:
            ledger.leave_out(FOLDER, reason, [path])
    notes, splits = [f"layout: {layout}", f"votes of training rows: {votes}; of the others: majority"], {}
    for split in SPLITS:
        notes += drift("ferplus", split, {"rows": len(rows[split].names)}, {"rows": EXPECTED[split]})
        splits[split] = _dataset(rows[split], WAYS[votes if split == "train" else "majority"], split, ledger)
    counts = {split: class_counts(data, "emotion") for split, data in splits.items()}
    ledger.check(counts, {split: len(data) for split, data in splits.items()}, "ferplus")
    return Source("ferplus", datasets.DatasetDict(splits), LICENCE, CITATION, HOMEPAGE, tuple(notes), ledger=ledger)


def _read(tree: Tree, fer2013_dir: str | Path | None, ledger: Ledger) -> tuple[dict[str, Rows], set[str], str]:
    """{split: its rows}, the tables that they were read from, and what the layout is called."""
    lists = {split: _table(tree, f"{name}/{FOLDER_LIST}") for split, name in FOLDERS.items()}
    if all(lists.values()):
        return _from_folders(tree, lists, ledger), set(lists.values()), "three folders, each with its list"
    votes = _table(tree, VOTES)
    if votes is None:
        there = names_in(tree.root)
        raise FileNotFoundError(f"ferplus: {tree.root} holds no {VOTES} and no {FOLDERS['train']}/{FOLDER_LIST} "
                                f"(found: {there}).\n{LAYOUTS}")  # fmt: skip
    beside, pixels = _pixels(tree, fer2013_dir)
    for path in tree.images:
        ledger.leave_out(FOLDER, NO_SPLIT, [path])
    rows = _from_lists(tree.root / votes, beside.root / pixels)
    return rows, {votes, pixels} if beside is tree else {votes}, f"{VOTES} and {pixels.split('/')[-1]}"


def _pixels(tree: Tree, fer2013_dir: str | Path | None) -> tuple[Tree, str]:
    """The folder and the path of FER2013's CSV: in the folder that the user names, or beside the votes, or else where
    the source fer2013 would look for it.

    Raises:
        FileNotFoundError: it is in none of them.
    """
    usual = Path(os.environ.get(DATA_ROOT, ""), "fer2013")
    if fer2013_dir is not None:
        places = [walk(resolve("fer2013", fer2013_dir, fer2013.LAYOUTS))]
    else:
        places = [tree, *([walk(usual)] if os.environ.get(DATA_ROOT) and usual.is_dir() else [])]
    for place in places:
        pixels = next((path for name in fer2013.CSVS if (path := _table(place, name))), None)
        if pixels is not None:
            return place, pixels
    raise FileNotFoundError(
        f"ferplus: {' and '.join(str(place.root) for place in places)} holds no {' or '.join(fer2013.CSVS)}, whose "
        f"pixels belong to the votes. Put it beside {VOTES} or into ${DATA_ROOT}/fer2013, or type --set "
        f"source.fer2013_dir=FOLDER.\n{LAYOUTS}"
    )


def _table(tree: Tree, name: str) -> str | None:
    """The path of a table that ends so, the highest one."""
    found = [path for path in tree.tables if f"/{path}".endswith(f"/{name}")]
    return min(found, key=lambda path: path.count("/"), default=None)


def _from_lists(votes: Path, pixels: Path) -> dict[str, Rows]:
    rows = {split: Rows() for split in SPLITS}
    for number, (voted, face) in enumerate(zip_longest(_votes_of(votes), fer2013.lines_of_csv(pixels))):
        if voted is None or face is None:
            raise ValueError(
                f"ferplus: {votes} and {pixels} have not the same number of rows, so they do not belong together. Use "
                "fer2013.csv as Kaggle gives it, all 35,887 rows in their order"
            )
        (split, count, where), (split_of_pixels, _, text, place) = voted, face
        if split != split_of_pixels:
            raise ValueError(
                f"ferplus: {where} is a {split} row and {place} a {split_of_pixels} row; the two files do not belong "
                "together, row by row. Use fer2013.csv as Kaggle gives it, all 35,887 rows in their order"
            )
        name = f"fer{number:07d}.png"  # rows without a name have one by their number, too
        rows[split].add(name, count, {"bytes": fer2013.png(text, place), "path": None}, None)
    return rows


def _votes_of(path: Path) -> Iterator[tuple[str, list[int], str]]:
    """Split, votes and place of each row of fer2013new.csv."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv_rows(file, path, "ferplus")
        header = [cell.strip().lower() for cell in next(lines, [])]
        needed = ["usage", *map(str.lower, VOTED)]
        if absent := [name for name in needed if name not in header]:
            raise ValueError(f"ferplus: {path} lacks the columns {', '.join(absent)}; needed are {', '.join(needed)}")
        usage, *places = (header.index(name) for name in needed)
        for number, cells in enumerate(lines, start=2):  # no cell of this file holds an end of line
            where = f"{path}, line {number}"
            if not cells:
                continue
            if len(cells) < len(header):
                raise ValueError(f"ferplus: {where} has {len(cells)} cells, and the header {len(header)}")
            split = fer2013.USAGES.get(cells[usage].strip())
            if split is None:
                raise ValueError(
                    f"ferplus: {where}: Usage is {shown(cells[usage])}, known are {', '.join(fer2013.USAGES)}"
                )
            yield split, _counts([cells[place] for place in places], where), where


def _counts(cells: list[str], where: str) -> list[int]:
    if len(cells) != len(VOTED) or not all(cell.strip().isdecimal() and len(cell) <= _MOST_DIGITS for cell in cells):
        raise ValueError(f"ferplus: {where}: {', '.join(cells)[:60]!r} are no {len(VOTED)} numbers of votes")
    return list(map(int, cells))


def _from_folders(tree: Tree, lists: dict[str, str], ledger: Ledger) -> dict[str, Rows]:
    rows = {split: Rows() for split in SPLITS}
    unused = set(tree.images)
    for split, path in lists.items():
        folder = path.removesuffix(FOLDER_LIST)
        with open(tree.root / path, newline="", encoding="utf-8-sig") as file:
            for number, cells in enumerate(csv_rows(file, tree.root / path, "ferplus"), start=1):
                name = f"{folder}{cells[0]}" if cells else ""
                count = _counts(cells[2:], f"{tree.root / path}, line {number}")
                if name in unused:
                    rows[split].add(name, count, {"bytes": None, "path": os.path.join(tree.root, name)}, name)
                    unused.remove(name)
                else:
                    ledger.leave_out(split, MISSING_FILE, [name])
    for name in sorted(unused):
        split = next((split for split, path in lists.items() if name.startswith(path.removesuffix(FOLDER_LIST))), None)
        ledger.leave_out(split or FOLDER, NOT_IN_TABLE if split else NO_SPLIT, [name])
    return rows


def _dataset(rows: Rows, way: Callable[[np.ndarray], np.ndarray], split: str, ledger: Ledger) -> datasets.Dataset:
    """The rows that show an emotion; the others go to the ledger."""
    votes = np.array(rows.votes, dtype=np.int64).reshape(-1, len(VOTED))
    shares = way(votes)
    leader = np.where(shares > 0, votes + shares, 0).argmax(1)  # of equal shares, the one with most votes
    for number, reason in ((UNKNOWN, NOT_AN_EMOTION), (NO_FACE, NOT_A_FACE)):
        ledger.leave_out(split, reason, [rows.names[row] for row in np.flatnonzero(leader == number)])
    keep = np.flatnonzero(leader < UNKNOWN)
    of_emotions = shares[keep][:, :UNKNOWN]
    columns = {
        "emotion": (datasets.ClassLabel(names=list(NAMES)), leader[keep]),
        "emotion_shares": (datasets.Sequence(datasets.Value("float32")), of_emotions.tolist()),
    }
    images = pa.array([rows.images[row] for row in keep], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    names, files = [rows.names[row] for row in keep], [rows.files[row] for row in keep]
    return make_dataset(images, columns, identity("ferplus", names, files))
