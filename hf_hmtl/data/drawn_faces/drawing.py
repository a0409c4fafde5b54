"""Paints faces: flat colours and a light map on a canvas larger than the image, then what a camera does to them.

The order is that of a renderer with deferred shading: every layer is filled with its own colour (anti-aliased polygons
at sub-pixel positions), a second map collects the light (soft shading of skin, strands of hair, shadows and creases),
and one product of the two makes the picture.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np

from hf_hmtl.data.drawn_faces.face_light import GRID, REACH, flat_colours, skin_light, texture
from hf_hmtl.data.drawn_faces.face_shape import SIDES, contours, placement, project

OVERSAMPLING = 4 / 3
"""The canvas is this much larger than the image; the shrinking averages areas."""

_SHIFT = 4
_HEAD = ("face", "skull", "cap", "mane", "opening")


def draw_faces(faces, size: int) -> np.ndarray:
    """Draw faces.

    Args:
        faces: (rows,) record array of `synthetic.face_parameters`.
        size: side of the images in pixels.

    Returns:
        (rows, size, size, 3) uint8 RGB.
    """
    side = round(OVERSAMPLING * size)
    shapes = contours(faces)
    turned = project(faces, np.concatenate(list(shapes.values()), axis=1))
    matrices = placement(faces, side)
    pixels = turned @ np.swapaxes(matrices[:, :, :2], 1, 2) + matrices[:, None, :, 2]
    fixed = _fixed(pixels)
    ends = np.cumsum([points.shape[1] for points in shapes.values()]).tolist()
    parts = {name: slice(end - shapes[name].shape[1], end) for name, end in zip(shapes, ends, strict=True)}
    light = skin_light(faces)
    colours = {name: colour.tolist() for name, colour in flat_colours(faces).items()}
    images = np.empty((len(faces), size, size, 3), dtype=np.uint8)
    for row, record in enumerate(faces.tolist()):
        face = SimpleNamespace(**dict(zip(faces.dtype.names, record, strict=True)))
        points = {name: fixed[row, part] for name, part in parts.items()}
        canvas = Canvas(side, points, {name: colour[row] for name, colour in colours.items()}, matrices[row])
        images[row] = _photograph(_paint(canvas, face, light[row]), face, size)
    return images


def face_areas(faces, size: int) -> np.ndarray:
    """Where the faces are in the pictures of `draw_faces`: what of the head hair does not cover, without ears and neck.
    What stands in front of a face is not taken away.

    Returns:
        (rows, size, size) float32, the share of each pixel that the face covers.
    """
    side = round(OVERSAMPLING * size)
    shapes = {name: points for name, points in contours(faces).items() if name in _HEAD}
    matrices = placement(faces, side)
    areas = np.empty((len(faces), size, size), dtype=np.float32)
    for row in range(len(faces)):
        points = {name: project(faces[row : row + 1], each[row : row + 1])[0] for name, each in shapes.items()}
        pixels = {name: _fixed(each @ matrices[row][:, :2].T + matrices[row][:, 2]) for name, each in points.items()}
        canvas, area = Canvas(side, pixels, {}, matrices[row]), np.zeros((side, side), dtype=np.uint8)
        for name in ("face", "skull"):
            canvas.hull(name, 255, area)
        if faces.hair_volume[row] > 0.0:
            hair = np.zeros_like(area)
            canvas.hull("mane" if faces.hair_length[row] > 0.3 else "cap", 255, hair)
            canvas.fill(["opening"], 0, hair)
            area = cv2.subtract(area, hair)
        areas[row] = cv2.resize(area, (size, size), interpolation=cv2.INTER_AREA) / np.float32(255)
    return areas


@dataclass
class Canvas:
    """One picture in the making: flat colours, the masks of what takes light differently, and soft shadows."""

    side: int
    points: dict
    colours: dict
    matrix: np.ndarray

    def __post_init__(self):
        self.unit = float(np.hypot(*self.matrix[:, 0]))
        self.albedo = np.empty((self.side, self.side, 3), dtype=np.uint8)
        self.skin, self.hair, self.ink = (np.zeros((self.side, self.side), dtype=np.uint8) for _ in range(3))

    def fill(self, names, colour, target=None):
        """Fill contours (anti-aliased) on the flat colours or on a mask."""
        target = self.albedo if target is None else target
        cv2.fillPoly(target, [self.points[name] for name in names], colour, cv2.LINE_AA, _SHIFT)

    def hull(self, name, colour, target=None):
        """Fill the convex hull of a point cloud."""
        target = self.albedo if target is None else target
        cv2.fillConvexPoly(target, cv2.convexHull(self.points[name]), colour, cv2.LINE_AA, _SHIFT)

    def stroke(self, names, colour, width, target=None):
        """Draw open curves; `width` in head units."""
        target = self.albedo if target is None else target
        lines = [self.points[name] for name in names]
        cv2.polylines(target, lines, False, colour, max(1, round(width * self.unit)), cv2.LINE_AA, _SHIFT)

    def disc(self, name, radius, colour, target=None, offset=(0.0, 0.0)):
        """Fill a disc around the first point of a contour; radius and offset in head units."""
        target = self.albedo if target is None else target
        scale = self.unit * (1 << _SHIFT)
        x, y = self.points[name][0].tolist()
        centre = (round(x + offset[0] * scale), round(y + offset[1] * scale))
        cv2.circle(target, centre, max(1, round(radius * scale)), colour, -1, cv2.LINE_AA, _SHIFT)


def _paint(canvas: Canvas, face, light: np.ndarray) -> np.ndarray:
    """All layers from the wall to the glasses; returns the picture, uint8 RGB of the canvas's size."""
    _backdrop(canvas, face)
    _body(canvas, face)
    _skin(canvas, face)
    _eyes(canvas, face)
    _mouth(canvas, face)
    _front_hair(canvas, face)
    picture = _lit(canvas, face, light)
    _glasses(picture, canvas, face)
    _occluder(picture, canvas, face)
    return picture


def _backdrop(canvas: Canvas, face):
    """A wall with a bar, a shelf or blobs out of focus, drawn small and enlarged."""
    small = np.empty((24, 24, 3), dtype=np.uint8)
    wall, thing = np.array(canvas.colours["wall"]), np.array(canvas.colours["thing"])
    small[:] = wall
    cut = int(24 * face.wall_cut)
    mixed = wall + face.wall_clutter * (thing - wall)
    if face.wall_kind < 0.3:
        small[:, :cut] = mixed
    elif face.wall_kind < 0.55:
        small[cut:] = mixed
    else:
        cv2.circle(small, (cut, 6), 6, mixed.tolist(), -1, cv2.LINE_AA)
        cv2.circle(small, (23 - cut, 14), 4, (0.5 * (mixed + thing)).tolist(), -1, cv2.LINE_AA)
        small = cv2.GaussianBlur(small, (0, 0), 0.5 + 2.0 * face.neckline)
    cv2.resize(small, (canvas.side, canvas.side), dst=canvas.albedo, interpolation=cv2.INTER_LINEAR)


def _body(canvas: Canvas, face):
    """Hair that falls behind, shoulders, neck and ears."""
    side, unit = canvas.side, canvas.unit
    if face.hair_length > 0.3:
        canvas.hull("mane", tuple(0.8 * np.array(canvas.colours["hair"])))
        canvas.hull("mane", 255, canvas.hair)
    neck = canvas.points["neck"]
    foot_y = neck[:, 1].mean() / (1 << _SHIFT) + 0.75 * unit
    centre = 0.4 * neck[:, 0].mean() / (1 << _SHIFT) + 0.6 * side * (0.5 + face.shift_x)
    half, slope = 0.5 * (neck[1, 0] - neck[0, 0]) / (1 << _SHIFT), 0.22 * unit
    wide = face.shoulders * unit
    shoulders = [
        [centre - wide, side * 1.2],
        [centre - wide, foot_y + slope],
        [centre - 0.72 * wide, foot_y - 0.02 * unit],
    ]
    shoulders += [[centre - half, foot_y - slope], [centre + half, foot_y - slope]]
    shoulders += [
        [centre + 0.72 * wide, foot_y - 0.02 * unit],
        [centre + wide, foot_y + slope],
        [centre + wide, side * 1.2],
    ]
    polygon = _fixed(shoulders)
    cv2.fillPoly(canvas.albedo, [polygon], canvas.colours["cloth"], cv2.LINE_AA, _SHIFT)
    cv2.fillPoly(canvas.hair, [polygon], 0, cv2.LINE_8, _SHIFT)
    dip = foot_y + unit * (0.05 + 0.25 * face.neckline)
    left, right = neck / (1 << _SHIFT)
    throat = _fixed(
        [left, [centre - half * 1.15, foot_y - slope], [centre, dip], [centre + half * 1.15, foot_y - slope], right]
    )
    for target, colour in ((canvas.albedo, canvas.colours["neck"]), (canvas.skin, 255), (canvas.hair, 0)):
        cv2.fillPoly(target, [throat], colour, cv2.LINE_AA, _SHIFT)
    for side_name, sign in SIDES.items():
        ear = f"ear_{side_name}"
        canvas.fill([ear], canvas.colours["ear"])
        canvas.fill([ear], 255, canvas.skin)
        canvas.fill([ear], 0, canvas.hair)
        canvas.disc(ear, 0.03, 60, canvas.ink, (-0.05 * sign, 0.0))


def _skin(canvas: Canvas, face):
    """The face itself, stubble and beard, and every crease as soft shadow."""
    for target, colour in ((canvas.albedo, canvas.colours["skin"]), (canvas.skin, 255), (canvas.hair, 0)):
        canvas.hull("face", colour, target)
        canvas.hull("skull", colour, target)
    if face.beard > 0.0:
        canvas.fill(["beard"], canvas.colours["beard"])
        grown = round(255 * max(0.0, face.beard - 0.25))
        canvas.fill(["beard"], grown, canvas.hair)
    ink = canvas.ink
    for side, smile, dimple in (("left", face.au12_left, face.au14_left), ("right", face.au12_right, face.au14_right)):
        fold = 0.05 + 0.20 * face.wrinkles + 0.30 * smile + 0.2 * face.au10
        canvas.stroke([f"nasolabial_{side}"], _grey(fold), 0.045, ink)
        canvas.stroke([f"dent_{side}"], _grey(0.10 + 0.50 * dimple), 0.035, ink)
    forehead = 0.28 * face.wrinkles + 0.35 * min(1.0, 0.6 * face.au1 + 0.4 * face.au2)
    canvas.stroke(["forehead_0", "forehead_1"], _grey(forehead - 0.06), 0.028, ink)
    canvas.stroke(["frown_left", "frown_right"], _grey(0.12 * face.wrinkles + 0.5 * face.au4 - 0.04), 0.03, ink)
    canvas.stroke(["crow_left", "crow_right"], _grey(0.2 * face.wrinkles + 0.25 * face.au6 - 0.05), 0.02, ink)
    canvas.stroke(["wrinkle_left", "wrinkle_right"], _grey(0.5 * face.au9 - 0.03), 0.025, ink)
    canvas.stroke(
        ["bag_left", "bag_right"], _grey(0.08 + 0.15 * face.tired + 0.14 * face.au6 + 0.1 * face.wrinkles), 0.04, ink
    )
    canvas.stroke(["fold_left", "fold_right"], _grey(0.30), 0.022, ink)
    canvas.stroke(["lip_shadow"], _grey(0.16 + 0.20 * face.au17), 0.06, ink)
    shade = "bridge_right" if face.light_azimuth < 0 else "bridge_left"
    canvas.stroke([shade], _grey(0.10 + 0.002 * abs(face.light_azimuth)), 0.05, ink)
    canvas.stroke(["nose_base"], _grey(0.30), 0.035, ink)
    canvas.fill(["nostril_left", "nostril_right"], _grey(0.62), ink)
    cv2.GaussianBlur(ink, (0, 0), max(0.35, 0.014 * canvas.unit), dst=ink)


def _grey(share: float) -> int:
    """Strength of a shadow, never below nothing and never quite black, as a gray level."""
    return round(255 * min(0.8, max(0.0, share)))


def _fixed(points) -> np.ndarray:
    """Pixels as the fixed-point integers that OpenCV draws at sub-pixel positions."""
    return np.round(np.asarray(points) * (1 << _SHIFT)).astype(np.int32)


def _eyes(canvas: Canvas, face):
    """White, iris, pupil and highlight, seen through the opening between the lids; lashes and brows."""
    unit = 1 << _SHIFT
    both = np.concatenate([canvas.points["eye_left"], canvas.points["eye_right"]]) / unit
    (left, top), (right, bottom) = np.floor(both.min(axis=0)).astype(int) - 1, np.ceil(both.max(axis=0)).astype(int) + 2
    box = slice(max(top, 0), min(bottom, canvas.side)), slice(max(left, 0), min(right, canvas.side))
    behind = canvas.albedo[box].copy()
    opening = np.zeros((canvas.side, canvas.side), dtype=np.uint8)
    canvas.fill(["eye_left", "eye_right"], 255, opening)
    canvas.albedo[box] = np.array(canvas.colours["white"])
    canvas.stroke(["upper_lid_left", "upper_lid_right"], tuple(0.66 * np.array(canvas.colours["white"])), 0.05)
    radius = 0.41 * face.eye_size
    iris = np.array(canvas.colours["iris"])
    for side in SIDES:
        canvas.disc(f"iris_{side}", radius, tuple(0.45 * iris))
        canvas.disc(f"iris_{side}", 0.82 * radius, tuple(iris))
        canvas.disc(f"iris_{side}", 0.45 * radius, (12, 10, 10))
        canvas.disc(
            f"iris_{side}",
            0.24 * radius,
            (250, 250, 250),
            offset=(0.3 * radius * np.sign(face.light_azimuth), -0.35 * radius),
        )
    share = opening[box][..., None] * np.float32(1 / 255)
    canvas.albedo[box] = behind + share * (canvas.albedo[box].astype(np.float32) - behind)
    canvas.skin[box] = np.minimum(canvas.skin[box], 255 - (opening[box] >> 1))
    cv2.bitwise_and(canvas.ink, 255 - opening, dst=canvas.ink)
    canvas.stroke(["upper_lid_left", "upper_lid_right"], canvas.colours["lash"], 0.022 + 0.02 * face.lashes)
    canvas.stroke(["lower_lid_left", "lower_lid_right"], canvas.colours["line"], 0.012)
    canvas.fill(["brow_left", "brow_right"], canvas.colours["brow"])


def _mouth(canvas: Canvas, face):
    """Lips around a dark opening with teeth and tongue; one line where the lips meet."""
    open_by = max(face.au25, face.au26, face.au16, face.au10)
    if open_by > 0.05:
        canvas.fill(["mouth"], (58, 22, 24))
        canvas.fill(["tongue"], (150, 72, 74))
        canvas.fill(["teeth"], (232, 226, 214))
        canvas.fill(["mouth"], 0, canvas.ink)
    canvas.fill(["lower_lip"], canvas.colours["lower_lip"])
    canvas.fill(["upper_lip"], canvas.colours["upper_lip"])
    canvas.fill(["upper_lip", "lower_lip"], 0, canvas.hair)
    canvas.stroke(["gloss"], canvas.colours["gloss"], 0.02)
    canvas.stroke(["lip_line"], canvas.colours["line"], 0.022)


def _front_hair(canvas: Canvas, face):
    """The cap of hair around the face, cut out by the hairline."""
    if face.hair_volume <= 0.0:
        return
    cap = np.zeros((canvas.side, canvas.side), dtype=np.uint8)
    canvas.hull("mane" if face.hair_length > 0.3 else "cap", 255, cap)
    canvas.fill(["opening"], 0, cap)
    edge = cv2.GaussianBlur(cap, (0, 0), max(0.4, 0.02 * canvas.unit))
    hair = np.full_like(canvas.albedo, np.array(canvas.colours["hair"], dtype=np.uint8))
    weight = edge.astype(np.float32) * np.float32(1 / 255)
    canvas.albedo = cv2.blendLinear(hair, canvas.albedo, weight, 1.0 - weight)
    np.maximum(canvas.hair, edge, out=canvas.hair)


def _lit(canvas: Canvas, face, light: np.ndarray) -> np.ndarray:
    """Flat colours times the light on skin, hair and everything else."""
    side = canvas.side
    step = 2.0 * REACH / (GRID - 1)
    grid_to_head = np.array([[step, 0.0, -REACH], [0.0, step, -REACH], [0.0, 0.0, 1.0]])
    on_head = cv2.warpAffine(
        light,
        (canvas.matrix @ grid_to_head).astype(np.float32),
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    on_head += face.blemish * texture("cloud", side, (face.grain_x, face.grain_y))
    on_head *= (255 - canvas.ink) * np.float32(1 / 255)
    room = face.wall_light + face.wall_grain * texture("cloud", side, (face.grain_y, face.grain_x))
    strand = texture("curl" if face.curl > 0.5 else "strand", side, (face.grain_x, face.grain_x))
    on_hair = on_head * (1.0 + face.hair_contrast * strand)
    skin = canvas.skin.astype(np.float32) * np.float32(1 / 255)
    hair = canvas.hair.astype(np.float32) * np.float32(1 / 255)
    total = cv2.blendLinear(on_head, room, skin, 1.0 - skin)
    total = cv2.blendLinear(on_hair, total, hair, 1.0 - hair)
    return cv2.multiply(canvas.albedo, cv2.cvtColor(total, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)


def _glasses(picture: np.ndarray, canvas: Canvas, face):
    """Spectacles, or dark ones that hide the eyes."""
    if not face.glasses:
        return
    rims = [canvas.points[f"rim_{side}"] for side in SIDES]
    if face.dark_glasses:
        cv2.fillPoly(picture, rims, (22, 22, 26), cv2.LINE_AA, _SHIFT)
    frame = tuple(np.array(canvas.colours["thing"]) * 0.3)
    width = max(1, round(0.03 * canvas.unit * face.frame))
    cv2.polylines(picture, rims, True, frame, width, cv2.LINE_AA, _SHIFT)
    nose = np.stack([rims[0][0], rims[1][10]])
    ears = [
        np.stack([rims[0][10], canvas.points["ear_left"][15]]),
        np.stack([rims[1][0], canvas.points["ear_right"][15]]),
    ]
    cv2.polylines(picture, [nose, *ears], False, frame, width, cv2.LINE_AA, _SHIFT)


def _occluder(picture: np.ndarray, canvas: Canvas, face):
    """A hand or a thing in front of the face."""
    if not face.occluded:
        return
    side = canvas.side
    centre = np.array([face.occluder_x, face.occluder_y]) * side
    along = np.array([np.cos(face.occluder_angle), np.sin(face.occluder_angle)])
    reach = face.occluder_size * side
    if face.occluder_kind < 0.5:
        tone = np.array(canvas.colours["ear"]) * face.wall_light
        across = np.array([-along[1], along[0]])
        for finger in range(4):
            start = centre + across * (finger - 1.5) * 0.085 * side
            tip = start - along * reach * (0.9, 1.05, 1.0, 0.8)[finger]
            for width, shade in ((0.085, 0.72), (0.068, 0.98)):
                line = _fixed([start + along * side, tip])
                cv2.polylines(
                    picture, [line], False, tuple(tone * shade), max(1, round(width * side)), cv2.LINE_AA, _SHIFT
                )
        return
    box = cv2.boxPoints(((centre[0], centre[1]), (reach, 0.6 * reach), np.degrees(face.occluder_angle)))
    cv2.fillConvexPoly(
        picture, _fixed(box), tuple(np.array(canvas.colours["thing"]) * face.wall_light), cv2.LINE_AA, _SHIFT
    )


def _photograph(picture: np.ndarray, face, size: int) -> np.ndarray:
    """Shrink, blur, expose, add sensor noise: (size, size, 3) uint8."""
    picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    if face.blur > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), face.blur * size / 96)
    if face.coarse > 1.15:
        coarse = max(16, round(size / face.coarse))
        picture = cv2.resize(cv2.resize(picture, (coarse, coarse), interpolation=cv2.INTER_AREA), (size, size))
    gain = [face.contrast * face.exposure * (1.0 + tint) for tint in (face.warmth, 0.0, -face.warmth)]
    exposed = cv2.multiply(picture, (*gain, 0.0), dtype=cv2.CV_32F)
    noisy = cv2.scaleAdd(texture("grain", size, (face.grain_x, face.grain_y)), face.noise, exposed)
    return cv2.add(noisy, (128.0 * (1.0 - face.contrast),) * 4, dtype=cv2.CV_8U)
