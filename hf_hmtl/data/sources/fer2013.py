"""FER2013: 35,887 gray 48 x 48 faces in 7 expressions, as its CSV, its folder repack or parquet files.

Facts: datasets page, section 8. Classes are mapped by name: folders sort differently from the codes of the CSV.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import datasets
import numpy as np

from hf_hmtl.data.identity import ID, identity
from hf_hmtl.data.ledger import FOLDER, NO_CLASS, NO_SPLIT, Ledger, Reason
from hf_hmtl.data.own_faces.tree import walk
from hf_hmtl.data.parquet_rows import rows_in_memory
from hf_hmtl.data.sources import SPLITS, Source, did_you_mean, resolve
from hf_hmtl.data.sources._building import csv_rows, images_of_bytes, label_drift, make_dataset
from hf_hmtl.data.splits import class_counts, cross_split_duplicates, image_hashes
from hf_hmtl.parsing import shown

LICENCE = "Kaggle competition data (ICML 2013): the competition's rules; folder repacks state other terms"
CITATION = (
    "Goodfellow et al., Challenges in Representation Learning: A report on three machine learning contests, "
    "ICONIP 2013, arXiv:1307.0414"
)
HOMEPAGE = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # the CSV's codes 0 .. 6
EXPECTED = {
    "train": dict(zip(NAMES, (3995, 436, 4097, 7215, 4830, 3171, 4965), strict=True)),
    "validation": dict(zip(NAMES, (467, 56, 496, 895, 653, 415, 607), strict=True)),
    "test": dict(zip(NAMES, (491, 55, 528, 879, 594, 416, 626), strict=True)),
}
USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
CSVS = ("fer2013.csv", "icml_face_data.csv")
SIDE = 48
DUPLICATES = Reason("duplicates", "training rows whose image occurs in validation or test (remove_duplicates)", True)

LAYOUTS = """FER2013 is read as one of
  FOLDER/fer2013.csv (or icml_face_data.csv)                 columns emotion, pixels, Usage
  FOLDER/train/<class>/*.jpg  FOLDER/test/<class>/*.jpg      files named Training_*, PublicTest_*, PrivateTest_*
  FOLDER/train.parquet  validation.parquet  test.parquet     columns image and label (or emotion)
It comes from Kaggle (challenges-in-representation-learning-facial-expression-recognition-challenge). Then type
  --data_dir FOLDER"""


@dataclass
class Rows:
    """Encoded images, class numbers and names of the rows of one split."""

    images: list[bytes] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def add(self, image: bytes, label: int, name: str) -> None:
        """One row more."""
        self.images.append(image)
        self.labels.append(label)
        self.ids.append(name)


def load(
    data_dir: str | Path | None = None, remove_duplicates: bool = False, allow_left_out: Sequence[str] = ()
) -> Source:
    """FER2013 in its official splits: Training, PublicTest as validation, PrivateTest as test.

    Args:
        data_dir: folder in one of the three layouts; None means ${HF_HMTL_DATA}/fer2013.
        remove_duplicates: drop the training rows whose exact image occurs in validation or test. The official
            protocol keeps them.
        allow_left_out: names of reasons that may take a class, a split or more than a tenth of the files.

    Raises:
        FileNotFoundError: no folder, or none of the layouts in it.
        ValueError: a merged test folder without file prefixes, an unknown class, usage or pixel count, or too much that
            would be left out.
    """
    folder, ledger = resolve("fer2013", data_dir, LAYOUTS), Ledger(allow_left_out)
    splits, notes = _read(folder, ledger)
    counts = {split: class_counts(data, "emotion") for split, data in splits.items()}
    ledger.check(counts, {split: len(data) for split, data in splits.items()}, "fer2013")
    notes += label_drift("fer2013", splits, "emotion", EXPECTED)
    notes += _duplicate_notes(splits)
    if remove_duplicates:
        splits["train"] = _without_evaluation_images(splits, ledger)
        notes.append("training rows were removed as duplicates; this is not the official protocol")
    return Source("fer2013", splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), ledger=ledger)


def _read(folder: Path, ledger: Ledger) -> tuple[datasets.DatasetDict, list[str]]:
    for place in (folder, folder / "fer2013"):  # archives often unpack into one more folder
        for name in CSVS:
            if (place / name).is_file():
                return _from_csv(place / name), [f"layout: {name}"]
        if all((place / f"{split}.parquet").is_file() for split in SPLITS):
            return _from_parquet(place)
        if (place / "train").is_dir() and (place / "test").is_dir():
            return _from_folders(place, ledger)
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise FileNotFoundError(f"fer2013: {folder} holds none of the known layouts (found: {found}).\n{LAYOUTS}")


def _from_csv(path: Path) -> datasets.DatasetDict:
    rows = {split: Rows() for split in SPLITS}
    for number, (split, emotion, pixels, where) in enumerate(lines_of_csv(path)):
        # Named as FER+ names the rows of this file, from 0.
        rows[split].add(png(pixels, where), _code(emotion, where), f"fer{number:07d}.png")
    return _splits(rows)


def lines_of_csv(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Of each row of fer2013.csv or icml_face_data.csv: split, emotion and pixels as text, and where it stands.

    Raises:
        ValueError: other columns, or an unknown usage.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv_rows(file, path, "fer2013")
        header = [cell.strip() for cell in next(lines, [])]  # icml_face_data.csv: "emotion, Usage, pixels"
        if not {"emotion", "pixels", "Usage"} <= set(header):
            raise ValueError(
                f"fer2013: {path} has the columns {', '.join(header)[:200] or 'none'}; needed are emotion, pixels and "
                "Usage. Kaggle's train.csv and test.csv lack the splits or labels: use fer2013.csv or "
                "icml_face_data.csv"
            )
        emotion, pixels, usage = (header.index(name) for name in ("emotion", "pixels", "Usage"))
        for number, cells in enumerate(lines, start=2):  # no cell of these files holds an end of line
            where = f"{path}, line {number}"
            if not cells:
                continue
            if len(cells) < len(header):
                raise ValueError(f"fer2013: {where} has {len(cells)} cells, and the header {len(header)}")
            split = USAGES.get(cells[usage].strip())
            if split is None:
                raise ValueError(f"fer2013: {where}: Usage is {shown(cells[usage])}, known are {', '.join(USAGES)}")
            yield split, cells[emotion], cells[pixels], where


def png(text: str, where: str) -> bytes:
    """The picture of a row, as a PNG: it is lossless, so that the pixels stay those of the CSV.

    Raises:
        ValueError: these are not 2,304 values of 0 to 255.
    """
    try:
        values = np.fromstring(text, dtype=np.int64, sep=" ")  # six times as fast as text.split()
    except ValueError:
        values = np.empty(0, dtype=np.int64)  # no numbers: the same complaint as too few of them
    if len(values) != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise ValueError(f"fer2013: {where}: {len(values)} pixels, needed are {SIDE * SIDE} values of 0 to 255")
    return cv2.imencode(".png", values.astype(np.uint8).reshape(SIDE, SIDE))[1].tobytes()


def _code(value: object, where: str) -> int:
    text = str(value).strip()
    if not text.isdecimal() or int(text) >= len(NAMES):
        raise ValueError(f"fer2013: {where}: emotion is {text[:60]}, known codes are 0 to {len(NAMES) - 1}")
    return int(text)


def _from_parquet(folder: Path) -> tuple[datasets.DatasetDict, list[str]]:
    rows, notes = {}, ["layout: parquet files"]
    for split in SPLITS:
        path = folder / f"{split}.parquet"
        # In memory: a cached dataset would outlive a changed file, and 67 MB are little.
        dataset = rows_in_memory(path, "fer2013")
        column = next((name for name in ("emotion", "label") if name in dataset.column_names), None)
        if column is None or "image" not in dataset.column_names:
            raise ValueError(
                f"fer2013: {path} has the columns {', '.join(dataset.column_names)}; needed are image and label"
            )
        feature, values = dataset.features[column], dataset[column][:]
        if odd := [row for row, value in enumerate(values) if not isinstance(value, int | str)]:
            raise ValueError(
                f"fer2013: {path}, row {odd[0]}: {column} is {shown(values[odd[0]])}; needed is a class's name or code"
            )
        if isinstance(feature, datasets.ClassLabel):
            codes = {code: _named(name, path) for code, name in enumerate(feature.names)}
        else:
            codes = {value: value if isinstance(value, int) else _named(value, path) for value in set(values)}
            notes.append(f"{path.name} names no classes: its labels are read as the CSV's codes or names")
        labels = [_code(codes.get(value), f"{path}, row {row}") for row, value in enumerate(values)]
        cells = dataset.select_columns("image").with_format("arrow")[:]["image"].to_pylist()
        images = [cell.get("bytes") if isinstance(cell, dict) else cell for cell in cells]
        if odd := [row for row, image in enumerate(images) if not isinstance(image, bytes)]:
            raise ValueError(f"fer2013: {path}, row {odd[0]}: the image is not there as bytes of a file")
        rows[split] = Rows(images, labels, [f"{split}/{row}" for row in range(len(labels))])
    return _splits(rows), notes


def _from_folders(folder: Path, ledger: Ledger) -> tuple[datasets.DatasetDict, list[str]]:
    rows = {split: Rows() for split in SPLITS}
    moved = Counter()
    has_validation = (folder / "validation").is_dir()
    tree = walk(folder)
    for name in tree.images:
        parent, *below = name.split("/")
        if parent not in SPLITS or len(below) < 2:
            ledger.leave_out(parent if parent in SPLITS else FOLDER, NO_CLASS if parent in SPLITS else NO_SPLIT, [name])
            continue
        split = USAGES.get(below[-1].split("_")[0])
        if split is None and parent == "test" and not has_validation:
            raise ValueError(
                f"fer2013: {folder / name} lacks the prefix PublicTest_ or PrivateTest_, so the two official test sets "
                "are merged and cannot be told apart; a score on both equals no published one. Use fer2013.csv, or the "
                "source 'custom', which carves a validation split"
            )
        split = split or parent
        moved[f"{parent}/ -> {split}"] += split != parent
        rows[split].add((folder / name).read_bytes(), _named(below[0], folder / parent / below[0]), name)
    for name, reason in tree.others:
        ledger.leave_out(FOLDER, reason, [name])
    notes = ["layout: class folders, mapped by name"]
    notes += [f"{count} files split by their prefix: {name}" for name, count in moved.items() if count]
    return _splits(rows, are_files=True), notes


def _named(name: str, where: Path) -> int:
    if name.lower() not in NAMES:
        raise ValueError(
            f"fer2013: {where}: unknown class {shown(name)}.{did_you_mean(name, list(NAMES))} Known: {', '.join(NAMES)}"
        )
    return NAMES.index(name.lower())


def _splits(rows: dict[str, Rows], are_files: bool = False) -> datasets.DatasetDict:
    emotion = datasets.ClassLabel(names=list(NAMES))
    return datasets.DatasetDict(
        {
            split: make_dataset(
                images_of_bytes(found.images),
                {"emotion": (emotion, found.labels)},
                identity("fer2013", found.ids, found.ids if are_files else None),
            )
            for split, found in rows.items()
        }
    )


def _duplicate_notes(splits: datasets.DatasetDict) -> list[str]:
    return [
        f"{count} {later} images also occur, byte for byte, in {earlier}"
        for (earlier, later), count in cross_split_duplicates(splits).items()
        if count
    ]


def _without_evaluation_images(splits: datasets.DatasetDict, ledger: Ledger) -> datasets.Dataset:
    seen = set(itertools.chain(image_hashes(splits["validation"]), image_hashes(splits["test"])))
    train = splits["train"]
    repeated = np.array([value in seen for value in image_hashes(train)], dtype=bool)
    ledger.leave_out("train", DUPLICATES, train.select(np.flatnonzero(repeated))[ID][:])
    return train.select(np.flatnonzero(~repeated))
