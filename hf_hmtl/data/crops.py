"""Where the face is in a picture: two columns that a source may give, and how a picture is cut to them.

A dataset may go without them, and so may some of its rows: the whole image is then the face.
"""

from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np

from hf_hmtl.draws import Draws
from hf_hmtl.model.image_processing_hmtl import LARGEST_IMAGE

BOX = "_box"
"""(left, top, right, bottom) of the face in pixels of the image; a box may reach beyond it."""
MARGINS = "_margins"
"""(left, top, right, bottom, least, most): by k times these shares the box is `widened`, k from least to most; null
takes the box as it is."""
CROP = (BOX, MARGINS)
FEATURES = dict.fromkeys(CROP, datasets.Sequence(datasets.Value("float64")))

Box = tuple[int, int, int, int]


def widened(box: Any, shares: Any, k: float) -> Box:
    """The box with margins of k times the shares of its sides, one after the other: left, top, right, bottom.

    Right and bottom go by the sides as the left and top margins have made them, as in HopeNet's code (Ruiz et al.
    2018, `datasets.py`), and the numbers are cut off towards 0, as there.

    Args:
        box: left, top, right, bottom.
        shares: of the same.
        k: factor of all four.
    """
    left, top, right, bottom = map(float, box)
    left -= shares[0] * k * abs(right - left)
    top -= shares[1] * k * abs(bottom - top)
    right += shares[2] * k * abs(right - left)
    bottom += shares[3] * k * abs(bottom - top)
    return int(left), int(top), int(right), int(bottom)


def boxes(rows: Mapping[str, list], draws: Draws | None = None) -> list[Box | None]:
    """What each row of a batch is cut to; None where it says nothing.

    Args:
        rows: {column: list}, with or without `BOX` and `MARGINS`.
        draws: random numbers of the rows, which choose k; without them it is the middle of its range.
    """
    given = rows.get(BOX)
    count = len(next(iter(rows.values())))
    if given is None:
        return [None] * count
    margins = rows.get(MARGINS) or [None] * count
    places = np.full(count, 0.5) if draws is None else draws.uniform("crop/margin")
    found: list[Box | None] = []
    for box, shares, place in zip(given, margins, places, strict=True):
        if box is None:
            found.append(None)
        elif shares is None:
            found.append(widened(box, (0, 0, 0, 0), 0))
        else:
            found.append(widened(box, shares, shares[4] + float(place) * (shares[5] - shares[4])))
    return found


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    """The part of a picture within a box; black where the box lies outside of the picture.

    Args:
        image: (height, width) or (height, width, channels).
        box: left, top, right and bottom, the latter two exclusive.

    Raises:
        ValueError: the box has no area, or more than the largest image.
    """
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        raise ValueError(f"the face's box {box} has no area")
    if (right - left) * (bottom - top) > LARGEST_IMAGE:
        raise ValueError(f"the face's box {box} is larger than {LARGEST_IMAGE:,} pixels")
    part = np.zeros((bottom - top, right - left, *image.shape[2:]), dtype=image.dtype)
    height, width = image.shape[:2]
    seen = image[max(top, 0) : max(min(bottom, height), 0), max(left, 0) : max(min(right, width), 0)]
    down, along = max(-top, 0), max(-left, 0)
    part[down : down + seen.shape[0], along : along + seen.shape[1]] = seen
    return part
