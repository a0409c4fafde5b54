"""What surfaces of a drawn face look like: soft light on skin, colours, and textures that pictures cut pieces from."""

from functools import lru_cache

import cv2
import numpy as np

from hf_hmtl.data.drawn_faces.face_shape import project
from hf_hmtl.draws import Draws

GRID, REACH = 40, 1.35
"""The light map of a head has GRID x GRID points that span -REACH .. REACH head units."""

_BANK = 720  # wider than the canvas of the largest image
_AXIS = np.linspace(-REACH, REACH, GRID)

_SKIN = np.array([[245, 208, 186], [226, 180, 148], [196, 146, 110], [150, 103, 74], [100, 66, 48]], dtype=np.float64)
_HAIR = np.array(
    [[30, 25, 24], [60, 41, 31], [98, 68, 46], [126, 68, 40], [200, 166, 110], [178, 176, 170]], dtype=np.float64
)
_IRIS = np.array(
    [[58, 38, 26], [104, 68, 40], [118, 104, 62], [92, 122, 88], [92, 128, 166], [122, 132, 140]], np.float64
)


@lru_cache(maxsize=1)
def _textures() -> dict[str, np.ndarray]:
    """Textures of unit variance that every picture cuts its own piece from: grain, clouds, strands of hair, curls."""
    words = Draws(0, [0] * _BANK, np.arange(_BANK), stream="texture bank/")
    grain = sum(words.uniform(f"part {part}", -1.0, 1.0, count=3 * _BANK) for part in range(3))
    grain = grain.reshape(_BANK, _BANK, 3).astype(np.float32)
    plain = grain[..., 0].copy()
    polar = cv2.GaussianBlur(plain, (0, 0), sigmaX=0.8, sigmaY=14.0, borderType=cv2.BORDER_REFLECT)
    y, x = (np.indices((_BANK, _BANK), dtype=np.float32) - _BANK / 2) / _BANK
    angle = (np.arctan2(y, x) / (2 * np.pi) + 0.5) * _BANK
    fan = cv2.remap(
        polar, angle.astype(np.float32), np.hypot(x, y) * _BANK, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    maps = {
        "grain": grain,
        "cloud": cv2.GaussianBlur(plain, (0, 0), 7.0, borderType=cv2.BORDER_REFLECT),
        "strand": fan,
        "curl": cv2.GaussianBlur(plain, (0, 0), 2.2) - cv2.GaussianBlur(plain, (0, 0), 5.0),
    }
    return {name: (value - value.mean()) / value.std() for name, value in maps.items()}


def texture(name: str, side: int, place) -> np.ndarray:
    """A (side, side) piece of a texture (of the grain: (side, side, 3)) at a place given by two numbers in [0, 1)."""
    whole = _textures()[name]
    room = _BANK - side
    top, left = int(place[0] * room), int(place[1] * room)
    return whole[top : top + side, left : left + side]


def skin_light(faces) -> np.ndarray:
    """(rows, grid, grid) float32 soft shading of the head before roll: an ellipsoid with bumps under one lamp."""
    centres, spread, height = _bumps(faces)
    flat = project(faces, centres)
    spread = spread * np.stack([np.cos(np.radians(faces.yaw)), np.cos(np.radians(faces.pitch))], -1)[:, None]
    offset = ((_AXIS[:, None] - flat[:, :, None, :]) / spread[:, :, None, :]).astype(np.float32)
    bell = np.exp(-0.5 * offset**2)
    steep = bell * offset / spread[:, :, None, :].astype(np.float32)
    weight = height[:, None, :].astype(np.float32)
    along = np.swapaxes(bell[..., 1], 1, 2) * weight @ steep[..., 0]
    down = np.swapaxes(steep[..., 1], 1, 2) * weight @ bell[..., 0]
    ball_x = np.clip(_AXIS / (1.12 * faces.face_width[:, None, None]), -0.93, 0.93).astype(np.float32)
    ball_y = np.clip((_AXIS[:, None] - 0.05) / 1.3, -0.93, 0.93).astype(np.float32)
    x, y, z = ball_x + along, ball_y + down, np.sqrt(np.clip(1.0 - ball_x**2 - ball_y**2, 0.1, None))
    length = np.sqrt(x * x + y * y + z * z)
    lamp = _lamp(faces)
    middle = lamp + [0.0, 0.0, 1.0]
    middle /= np.linalg.norm(middle, axis=-1, keepdims=True)
    (lamp_x, lamp_y, lamp_z), (half_x, half_y, half_z) = (
        direction.T[:, :, None, None].astype(np.float32) for direction in (lamp, middle)
    )
    facing = (x * lamp_x + y * lamp_y + z * lamp_z) / length
    gloss = np.clip((x * half_x + y * half_y + z * half_z) / length, 0.0, None)
    gloss = gloss**8
    ambient, shine = (faces[name][:, None, None].astype(np.float32) for name in ("ambient", "shine"))
    return ambient + (1.15 - ambient) * np.clip(0.3 + 0.7 * facing, 0.0, None) + shine * gloss * gloss * gloss


def _lamp(faces) -> np.ndarray:
    """(rows, 3) direction towards the light."""
    across, up = np.radians(faces.light_azimuth), np.radians(faces.light_elevation)
    return np.stack([np.sin(across) * np.cos(up), -np.sin(up), np.cos(across) * np.cos(up)], axis=-1)


def _bumps(faces):
    """Hills and hollows of a face: centres (rows, bumps, 3), spreads (bumps, 2), heights (rows, bumps)."""
    one = np.ones(len(faces))
    nose, cheek = faces.nose_length, 0.05 + 0.05 * faces.cheeks
    pairs = [
        (0.43 * one, 0.36 - 0.06 * faces.au6, 0.17, 0.15, cheek + 0.07 * faces.au6),
        (faces.eye_spacing, 0.0 * one, 0.15, 0.09, -0.085 * one),
        (faces.eye_spacing, -faces.brow_height + 0.02, 0.17, 0.07, 0.035 + 0.03 * faces.au4 + 0.02 * faces.brow_thick),
        (0.85 * faces.nose_width, nose - 0.02, 0.05, 0.05, 0.045 * one),
        (0.60 * one, 0.55 * one, 0.12, 0.16, -0.03 * one),
        (0.07 * one, -0.17 * one, 0.04, 0.07, 0.025 * faces.au4),
    ]
    middle = [
        (0.12 * one, 0.055, 0.18, 0.05 + 0.03 * faces.nose_bridge),
        (nose - 0.06, 0.085, 0.075, 0.12 * one),
        (faces.mouth_height + 0.02, 0.22, 0.09, 0.045 * one),
        (faces.mouth_height + 0.15, 0.14, 0.04, -0.04 - 0.02 * faces.au17),
        (0.93 + faces.chin + 0.16 * faces.au26, 0.14, 0.09, 0.05 + 0.03 * faces.au17),
        (-0.55 * one, 0.34, 0.16, 0.04 * one),
    ]
    rows = [(sign * x, y, wide, tall, height) for x, y, wide, tall, height in pairs for sign in (-1.0, 1.0)]
    rows += [(0.0 * one, y, wide, tall, height) for y, wide, tall, height in middle]
    x, y, height = (np.stack([row[index] for row in rows], axis=1) for index in (0, 1, 4))
    depth = 0.6 - 0.5 * x**2
    return np.stack([x, y, depth], axis=-1), np.array([[row[2], row[3]] for row in rows])[None], height


def _ramp(palette: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Colours (rows, 3) at places in [0, 1] along a palette."""
    stops = np.linspace(0.0, 1.0, len(palette))
    return np.stack([np.interp(place, stops, palette[:, channel]) for channel in range(3)], axis=-1)


def flat_colours(faces) -> dict[str, np.ndarray]:
    """Every flat colour, (rows, 3) in 0..255."""
    skin = np.clip(
        _ramp(_SKIN, faces.skin_tone) * (1.0 + faces.skin_red[:, None] * np.array([0.5, -0.5, -0.7])), 0, 255
    )
    grey = faces.grey[:, None]
    hair = _HAIR[faces.hair_colour.astype(int)] * faces.hair_bright[:, None]
    hair = np.clip(hair * (1.0 - grey) + grey * np.array([186, 184, 180]), 0, 255)
    rouge = faces.lip_colour[:, None]
    lips = skin * (1.0 - rouge * np.array([0.10, 0.42, 0.36])) * 0.96
    stubble = np.clip(faces.beard, 0.0, 1.0)[:, None]
    beard = skin * (1.0 - stubble) + hair * stubble
    white = 232.0 - 20.0 * faces.tired[:, None] * np.array([0.3, 1.0, 1.0]) * np.ones_like(skin)
    cloth, wall, thing = (
        _hue(faces[f"{n}_hue"], faces[f"{n}_pale"], faces[f"{n}_bright"]) for n in ("cloth", "wall", "thing")
    )
    return {
        "skin": skin,
        "ear": skin * np.array([0.95, 0.86, 0.85]),
        "neck": skin * 0.80,
        "hair": hair,
        "brow": hair * 0.65 + 0.35 * skin * 0.5,
        "beard": beard,
        "lower_lip": lips,
        "upper_lip": lips * 0.84,
        "gloss": np.minimum(lips * 1.12 + 14.0, 255),
        "line": skin * np.array([0.42, 0.28, 0.27]),
        "lash": skin * 0.22,
        "white": white,
        "iris": _IRIS[faces.iris_colour.astype(int)],
        "cloth": cloth,
        "wall": wall,
        "thing": thing,
    }


def _hue(hue, pale, bright) -> np.ndarray:
    """Colours (rows, 3) from hue in turns, paleness and brightness, all in [0, 1]."""
    wheel = 0.5 + 0.5 * np.cos(2.0 * np.pi * (hue[:, None] - np.array([0.0, 1.0, 2.0]) / 3.0))
    return 255.0 * bright[:, None] * (pale[:, None] + (1.0 - pale[:, None]) * wheel)
