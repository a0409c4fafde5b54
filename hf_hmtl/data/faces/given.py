"""Boxes and landmarks of faces that another detector has found, such as RetinaFace, from a table.

Its columns: the picture (`file`, `image`, `path`, ...), the box in pixels of the upright picture (`left`, `top`,
`right`, `bottom`, or `x`, `y`, `width`, `height`), and if known `score` and `landmarks`, one cell of "x y x y ..." (5
points, or 68). Where a table has landmarks and no box, the box is the smallest around them. A picture with several
faces has several rows.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from hf_hmtl.data.own_faces.images import IMAGE_COLUMNS
from hf_hmtl.data.own_faces.text_tables import read_text_table
from hf_hmtl.data.own_faces.tree import shortened
from hf_hmtl.model.face_detector_hmtl import Face
from hf_hmtl.parsing import shown

CORNERS = (("left", "x1", "xmin", "x_min"), ("top", "y1", "ymin", "y_min"),
           ("right", "x2", "xmax", "x_max"), ("bottom", "y2", "ymax", "y_max"))  # fmt: skip
SIDES = (("x", "left"), ("y", "top"), ("width", "w"), ("height", "h"))
SCORE, LANDMARKS = ("score", "confidence", "probability"), ("landmarks", "facial_landmarks", "keypoints", "points")


class GivenFaces:
    """The faces of a table by picture; the largest comes first.

    Args:
        path: a CSV file, or any table of text.

    Raises:
        OSError, ValueError: the file cannot be read, lacks a column, or holds a box or landmarks that are none; the
            message says which row.
    """

    def __init__(self, path: Path):
        self.path, self.used = path, set[str]()
        try:
            columns = {name.lower().strip(): cells.to_pylist() for name, cells in _columns(path).items()}
        except ValueError as error:
            raise ValueError(str(error).replace("custom:", "boxes:", 1)) from error
        files = _of(columns, ("_file", "_id", *IMAGE_COLUMNS))
        corners, sides = ([_of(columns, names) for names in kind] for kind in (CORNERS, SIDES))
        points = _of(columns, LANDMARKS)
        if files is None or (None in corners and None in sides and points is None):
            raise ValueError(
                f"boxes: {path} has the columns {shortened(columns, 20)}; needed are the picture (file), its box "
                "(left, top, right, bottom, or x, y, width, height) or landmarks, and if known score"
            )
        boxes: Sequence[tuple | None] = [None] * len(files)
        if None not in corners:
            boxes = list(zip(*corners, strict=True))
        elif None not in sides:
            boxes = [_from_sides(*cells) for cells in zip(*sides, strict=True)]
        scores = _of(columns, SCORE) or [None] * len(files)
        self.faces: dict[str, list[Face]] = {}
        rows = zip(files, boxes, scores, points or [None] * len(files), strict=True)
        for number, (file, box, score, cell) in enumerate(rows, 1):
            if file is None:
                raise ValueError(f"boxes: {path}, row {number} names no picture")
            face = _face(box, score, cell, f"{path}, row {number} ({str(file)[:200]})")
            self.faces.setdefault(_plain(str(file)), []).append(face)
        for found in self.faces.values():
            found.sort(key=lambda face: (-face.area, -face.score))
        ends: dict[str, list[str]] = {}
        for name in self.faces:
            ends.setdefault(name.rsplit("/", 1)[-1], []).append(name)
        self.by_name = {end: names[0] for end, names in ends.items() if len(names) == 1}

    def require_eyes(self) -> None:
        """Raise where a face has no landmarks to align it by."""
        for name, found in self.faces.items():
            if any(len(face.landmarks or ()) not in (5, 68) for face in found):
                raise ValueError(
                    f"boxes: {self.path} gives {name} no 5 or 68 landmarks, so its eyes are not known; leave --align "
                    "out, or --boxes, so that the detector finds them"
                )

    def match(self, names: Sequence[Sequence[str | None]]) -> list[list[Face]]:
        """The faces of each picture.

        Args:
            names: what each picture may be called: its path in the folder, its `_id`. A path of the table fits as a
                whole; or where one is the end of the other, and neither side has another file of that name.

        Raises:
            ValueError: no row of the table fits any picture.
        """
        lasts: dict[str, int] = {}
        for row in names:
            for last in {_plain(name).rsplit("/", 1)[-1] for name in row if name}:
                lasts[last] = lasts.get(last, 0) + 1
        found = []
        for row in names:
            plain = [_plain(name) for name in row if name]
            keys = [name for name in plain if name in self.faces]
            keys += [key for name in plain if (key := self._by_end(name, lasts))]
            self.used.update(keys[:1])
            found.append(self.faces[keys[0]] if keys else [])
        if not self.used and names:
            example = next((name for row in names for name in row if name), "none")
            raise ValueError(
                f"boxes: no row of {self.path} fits a picture: it names {shortened(self.faces)}, and the pictures are "
                f"called {example}, ..."
            )
        return found

    def _by_end(self, name: str, lasts: dict[str, int]) -> str | None:
        last = name.rsplit("/", 1)[-1]
        key = self.by_name.get(last) if lasts[last] == 1 else None
        fits = key is not None and (f"/{name}".endswith(f"/{key}") or f"/{key}".endswith(f"/{name}"))
        return key if fits else None

    def notes(self) -> list[str]:
        """What a reader should know of the rows that fit no picture."""
        unused = [name for name in self.faces if name not in self.used]
        count = sum(len(self.faces[name]) for name in unused)
        return [f"{count:,} rows of {self.path.name} fit no picture ({shortened(unused)})"] * bool(count)


def _columns(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"boxes: there is no file {path}")
    table = read_text_table(path).table
    return dict(zip(table.column_names, table.columns, strict=True))


def _of(columns: dict[str, list], names: Sequence[str]) -> list | None:
    return next((columns[name] for name in names if name in columns), None)


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _from_sides(x, y, width, height) -> tuple:
    numbers = [_number(cell) for cell in (x, y, width, height)]
    return (x, y, None, None) if None in numbers else (*numbers[:2], numbers[0] + numbers[2], numbers[1] + numbers[3])


def _face(box: tuple | None, score, cell, where: str) -> Face:
    numbers = [_number(part) for part in re.split(r"[\s,;]+", str(cell).strip("[]() \t"))] if cell is not None else []
    if len(numbers) % 2 or None in numbers or (box is None and len(numbers) < 4):
        raise ValueError(f"boxes: {where}: landmarks are pairs of numbers, x y x y ..., got {shown(cell)}")
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if box is None:
        xs, ys = zip(*points, strict=True)
        box = min(xs), min(ys), max(xs), max(ys)
    corners = [_number(side) for side in box]
    if None in corners or not (corners[2] > corners[0] and corners[3] > corners[1]):
        raise ValueError(f"boxes: {where}: a box is left < right and top < bottom in pixels, got {shown(tuple(box))}")
    sure = 1.0 if score is None else _number(score)
    if sure is None:
        raise ValueError(f"boxes: {where}: score is a number, got {shown(score)}")
    return Face(tuple(corners), sure, points or None)


def _number(cell) -> float | None:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
