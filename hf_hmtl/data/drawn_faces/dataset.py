"""The embedded default data set: faces drawn by code, every label known, nothing to download.

Licence: the pictures are output of this package and carry its licence; nobody is depicted.

Pose angles are in degrees with the signs that HopeNet gives to the labels of 300W-LP and AFLW2000 (Ruiz et al. 2018):
yaw > 0 turns the nose towards the image's left, pitch > 0 lifts it, roll > 0 turns the head clockwise as the viewer
sees it; mirroring negates yaw and roll. Gender, age and appearance are what the drawing was made to look like.
"""

import io
from functools import partial
from pathlib import Path

import cv2
import datasets
import numpy as np

from hf_hmtl.data.drawn_faces.drawing import draw_faces, face_areas
from hf_hmtl.data.drawn_faces.face_parameters import (
    ACTION_UNITS,
    AGE_GROUPS,
    APPEARANCE_GROUPS,
    EMOTIONS,
    GENDERS,
    SIDED_UNITS,
    face_parameters,
)
from hf_hmtl.data.identity import FEATURES, RESERVED, identity
from hf_hmtl.files import replacing

__all__ = [
    "AGE_GROUPS",
    "APPEARANCE_GROUPS",
    "EMOTIONS",
    "GENDERS",
    "contact_sheet",
    "draw",
    "face_masks",
    "face_parameters",
    "synthetic_faces",
]

SIZES = (32, 512)
FEWEST = 8
HARDEST = 3.0
JPEG_QUALITY = 92

_CHUNK = 64
_FEATURES = datasets.Features(
    {
        "image": datasets.Image(decode=False),
        "emotion": datasets.ClassLabel(names=list(EMOTIONS)),
        **{name: datasets.Value("float32") for name in ("valence", "arousal", "yaw", "pitch", "roll")},
        "gender": datasets.ClassLabel(names=list(GENDERS)),
        "age_group": datasets.ClassLabel(names=list(AGE_GROUPS)),
        "appearance_group": datasets.ClassLabel(names=list(APPEARANCE_GROUPS)),
        **FEATURES,
    }
)

_UNITS = tuple(f"au{unit}" for unit in sorted((*ACTION_UNITS, *SIDED_UNITS)))


def draw(parameters, size: int) -> np.ndarray:
    """Draw one face.

    Args:
        parameters: one record of `face_parameters`, for instance `face_parameters(0, "train", 5)[0]`.
        size: side in pixels, 32 to 512.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    check_size(size)
    return draw_faces(np.array([parameters.item()], dtype=parameters.dtype).view(np.recarray), size)[0]


def face_masks(
    split: str, rows, size: int = 96, seed: int = 0, difficulty: float = 1.0, imbalanced: bool = False
) -> np.ndarray:
    """The true area of some faces of `synthetic_faces`, of the same options: (rows, size, size) float32, the share of
    each pixel that is face, hair aside."""
    faces = face_parameters(seed, split, rows, difficulty, imbalanced and split == "train")
    return face_areas(faces, size)


def synthetic_faces(
    train: int = 4000,
    validation: int = 800,
    test: int = 800,
    size: int = 96,
    seed: int = 0,
    difficulty: float = 1.0,
    imbalanced: bool = False,
    action_units: bool = False,
    num_proc: int | None = None,
) -> datasets.DatasetDict:
    """Draw a data set of faces.

    Face i of a split depends on (seed, split, i) and the options below alone, never on how many others are drawn. Four
    faces in a row are one subject, and no subject stands in two splits. Every eight faces in a row show the eight
    emotions, so a count divisible by eight is balanced exactly.

    Args:
        train, validation, test: number of faces of each split, at least 8; validation and test may be 0 (none).
        size: side of the square images in pixels, 32 to 512.
        seed: other seeds give other people and other photographs.
        difficulty: 0 to 3. More weakens the expressions and strengthens pose, light, occlusion, blur, noise and the
            movements that mean nothing; 0 is a set of clean portraits.
        imbalanced: emotions of the train split as frequent as in AffectNet's training set; the others stay balanced.
        action_units: also the strength of each action unit of the Facial Action Coding System that the face shows, in
            columns au1, au2, au4, ..., 0 to 1.15, of au12 and au14 that of the stronger half of the face.
        num_proc: processes that draw; None draws in this one.

    Returns:
        Splits with `image` (JPEG bytes, not decoded), emotion, valence and arousal in [-1, 1], yaw, pitch and roll in
        degrees, gender, age_group, appearance_group (class labels), and the reserved columns of `data.identity`, with
        the subject as the group.

    Raises:
        ValueError: an option is out of its range.
    """
    counts = {"train": train, "validation": validation, "test": test}
    check_size(size)
    check_counts(counts, "faces")
    check_difficulty(difficulty)
    check_processes(num_proc)
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict({"row": range(count)}).map(
                partial(
                    _rows,
                    seed=seed,
                    split=split,
                    size=size,
                    difficulty=difficulty,
                    imbalanced=imbalanced and split == "train",
                    features=_features(action_units),
                ),
                batched=True,
                batch_size=_CHUNK,
                with_rank=True,
                remove_columns=["row"],
                features=_features(action_units),
                num_proc=num_proc,
                load_from_cache_file=False,
                desc=f"drawing {split} faces",
            )
            for split, count in counts.items()
            if count
        }
    )


def contact_sheet(path, faces_per_class: int = 6, size: int = 96, seed: int = 0) -> Path:
    """Write a PNG of drawn faces at the default difficulty, one row per emotion with its name.

    Args:
        path: where to write; an existing file is replaced once the new one is complete.
        faces_per_class: faces in each row.
        size: side of a face in pixels.
        seed: of the faces.

    Returns:
        The path written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    check_size(size)
    faces = face_parameters(seed, "train", np.arange(len(EMOTIONS) * faces_per_class))
    grid = draw_faces(faces[np.argsort(faces.emotion, kind="stable")], size)
    grid = grid.reshape(len(EMOTIONS), faces_per_class, size, size, 3).swapaxes(1, 2)
    grid = grid.reshape(len(EMOTIONS) * size, faces_per_class * size, 3)
    margin, dots = 84, 100
    width, height = grid.shape[1] + margin, grid.shape[0]
    figure = Figure(figsize=(width / dots, height / dots), dpi=dots, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    figure.figimage(grid, xo=margin, yo=0)
    for row, name in enumerate(EMOTIONS):
        figure.text(
            (margin - 10) / width, 1.0 - (row + 0.5) / len(EMOTIONS), name, ha="right", va="center", fontsize=10
        )
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    encoded = io.BytesIO()
    picture.quantize(256).save(encoded, format="png", optimize=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(encoded.getvalue())
    return Path(path)


def check_counts(counts: dict[str, int], what: str) -> None:
    """Raise when a split is too small to show each emotion.

    Args:
        counts: of each split.
        what: is counted, in the plural.

    Raises:
        ValueError: it says how many are needed.
    """
    for split, count in counts.items():
        if count < FEWEST and (count != 0 or split == "train"):
            also = "" if split == "train" else ", or 0 for no such split"
            raise ValueError(
                f"{split}={count}: a split needs at least {FEWEST} {what}, one of each emotion{also}. "
                f"Try {split}={FEWEST} or more."
            )


def check_size(size: int) -> None:
    """Raise when faces of this size cannot be drawn.

    Raises:
        ValueError: it says the range.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(
            f"size={size}: faces are drawn {SIZES[0]} to {SIZES[1]} pixels wide (smaller ones show no expression). "
            "Try size=96."
        )


def check_difficulty(difficulty: float) -> None:
    """Raise when there is no such difficulty.

    Raises:
        ValueError: it says the range.
    """
    if not 0.0 <= difficulty <= HARDEST:
        raise ValueError(
            f"difficulty={difficulty}: allowed are 0 (clean portraits) to {HARDEST:g}; the default is 1.0."
        )


def check_processes(num_proc: int | None) -> None:
    """Raise when so many processes cannot draw.

    Raises:
        ValueError: it says what to give.
    """
    if num_proc is not None and num_proc < 1:
        raise ValueError(f"num_proc={num_proc}: give a number of processes from 1 up, or None to draw in this one.")


def _features(action_units: bool) -> datasets.Features:
    further = dict.fromkeys(_UNITS, datasets.Value("float32")) if action_units else {}
    return datasets.Features({**_FEATURES, **further})


def _strength(faces: np.recarray, name: str) -> np.ndarray:
    """Of a label; an action unit of two halves is as strong as its stronger one."""
    if name in faces.dtype.names:
        return faces[name]
    return np.clip(np.maximum(faces[f"{name}_left"], faces[f"{name}_right"]), 0, None)


def _rows(
    batch: dict,
    rank: int | None,
    seed: int,
    split: str,
    size: int,
    difficulty: float,
    imbalanced: bool,
    features: datasets.Features,
) -> dict:
    """Draw, encode and label some rows; a process of its own (it has a rank) keeps OpenCV to one thread."""
    if rank is not None:
        cv2.setNumThreads(0)
    numbers = np.asarray(batch["row"])
    faces = face_parameters(seed, split, numbers, difficulty, imbalanced)
    images = [
        {"bytes": jpeg(image), "path": f"drawn-{split}-{number:06d}.jpg"}
        for number, image in zip(numbers, draw_faces(faces, size), strict=True)
    ]
    labels = {name: _strength(faces, name).tolist() for name in features if name not in ("image", *RESERVED)}
    subjects = [f"drawn-{seed}-{split}-{number:05d}" for number in faces.subject]
    who = identity("drawn", [f"{split}/{number}" for number in numbers], groups=subjects)
    return {"image": images, **labels, **{name: texts.to_pylist() for name, texts in who.items()}}


def jpeg(image: np.ndarray) -> bytes:
    """A drawn face, encoded."""
    written, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not written:
        raise RuntimeError("OpenCV could not encode a drawn face as JPEG; is it built with JPEG support?")
    return encoded.tobytes()
