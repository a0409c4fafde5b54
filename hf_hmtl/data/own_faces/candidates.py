"""Tables that may hold the labels: each with its images found, or with the reason why it cannot be the one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet

from hf_hmtl.data.identity import CLIP
from hf_hmtl.data.own_faces.images import Rows, find_image_column, with_images
from hf_hmtl.data.own_faces.layouts import split_of
from hf_hmtl.data.own_faces.paths import Finder
from hf_hmtl.data.own_faces.reading import Reading
from hf_hmtl.data.own_faces.text_tables import read_text_table
from hf_hmtl.data.own_faces.tree import PARQUET, Tree
from hf_hmtl.data.parquet_rows import rows_of, told
from hf_hmtl.data.sources import SPLITS, did_you_mean

_MOST_TEXTS = 20  # .txt and .json files of a tree; more belong to an image each
_PIECE = 1 << 25  # bytes of a piece of a converted table
_MOST_ROWS = 10_000  # of a piece


@dataclass
class Candidate:
    """A table that may hold the labels.

    Attributes:
        path: of the file, or of the first where several were put together.
        split: what its name or folder says.
        rows: its rows with their images; None where it has none.
        refused: why it is not the one; None where it has images and labels.
        notes: how it was read.
    """

    path: Path
    split: str | None
    rows: Rows | None = None
    refused: str | None = None
    notes: list[str] = field(default_factory=list)


def table_paths(tree: Tree) -> list[Path]:
    """Files that may hold the labels: parquet files where there are any, else text."""
    parquet = [path for path in tree.tables if path.lower().endswith(PARQUET)]
    texts = [path for path in tree.tables if path.lower().endswith((".txt", ".json"))]
    chosen = parquet or [path for path in tree.tables if len(texts) <= _MOST_TEXTS or path not in set(texts)]
    return [tree.root / path for path in chosen]


def candidates(tree: Tree, paths: Sequence[Path], reading: Reading) -> list[Candidate]:
    """Each table with its images found, or with the reason why it cannot be the one.

    Raises:
        ValueError: a table has images and labels, but its paths fit several files; or a parquet file is damaged.
    """
    finder, found = Finder(tree, reading.image_dir, reading.anywhere), []
    files: dict[tuple, list[Path]] = {}  # parquet files of one split are one table
    for path in paths:
        split = split_of_table(path, tree.root)
        files.setdefault((PARQUET, split) if path.suffix.lower() == PARQUET else (path, split), []).append(path)
    for (_, split), together in files.items():
        candidate = Candidate(together[0], split)
        whole = _of_parquet(together) if together[0].suffix.lower() == PARQUET else None
        try:
            data, notes = (whole, []) if whole is not None else _of_text(together[0], reading)
            column, told = find_image_column(
                data, reading.image_column, str(candidate.path), finder if reading.label_column is not None else None
            )
        except ValueError as error:
            candidate.refused = str(error)
        else:
            finder.ways.clear()
            finder.prefix = None
            candidate.refused = _lacks_labels(data, column, reading.label_column, candidate.path)
            candidate.rows = with_images(data, column, candidate.path, finder)
            candidate.notes = notes + told + finder.notes(candidate.path.name)
            if len(together) > 1:
                candidate.notes.append(f"{split or 'train'}: {len(together)} parquet files were put together")
        found.append(candidate)
    return found


def _of_text(path: Path, reading: Reading) -> tuple[datasets.Dataset, list[str]]:
    text = read_text_table(path, reading.encoding)
    return datasets.Dataset(text.table), text.notes


def _of_parquet(paths: list[Path]) -> datasets.Dataset:
    # Loaded split by split, because one load of all files reads the class numbers of every file with the class names of
    # the first.
    data = rows_of(paths, "custom", writer_batch_size=_rows_at_once(paths))
    pa.default_memory_pool().release_unused()  # what the conversion had taken stays reserved otherwise
    return data


def _rows_at_once(paths: list[Path]) -> int:
    """Rows of a piece of the converted table. `datasets` takes 100 where there are images, and each piece costs
    kilobytes in every column: a gigabyte for ten million small ones."""
    with told(paths[0], "custom"):
        known = [pyarrow.parquet.read_metadata(path) for path in paths]
    size = sum(each.row_group(group).total_byte_size for each in known for group in range(each.num_row_groups))
    a_row = size / max(sum(each.num_rows for each in known), 1)
    return int(min(max(_PIECE / max(a_row, 1), 100), _MOST_ROWS))


def _lacks_labels(data: datasets.Dataset, image_column: str, wanted: str | None, path: Path) -> str | None:
    if wanted is None or wanted in data.column_names:
        return None
    others = [name for name in data.column_names if name != image_column and not name.startswith("_")]
    if CLIP in data.column_names:
        return (
            f"custom: {path} holds the faces of videos, whose labels stand in a table of their own. Type hf-hmtl train "
            f"custom-clips/affect --data_dir {path.parent} --set source.labels=LABELS.csv"
        )
    if not others:
        return (
            f"custom: {path} has no column {wanted!r}, nor any other beside its images. Give it one; faces without "
            "labels are learned from by hf-hmtl train custom/pretrain-puzzle-3x3, or with labelled ones by --unlabelled"
        )
    return (
        f"custom: {path} has no column {wanted!r}.{did_you_mean(wanted, others)} Its label columns are "
        f"{', '.join(others)}; type --label_column NAME"
    )


def split_of_table(path: Path, root: Path) -> str | None:
    """The split that a table's name or folder says."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else (path.name,)
    return split_of(path.stem) or next((split for part in parts[:-1] if (split := split_of(part))), None)


def chosen(candidates: list[Candidate], where: str) -> tuple[list[Candidate], list[str]]:
    """The tables to read: one a split, or the one that names every image that the others name."""
    if len(candidates) == 1 or all(each.split for each in candidates):
        notes = []
        for split in SPLITS:
            merged = [each.path.name for each in candidates if each.split == split]
            if len(merged) > 1:
                notes.append(f"{split}: the tables {', '.join(merged)} were put together")
        return candidates, notes
    images = [set(each.rows.data.with_format("arrow")[:]["image"].combine_chunks().flatten()[1].to_pylist())
              for each in candidates]  # fmt: skip
    largest = max(range(len(candidates)), key=lambda place: len(images[place]))
    if all(images[largest] > other for place, other in enumerate(images) if place != largest):
        others = [each.path.name for place, each in enumerate(candidates) if place != largest]
        return [candidates[largest]], [
            f"{candidates[largest].path.name} names every image that {', '.join(others)} names, which was passed over"
        ]
    unnamed = [each.path.name for each in candidates if not each.split]
    raise ValueError(
        f"custom: {where} holds several tables, {', '.join(each.path.name for each in candidates)}, of which "
        f"{', '.join(unnamed)} say no split by their names. Give one with --data_dir FILE, or name them train"
        f"{candidates[0].path.suffix}, validation{candidates[0].path.suffix} and test{candidates[0].path.suffix}"
    )
