"""How the user wants the data read, and what was found."""

from dataclasses import dataclass, field
from pathlib import Path

import datasets

HELP = """Your own data is read as one of
  FOLDER/<class>/*.jpg                      or FOLDER/train/<class>/*.jpg, FOLDER/validation/..., FOLDER/test/...
  FOLDER/metadata.csv (.tsv, .txt, .json, .jsonl)   with columns of images and labels, beside the images or near them
  FOLDER/train.csv, validation.csv, ...     a table a split, or one with a column that names the splits
  FOLDER/train*.parquet, test*.parquet      an image column and label columns
  FOLDER                                    as datasets' save_to_disk writes it
Type --data_dir FOLDER or FILE; --label_column names the labels, --image_column the images."""


@dataclass
class Reading:
    """How the user wants the data read; None is found out.

    Attributes:
        image_column, label_column, split_column: names of columns; without a label column, labels are not read.
        image_dir: folder that paths are relative to.
        layout: one of `_layouts.LAYOUTS`.
        encoding: of text tables.
        anywhere: whether paths in a table may lead out of the folder: the table itself was named, and not its folder.
    """

    image_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    image_dir: Path | None = None
    layout: str | None = None
    encoding: str | None = None
    anywhere: bool = False


@dataclass
class Found:
    """The rows of each split.

    Attributes:
        tables: {split: rows with an image}.
        layout: how they were written.
        folder: what paths are relative to; None where images are not files.
        notes: what was decided.
        face_margin: what an image shows beside its face, as a share of the face's longer side, where that is known.
    """

    tables: dict[str, datasets.Dataset]
    layout: str
    folder: Path | None = None
    notes: list[str] = field(default_factory=list)
    face_margin: float | None = None


def image_folder(given: str | Path | None, folder: Path) -> Path | None:
    """The folder that the paths of a table are relative to, as the user says it: absolute, or relative to the data.

    Raises:
        FileNotFoundError: it is not there.
    """
    if given is None:
        return None
    place = (folder / Path(given).expanduser()).resolve()
    if not place.is_dir():
        raise FileNotFoundError(f"custom: there is no folder {place}; --image_dir is absolute, or relative to {folder}")
    return place
