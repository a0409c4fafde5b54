"""The geometry of a drawn face: contours on a head in three dimensions, moved by action units, turned and projected.

Head coordinates: x to the viewer's right, y down, z towards the viewer; the eyes lie at y = 0, the chin near y = 1.05,
the crown near y = -1.1, so one unit is about half of a head's height. Everything here is vectorised over faces.

Signs of the pose angles are those of the labels of 300W-LP and AFLW2000 as HopeNet draws them (Ruiz et al. 2018):
yaw > 0 turns the nose towards the image's LEFT, pitch > 0 lifts it, roll > 0 turns the head CLOCKWISE as the viewer
sees it. Mirroring an image negates yaw and roll and leaves pitch as it is.
"""

import numpy as np

SIDES = {"left": -1.0, "right": 1.0}
"""The two halves of a face by the side of the IMAGE they lie on in a frontal view."""

UNIT = 0.395
"""Share of the image's side that one head unit takes at scale 1."""

_MOUTH = np.linspace(-1.0, 1.0, 13)
_EYE = np.linspace(-1.0, 1.0, 11)
_BROW = np.linspace(0.0, 1.0, 8)
_RING = np.linspace(0.0, 2.0 * np.pi, 20, endpoint=False)

# Half-width of the face, as a share of its greatest, and depth of that outline, by height.
_OUTLINE_Y = np.array([-0.95, -0.75, -0.45, -0.1, 0.2, 0.45, 0.68, 0.86, 0.97, 1.04])
_OUTLINE_WIDTH = np.array([0.55, 0.80, 0.97, 1.0, 0.97, 0.90, 0.77, 0.56, 0.36, 0.16])
_OUTLINE_DEPTH = np.array([0.05, 0.08, 0.05, 0.0, 0.0, 0.05, 0.15, 0.35, 0.48, 0.52])
_JAW_SHARE = np.array([0.0, 0.0, 0.0, 0.0, 0.1, 0.4, 0.9, 1.0, 1.0, 0.8])


def contours(faces) -> dict[str, np.ndarray]:
    """Every contour of every face in head coordinates, before the head is turned.

    Args:
        faces: (rows,) record array of `synthetic.face_parameters`.

    Returns:
        name -> (rows, points, 3) float64; the names are the layers that `drawing` paints.
    """
    found = _head(faces) | _nose(faces) | _mouth(faces) | _creases(faces)
    for side, sign in SIDES.items():
        found |= {f"{name}_{side}": points for name, points in _eye_region(faces, side, sign).items()}
    return found


def project(faces, points: np.ndarray) -> np.ndarray:
    """Turn the head by yaw, then pitch, and look at it with a weak perspective; `placement` adds the roll.

    Args:
        faces: (rows,) record array with yaw and pitch in degrees.
        points: (rows, points, 3) in head coordinates.

    Returns:
        (rows, points, 2) in head units around the head's centre.
    """
    yaw, pitch = (np.radians(faces[name])[:, None] for name in ("yaw", "pitch"))
    x, y, z = points[..., 0], points[..., 1] - 0.1, points[..., 2] + 0.1
    x, z = x * np.cos(yaw) - z * np.sin(yaw), x * np.sin(yaw) + z * np.cos(yaw)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    near = 1.0 + 0.10 * z
    return np.stack([x * near, y * near + 0.1], axis=-1)


def placement(faces, side: int) -> np.ndarray:
    """(rows, 2, 3) affine maps from head units before roll to pixels of a canvas `side` wide."""
    matrix = np.empty((len(faces), 2, 3))
    roll, unit = np.radians(faces.roll), faces.scale * UNIT * side
    cos, sin = unit * np.cos(roll), unit * np.sin(roll)
    matrix[:, :, :2] = np.stack([cos, -sin, sin, cos], axis=-1).reshape(-1, 2, 2)
    matrix[:, :, 2] = (np.stack([faces.shift_x, faces.shift_y], axis=-1) + [0.5, 0.49]) * side - 0.5
    return matrix


def surface(x, y, width) -> np.ndarray:
    """Depth z of the front of the head at (x, y): an ellipsoid, flat beyond its rim."""
    inside = 1.0 - (x / (1.15 * width)) ** 2 - ((y + 0.05) / 1.3) ** 2
    return 0.74 * np.sqrt(np.clip(inside, 0.03, None)) - 0.1


def _on_face(faces, x, y, lift=0.0) -> np.ndarray:
    """Points (rows, points, 3) lying on the face, `lift` in front of it."""
    x, y, width = np.broadcast_arrays(x, y, faces.face_width[:, None])
    return np.stack([x, y, surface(x, y, width) + lift], axis=-1)


def _solid(x, y, z) -> np.ndarray:
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def _lower_y(faces, y) -> np.ndarray:
    """Heights below the nose, longer with the chin and lowered by an opening jaw."""
    below = np.clip((y - 0.5) / 0.5, 0.0, 1.0)
    return y + below * (faces.chin[:, None] + 0.16 * faces.au26[:, None] - 0.015 * faces.au17[:, None])


def _head(faces) -> dict[str, np.ndarray]:
    """Outline of the face (a point cloud whose convex hull is filled), skull, hair, its opening, ears and beard."""
    width, hair = faces.face_width[:, None], faces.hair_volume[:, None]
    y = _lower_y(faces, _OUTLINE_Y[None])
    half = width * _OUTLINE_WIDTH * (1.0 + faces.jaw[:, None] * _JAW_SHARE)
    sides = [_solid(sign * half, y, _OUTLINE_DEPTH) for sign in (-1.0, 1.0)]
    front = [_on_face(faces, sign * 0.6 * half, y, -0.04) for sign in (-1.0, 1.0)]
    turn = np.pi * np.linspace(0.0, 1.0, 13)
    arcs = [
        _solid(width * np.cos(turn) * scale, -0.2 - 0.88 * np.sin(turn) * scale, depth)
        for scale, depth in ((1.0, -0.12), (0.86, 0.3), (0.86, -0.55))
    ]
    skull = np.concatenate(arcs, axis=1)
    grown = np.stack([1.0 + hair, 1.0 + hair, 1.0 + 0.5 * hair], axis=-1)
    cap = (skull - [0.0, -0.2, 0.0]) * grown + [0.0, -0.2, 0.0]
    length = faces.hair_length[:, None]
    fall = np.linspace(0.0, 1.0, 5)
    locks = [
        _solid(sign * width * (1.02 + 1.2 * hair - 0.1 * fall * length), -0.2 + fall * length, -0.1 - 0.15 * fall)
        for sign in (-1.0, 1.0)
    ]
    ears = {
        f"ear_{side}": _solid(
            sign * (width + (0.05 + 0.055 * np.cos(_RING)) * faces.ear_size[:, None]),
            0.14 + 0.21 * faces.ear_size[:, None] * np.sin(_RING) - 0.02 * np.cos(_RING),
            -0.16 - 0.05 * np.cos(_RING),
        )
        for side, sign in SIDES.items()
    }
    return ears | {
        "face": np.concatenate([*sides, *front], axis=1),
        "skull": skull,
        "cap": np.concatenate([cap, *(lock[:, :2] for lock in locks)], axis=1),
        "mane": np.concatenate([cap, *locks], axis=1),
        "opening": _hair_opening(faces),
        "beard": _beard(faces, half, y),
        "neck": _solid(np.array([-0.46, 0.46]) * width * 1.15, 0.62, -0.15),
    }


def _hair_opening(faces) -> np.ndarray:
    """The hairline, from sideburn over the forehead to sideburn, closed far below the chin."""
    width, line = faces.face_width[:, None], faces.hairline[:, None]
    across = np.array([-1.06, -0.93, -0.80, -0.68, -0.40, 0.0, 0.40, 0.68, 0.80, 0.93, 1.06])
    height = np.array([0.20, 0.12, -0.28, -0.45, -0.58, -0.60, -0.58, -0.45, -0.28, 0.12, 0.20])
    parting = faces.parting[:, None] * np.clip(1.0 - np.abs(across), 0.0, 1.0) * np.sign(across + 0.01)
    fringe = faces.fringe[:, None] * np.clip(1.0 - (across / 0.8) ** 2, 0.0, 1.0)
    y = height - line * (np.abs(across) < 0.85) + 0.16 * parting + fringe
    line_points = np.stack(
        [across * width, y, np.where(np.abs(across) > 0.9, -0.02, surface(across * width * 0.95, y, width))], axis=-1
    )
    below = _solid(np.array([1.35, 1.0, 0.0, -1.0, -1.35]) * width, np.array([0.9, 1.7, 1.9, 1.7, 0.9]), 0.1)
    return np.concatenate([line_points, below], axis=1)


def _beard(faces, half: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ear to ear along the jaw, and back under the cheeks and the nose."""
    jaw = slice(4, None)
    down = [sign * half[:, jaw] * 0.99 for sign in (-1.0, 1.0)]
    lower = np.concatenate([down[0], down[1][:, ::-1]], axis=1)
    lower_y = np.concatenate([y[:, jaw], y[:, jaw][:, ::-1]], axis=1)
    across = np.array([0.8, 0.55, 0.3, 0.12, 0.0, -0.12, -0.3, -0.55, -0.8]) * faces.face_width[:, None]
    upper_y = np.array([0.42, 0.58, 0.56, 0.52, 0.53, 0.52, 0.56, 0.58, 0.42])
    depth = np.concatenate([_OUTLINE_DEPTH[jaw], _OUTLINE_DEPTH[jaw][::-1]])
    upper = _on_face(faces, across, upper_y)
    return np.concatenate([_solid(lower, lower_y, depth), upper], axis=1)


def _eye_region(faces, side: str, sign: float) -> dict[str, np.ndarray]:
    """Lids, iris, crease, bag, brow and spectacle rim of one eye; `sign` is -1 on the image's left."""
    size, centre = faces.eye_size[:, None], sign * faces.eye_spacing[:, None]
    lid = faces.eye_open[:, None] * (
        1 + 0.65 * faces.au5[:, None] - 0.35 * faces.au7[:, None] - 0.2 * faces.au9[:, None]
    )
    closed = 1.0 - faces.au43[:, None]
    outward = sign * _EYE
    x = centre + size * _EYE
    level = -size * faces.eye_tilt[:, None] * outward
    arch = (1.0 - np.abs(_EYE) ** 2.2) ** 0.8
    drop = 0.06 * faces.au1[:, None] * size * outward
    upper = level + drop - 0.50 * size * arch * np.clip(lid * closed - 0.28 * faces.au6[:, None] * closed, 0.03, 1.6)
    squeeze = 1.0 - 0.55 * faces.au6[:, None] - 0.45 * faces.au7[:, None] - 0.3 * faces.au9[:, None]
    lower = level + drop + 0.34 * size * arch * np.clip(squeeze * faces.eye_open[:, None], 0.05, 1.0)
    fold = level - size * (0.30 + 0.50 * arch * (0.75 + 0.35 * lid)) + 0.10 * size * faces.au4[:, None]
    bag = level + size * (0.42 + 0.28 * arch) - 0.10 * size * faces.au6[:, None]
    gaze = 0.32 * size * faces.gaze_x[:, None]
    iris_y = level[:, 5:6] - 0.06 * size + 0.16 * size * faces.gaze_y[:, None]
    rim = size * faces.glasses_size[:, None] * np.sign(np.cos(_RING)) * np.abs(np.cos(_RING)) ** 0.75
    rim_y = 0.82 * size * faces.glasses_size[:, None] * np.sign(np.sin(_RING)) * np.abs(np.sin(_RING)) ** 0.75
    return {
        "upper_lid": _on_face(faces, x, upper, -0.04),
        "eye": np.concatenate(
            [_on_face(faces, x, upper, -0.04), _on_face(faces, x[:, ::-1], lower[:, ::-1], -0.04)], 1
        ),
        "lower_lid": _on_face(faces, x, lower, -0.04),
        "fold": _on_face(faces, x, fold, -0.02),
        "bag": _on_face(faces, x[:, 2:-2], bag[:, 2:-2], -0.02),
        "iris": _on_face(faces, centre + gaze, iris_y, -0.03),
        "brow": _brow(faces, sign, faces[f"lift_{side}"][:, None]),
        "rim": _on_face(faces, centre * 1.04 + rim, 0.06 + rim_y, 0.06),
        "crow": _crow_feet(faces, centre + sign * size * 1.15, sign),
    }


def _crow_feet(faces, x, sign: float) -> np.ndarray:
    """Three short lines (six points) that fan out from the outer corner of an eye."""
    reach = np.array([0.0, 0.13, 0.0, 0.14, 0.0, 0.12])
    rise = np.array([-0.04, -0.11, 0.0, 0.0, 0.04, 0.11])
    return _on_face(faces, x + sign * reach, rise)


def _brow(faces, sign: float, lift) -> np.ndarray:
    """A tapered band: the inner end answers AU1 and AU4, the outer end AU2."""
    au1, au2, au4, au9 = (faces[name][:, None] for name in ("au1", "au2", "au4", "au9"))
    inner = 0.13 - 0.045 * au4
    outer = faces.eye_spacing[:, None] + faces.eye_size[:, None] * 1.35
    x = sign * (inner + (outer - inner) * _BROW)
    arch = faces.brow_arch[:, None] * np.sin(np.pi * _BROW**1.3)
    y = -faces.brow_height[:, None] - arch + faces.brow_tilt[:, None] * (0.5 - _BROW)
    y = (
        y
        - 0.135 * au1 * (1.0 - _BROW) ** 1.6
        + 0.03 * au1 * _BROW * (1.0 - au2)
        - 0.13 * au2 * _BROW**0.9 * (1.25 - 0.4 * _BROW)
    )
    y = y + 0.115 * au4 * (1.0 - 0.65 * _BROW) + 0.05 * au9 * (1.0 - _BROW) - 0.10 * lift
    thick = faces.brow_thick[:, None] * (0.75 + 0.5 * _BROW - 1.05 * _BROW**2)
    upper, lower = (_on_face(faces, x, y + step * thick, 0.03) for step in (-0.5, 0.5))
    return np.concatenate([upper, lower[:, ::-1]], axis=1)


def _nose(faces) -> dict[str, np.ndarray]:
    """Bridge, tip with its wings, nostrils and the wrinkles of AU9."""
    width, length = faces.nose_width[:, None], faces.nose_length[:, None]
    base = length - 0.035 * faces.au9[:, None] - 0.012 * faces.au10[:, None]
    smile = 0.5 * (faces.au12_left + faces.au12_right)[:, None]
    flare = width * (1.0 + 0.15 * faces.au9[:, None] + 0.08 * smile)
    across = np.array([-1.0, -1.06, -0.75, -0.35, 0.0, 0.35, 0.75, 1.06, 1.0])
    drop = np.array([-0.10, -0.01, 0.025, 0.01, 0.045, 0.01, 0.025, -0.01, -0.10])
    out = np.array([0.05, 0.06, 0.10, 0.17, 0.22, 0.17, 0.10, 0.06, 0.05])
    ring = _RING[::2]
    nostrils = {
        f"nostril_{side}": _on_face(
            faces,
            sign * flare * 0.48 + 0.036 * np.cos(ring) * width / 0.14,
            base + 0.012 + 0.017 * np.sin(ring) - sign * 0.006 * np.cos(ring),
            0.13,
        )
        for side, sign in SIDES.items()
    }
    bridge_y = np.linspace(-0.12, 1.0, 6)[None] * base
    bridge_x = 0.5 * width * np.linspace(0.75, 0.9, 6)
    wrinkles = {
        f"wrinkle_{side}": _on_face(
            faces, sign * (0.03 + 0.085 * np.array([0.0, 1.0, 0.0, 1.0])), np.array([0.03, -0.02, 0.11, 0.05]), 0.05
        )
        for side, sign in SIDES.items()
    }
    lines = {f"bridge_{side}": _on_face(faces, sign * bridge_x, bridge_y, 0.08) for side, sign in SIDES.items()}
    return (
        nostrils
        | wrinkles
        | lines
        | {
            "nose_base": _on_face(faces, flare * across, base + drop, out),
            "nose_tip": _on_face(faces, np.zeros_like(base), base - 0.06, 0.26),
        }
    )


def _mouth(faces) -> dict[str, np.ndarray]:
    """Lips, opening, teeth and tongue: four curves from the left corner of the image to the right one."""
    t = _MOUTH[None]
    left, right = np.clip(-t, 0.0, 1.0), np.clip(t, 0.0, 1.0)
    per_side = {
        name: faces[f"{name}_left"][:, None] * left + faces[f"{name}_right"][:, None] * right
        for name in ("au12", "au14")
    }
    au = {name: faces[f"au{name}"][:, None] for name in (10, 15, 16, 17, 20, 23, 25, 26)}
    pull = (
        0.085 * per_side["au12"]
        + 0.055 * per_side["au14"]
        + 0.085 * au[20]
        - 0.06 * au[23]
        - 0.05 * au[26]
        - 0.03 * au[17]
    )
    x = (faces.mouth_width[:, None] + pull) * t
    bend = np.abs(t) ** 1.8
    rise = (
        0.125 * per_side["au12"] + 0.03 * per_side["au14"] - 0.10 * au[15] + faces.mouth_curve[:, None] - 0.025 * au[20]
    )
    line = faces.mouth_height[:, None] - bend * rise + 0.035 * per_side["au12"].max(axis=1, keepdims=True) * (1 - bend)
    line = line - 0.02 * au[17] * (1.0 - bend) + 0.02 * au[26]
    arch = np.clip(1.0 - t**2, 0.0, None) ** 0.6
    thin = 1.0 - 0.6 * au[23] - 0.2 * au[20] - 0.15 * per_side["au12"]
    bow = 1.0 - 0.22 * np.exp(-((t / 0.16) ** 2)) + 0.1 * np.exp(-(((np.abs(t) - 0.3) / 0.2) ** 2))
    lift = 0.055 * au[10] * arch + 0.02 * au[25] * arch
    gap = arch * (0.05 * au[25] + 0.20 * au[26] + 0.035 * au[16])
    upper_inner = line - lift
    upper = upper_inner - faces.lip[:, None] * 0.85 * thin * arch * bow - 0.004
    lower_inner = line + gap
    lower = lower_inner + faces.lip[:, None] * 1.15 * thin * arch * (1.0 + 0.15 * au[17]) + 0.004
    curve = {"upper": upper, "upper_inner": upper_inner, "lower_inner": lower_inner, "lower": lower}
    flat = {name: _on_face(faces, x, y, 0.04) for name, y in curve.items()}
    loop = {"upper_lip": ("upper", "upper_inner"), "lower_lip": ("lower_inner", "lower")}
    loop["mouth"] = ("upper_inner", "lower_inner")
    closed = {name: np.concatenate([flat[top], flat[bottom][:, ::-1]], axis=1) for name, (top, bottom) in loop.items()}
    teeth_y = np.minimum(upper_inner + 0.055 * arch, lower_inner)
    tongue_y = np.maximum(lower_inner - 0.06 * arch, upper_inner)
    corner = {"left": slice(0, 1), "right": slice(-1, None)}
    dents = {
        f"dent_{side}": _on_face(
            faces, 1.07 * x[:, end] + np.zeros(3), line[:, end] + 0.045 * np.array([-1.0, 0.0, 1.0])
        )
        for side, end in corner.items()
    }
    return (
        closed
        | dents
        | {
            "teeth": np.concatenate([flat["upper_inner"], _on_face(faces, x, teeth_y, 0.03)[:, ::-1]], axis=1),
            "tongue": np.concatenate([_on_face(faces, x, tongue_y, 0.02), flat["lower_inner"][:, ::-1]], axis=1),
            "lip_line": flat["upper_inner"],
            "gloss": _on_face(faces, x[:, 4:9], (0.6 * lower_inner + 0.4 * lower)[:, 4:9], 0.05),
            "lip_shadow": _on_face(faces, x[:, 3:10] * 0.9, lower[:, 3:10] + 0.045, 0.02),
        }
    )


def _creases(faces) -> dict[str, np.ndarray]:
    """Forehead lines, the frown between the brows and the folds from the nose to the mouth."""
    across = np.linspace(-0.38, 0.38, 7)
    raised = 0.05 * faces.au1[:, None] * (1.0 - np.abs(across) / 0.38)
    forehead = {
        f"forehead_{row}": _on_face(faces, across, -faces.brow_height[:, None] - height - raised)
        for row, height in enumerate((0.16, 0.25))
    }
    frown = {
        f"frown_{side}": _on_face(faces, sign * np.array([0.05, 0.045, 0.06]), np.array([-0.26, -0.18, -0.08]))
        for side, sign in SIDES.items()
    }
    down = np.linspace(0.0, 1.0, 6)
    folds = {}
    for side, sign in SIDES.items():
        smile = faces[f"au12_{side}"][:, None]
        x = 0.15 + (0.20 + 0.10 * smile) * down**0.8 + 0.05 * smile * np.sin(np.pi * down)
        folds[f"nasolabial_{side}"] = _on_face(
            faces, sign * x, faces.nose_length[:, None] - 0.05 + (0.33 - 0.05 * smile) * down
        )
    return forehead | frown | folds
