"""One pass over videos that leaves the faces of their frames: a file a video, whole or absent.

A video is decoded once, from its first frame to its last, and a few frames are in memory at a time. The number of a
frame is its place in that order, from 0; where a frame shows no face, its number is missing in what is written.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet

from hf_hmtl.data import video
from hf_hmtl.data.decode import BrokenImage
from hf_hmtl.data.faces import shards as writing
from hf_hmtl.data.faces.given_frames import GivenFrames, given_frames
from hf_hmtl.data.faces.prepare import (
    Prepared,
    begun,
    check_places,
    earlier,
    finding,
    lock_of,
)
from hf_hmtl.data.faces.record import write_record
from hf_hmtl.data.faces.shards import LEFT_OUT, READ, Method, faces_of, facts_of, values_of, write_shards
from hf_hmtl.data.identity import CLIP, FEATURES, FEATURES_OF_CLIPS, FILE, FRAME, GROUP, ID, SOURCE
from hf_hmtl.data.ledger import FOLDER, VIDEO, Ledger, Reason
from hf_hmtl.data.own_faces.tree import VIDEOS, Tree, shortened, walk
from hf_hmtl.files import replacing
from hf_hmtl.locks import sole_writer
from hf_hmtl.model.face_detector_hmtl import FaceDetector

FACES_AT_ONCE = 64
"""Faces of a video that are gathered before they are written."""
DAMAGED = Reason("damaged_video", "videos that cannot be read, or not to their end")
REASONS_OF_VIDEOS = {
    writing.BROKEN: Reason(writing.BROKEN, "frames that cannot be read"),
    writing.NO_FACE: Reason(writing.NO_FACE, "frames in which no face was found"),
    writing.NO_GIVEN_FACE: Reason(writing.NO_GIVEN_FACE, "frames that the given boxes give no face"),
    DAMAGED.name: DAMAGED,
}
_COLUMNS = datasets.Features(
    {"image": datasets.Image(), **FEATURES, **FEATURES_OF_CLIPS, **writing.FEATURES}  # what a row of a frame has
)


def videos_in(place: Path) -> list[Path]:
    """The videos below a folder, or a video itself; in the order of their paths, numbers by their size."""
    if place.is_file():
        return [place] if place.suffix.lower() in VIDEOS else []
    return _videos_of(walk(place))


def _videos_of(tree: Tree) -> list[Path]:
    return [
        tree.root / path for path in sorted((path for path, reason in tree.others if reason is VIDEO), key=_natural)
    ]


def are_videos(place: str | Path) -> bool:
    """Whether a place is a video, or a folder of videos without any picture."""
    place = Path(place).expanduser()
    if not place.is_dir():
        return place.is_file() and bool(videos_in(place))
    tree = walk(place)
    return bool(_videos_of(tree)) and not tree.images


def prepare_videos(
    place: str | Path,
    out: str | Path,
    method: Method | None = None,
    boxes: str | Path | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Find the face of every frame of some videos, cut it out and write it, with its clip and the number of its frame.

    Args:
        place: a folder of videos, at any depth, or one video. A video's clip is called as its path without suffix.
        out: the folder to write; it must not exist, unless it was finished with the same options.
        method: how faces are found and cut out; of a frame with several the largest, which no option changes.
        boxes: faces that were found elsewhere: a table as `data.faces.given` reads it, whose `file` is CLIP/FRAME,
            frames counted from 0; or a folder of CLIP/FRAME.pts with the corners of a box each, counted from 1, as
            Aff-Wild has them.
        processes: that share the videos; the result is the same with any number.
        progress: called with the number of frames that are done, and about how many there are.

    Raises:
        FileExistsError: `out` exists, or an unfinished pass with other options.
        BlockingIOError: another process is writing it.
        ImportError: PyAV is not installed.
        OSError, ValueError: there is no video, boxes or weights cannot be used, or no face is found.
    """
    method = method or Method()
    out, place = (Path(os.path.abspath(Path(each).expanduser())) for each in (out, place))
    check_places(place, out, method, processes)
    if method.which != writing.LARGEST:
        raise ValueError("faces is 'all': of each frame of a video one face is taken, the largest; leave --faces out")
    paths, ledger = _found(place)
    video.package()
    given = None if boxes is None else given_frames(Path(boxes).expanduser(), method)
    if given is None:
        method.detector()  # raises here and not in every process
    root = place if place.is_dir() else place.parent
    plan = {
        **asdict(method.cutting),
        "faces": method.which,
        **finding(method, None if given is None else given.digest),
        "data": _digest_of(paths, root),
    }
    with sole_writer(out, lock_of(out)):
        if out.exists():
            return earlier(out, plan)
        unfinished = begun(out, plan)
        works, counts = [], [video.count(path) for path in paths]
        for number, path in enumerate(paths):
            name = unfinished / f"train-{number:05d}-of-{len(paths):05d}.parquet"
            works.append(VideoWork(name, path, path.relative_to(root).as_posix(), root.name, given))
        todo = [work for work in works if not work.path.is_file()]
        done = sum(facts_of(work.path)[1] for work in works if work.path.is_file())
        progress(done, max(sum(counts), done))
        for count in write_shards(todo, method, given is None, processes):
            done += count
            progress(done, max(sum(counts), done))
        return _finish(out, unfinished, works, plan, ledger, given)


def _found(place: Path) -> tuple[list[Path], Ledger]:
    """The videos, and what lies beside them and is none.

    Raises:
        FileNotFoundError: there is no video.
        ValueError: two videos would be the same clip.
    """
    paths, ledger = videos_in(place), Ledger()
    if not paths:
        raise FileNotFoundError(
            f"prepare: there is no video in {place}; their names end in {', '.join(sorted(VIDEOS))}"
        )
    if place.is_dir():
        tree = walk(place)
        for path, reason in (*tree.others, *tree.unread_tables):
            if reason is not VIDEO:
                ledger.leave_out(FOLDER, reason, [path])
    named: dict[Path, Path] = {}
    for path in paths:
        if named.setdefault(path.with_suffix(""), path) != path:
            both = shortened([named[path.with_suffix("")].name, path.name])
            raise ValueError(f"prepare: {both} in {path.parent} would be one clip, {path.stem}; rename one of them")
    return paths, ledger


@dataclass(frozen=True)
class VideoWork:
    """A video of which one file is made.

    Attributes:
        path: the file.
        video: what is read.
        name: the video's path in its folder.
        source: name of that folder.
        given: faces that were found elsewhere, or None.
    """

    path: Path
    video: Path
    name: str
    source: str
    given: GivenFrames | None

    @property
    def clip(self) -> str:
        """What the frames are a part of."""
        return self.name.rpartition(".")[0]

    def write(self, method: Method, detector: FaceDetector | None) -> int:
        """Decode the video and write its faces, a few at a time. Returns how many frames it has."""
        left_out: list[tuple[str, str]] = []
        read, schema = 0, _COLUMNS.arrow_schema
        with replacing(self.path) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
            gathered: list[dict[str, Any]] = []
            frames = video.frames(self.video)
            while True:
                try:
                    frame = next(frames, None)
                except OSError:
                    left_out.append((self.name, DAMAGED.name))
                    break
                if frame is None:
                    break
                read += 1
                row, reason = self._face(frame, method, detector)
                if row is None:
                    left_out.append((f"{self.clip}/{frame.number}", str(reason)))
                else:
                    gathered.append(row)
                if len(gathered) == FACES_AT_ONCE:
                    writer.write_table(_table(gathered))
                    gathered = []
            if gathered:
                writer.write_table(_table(gathered))
            writer.add_key_value_metadata({LEFT_OUT: json.dumps(left_out).encode(), READ: str(read).encode()})
        return read

    def _face(
        self, frame: video.Frame, method: Method, detector: FaceDetector | None
    ) -> tuple[dict[str, Any] | None, str | None]:
        """The row of a frame's largest face, or why there is none."""
        given = None if self.given is None else self.given.faces_of(self.clip, frame.number)
        try:
            found = next(faces_of(frame.pixels, given, method, detector), None)
        except BrokenImage:
            return None, writing.BROKEN
        if found is None:
            return None, writing.NO_FACE if given is None else writing.NO_GIVEN_FACE
        content, face, angle = found
        name = f"{self.clip}/{frame.number}"
        row = {"image": {"bytes": content, "path": None}, ID: name, FILE: self.name, SOURCE: self.source}
        row |= {GROUP: self.clip, CLIP: self.clip, FRAME: frame.number}
        return row | dict(zip(writing.OF_FACES, values_of(face, angle), strict=True)), None


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    schema = _COLUMNS.arrow_schema
    return pa.table({name: pa.array(values, schema.field(name).type) for name, values in columns.items()}, schema)


def _digest_of(paths: list[Path], root: Path) -> str:
    facts = [(path.relative_to(root).as_posix(), path.stat().st_size) for path in paths]
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def _natural(name: str) -> list:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _finish(
    out: Path, unfinished: Path, works: list[VideoWork], plan: dict, ledger: Ledger, given: GivenFrames | None
) -> Prepared:
    """Count what stands in all files, write it down, and give the folder its name."""
    frames, faces = 0, 0
    names: dict[str, list[str]] = {}
    decoded: dict[str, int] = {}
    for work in works:
        left_out, read, kept = facts_of(work.path)
        decoded[work.clip] = read
        frames, faces = frames + read, faces + kept
        for name, reason in left_out:
            names.setdefault(reason, []).append(name)
    for reason, lost in names.items():
        ledger.leave_out("train", REASONS_OF_VIDEOS[reason], lost)
    if not faces:
        shutil.rmtree(unfinished)
        raise ValueError(f"prepare: there is no face in any frame: {'; '.join(ledger.lines())}")
    notes = [f"{len(works)} videos, a file each", *(given.notes(decoded) if given else ())]
    found = Prepared(out, {"train": faces}, {"train": frames}, ledger.to_dict(), tuple(notes), tuple(_COLUMNS))
    content = {"faces": found.faces, "pictures": found.pictures, "left_out": found.left_out, "names": {"train": names}}
    write_record(unfinished, {**content, "notes": notes, "columns": found.columns, "plan": plan})
    os.replace(unfinished, out)
    return found
