"""The column of a table that holds the images: finding it, and making it {bytes, path}."""

import os
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.own_faces.paths import URLS, Finder, Within
from hf_hmtl.data.sources import did_you_mean
from hf_hmtl.data.sources._building import IMAGE, images_of_bytes, images_of_paths, in_memory

IMAGE_COLUMNS = (
    "image", "img", "file_name", "filename", "image_path", "image_file", "image_name", "img_path", "img_name",
    "filepath", "file_path", "path", "file", "pic", "picture", "photo",
)  # fmt: skip
_TRIED = 200  # cells that tell whether a column names images
_ENOUGH = 0.9


@dataclass
class Rows:
    """The rows of a table with their images.

    Attributes:
        data: column `image` of type Image(decode=False), and the table's own columns.
        absent: (rows,) bool: rows whose image is not there.
        names: what those of them that name an image call it, {row: text}.
        outside: those of these names whose file is there, outside of the folder.
    """

    data: datasets.Dataset
    absent: np.ndarray
    names: dict[int, str]
    outside: frozenset[str] = frozenset()


def find_image_column(
    dataset: datasets.Dataset, image_column: str | None, where: str, finder: Finder | None = None
) -> tuple[str, list[str]]:
    """Name of the column of images: the given one, one of the type Image, one that is called so, or one whose cells
    are names of files that are there; and a note on the last.

    Raises:
        ValueError: there is none.
    """
    columns = dataset.column_names
    if image_column is not None:
        if image_column not in columns:
            raise ValueError(
                f"custom: {where} has no image column {image_column!r}.{did_you_mean(image_column, columns)} Its "
                f"columns are {', '.join(columns)}; type --image_column NAME"
            )
        return image_column, []
    typed = [name for name in columns if isinstance(dataset.features[name], datasets.Image)]
    by_name = {_plain(name): name for name in columns}
    named = [by_name[_plain(name)] for name in IMAGE_COLUMNS if _plain(name) in by_name]
    if typed or named:
        return (typed or named)[0], []
    for name in columns if finder is not None else ():
        if _names_images(dataset, name, finder, Path(where)):
            return name, [f"{os.path.basename(where)}: column {name!r} names the images; --image_column NAME else"]
    raise ValueError(
        f"custom: {where} has no column of images. Its columns are {', '.join(columns)}; looked for were "
        f"{', '.join(IMAGE_COLUMNS)}, and one whose cells are files that are there. Type --image_column NAME"
    )


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_").strip("_")


def _names_images(dataset: datasets.Dataset, name: str, finder: Finder, table: Path) -> bool:
    kind = getattr(dataset.features[name], "dtype", None)
    if kind not in ("string", "int64"):
        return False
    cells = [str(cell) for cell in dataset[:_TRIED][name] if cell is not None]
    before = finder.ways.copy()
    try:
        found = sum(finder.find(cell, table) is not None for cell in cells)
    except ValueError:  # a name of several files
        found = 0
    finder.ways = before
    return found >= max(_ENOUGH * len(cells), 1)


def with_images(
    dataset: datasets.Dataset, column: str, table: Path | None, finder: Finder | None, within: Within | None = None
) -> Rows:
    """The rows with their images under `image`, as encoded bytes, absolute paths or URLs.

    Args:
        column: where the images are: of type Image, bytes, or text that names files.
        table: the file that the rows come from, to which paths may be relative.
        finder: finds the files; None where the images cannot be files of a folder.
        within: where they may lie all the same, then.
    """
    if column != "image" and "image" in dataset.column_names:
        dataset = dataset.remove_columns("image")
    if isinstance(dataset.features[column], datasets.Image):
        dataset = dataset.cast_column(column, IMAGE)
    else:
        chunks = [_encoded(chunk, column) for chunk in dataset.with_format("arrow")[:][column].chunks]
        dataset = _replaced(dataset, column, pa.chunked_array(chunks, IMAGE.pa_type))
    dataset = dataset if column == "image" else dataset.rename_column(column, "image")
    return _checked(dataset, table, finder, within or Within([]))


def _encoded(cells: pa.Array, column: str) -> pa.StructArray:
    """{bytes, path} of cells that are bytes, {bytes, path}, or names of files.

    Raises:
        ValueError: they are anything else, such as arrays of pixels.
    """
    try:
        if pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type):
            return images_of_bytes(cells.cast(pa.binary()))
        if pa.types.is_struct(cells.type) and {"bytes", "path"} & {field.name for field in cells.type}:
            return cells.cast(IMAGE.pa_type)
        return images_of_paths(cells.cast(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ValueError(
            f"custom: column {column!r} holds {cells.type}; pictures are names of files, their bytes, or of the type "
            f"datasets.Image. Save arrays as such: Dataset.from_dict({{{column!r}: [PIL.Image.fromarray(array) for "
            "array in arrays], ...})"
        ) from error


def _replaced(dataset: datasets.Dataset, column: str, images: pa.ChunkedArray) -> datasets.Dataset:
    table = dataset.with_format("arrow")[:]
    table = table.set_column(table.schema.get_field_index(column), column, images)
    features = datasets.Features({**dataset.features, column: IMAGE})
    return in_memory(table, features)


def _checked(dataset: datasets.Dataset, table: Path | None, finder: Finder | None, within: Within) -> Rows:
    """The rows with absolute paths, and which of them have no image; encoded images stay where they are."""
    absent, names, outside = np.zeros(len(dataset), dtype=bool), {}, set()
    chunks, first, changed = [], 0, False
    for chunk in dataset.with_format("arrow")[:]["image"].chunks:
        content, paths = chunk.flatten()[:2]
        rows = np.flatnonzero(pc.is_null(content).to_numpy(zero_copy_only=False))
        if len(rows):
            texts = paths.to_pylist()
            for row in rows.tolist():
                texts[row], written = _there(texts[row], table, finder, within), texts[row]
                if texts[row] is None:
                    absent[first + row] = True
                    if written is not None:
                        names[first + row] = written
                    if finder is None and written is not None and os.path.isfile(written):
                        outside.add(written)
            chunk = pa.StructArray.from_arrays([content, pa.array(texts, pa.string())], names=["bytes", "path"])
            changed = True
        chunks.append(chunk)
        first += len(chunk)
    if changed:
        dataset = _replaced(dataset, "image", pa.chunked_array(chunks, IMAGE.pa_type))
    outside |= {name for name in names.values() if finder is not None and name.strip() in finder.outside}
    return Rows(dataset, absent, names, frozenset(outside))


def _there(path: str | None, table: Path | None, finder: Finder | None, within: Within) -> str | None:
    if path is None or not path.strip():
        return None
    if finder is not None and table is not None:
        return finder.find(path, table)
    return path if path.startswith(URLS) or (within.holds(path) and os.path.isfile(path)) else None


def files_of(table: datasets.Dataset, folder: Path | None) -> list[str] | None:
    """Path of every image relative to the folder; None where the images are not files."""
    prefix, files = f"{(folder or Path()).as_posix()}/", []
    for chunk in table.select_columns(["image"]).with_format("arrow")[:]["image"].chunks:
        content, paths = chunk.flatten()[:2]
        if content.null_count < len(content):
            return None
        files += [path.replace("\\", "/").removeprefix(prefix) for path in paths.to_pylist()]
    return files
