"""Clips of drawn faces: expressions rise and fade, head and light drift, and every frame's labels are known.

Valence is what a frame shows. Arousal is how fast the expression changes, above 0 while it rises and below 0 while it
fades: a single frame shows that a face is on its way, never which way, so half of what is asked for is in the order of
the frames alone. A network that sees one frame at a time can do no better than answer 0, whose concordance is 0.
"""

from functools import partial

import cv2
import datasets
import numpy as np

from hf_hmtl.data.drawn_faces.dataset import check_counts, check_difficulty, check_processes, check_size, jpeg
from hf_hmtl.data.drawn_faces.drawing import draw_faces
from hf_hmtl.data.drawn_faces.face_parameters import EMOTIONS, GENDERS, face_parameters, nuisances, spread
from hf_hmtl.data.identity import FEATURES, FEATURES_OF_CLIPS, OF_CLIPS, identity
from hf_hmtl.draws import Draws

LENGTHS = (8, 1000)
FASTEST, SLOWEST = 6, 12
"""Frames that an expression takes to rise or to fade; both are drawn alike, so that speed tells no direction."""
_PAUSES = {"rest": (1, 5), "hold": (0, 4)}  # frames
# Greatest departure from where the clip's own photograph has it, where `spread` is 1.
_DRIFT = {
    "yaw": 9.0, "pitch": 5.0, "roll": 4.0, "shift_x": 0.03, "shift_y": 0.03,
    "light_azimuth": 20.0, "exposure": 0.07, "gaze_x": 0.4,
}  # fmt: skip
_PERIODS = (24.0, 72.0)  # frames of a drift to and fro
_NUMBERS = ("valence", "arousal", "yaw", "pitch", "roll")
_FEATURES = datasets.Features(
    {
        "image": datasets.Image(decode=False),
        "emotion": datasets.ClassLabel(names=list(EMOTIONS)),
        **{name: datasets.Value("float32") for name in _NUMBERS},
        "gender": datasets.ClassLabel(names=list(GENDERS)),
        **FEATURES,
        **FEATURES_OF_CLIPS,
    }
)


def synthetic_clips(
    train: int = 160,
    validation: int = 32,
    test: int = 32,
    frames: int = 64,
    size: int = 64,
    seed: int = 0,
    difficulty: float = 1.0,
    num_proc: int | None = None,
) -> datasets.DatasetDict:
    """Draw clips, a row a frame.

    Clip i of a split depends on (seed, split, i) and the options below alone. Four clips in a row show one subject, who
    is that of the same four faces of `synthetic_faces`: nobody of the test clips is among the training faces. Every
    eight clips in a row show the eight emotions.

    Args:
        train, validation, test: number of clips of each split, at least 8; validation and test may be 0 (none).
        frames: of each clip, 8 to 1000.
        size: side of the square frames in pixels, 32 to 512.
        seed, difficulty: as those of `synthetic_faces`; more difficulty also lets head and light drift further.
        num_proc: processes that draw; None draws in this one.

    Returns:
        Splits with `image` (JPEG bytes, not decoded); the emotion that the clip shows; of each frame valence and
        arousal in [-1, 1], yaw, pitch and roll in degrees; gender; and the reserved columns of `data.identity`, those
        of clips among them, with the subject as the group.

    Raises:
        ValueError: an option is out of its range.
    """
    counts = {"train": train, "validation": validation, "test": test}
    check_size(size)
    check_counts(counts, "clips")
    if not LENGTHS[0] <= frames <= LENGTHS[1]:
        raise ValueError(f"frames={frames}: a clip has {LENGTHS[0]} to {LENGTHS[1]} frames. Try frames=64.")
    check_difficulty(difficulty)
    check_processes(num_proc)
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict({"clip": range(count)}).map(
                partial(_rows, seed=seed, split=split, frames=frames, size=size, difficulty=difficulty),
                batched=True,
                batch_size=1,
                with_rank=True,
                remove_columns=["clip"],
                features=_FEATURES,
                num_proc=num_proc,
                load_from_cache_file=False,
                desc=f"drawing {split} clips",
            )
            for split, count in counts.items()
            if count
        }
    )


def courses(seed: int, split: str, clips: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """How expressions come and go: rest, rise, hold, fade, again and again, each of drawn length, from a drawn moment.

    Returns:
        shown: (clips, frames), 0 at rest to 1 at the height.
        speed: (clips, frames), its change a frame, as a share of the fastest there is: -1 to 1.
    """
    events = 2 + frames // (2 * FASTEST)
    draws = Draws(seed, np.zeros_like(clips), clips, stream=f"{split}/course/")
    rise, fade = (draws.uniform(name, FASTEST, SLOWEST, count=events) for name in ("rise", "fade"))
    rest, hold = (draws.uniform(name, *ends, count=events) for name, ends in _PAUSES.items())
    lengths = np.stack([rest, rise, hold, fade], axis=2).reshape(len(clips), -1)
    ends = np.cumsum(lengths, axis=1)
    started = draws.uniform("start") * ends[:, 3]  # somewhere in the first event
    shown, speed = np.empty((2, len(clips), frames))
    for clip in range(len(clips)):
        moments = started[clip] + np.arange(frames)
        part = np.searchsorted(ends[clip], moments, side="right")
        length = lengths[clip, part]
        done = (moments - ends[clip, part] + length) / length
        phase = part % 4
        up, slope = (1 - np.cos(np.pi * done)) / 2, np.sin(np.pi * done) * FASTEST / length
        shown[clip] = np.choose(phase, [0, up, 1, 1 - up])
        speed[clip] = np.choose(phase, [0, slope, 0, -slope])
    return shown, speed


def clip_parameters(seed: int, split: str, clips, frames: int, difficulty: float = 1.0) -> np.recarray:
    """All parameters of the frames of some clips, one clip after the other; see `face_parameters`."""
    clips = np.atleast_1d(np.asarray(clips, dtype=np.int64))
    height = face_parameters(seed, split, clips, difficulty)
    at_rest = nuisances(seed, split, clips, difficulty)
    shown, speed = courses(seed, split, clips, frames)
    values = {name: np.repeat(height[name], frames) for name in height.dtype.names}
    for name in height.dtype.names:
        if name.startswith(("au", "lift_")):
            moved = at_rest[name][:, None] + shown * (height[name] - at_rest[name])[:, None]
            values[name] = moved.ravel()
    moves = (height.emotion != EMOTIONS.index("neutral"))[:, None]
    values["valence"] = (height.valence[:, None] * shown).ravel()
    values["arousal"] = (moves * speed).ravel()
    values["intensity"] = (height.intensity[:, None] * shown).ravel()
    number = np.tile(np.arange(frames), len(clips))
    whose = Draws(seed, np.zeros_like(clips), clips, stream=f"{split}/drift/")
    for name, far in _DRIFT.items():
        period, phase = whose.uniform(f"period {name}", *_PERIODS), whose.uniform(f"phase {name}")
        swing = np.sin(2 * np.pi * (np.arange(frames) / period[:, None] + phase[:, None]))
        values[name] = values[name] + spread(difficulty) * far * swing.ravel()
    grain = Draws(seed, number, np.repeat(clips, frames), stream=f"{split}/grain/")  # of the sensor, new in every frame
    values["grain_x"], values["grain_y"] = grain.uniform("grain", count=2).T
    return np.rec.fromarrays(list(values.values()), names=list(values))


def _rows(batch: dict, rank: int | None, seed: int, split: str, frames: int, size: int, difficulty: float) -> dict:
    """Draw, encode and label the frames of a clip; a process of its own (it has a rank) keeps OpenCV to one thread."""
    if rank is not None:
        cv2.setNumThreads(0)
    (clip,) = batch["clip"]
    faces = clip_parameters(seed, split, [clip], frames, difficulty)
    name = f"{split}/{clip}"
    images = [
        {"bytes": jpeg(image), "path": f"drawn-{split}-{clip:05d}-{number:04d}.jpg"}
        for number, image in enumerate(draw_faces(faces, size))
    ]
    labels = {column: faces[column].tolist() for column in ("emotion", *_NUMBERS, "gender")}
    subject = f"drawn-{seed}-{split}-{faces.subject[0]:05d}"
    who = identity("drawn_clips", [f"{name}/{number}" for number in range(frames)], groups=[subject] * frames)
    of_clips = dict(zip(OF_CLIPS, ([name] * frames, list(range(frames))), strict=True))
    return {"image": images, **labels, **{column: texts.to_pylist() for column, texts in who.items()}, **of_clips}
