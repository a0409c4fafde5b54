"""How a face is cut out of a picture: a square around its box, turned upright by the eyes where that is wanted."""

import io
import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from hf_hmtl.data.crops import cut
from hf_hmtl.model.face_detector_hmtl import Face, square_around

JPEG, PNG = FORMATS = ("jpeg", "png")
_QUALITY = {JPEG: {"quality": 95, "subsampling": 0}, PNG: {}}
_EYES = {5: ((0,), (1,)), 68: (range(36, 42), range(42, 48))}
"""Which points are the eye on the left in the picture and the other one, by the number of points: those of detectors,
and the 68 of the Multi-PIE mark-up (Gross et al. 2010), as in 300-W and AffectNet."""


@dataclass(frozen=True)
class Cutting:
    """How faces are cut out.

    Attributes:
        margin: what is added on each side, as a share of the longer side of the face's box. The shorter side is widened
            to a square, because the network sees a square and would see a face in other proportions.
        align: turn the picture around the middle of the box until the eyes are level.
        size: largest side of a written face, in pixels; larger ones are reduced. None keeps every pixel.
        format: jpeg (quality 95, colours in full) or png, which loses nothing.
    """

    margin: float = 0.25
    align: bool = False
    size: int | None = None
    format: str = JPEG

    def __post_init__(self):
        margin, size = self.margin, self.size
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin <= 10:
            raise ValueError(f"margin is a share of the face's side, 0 to 10, like 0.25; got {margin!r}")
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"size is the largest side of a face in pixels, like 256; got {size!r}")
        if self.format not in FORMATS:
            raise ValueError(f"format is {self.format!r}, allowed are {' and '.join(FORMATS)}")

    def angle(self, face: Face) -> float:
        """By how many degrees the face is turned clockwise, as its eyes say; 0 where it is not to be turned back.

        Raises:
            ValueError: the face has no eyes.
        """
        if not self.align:
            return 0.0
        if (eyes := eyes_of(face)) is None:
            raise ValueError(
                "align needs the eyes of every face: 5 landmarks, as detectors give them, or the 68 of Multi-PIE; this "
                f"one has {len(face.landmarks or ()) or 'none'}"
            )
        (left, upper), (right, lower) = eyes
        return math.degrees(math.atan2(lower - upper, right - left))

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """The face out of a picture, (side, side) or (side, side, 3) uint8; black beyond the picture's edge.

        Raises:
            ValueError: the box has no area, or more than the largest image; the face has no eyes to align it by.
        """
        square = square_around(face.box, self.margin)
        side, angle = square[2] - square[0], self.angle(face)
        part = cut(image, square) if not angle else turned(image, face, side, angle)
        if self.size is not None and side > self.size:
            part = cv2.resize(part, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return part

    def encoded(self, part: np.ndarray) -> bytes:
        """The file of a face."""
        file = io.BytesIO()
        Image.fromarray(part).save(file, self.format, **_QUALITY[self.format])
        return file.getvalue()


def eyes_of(face: Face) -> tuple[np.ndarray, np.ndarray] | None:
    """(x, y) of the eye on the left in the picture and of the other one; None where the landmarks do not say."""
    places = _EYES.get(len(face.landmarks or ()))
    if places is None or face.landmarks is None:
        return None
    left, right = (np.mean([face.landmarks[place] for place in eye], axis=0) for eye in places)
    return left, right


def turned(image: np.ndarray, face: Face, side: int, angle: float) -> np.ndarray:
    """The square around the middle of a face's box out of a picture that is turned back by an angle in degrees."""
    left, top, right, bottom = face.box
    # OpenCV puts whole numbers into the middle of pixels, boxes have them at their edges.
    x, y = (left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5
    matrix = cv2.getRotationMatrix2D((x, y), angle, 1.0)
    matrix[:, 2] += (side - 1) / 2 - x, (side - 1) / 2 - y
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
