"""Which faces there are: every number that a drawn face is made of, drawn from its address alone.

Who somebody is (identity), how the picture was taken (photo) and small movements everybody makes (idle) never look at
the emotion. The emotion acts through action units of the Facial Action Coding System (Ekman and Friesen 1978) in the
combinations of EMFACS, with an intensity that varies from face to face.
"""

import numpy as np

from hf_hmtl.draws import Draws

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
GENDERS = ("male", "female")
AGE_GROUPS = ("child", "young", "middle-aged", "old")
APPEARANCE_GROUPS = ("light", "tan", "brown", "dark")

AFFECTNET_COUNTS = (74_874, 134_415, 25_459, 14_090, 6_378, 3_803, 24_882, 3_750)
"""Images of each emotion in AffectNet's training set (Mollahosseini et al. 2017), in the order of EMOTIONS."""

CIRCUMPLEX = ((0.0, 0.0), (0.85, 0.4), (-0.7, -0.4), (0.15, 0.85), (-0.6, 0.75), (-0.75, 0.4), (-0.6, 0.7), (-0.5, 0.2))
"""Valence and arousal of each emotion at intensity 1, after Russell's circumplex (1980)."""

PHOTOS_PER_SUBJECT = 4

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 15, 16, 17, 20, 23, 25, 26, 43)

SIDED_UNITS = (12, 14)
"""Action units with a strength for each half of the face."""

# Ways to show each emotion: action unit -> strength; "one" units act on one half of the face only.
_SHOWN = {
    "neutral": ({}, {}, {}),
    "happy": ({6: 0.9, 12: 1.0, 25: 0.7, 10: 0.2}, {6: 0.6, 12: 0.9}, {6: 1.0, 12: 1.0, 25: 0.9, 26: 0.4}),
    "sad": ({1: 1.0, 4: 0.6, 15: 0.9, 17: 0.4}, {1: 0.9, 4: 0.5, 15: 0.8, 43: 0.35}, {1: 0.8, 15: 1.0, 17: 0.9}),
    "surprise": (
        {1: 0.9, 2: 0.9, 5: 0.9, 25: 0.6, 26: 1.0},
        {1: 1.0, 2: 1.0, 5: 0.8, 26: 0.5},
        {1: 1.0, 2: 0.9, 5: 0.5, 25: 0.5},
    ),
    "fear": (
        {1: 0.9, 2: 0.4, 4: 0.6, 5: 0.9, 20: 0.9, 25: 0.8},
        {1: 1.0, 4: 0.7, 5: 1.0, 20: 0.8, 26: 0.4},
        {1: 0.9, 4: 0.5, 5: 0.8, 20: 1.0},
    ),
    "disgust": (
        {9: 1.0, 10: 0.8, 15: 0.4, 4: 0.3, 7: 0.4},
        {9: 0.8, 10: 1.0, 25: 0.6, 7: 0.5},
        {9: 0.9, 15: 0.7, 17: 0.8},
    ),
    "anger": (
        {4: 1.0, 5: 0.4, 7: 0.5, 23: 0.9},
        {4: 1.0, 7: 0.8, 10: 0.3, 16: 0.6, 25: 0.7},
        {4: 0.9, 5: 0.6, 17: 0.7, 23: 1.0},
    ),
    "contempt": (
        {"one 12": 0.8, "one 14": 1.0},
        {"one 14": 1.0, "one 12": 0.5, 4: 0.2},
        {"one 12": 0.9, "one 14": 0.8, "one lift": 0.5},
    ),
}

# Small movements without a meaning: action unit -> share of the faces, greatest strength where `spread` is 1.
_IDLE = {
    1: (0.4, 0.085), 2: (0.4, 0.085), 4: (0.35, 0.085), 5: (0.25, 0.085), 6: (0.3, 0.1), 7: (0.3, 0.11),
    9: (0.1, 0.055), 10: (0.2, 0.085), 15: (0.3, 0.07), 16: (0.2, 0.11), 17: (0.3, 0.1), 20: (0.2, 0.085),
    23: (0.3, 0.11), 25: (0.4, 0.22), 26: (0.3, 0.14), 43: (0.06, 0.25),
}  # fmt: skip
_IDLE_SIDES = {12: (0.35, 0.06), 14: (0.2, 0.04)}

_IDENTITY = {
    "face_width": (0.72, 0.84), "jaw": (-0.13, 0.13), "chin": (-0.05, 0.08), "cheeks": (0.0, 1.0),
    "ear_size": (0.85, 1.2), "eye_spacing": (0.335, 0.385), "eye_size": (0.150, 0.185),
    "eye_open": (0.8, 1.1), "eye_tilt": (-0.08, 0.22),
    "brow_height": (0.22, 0.29), "brow_thick": (0.045, 0.085), "brow_arch": (0.005, 0.055), "brow_tilt": (-0.05, 0.05),
    "nose_width": (0.125, 0.175), "nose_length": (0.37, 0.45), "nose_bridge": (0.0, 1.0), "mouth_height": (0.64, 0.70),
    "mouth_width": (0.25, 0.32), "mouth_curve": (-0.025, 0.03), "lip": (0.05, 0.08), "lip_colour": (0.5, 0.85),
    "lashes": (0.0, 0.5), "skin_red": (0.0, 0.09), "shine": (0.03, 0.22), "hairline": (0.0, 0.14),
    "parting": (-1.0, 1.0), "hair_volume": (0.06, 0.17), "hair_contrast": (0.06, 0.20), "hair_bright": (0.75, 1.25),
    "curl": (0.0, 1.0), "glasses_size": (1.15, 1.5), "frame": (0.6, 1.8),
}  # fmt: skip

# Where a face stands in its picture: centre and greatest departure from it, reached at difficulty 1. A convolution
# follows it, a classifier of raw pixels cannot.
_FRAMING = {"roll": (0.0, 14.0), "scale": (1.0, 0.13), "shift_x": (0.0, 0.1), "shift_y": (0.0, 0.09)}
# Centre and greatest departure from it where `spread` is 1.
_PHOTO = {
    "gaze_x": (0.0, 0.6), "gaze_y": (0.0, 0.4), "light_azimuth": (0.0, 45.0), "light_elevation": (25.0, 20.0),
    "ambient": (0.55, 0.13), "exposure": (1.0, 0.14), "contrast": (0.97, 0.08), "warmth": (0.0, 0.07),
    "wall_light": (0.9, 0.2), "shoulders": (1.15, 0.2), "lift_left": (0.0, 0.07), "lift_right": (0.0, 0.07),
}  # fmt: skip
# The same for angles of which most are small.
_TURN = {"yaw": 28.0, "pitch": 14.0}
# Grows from its first value at difficulty 0 to anything up to its second at difficulty 1.
_DEFECTS = {
    "blur": (0.0, 0.45),
    "coarse": (1.0, 1.3),
    "noise": (1.0, 4.5),
    "blemish": (0.01, 0.025),
    "wall_grain": (0.0, 0.08),
    "wall_clutter": (0.2, 0.8),
}
_FREE = (
    "wall_hue", "wall_pale", "wall_bright", "wall_kind", "wall_cut", "cloth_hue", "cloth_pale", "cloth_bright",
    "neckline", "thing_hue", "thing_pale", "thing_bright", "grain_x", "grain_y", "occluder_kind", "tired",
)  # fmt: skip


def spread(difficulty: float) -> float:
    """How far photographs depart from a clean portrait: 0 at difficulty 0, 0.52 at 1, 1.02 at 3."""
    return 0.7 * difficulty / (1.0 + 0.35 * difficulty)


def intensities(difficulty: float) -> tuple[float, float]:
    """Weakest and strongest expression: 0.9 to 1 at difficulty 0, 0.85 to 0.99 at 1, 0.74 to 0.96 at 3."""
    return 0.9 - 0.0525 * difficulty, 1.0 - difficulty / 86.0


def emotions(seed: int, split: str, rows: np.ndarray, imbalanced: bool) -> np.ndarray:
    """Emotion (index in EMOTIONS) of each row, whatever the number of rows.

    Balanced: every eight rows 8k .. 8k + 7 are a permutation of the eight emotions. Imbalanced: a golden-ratio sequence
    through AffectNet's cumulative shares, so that every count stays within about two of its exact share.
    """
    if imbalanced:
        start = Draws(seed, 0, 0, stream=f"{split}/").uniform("start")
        place = (start + rows * ((5.0**0.5 - 1.0) / 2.0)) % 1.0
        cumulative = np.cumsum(AFFECTNET_COUNTS) / np.sum(AFFECTNET_COUNTS)
        return np.searchsorted(cumulative, place, side="right")
    block = rows // len(EMOTIONS)
    order = Draws(seed, np.zeros_like(block), block, stream=f"{split}/").permutations("emotion", len(EMOTIONS))
    return order[np.arange(len(rows)), rows % len(EMOTIONS)]


def nuisances(seed: int, split: str, rows: np.ndarray, difficulty: float) -> dict[str, np.ndarray]:
    """Identity, photograph and idle movements of each row: (rows,) arrays that know nothing of the emotion."""
    subject = rows // PHOTOS_PER_SUBJECT
    person = Draws(seed, np.zeros_like(subject), subject, stream=f"{split}/subject/")
    photo = Draws(seed, np.zeros_like(rows), rows, stream=f"{split}/photo/")
    return {"subject": subject} | _identity(person) | _photo(photo, difficulty) | _idle(photo, spread(difficulty))


def face_parameters(seed: int, split: str, rows, difficulty: float = 1.0, imbalanced: bool = False) -> np.recarray:
    """All parameters of some rows of a split.

    Args:
        seed: seed of the data set.
        split: its name; the same row of another split is another person.
        rows: (rows,) numbers of the faces; face i is the same whichever others are asked for.
        difficulty: 0 (clean portraits, strong expressions) to 3; 1 is the default.
        imbalanced: emotions as frequent as in AffectNet's training set.

    Returns:
        (rows,) record array: labels (emotion, valence, arousal, yaw, pitch, roll, gender, age_group, appearance_group,
        subject), everything else that is drawn, and the action units au1 .. au43 (au12 and au14 per half of the face).
    """
    rows = np.atleast_1d(np.asarray(rows, dtype=np.int64))
    emotion = emotions(seed, split, rows, imbalanced)
    values = nuisances(seed, split, rows, difficulty) | {"emotion": emotion}
    _express(values, Draws(seed, np.zeros_like(rows), rows, stream=f"{split}/expression/"), difficulty)
    return np.rec.fromarrays(list(values.values()), names=list(values))


def _identity(person: Draws) -> dict[str, np.ndarray]:
    """Who it is; gender, age and appearance shift what is likely."""
    values = {name: person.uniform(name, low, high) for name, (low, high) in _IDENTITY.items()}
    gender, age, group = (
        person.integers(name, len(names))
        for name, names in (("gender", GENDERS), ("age_group", AGE_GROUPS), ("appearance_group", APPEARANCE_GROUPS))
    )
    female, child, old = gender == 1, age == 0, age == 3
    adult_male = ~female & ~child
    values |= {"gender": gender, "age_group": age, "appearance_group": group}
    values["skin_tone"] = (group + person.uniform("skin_tone")) / len(APPEARANCE_GROUPS)
    any_colour = (group == 0) | ((group == 1) & person.chosen("any_colour", 0.3))
    values["hair_colour"] = np.where(any_colour, person.integers("hair_colour", 5), person.integers("dark_hair", 2))
    values["iris_colour"] = np.where(any_colour, person.integers("iris_colour", 6), person.integers("dark_iris", 2))
    values["curl"] = np.where(group == 3, 0.9, values["curl"] * 0.75)
    values["grey"] = np.where(
        old, person.uniform("grey", 0.5, 1.0), np.where(age == 2, person.uniform("grey", -0.5, 0.4), 0.0)
    ).clip(0.0)
    values["wrinkles"] = np.choose(age, [0.0, 0.08, 0.4, 0.9]) * person.uniform("wrinkles", 0.7, 1.1)
    bald = adult_male & person.chosen("bald", 0.14) & (age > 1)
    values["hair_volume"] = np.where(bald, 0.0, values["hair_volume"] * np.where(female, 1.25, 1.0))
    long = person.chosen("long", 0.75) & female | person.chosen("long", 0.06)
    values["hair_length"] = np.where(long, person.uniform("length", 0.6, 1.5), person.uniform("length", 0.12, 0.26))
    values["fringe"] = np.where(person.chosen("has_fringe", 0.35), person.uniform("fringe", 0.0, 0.26), 0.0)
    values["hairline"] = values["hairline"] + np.where(
        adult_male & (age > 1), person.uniform("receding", 0.0, 0.14), 0.0
    )
    bearded = adult_male & person.chosen("bearded", 0.4)
    values["beard"] = np.where(bearded, person.uniform("beard", 0.12, 0.95), np.where(adult_male, 0.06, 0.0))
    values["jaw"] = values["jaw"] + np.where(adult_male, 0.05, -0.06)
    values["chin"] = values["chin"] - 0.07 * child
    values["face_width"] = values["face_width"] * np.where(child, 1.03, 1.0)
    values["eye_size"] = values["eye_size"] * np.where(child, 1.14, 1.0) * np.where(female, 1.03, 0.97)
    values["brow_thick"] = values["brow_thick"] * np.where(adult_male, 1.2, 0.82)
    values["nose_width"] = values["nose_width"] * np.where(child, 0.85, 1.0) * (1.0 + 0.06 * group)
    values["nose_length"] = values["nose_length"] - 0.04 * child + 0.015 * old
    values["lip"] = values["lip"] * np.where(old, 0.8, 1.0) * np.where(female, 1.08, 0.95) * (1.0 + 0.07 * group)
    made_up = female & ~child & person.chosen("made_up", 0.45)
    values["lip_colour"] = values["lip_colour"] + np.where(made_up, person.uniform("lipstick", 0.2, 0.6), 0.0)
    values["lashes"] = values["lashes"] + 0.5 * made_up
    values["glasses"] = person.chosen("glasses", 0.22).astype(float)
    return values


def _photo(photo: Draws, difficulty: float) -> dict[str, np.ndarray]:
    """Pose, light, background, camera and what is in the way."""
    framing, departure = min(1.0, difficulty), spread(difficulty)
    values = {name: centre + framing * photo.uniform(name, -far, far) for name, (centre, far) in _FRAMING.items()}
    values |= {name: centre + departure * photo.uniform(name, -far, far) for name, (centre, far) in _PHOTO.items()}
    turn = {name: photo.uniform(name, -1.0, 1.0) for name in _TURN}
    values |= {name: departure * far * turn[name] * np.abs(turn[name]) for name, far in _TURN.items()}
    values |= {
        name: low + departure * (high - low) * photo.uniform(name) ** 1.5 for name, (low, high) in _DEFECTS.items()
    }
    values |= {name: photo.uniform(name) for name in _FREE}
    values["wall_bright"] = 0.25 + 0.75 * values["wall_bright"]
    values["wall_pale"] = 0.35 + 0.65 * values["wall_pale"]
    values["cloth_bright"] = 0.15 + 0.8 * values["cloth_bright"]
    values["ambient"] = values["ambient"].clip(0.1, 0.9)
    values["occluded"] = photo.chosen("occluded", 0.06 * departure).astype(float)
    values["dark_glasses"] = photo.chosen("dark_glasses", 0.03 * departure).astype(float)
    values["occluder_x"], values["occluder_y"] = photo.uniform("occluder", 0.15, 0.85, count=2).T
    values["occluder_y"] = 0.25 + 0.75 * values["occluder_y"]
    values["occluder_size"] = photo.uniform("occluder_size", 0.16, 0.36)
    values["occluder_angle"] = photo.uniform("occluder_angle", 0.2 * np.pi, 0.8 * np.pi)
    return values


def _idle(photo: Draws, spread: float) -> dict[str, np.ndarray]:
    """Speech, blinks, a raised brow: movements that carry no emotion."""
    values = {}
    for unit, (share, most) in (_IDLE | _IDLE_SIDES).items():
        strength = photo.uniform(f"idle strength {unit}", 0.0, most * spread)
        moved = photo.chosen(f"idle {unit}", share) * strength
        if unit in _IDLE:
            values[f"au{unit}"] = moved
        else:
            values[f"au{unit}_left"] = moved * photo.uniform(f"idle left {unit}", 0.7, 1.0)
            values[f"au{unit}_right"] = moved * photo.uniform(f"idle right {unit}", 0.7, 1.0)
    return values


def _express(values: dict[str, np.ndarray], draws: Draws, difficulty: float) -> None:
    """Add the emotion's action units to the idle ones, in place, and set intensity, valence and arousal."""
    emotion = values["emotion"]
    weakest, strongest = intensities(difficulty)
    intensity = draws.uniform("intensity", weakest, strongest)
    way, on_left = draws.integers("way", 3), draws.chosen("side", 0.5)
    for unit in [*ACTION_UNITS, *SIDED_UNITS, "one 12", "one 14", "one lift"]:
        table = np.array([[shown.get(unit, 0.0) for shown in _SHOWN[name]] for name in EMOTIONS])
        strength = intensity * table[emotion, way] * draws.uniform(f"strength {unit}", 0.75, 1.15)
        if unit in ACTION_UNITS:
            values[f"au{unit}"] = np.clip(values[f"au{unit}"] + strength, 0.0, 1.15)
            continue
        one_sided = isinstance(unit, str)
        name = unit.removeprefix("one ") if one_sided else unit
        stem = name if name == "lift" else f"au{name}"
        for side, active in (("left", on_left), ("right", ~on_left)):
            add = strength * active if one_sided else strength
            values[f"{stem}_{side}"] = np.clip(values[f"{stem}_{side}"] + add, -0.6, 1.15)
    circumplex = np.array(CIRCUMPLEX)[emotion] * intensity[:, None] + draws.uniform("feeling", -0.06, 0.06, count=2)
    values["valence"], values["arousal"] = np.clip(circumplex, -1.0, 1.0).T
    values["intensity"] = intensity
