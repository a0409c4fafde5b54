"""From many images and videos to a table of their faces, in constant memory, and on from where it was stopped.

Three things go on at once: files are read and decoded in one thread, faces are found and cut in a second, and the
network answers in the first, about batches of faces across pictures.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import pipeline
from transformers.utils.logging import disable_progress_bar

from hf_hmtl.data import video
from hf_hmtl.locks import sole_writer
from hf_hmtl.model.answers_hmtl import note_of
from hf_hmtl.model.pipeline_hmtl import FaceAnalysisPipeline
from hf_hmtl.model.registration import register
from hf_hmtl.serving import drawing
from hf_hmtl.serving.ahead import ahead
from hf_hmtl.serving.devices import require_device
from hf_hmtl.serving.images import is_video
from hf_hmtl.serving.network import require_ours
from hf_hmtl.serving.pictures import Picture, Place, expected, pictures
from hf_hmtl.serving.table import Columns, Parts
from hf_hmtl.serving.tracks import Tracks

PICTURES_AHEAD = 4
"""Decoded pictures that wait: of 12 megapixels each is 36 MB."""
PICTURES_A_PART = 256
"""Pictures after which a part is written: so many are looked at again after a kill."""


@dataclass(frozen=True)
class Choices:
    """How a table is made.

    Attributes:
        every: of the frames of a video, those whose number divides by it.
        batch_size: faces that the network sees at once.
        draw: where to write the only video with its faces drawn into it; None for no such file.
        overwrite: whether an earlier table may be lost.
    """

    every: int = 1
    batch_size: int = 8
    draw: Path | None = None
    overwrite: bool = False


@dataclass
class Counts:
    """What a table holds: pictures, faces in them, pictures that could not be read and the first reason."""

    pictures: int = 0
    faces: int = 0
    broken: int = 0
    first_reason: str = ""

    def count(self, rows: Sequence[dict]) -> None:
        """Add the rows of a picture."""
        self.pictures += 1
        self.faces += sum(each.get("face") is not None for each in rows)
        reasons = [each["error"] for each in rows if each.get("error")]
        self.broken += len(reasons)
        self.first_reason = self.first_reason or next(iter(reasons), "")


@dataclass(frozen=True)
class _Seen:
    """A picture, and what the network is to see of its faces: `FaceAnalysisPipeline.prepared`."""

    picture: Picture
    faces: list[dict]


def pipeline_of(model: str | Path, **options: Any) -> FaceAnalysisPipeline:
    """`pipeline("face-analysis", model=model, **options)`, without the bar that shows how weights are loaded.

    Raises:
        OSError: there is no such model.
        ValueError: it is of another kind, an option is out of range, or there is no such head or device.
    """
    if isinstance(device := options.get("device"), str):
        require_device(device)
    require_ours(model, options.get("revision"))
    register()
    disable_progress_bar()
    return pipeline("face-analysis", model=str(model), **options)


def predict(analyse: FaceAnalysisPipeline, files: Sequence[Path], output: Path, choices: Choices) -> Counts:
    """Write the table of all faces; see README for its columns.

    Args:
        analyse: the pipeline, which knows whether faces are to be found, of what score and with what margin.
        files: images and videos.
        output: .parquet, .csv or .jsonl.
        choices: how.

    Raises:
        ImportError: a video is to be read, and PyAV is not installed.
        BlockingIOError: another process is writing it.
        OSError: the table cannot be written, or there is one already.
        ValueError: an option is out of range, no file could be read, or there was no face in any of them, or two
            columns would have one name; nothing is written then.
    """
    for name in ("every", "batch_size"):
        if getattr(choices, name) < 1:
            raise ValueError(f"--{name} is {getattr(choices, name)}, allowed is 1 or more")
    if any(map(is_video, files)):
        video.package()
    if choices.draw:
        _check_draw(choices.draw, files, choices.overwrite)
    columns = Columns(analyse.asked, note_of(analyse.model.config))
    with sole_writer(output, output.with_name(f".{output.name}.lock")):
        parts = Parts(output, _plan(analyse, files, choices), columns.schema, choices.overwrite)
        try:
            counts = _write_parts(analyse, files, choices, parts, columns)
        except BaseException:
            if not parts.files():
                parts.discard()
            raise
        if not counts.faces:
            parts.discard()
            raise ValueError(_nothing_found(counts))
        if choices.draw:
            drawing.draw(files[0], parts.rows(), choices.draw)
        parts.finish()
        return counts


def _write_parts(
    analyse: FaceAnalysisPipeline, files: Sequence[Path], choices: Choices, parts: Parts, columns: Columns
) -> Counts:
    """Write all parts that are not there yet."""
    state = parts.state()
    counts = Counts(**state["counts"]) if state else Counts()
    begin = Place(*state["next"]) if state else Place()
    tracks = Tracks.of(state["tracks"]) if state else Tracks()
    total = expected(files, choices.every)
    with tqdm(total=total, initial=counts.pictures, unit="picture", disable=None) as bar:
        rows: list[dict] = []
        since = 0
        for seen, values in _answered(analyse, _seen(analyse, files, choices.every, begin), choices.batch_size):
            if seen.picture.frame in (None, 0):
                tracks = Tracks()
            of_picture = _rows(analyse, seen, values, tracks, columns)
            counts.count(of_picture)
            rows += of_picture
            since += 1
            bar.update()
            if since == PICTURES_A_PART:
                parts.add(rows, _state(counts, seen.picture.next, tracks))
                rows, since = [], 0
        if since:
            parts.add(rows, _state(counts, seen.picture.next, tracks))
    return counts


def _seen(analyse: FaceAnalysisPipeline, files: Sequence[Path], every: int, begin: Place) -> Iterator[_Seen]:
    """Pictures with the pixels of their faces; reading and finding each in a thread of its own."""
    read = ahead(pictures(files, every, begin), PICTURES_AHEAD)
    return ahead((_looked_at(analyse, each) for each in read), PICTURES_AHEAD)


def _looked_at(analyse: FaceAnalysisPipeline, picture: Picture) -> _Seen:
    """The pixels of its faces, and the picture without its own: many wait for a batch."""
    faces = analyse.prepared(picture.image) if picture.error is None else []
    return _Seen(dataclasses.replace(picture, image=None), faces)


def _answered(
    analyse: FaceAnalysisPipeline, seen: Iterable[_Seen], batch_size: int
) -> Iterator[tuple[_Seen, list[torch.Tensor]]]:
    """Each picture with the values of its faces, computed in batches across pictures; order is kept."""
    waiting: list[_Seen] = []
    count = 0
    for each in seen:
        waiting.append(each)
        count += sum(face["answered"] for face in each.faces)
        if count >= batch_size or len(waiting) >= PICTURES_A_PART:  # many without a face wait for nothing
            yield from _values(analyse, waiting, batch_size)
            waiting, count = [], 0
    yield from _values(analyse, waiting, batch_size)


def _values(
    analyse: FaceAnalysisPipeline, waiting: Sequence[_Seen], batch_size: int
) -> Iterator[tuple[_Seen, list[torch.Tensor]]]:
    pixels = [face["pixel_values"] for each in waiting for face in each.faces if face["answered"]]
    batches = [pixels[first : first + batch_size] for first in range(0, len(pixels), batch_size)]
    values = iter([row for batch in batches for row in analyse.answered(torch.cat(batch))])
    for each in waiting:
        yield each, [next(values) for face in each.faces if face["answered"]]


def _rows(
    analyse: FaceAnalysisPipeline, seen: _Seen, values: list[torch.Tensor], tracks: Tracks, columns: Columns
) -> list[dict]:
    """The rows of a picture: one a face, or one without a face."""
    picture = seen.picture
    place = {"file": str(picture.path), "frame": picture.frame, "seconds": picture.seconds}
    faces = [face["face"] for face in seen.faces if face["answered"]]
    if not faces:
        told = (("error", picture.error), ("note", note_of(analyse.model.config)))
        said = {name: text for name, text in told if text}
        if picture.frame is not None and picture.error is None:
            tracks.follow([])
        return [columns.row(said, place)]
    found = tracks.follow([face.box for face in faces]) if picture.frame is not None and faces[0] else None
    heads = tuple(answer.head for answer in analyse.asked)
    return [
        columns.row(
            analyse.entry(each, face, heads),
            place | {"face": number, "track": None if found is None else found[number]},
        )
        for number, (each, face) in enumerate(zip(values, faces, strict=True))
    ]


def _state(counts: Counts, place: Place, tracks: Tracks) -> dict:
    return {"counts": vars(counts), "next": [place.file, place.frame], "tracks": tracks.state()}


def _plan(analyse: FaceAnalysisPipeline, files: Sequence[Path], choices: Choices) -> dict:
    """All that decides the rows: files by name, size and time, weights, options."""
    weights = hashlib.sha256()
    for name, tensor in analyse.model.state_dict().items():
        weights.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    known = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    finding = {name: str(value) for name, value in sorted(analyse._preprocess_params.items()) if name != "detector"}
    return {
        "files": hashlib.sha256(repr(known).encode()).hexdigest(),
        "model": weights.hexdigest(),
        "heads": [answer.head for answer in analyse.asked],
        "faces": finding,
        "margin": analyse.margin,
        "every": choices.every,
    }


def _nothing_found(counts: Counts) -> str:
    """Why the table would say nothing."""
    if counts.broken == counts.pictures:
        which = (
            "the only picture could not" if counts.pictures == 1 else f"none of the {counts.pictures} pictures could"
        )
        return f"{which} be read{'; the first' * (counts.pictures > 1)}: {counts.first_reason}"
    broken = f", and {counts.broken} could not be read, the first: {counts.first_reason}" if counts.broken else ""
    return (
        f"there is no face in any of the {counts.pictures} pictures{broken}. Where they are faces that were cut out "
        "already, give --cropped; a lower --threshold takes what the detector is less sure about"
    )


def _check_draw(target: Path, files: Sequence[Path], overwrite: bool) -> None:
    videos = [path for path in files if is_video(path)]
    if len(videos) != 1 or len(files) != 1:
        raise ValueError(f"--draw {target} draws into one video, and there are {len(files)} files; give that one alone")
    if target.suffix != ".mp4":
        raise ValueError(f"--draw {target}: the video that is written ends in .mp4")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists already; give another --draw, or --overwrite")
