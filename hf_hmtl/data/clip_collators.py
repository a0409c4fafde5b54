"""Windows of frames -> batches of clips, padded behind the last frame.

{"pixel_values": uint8 (clips, time, 3, side, side), or "features": float32 (clips, time, channels),
 "attention_mask": bool (clips, time), False in the padding,
 "targets": {task: tensor of (clips * time) frames, without a label in the padding; or of (clips) with one answer each;
             of a pretext (frames that are no padding, ...), one clip after the other},
 "rows": int64 (clips,), the row of each clip's first frame,
 "broken_rows": int64 (number of broken frames that were met,)}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.data.clips import FEATURES, ROWS
from hf_hmtl.data.collator import Collator, EvaluationCollator, TrainingCollator, known_where, no_label
from hf_hmtl.data.crops import boxes
from hf_hmtl.data.decode import decode_face
from hf_hmtl.data.rows import columns_of
from hf_hmtl.draws import Draws

CLIP, FRAME = CORRUPTIONS = ("clip", "frame")
_OF_WINDOWS = ("row", "epoch", "progress")

Rows = Mapping[str, list] | Sequence[Mapping]


@dataclass(frozen=True)
class _Clips:
    """The frames of some windows, one window after the other.

    Attributes:
        frames: {column: values}, with the number of each `row`.
        windows: what is known of the windows themselves: row (their own number), epoch, progress.
        lengths: (windows,) frames of each.
    """

    frames: Mapping[str, list]
    windows: Mapping[str, list]
    lengths: np.ndarray

    @classmethod
    def of(cls, rows: Rows) -> "_Clips":
        """Of items of `Windows`."""
        columns = columns_of(rows)
        frames = {
            name: [value for window in values for value in window]
            for name, values in columns.items()
            if name not in _OF_WINDOWS
        }
        frames["row"] = frames.pop(ROWS)
        windows = {name: columns[name] for name in _OF_WINDOWS if name in columns}
        return cls(frames, windows, np.array([len(window) for window in columns[ROWS]]))

    @property
    def mask(self) -> Tensor:
        """(windows, time)."""
        return torch.from_numpy(np.arange(self.lengths.max()) < self.lengths[:, None])

    def padded(self, frames: Tensor, fill: float = 0) -> Tensor:
        """(windows, time, ...) of (frames, ...)."""
        mask = self.mask
        found = torch.full((*mask.shape, *frames.shape[1:]), fill, dtype=frames.dtype)
        found[mask] = frames
        return found

    def batch(self, seen: dict[str, Tensor], targets: dict[str, Tensor], broken: list[int], whole: bool) -> dict:
        """The batch, whose targets are of frames, or of their clips as a whole."""
        lasts = torch.from_numpy(np.cumsum(self.lengths) - 1)
        of_clips = {
            name: target[lasts] if whole else self.padded(target, no_label(target)).flatten(0, 1)
            for name, target in targets.items()
        }
        firsts = np.cumsum([0, *self.lengths[:-1]])
        return {
            **seen,
            "attention_mask": self.mask,
            "targets": of_clips,
            "rows": torch.tensor([self.frames["row"][first] for first in firsts], dtype=torch.int64),
            "broken_rows": torch.tensor(broken, dtype=torch.int64),
        }


@dataclass
class TrainingClipCollator(TrainingCollator):
    """Augmented clips: every random number is drawn once a clip, so that all its frames move alike.

    A broken frame keeps its place in time, black and without a label.

    Args:
        whole: whether a clip has one answer, whose label is that of its last frame; otherwise each frame has one.
        corruption: what the pretexts draw for: a "clip", whose frames are then all cut or turned alike, or a "frame".

    Raises:
        ValueError: a pretext looks at a view of its own.
    """

    whole: bool = False
    corruption: str = CLIP

    def __post_init__(self):
        super().__post_init__()
        if apart := [pretext.name for pretext in self.pretexts if not pretext.shares_the_image]:
            raise ValueError(
                f"{apart[0]} looks at images of its own, and on clips a pretext shares the frames that the task sees. "
                "Leave `view: own` out, or choose a pretext that corrupts one image: puzzle, rotation, "
                "localizable_rotation, inpainting"
            )

    def __call__(self, rows: Rows) -> dict:
        clips = _Clips.of(rows)
        count = len(clips.lengths)
        numbers = clips.windows.get("row") or torch.randint(2**31, (count,)).tolist()
        epochs = clips.windows.get("epoch") or [0] * count
        of_clips = np.repeat(epochs, clips.lengths), np.repeat(numbers, clips.lengths)
        progress = np.repeat(clips.windows.get("progress") or [0.0] * count, clips.lengths)
        draws = Draws(self.seed, *of_clips, progress=progress)
        corruptions = draws
        if self.corruption == FRAME:
            corruptions = Draws(self.seed, of_clips[0], clips.frames["row"], progress=progress)
        faces = boxes(clips.frames, draws)
        images, broken = self.decoded(
            clips.frames, lambda image, face: decode_face(image, self.image_size, face), faces
        )
        blank = np.zeros((self.image_size, self.image_size, 3), dtype=np.uint8)
        whole = [blank if image is None else image for image in images]
        pixels, made = self.view(whole, draws, self.pretexts, corruptions=corruptions)
        usable = torch.tensor([image is not None for image in images])
        targets = {
            name: known_where(usable, each) for name, each in self.augmented_targets(clips.frames, draws).items()
        }
        batch = clips.batch({"pixel_values": clips.padded(pixels)}, targets, broken, self.whole)
        # Pixels, what in-painting is to find, know no missing value: a black frame is painted as what it is.
        known = {name: known_where(usable, each) if each.dtype == torch.int64 else each for name, each in made.items()}
        return batch | {"targets": batch["targets"] | known}


@dataclass
class EvaluationClipCollator(EvaluationCollator):
    """Clean clips; see `EvaluationCollator` and `TrainingClipCollator`."""

    whole: bool = False

    def __call__(self, rows: Rows) -> dict:
        clips = _Clips.of(rows)
        clean = super().__call__(clips.frames)
        pixels = {"pixel_values": clips.padded(clean["pixel_values"])}
        return clips.batch(pixels, clean["targets"], clean["broken_rows"].tolist(), self.whole)


@dataclass
class FeatureClipCollator(Collator):
    """Clips of features that a frozen backbone has given, for training and evaluation alike: nothing is drawn.

    Features that are NaN are those of a broken frame, which keeps its place in time, 0 and without a label.
    """

    whole: bool = False

    def __call__(self, rows: Rows) -> dict:
        clips = _Clips.of(rows)
        features = torch.from_numpy(np.stack(clips.frames[FEATURES]))
        usable = features.isfinite().all(1)
        labels = self.targets({**clips.frames, self.image_column: clips.frames[FEATURES]})
        targets = {name: known_where(usable, target) for name, target in labels.items()}
        broken = [row for row, known in zip(clips.frames["row"], usable.tolist(), strict=True) if not known]
        seen = {FEATURES: clips.padded(torch.where(usable[:, None], features, 0))}
        return clips.batch(seen, targets, broken, self.whole)
