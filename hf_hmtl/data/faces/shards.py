"""One shard of a prepared data set: some pictures in, a parquet file of their faces out.

A shard is whole or absent, and holds what is left out of it in its own metadata: no list beside the files can disagree
with them after a pass that was stopped.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet

from hf_hmtl import parquet
from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.data.faces.cutting import Cutting
from hf_hmtl.data.identity import ID
from hf_hmtl.files import replacing
from hf_hmtl.model.face_detector_hmtl import Face, FaceDetector
from hf_hmtl.model.image_processing_hmtl import LARGEST_IMAGE
from hf_hmtl.parsing import json_of, shown
from hf_hmtl.workers import pool

LARGEST, ALL = WHICH = ("largest", "all")
FACE_BOX, FACE_SCORE, FACE_LANDMARKS, FACE_ANGLE = OF_FACES = (
    "_face_box", "_face_score", "_face_landmarks", "_face_angle",
)  # fmt: skip
"""Of each face: left, top, right and bottom in pixels of the upright picture; how sure its detector was; x, y of its
landmarks one after the other, null where there are none; by how many degrees it was turned back, clockwise ones > 0."""
FEATURES = {
    FACE_BOX: datasets.Sequence(datasets.Value("float64")),
    FACE_SCORE: datasets.Value("float64"),
    FACE_LANDMARKS: datasets.Sequence(datasets.Value("float64")),
    FACE_ANGLE: datasets.Value("float64"),
}
BROKEN, NO_FACE, NO_GIVEN_FACE = "broken", "no_face_found", "no_face_given"
LEFT_OUT, READ = b"hf_hmtl.left_out", b"hf_hmtl.read"
"""What a file says of itself: the names and reasons of what is left out, and how many pictures were read."""


@dataclass(frozen=True)
class Method:
    """How faces are found and cut out.

    Attributes:
        cutting: how they are cut out.
        which: largest or all of a picture's faces.
        threshold, largest_side, weights: of the detector.
    """

    cutting: Cutting = field(default_factory=Cutting)
    which: str = LARGEST
    threshold: float = 0.5
    largest_side: int = 960
    weights: Path | None = None

    def detector(self) -> FaceDetector:
        """The detector, anew."""
        return FaceDetector(self.weights, self.threshold, self.largest_side)


@dataclass(frozen=True)
class Shard:
    """Pictures of which one file is made.

    Attributes:
        path: the file.
        rows: the rows with image and columns, as the bytes of an arrow stream.
        features: of the file's columns.
        given: the faces of each picture, where they were found elsewhere.
    """

    path: Path
    rows: bytes
    features: datasets.Features
    given: list[list[Face]] | None = None

    def write(self, method: Method, detector: FaceDetector | None) -> int:
        """Write the file. Returns how many pictures it was made of."""
        return write_shard(self, method, detector)


class Work(Protocol):
    """A file that is made of pictures, in any process."""

    def write(self, method: Method, detector: FaceDetector | None) -> int:
        """Write it, whole or not at all. Returns how many pictures were read."""


def stream_of(table: pa.Table) -> bytes:
    """A table as bytes that hold its rows alone, whatever larger table they were cut from."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def write_shard(shard: Shard, method: Method, detector: FaceDetector | None) -> int:
    """Find and cut out the faces of a shard, and write them. Returns how many pictures it read."""
    table = pa.ipc.open_stream(shard.rows).read_all()
    kept: list[int] = []
    columns: dict[str, list] = {name: [] for name in ("image", ID, *OF_FACES)}
    left_out: list[tuple[str, str]] = []
    ids = table[ID].to_pylist()
    for row, image in enumerate(table["image"]):
        try:
            faces = list(_faces(image.as_py(), shard.given[row] if shard.given is not None else None, method, detector))
        except BrokenImage:
            left_out.append((ids[row], BROKEN))
            continue
        if not faces:
            left_out.append((ids[row], NO_FACE if shard.given is None else NO_GIVEN_FACE))
        for number, (content, face, angle) in enumerate(faces):
            kept.append(row)
            name = ids[row] if number == 0 else f"{ids[row]}/face-{number + 1}"
            values = ({"bytes": content, "path": None}, name, *values_of(face, angle))
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    others = [name for name in shard.features if name not in columns]
    arrays = {name: pa.array(values, shard.features.arrow_schema.field(name).type) for name, values in columns.items()}
    arrays |= {name: table[name].take(pa.array(kept, pa.int64())) for name in others}
    written = pa.table({name: arrays[name] for name in shard.features}).cast(shard.features.arrow_schema)
    facts = {LEFT_OUT: json.dumps(left_out).encode(), READ: str(len(ids)).encode()}
    written = written.replace_schema_metadata({**(written.schema.metadata or {}), **facts})
    with replacing(shard.path) as temporary:
        if kept:
            pyarrow.parquet.write_table(written, temporary)
        else:  # a group of no rows is what `datasets` cannot read
            pyarrow.parquet.ParquetWriter(temporary, written.schema).close()
    return len(ids)


def _faces(
    source: dict, given: list[Face] | None, method: Method, detector: FaceDetector | None
) -> Iterator[tuple[bytes, Face, float]]:
    """The file, the face and its angle of each face of a picture that is wanted.

    Raises:
        BrokenImage: there is no picture.
    """
    # In full: boxes are in pixels of the whole picture.
    return faces_of(decode_for_training(source, LARGEST_IMAGE), given, method, detector)


def values_of(face: Face, angle: float) -> tuple:
    """What stands in the columns `OF_FACES` of a face."""
    points = None if face.landmarks is None else [value for point in face.landmarks for value in point]
    return face.box, face.score, points, angle


def faces_of(
    image: np.ndarray, given: list[Face] | None, method: Method, detector: FaceDetector | None
) -> Iterator[tuple[bytes, Face, float]]:
    """The file, the face and its angle of each face of a decoded picture that is wanted.

    Raises:
        BrokenImage: a given box is beyond all measure.
    """
    faces = given
    if faces is None and detector is not None:
        faces = detector(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
    for face in (faces or [])[: 1 if method.which == LARGEST else None]:
        try:
            part = method.cutting.cut(image, face)
        except ValueError as error:  # a given box beyond all measure
            raise BrokenImage(str(error)) from error
        yield method.cutting.encoded(part), face, method.cutting.angle(face)


def facts_of(path: Path) -> tuple[list[tuple[str, str]], int, int]:
    """What is left out of a shard, as (name, reason); how many pictures it read; how many faces it holds.

    Raises:
        ValueError: the file is damaged, or no pass has written it.
    """
    with parquet.told(path):
        file = pyarrow.parquet.read_metadata(path)
    try:
        left_out = [(str(name), str(reason)) for name, reason in json_of(file.metadata[LEFT_OUT], path)]
        return left_out, int(file.metadata[READ]), file.num_rows
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no file that hf-hmtl prepare has written ({shown(str(error))})") from error


def write_shards(shards: Iterable[Work], method: Method, detects: bool, processes: int) -> Iterator[int]:
    """Write all shards, in so many processes; gives the number of pictures of each when it stands.

    What a shard holds depends on nothing but its own pictures.

    Raises:
        OSError: a process was killed.
    """
    if processes == 1:
        detector = method.detector() if detects else None
        for shard in shards:
            yield shard.write(method, detector)
        return
    shards, pending = iter(shards), set()
    with pool(processes, _begin, method, detects) as writers:
        try:
            # A few ahead: a shard may hold the bytes of its pictures, and all of them together would not fit.
            while pending := pending | {
                writers.submit(_work, each) for each in islice(shards, 2 * processes - len(pending))
            }:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from [each.result() for each in done]
        except BrokenProcessPool as error:
            raise OSError(
                "one of the processes was killed, perhaps because memory ran out. Type the same command again: it goes "
                "on where it stopped; --num_proc 1 needs the least memory"
            ) from error


_of_this_process: dict[str, tuple] = {}


def _begin(method: Method, detects: bool) -> None:
    cv2.setNumThreads(1)  # the processes share the cores
    _of_this_process["work"] = method, method.detector() if detects else None


def _work(shard: Work) -> int:
    return shard.write(*_of_this_process["work"])
