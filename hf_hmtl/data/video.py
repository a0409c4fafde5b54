"""Frames of videos, and videos of frames, by PyAV.

PyAV's wheels bring FFmpeg along; it raises where a file is damaged, tells when each frame is shown, and writes videos
too. OpenCV, which is there anyway, ends in silence at a damaged frame; torchcodec wants an FFmpeg of the system and one
version of torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hf_hmtl.model.image_processing_hmtl import LARGEST_IMAGE

INSTALL = "pip install 'hf_hmtl[video]'"
_CODECS = ("libx264", "mpeg4")
_TICK = Fraction(1, 60_000)  # seconds; 24, 25, 29.97, 30, 50 and 60 frames a second are whole numbers of them
# FFmpeg's names of what holds a video itself. Its others include playlists (hls, concat, dash, sdp), whatever their
# file is called, which would lead to other files and to the network.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,mpegvideo,h264,hevc,m4v,mjpeg,gif,mxf"


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        number: from 0.
        seconds: at which it is shown, None where the file does not say.
        pixels: uint8 (height, width, 3) RGB, upright.
    """

    number: int
    seconds: float | None
    pixels: np.ndarray


def package() -> Any:
    """PyAV.

    Raises:
        ImportError: it is not installed; the message says what to type.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(f"videos are read by the package av. Type: {INSTALL}", name="av") from error
    return av


def frames(path: Path, first: int = 0, every: int = 1) -> Iterator[Frame]:
    """The frames 0, every, 2 * every ... of a video, from the frame `first` on; one is in memory at a time.

    Raises:
        ImportError: PyAV is not installed.
        OSError: the file is no video, or damaged from some frame on.
    """
    av = package()
    try:
        with _opened(av, path) as container:
            if not container.streams.video:
                raise OSError(f"{path}: the file has no pictures")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if stream.codec_context is None:
                raise OSError(f"{path}: nothing here decodes the pictures of this video")
            stream.codec_context.options = {"max_pixels": str(LARGEST_IMAGE)}
            for number, frame in enumerate(container.decode(stream)):
                if number >= first and number % every == 0:
                    yield Frame(number, frame.time, _upright(frame))
    except av.error.FFmpegError as error:
        raise OSError(f"{path}: {error.strerror or type(error).__name__}") from error


def _opened(av: Any, path: Path) -> Any:
    """A file that holds a video itself, and no other is opened beside it."""
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    return av.open(f"file:{path}", options=options, metadata_errors="replace")


def count(path: Path) -> int:
    """About how many frames a video has; 0 where nobody knows."""
    av = package()
    try:
        with _opened(av, path) as container:
            (stream, *_) = container.streams.video
            if stream.frames or not container.duration or not stream.average_rate:
                return stream.frames
            return round(container.duration / av.time_base * float(stream.average_rate))
    except (av.error.FFmpegError, ValueError):
        return 0


def write(path: Path, shown: Iterator[Frame], like: Path) -> None:
    """Write frames as an MP4 file without sound, each shown when it says.

    Args:
        path: of the file.
        shown: frames of one size; an odd last row or column is left out.
        like: the video whose mean rate is that of frames which do not say when.

    Raises:
        OSError: it cannot be written.
    """
    av = package()
    try:
        with _opened(av, like) as container:
            rate = container.streams.video[0].average_rate or Fraction(25)
        with av.open(str(path), "w", format="mp4") as target:
            codec = next(name for name in _CODECS if name in av.codecs_available)
            stream = target.add_stream(codec, rate=rate)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = _TICK
            last = -1
            for number, frame in enumerate(shown):
                height, width = (side // 2 * 2 for side in frame.pixels.shape[:2])
                if number == 0:
                    stream.height, stream.width = height, width
                pixels = np.ascontiguousarray(frame.pixels[:height, :width])
                picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                seconds = number / rate if frame.seconds is None else Fraction(frame.seconds)
                last = max(round(seconds / _TICK), last + 1)  # two frames of one time are shown one after the other
                picture.pts, picture.time_base = last, _TICK
                target.mux(stream.encode(picture))
            target.mux(stream.encode())
    except av.error.FFmpegError as error:
        raise OSError(f"{path}: {error.strerror or type(error).__name__}") from error


def _upright(frame) -> np.ndarray:
    pixels = frame.to_ndarray(format="rgb24")
    # The angle by which players turn it, counted against the clock as numpy does.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90))) if frame.rotation else pixels
