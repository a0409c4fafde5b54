"""What is drawn over a photograph: boxes, the axes of a head's pose, heat."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

RED, GREEN, BLUE, GRAY = (220, 60, 60), (50, 170, 80), (60, 110, 230), (150, 150, 150)
_LONGEST_SIDE = 900
"""Pixels: larger photographs are reduced before they travel to the page."""
_HEAT_SHARE = 0.45


def with_faces(
    picture: Image.Image,
    boxes: Sequence[Sequence[float]],
    pose: tuple[float, float, float] | None = None,
) -> Image.Image:
    """A copy with the box of every face, that of the first in green, and the axes of its pose where it is known.

    Args:
        picture: RGB.
        boxes: (left, top, right, bottom) in pixels of the picture; of none, the pose is drawn in its middle.
        pose: yaw, pitch and roll in degrees.
    """
    scale = min(1.0, _LONGEST_SIDE / max(picture.size))
    shown = picture.resize(max(1, round(side * scale)) for side in picture.size) if scale < 1 else picture.copy()
    draw = ImageDraw.Draw(shown)
    width = max(2, round(max(shown.size) / 200))
    scaled = [[side * scale for side in box] for box in boxes]
    for number, box in reversed(list(enumerate(scaled))):
        draw.rectangle(box, outline=GRAY if number else GREEN, width=width)
    if pose is not None:
        left, top, right, bottom = scaled[0] if scaled else (0, 0, *shown.size)
        middle = np.array([(left + right) / 2, (top + bottom) / 2])
        length = 0.45 * max(right - left, bottom - top)
        for axis, colour in sorted(zip(axes(*pose), (RED, GREEN, BLUE), strict=True), key=lambda each: each[0][2]):
            end = middle + length * axis[:2]
            draw.line([*middle, *end], fill=colour, width=2 * width)
    return shown


def axes(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Where the axes of a head point: rows are its left-to-right axis, its axis down to the chin, and the one out of
    its nose; columns are right and down in the picture, and towards the viewer.

    Args:
        yaw, pitch, roll: degrees, of HopeNet's signs: yaw > 0 turns the nose to the left of the picture, pitch > 0
            lifts it, roll > 0 turns the head clockwise as the viewer sees it.
    """
    yaw, pitch, roll = np.radians([-yaw, pitch, roll])
    about_nose = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    about_neck = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_ears = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    return (np.array(about_ears) @ about_neck @ about_nose).T


def with_heat(face: np.ndarray, heat: np.ndarray) -> Image.Image:
    """A face under its heat.

    Args:
        face: (side, side, 3) uint8.
        heat: (side, side) from 0 to 1.
    """
    colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = _HEAT_SHARE * heat[..., None]
    return Image.fromarray(np.rint(face * (1 - share) + colours * share).astype(np.uint8))
