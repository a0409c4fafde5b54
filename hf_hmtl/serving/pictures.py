"""The pictures of files: an image is one, a video has one for each of its frames that are looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hf_hmtl.data import video
from hf_hmtl.model.image_processing_hmtl import decode
from hf_hmtl.serving.images import is_video


@dataclass(frozen=True, order=True)
class Place:
    """Where to go on: the number of a file, and of a frame in it."""

    file: int = 0
    frame: int = 0


@dataclass(frozen=True)
class Picture:
    """A picture, or why there is none.

    Attributes:
        path: the file, as it was given.
        file: its number among all files.
        frame: number of the frame, from 0; None of an image.
        seconds: at which the frame is shown.
        image: upright, RGB; None where it is broken.
        error: the reason then.
    """

    path: Path
    file: int
    frame: int | None = None
    seconds: float | None = None
    image: Image.Image | None = None
    error: str | None = None

    @property
    def next(self) -> Place:
        """What follows it. Behind a damaged frame nothing of the file can be read."""
        if self.frame is None or self.error:
            return Place(self.file + 1)
        return Place(self.file, self.frame + 1)


def pictures(files: Sequence[Path], every: int = 1, begin: Place = Place()) -> Iterator[Picture]:
    """All pictures of files in order, from a place on; what cannot be read is one with an error.

    Args:
        files: images and videos.
        every: of the frames of a video, those whose number divides by it.
        begin: where to begin.
    """
    for number in range(begin.file, len(files)):
        path = files[number]
        if is_video(path):
            yield from _of_video(path, number, every, begin.frame if number == begin.file else 0)
            continue
        try:
            yield Picture(path, number, image=decode(path))
        except (OSError, ValueError) as error:
            yield Picture(path, number, error=str(error))


def expected(files: Sequence[Path], every: int) -> int | None:
    """About how many pictures there are; None where a video does not say."""
    counts = [-(-video.count(path) // every) if is_video(path) else 1 for path in files]
    return sum(counts) if all(counts) else None


def _of_video(path: Path, number: int, every: int, first: int) -> Iterator[Picture]:
    frame, any_yet = None, first > 0
    try:
        for frame in video.frames(path, first, every):
            any_yet = True
            yield Picture(path, number, frame.number, frame.seconds, Image.fromarray(frame.pixels))
    except OSError as error:
        place = None if frame is None else frame.number + 1
        yield Picture(path, number, place, error=str(error))
        return
    if not any_yet:
        yield Picture(path, number, error=f"{path}: the video has no frames")
