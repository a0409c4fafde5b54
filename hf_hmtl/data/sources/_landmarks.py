"""Shared by sources that give 68 landmarks and no box: where the face is that a picture is cut to."""

from collections.abc import Sequence

import numpy as np

from hf_hmtl.model.face_detector_hmtl import square_around


def checked_margin(source: str, margin: float) -> float:
    """The margin of a source's option.

    Raises:
        ValueError: it is out of its range.
    """
    if not 0 <= margin <= 2:
        raise ValueError(
            f"{source}: margin is {margin!r}, allowed is a share of the face's longer side, 0 to 2, as 0.25"
        )
    return margin


def box_of(points: Sequence[Sequence[float]], margin: float) -> list[float] | None:
    """The square around some points with a margin: left, top, right, bottom in pixels of the picture.

    Args:
        points: (x, y) of each landmark.
        margin: share of the longer side that their box has.

    Returns:
        None where the points are no pairs of finite numbers, or span no area.
    """
    try:
        places = np.asarray(points, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):  # rows of several lengths, words, numbers beyond floats
        return None
    if places.ndim != 2 or places.shape[1:] != (2,) or len(places) < 2 or not np.isfinite(places).all():
        return None
    try:
        return [float(side) for side in square_around([*places.min(0), *places.max(0)], margin)]
    except ValueError:
        return None
