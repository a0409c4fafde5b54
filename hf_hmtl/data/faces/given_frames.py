"""Faces of the frames of videos that another detector has found: of a table, or of a folder of points."""

import hashlib
import re
from abc import ABC, abstractmethod
from pathlib import Path

from hf_hmtl.data.faces.given import GivenFaces
from hf_hmtl.data.faces.prepare import digest
from hf_hmtl.data.faces.shards import Method
from hf_hmtl.data.own_faces.tree import shortened
from hf_hmtl.model.face_detector_hmtl import Face
from hf_hmtl.parsing import text_of

_POINTS = re.compile(r"^\s*(-?[\d.]+)\s+(-?[\d.]+)\s*$", re.MULTILINE)


class GivenFrames(ABC):
    """Faces of frames.

    Attributes:
        digest: tells whether these are others.
    """

    digest: str

    def __init__(self, path: Path):
        self.path = path

    @abstractmethod
    def faces_of(self, clip: str, number: int) -> list[Face]:
        """The faces of a frame, the largest first."""

    @abstractmethod
    def unused(self, decoded: dict[str, int]) -> list[str]:
        """What fits no frame of {clip: frames that it has}."""

    def notes(self, decoded: dict[str, int]) -> list[str]:
        """What a reader should know.

        Args:
            decoded: {clip: frames that it has}.
        """
        unused = self.unused(decoded)
        told = f"{len(unused):,} boxes of {self.path.name} fit no frame ({shortened(unused)})"
        return [f"boxes were given: {self.path.name}", *[told] * bool(unused)]


class FramesOfTable(GivenFrames):
    """Those of a table whose column of pictures holds CLIP/FRAME, frames counted from 0.

    Raises:
        OSError, ValueError: it cannot be read, or does not say the eyes that are needed.
    """

    def __init__(self, path: Path, method: Method):
        super().__init__(path)
        self.table = GivenFaces(path)
        if method.cutting.align:
            self.table.require_eyes()
        self.digest = digest(path)

    def faces_of(self, clip: str, number: int) -> list[Face]:
        return self.table.faces.get(f"{clip}/{number}", [])

    def unused(self, decoded: dict[str, int]) -> list[str]:
        rows = [(name, *name.rpartition("/")[::2]) for name in self.table.faces]
        return [name for name, clip, number in rows if not _is_frame(number, decoded.get(clip, 0))]


class FramesOfPoints(GivenFrames):
    """Those around the points of files CLIP/FRAME.pts, frames counted from 1, as Aff-Wild ships them.

    Raises:
        FileNotFoundError: the folder has none.
        ValueError: eyes are needed.
    """

    def __init__(self, path: Path, method: Method):
        super().__init__(path)
        if method.cutting.align:
            raise ValueError(f"boxes: {path} has the corners of boxes and no eyes; leave --align out")
        self.files = sorted(path.rglob("*.pts"), key=lambda file: file.relative_to(path).as_posix())
        if not self.files:
            raise FileNotFoundError(f"boxes: {path} has no files CLIP/FRAME.pts")
        facts = [(file.relative_to(path).as_posix(), file.stat().st_size) for file in self.files]
        self.digest = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
        self.folders: dict[str, list[Path]] = {}
        for folder in sorted({file.parent for file in self.files}):
            self.folders.setdefault(folder.name, []).append(folder)

    def faces_of(self, clip: str, number: int) -> list[Face]:
        """The box around a frame's points, alone; none where there is no file of the frame, which counts from 1."""
        folder = self._folder_of(clip)
        for name in (f"{number + 1}.pts", f"{number + 1:05d}.pts", f"{number + 1:06d}.pts"):
            if folder is not None and (folder / name).is_file():
                return [face_of_points(folder / name)]
        return []

    def unused(self, decoded: dict[str, int]) -> list[str]:
        """Files of points that are of no frame of {clip: its frames}, from the folder of all."""
        frames = {self._folder_of(clip): count for clip, count in decoded.items()}
        return [
            file.relative_to(self.path).as_posix()
            for file in self.files
            if not _is_frame(file.stem, frames.get(file.parent, 0), 1)
        ]

    def _folder_of(self, clip: str) -> Path | None:
        """The folder of a clip's points: of its path, or else the only one of its name.

        Raises:
            ValueError: there are several of its name.
        """
        found = self.folders.get(clip.rpartition("/")[2], [])
        fitting = [folder for folder in found if folder == self.path / clip] or found
        if len(fitting) > 1:
            raise ValueError(
                f"boxes: the clip {clip} may have those of {shortened(fitting)}; name folders as the clips"
            )
        return next(iter(fitting), None)


def given_frames(path: Path, method: Method) -> GivenFrames:
    """Read what stands at a place: a folder of points, or else a table.

    Args:
        path: of the table or folder.
        method: whether eyes are needed.

    Raises:
        OSError, ValueError: it cannot be read, or does not say the eyes that are needed.
    """
    return FramesOfPoints(path, method) if path.is_dir() else FramesOfTable(path, method)


def face_of_points(path: Path) -> Face:
    """The box around the points of a file: n_points lines "x y" between braces.

    Raises:
        ValueError: there are none, or they span no area.
    """
    try:
        points = [(float(x), float(y)) for x, y in _POINTS.findall(text_of(path))]
    except ValueError as error:
        raise ValueError(f"boxes: {path} cannot be read ({error})") from error
    if len(points) < 2:
        raise ValueError(f"boxes: {path} has {len(points)} points, and a box needs two or more")
    xs, ys = zip(*points, strict=True)
    return Face((min(xs), min(ys), max(xs), max(ys)), 1.0, None)


def _is_frame(number: str, frames: int, first: int = 0) -> bool:
    return number.isdecimal() and first <= int(number) < frames + first
