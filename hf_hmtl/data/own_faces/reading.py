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
    """

    image_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    image_dir: Path | None = None
    layout: str | None = None
    encoding: str | None = None


@dataclass
class Found:
    """The rows of each split.

    Attributes:
        tables: {split: rows with an image}.
        layout: how they were written.
        folder: what paths are relative to; None where images are not files.
        notes: what was decided.
    """

    tables: dict[str, datasets.Dataset]
    layout: str
    folder: Path | None = None
    notes: list[str] = field(default_factory=list)
