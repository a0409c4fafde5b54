"""A video with its faces drawn into it: boxes, tracks and what the first head says."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hf_hmtl.data import video
from hf_hmtl.files import replacing

_COLOURS = ((230, 80, 60), (60, 130, 230), (50, 170, 90), (240, 170, 30), (160, 90, 200), (30, 180, 190))
_BEFORE = ("file", "frame", "seconds", "face", "track", "xmin", "ymin", "xmax", "ymax", "score", "error", "note")


def draw(source: Path, rows: Iterable[dict], target: Path) -> None:
    """Write the video with the faces of a table; between two frames that were looked at the first one's stay.

    Args:
        source: the video.
        rows: of its frames, in their order.
        target: an MP4 file; it appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(target) as temporary:
        video.write(temporary, _drawn(source, rows), source)


def caption(row: dict) -> str:
    """What is written at a face: its track, and its first answer with how sure it is."""
    track = "" if row["track"] is None else f"{row['track']}: "
    columns = iter(row.items())
    for name, value in columns:
        if name in _BEFORE or value is None:
            continue
        if isinstance(value, str):  # behind a class stands how sure it is
            return f"{track}{value} {next(columns)[1]:.2f}"
        return f"{track}{name} {value:.2f}"
    return track.rstrip(": ")


def _drawn(source: Path, rows: Iterable[dict]) -> Iterator[video.Frame]:
    by_frame = itertools.groupby((row for row in rows if row["frame"] is not None), lambda row: row["frame"])
    following: tuple[int, list[dict]] | None = None
    faces: list[dict] = []
    last_frame = -1
    try:
        for frame in video.frames(source):
            last_frame = frame.number
            while following is None or following[0] <= frame.number:
                faces = faces if following is None else following[1]
                number, group = next(by_frame, (None, ()))
                following = (2**63, []) if number is None else (number, list(group))
            pixels = _with_faces(frame.pixels, [row for row in faces if row["face"] is not None])
            yield replace(frame, pixels=pixels)
    except OSError:
        if last_frame < 0:  # a video that is damaged from some frame on is drawn up to it, as the table says
            raise


def _with_faces(pixels: np.ndarray, faces: list[dict]) -> np.ndarray:
    if not faces:
        return pixels
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    size = max(12, round(min(image.size) / 30))
    font = ImageFont.load_default(size)
    for row in faces:
        colour = _COLOURS[(row["track"] or 0) % len(_COLOURS)]
        text, place = caption(row), (0.0, 0.0)
        if row["xmin"] is not None:  # of a video of cropped faces nobody looked for a box
            left, top = row["xmin"], row["ymin"]
            pen.rectangle((left, top, row["xmax"], row["ymax"]), outline=colour, width=max(2, size // 8))
            place = left, max(0.0, top - 1.3 * size)
        pen.rectangle(pen.textbbox(place, text, font=font), fill=colour)
        pen.text(place, text, fill="white", font=font)
    return np.asarray(image)
