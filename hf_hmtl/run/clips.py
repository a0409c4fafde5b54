"""Faces in time: what `sequence` of a recipe says, and the network and collators that follow from it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.clip_collators import (
    CORRUPTIONS,
    EvaluationClipCollator,
    FeatureClipCollator,
    TrainingClipCollator,
)
from hf_hmtl.data.clips import Windows
from hf_hmtl.data.collator import Collator
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.configuration_sequence_hmtl import CLIP, HMTLSequenceConfig
from hf_hmtl.model.modeling_sequence_hmtl import HMTLSequenceForVideoClassification, HMTLSequenceModel
from hf_hmtl.option_types import require_types
from hf_hmtl.recipe import Recipe, require_known
from hf_hmtl.tasks import Pretext, Supervised
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.training.clips import check_task

_NOT_OF_THE_NETWORK = ("window", "stride", "random_offset", "corruption")


@dataclass(frozen=True)
class InTime:
    """How frames are learned in time: options of `HMTLSequenceConfig`, and of the windows.

    Attributes:
        recurrent, layers, units, bidirectional, dropout, answers, summary, frozen, frames_at_once: as there.
        window: frames that are learned from and evaluated at once (section 4.7: 32); null takes clips whole, as
            `answers: clip` always does.
        stride: frames from the begin of a training window to that of the next; null for as many as a window has. Where
            scores are taken, windows never overlap.
        random_offset: whether training windows begin up to half a stride earlier or later, drawn anew for every clip in
            every epoch; scores are always taken of the same windows.
        corruption: what pretexts draw for: a window ("clip"), all of whose frames are cut or turned alike, or "frame".

    Raises:
        ValueError: an option is out of its range.
    """

    recurrent: str = "gru"
    layers: int = 2
    units: int = 64
    bidirectional: bool = True
    dropout: float = 0.3
    answers: str = "frames"
    summary: str = "last"
    frozen: bool = False
    frames_at_once: int = 64
    window: int | None = 32
    stride: int | None = None
    random_offset: bool = False
    corruption: str = CLIP

    @classmethod
    def of(cls, recipe: Recipe) -> "InTime | None":
        """What a recipe says, None of one that learns images."""
        if recipe.sequence is None:
            return None
        where = f"option of `sequence` in recipe {recipe.name}"
        require_known(recipe.sequence, [each.name for each in dataclasses.fields(cls)], where)
        require_types(cls, recipe.sequence, where)
        given = dict(recipe.sequence)
        if given.get("answers") == CLIP:
            if given.get("window") is not None or given.get("stride") is not None or given.get("random_offset"):
                raise ValueError(
                    f"recipe {recipe.name}: with `answers: clip` clips are taken whole, so that window, stride and "
                    "random_offset say nothing. Leave them out"
                )
            given["window"] = None
        in_time = cls(**given)
        if in_time.frozen and recipe.auxiliary:
            raise ValueError(
                f"recipe {recipe.name}: a frozen backbone learns nothing from {', '.join(recipe.auxiliary)}. Write "
                "frozen: false, or leave the pretext out (auxiliary.NAME=null)"
            )
        if in_time.frozen and Augmentation.of(recipe.augmentation) != Augmentation.level("none", flip=0.0):
            raise ValueError(
                f"recipe {recipe.name}: the features of a frozen backbone are computed once, of clean frames, so that "
                "no augmentation would ever be seen. Write augmentation: {level: none, flip: 0}, or frozen: false"
            )
        return in_time

    def __post_init__(self):
        if self.corruption not in CORRUPTIONS:
            raise ValueError(f"sequence.corruption is {self.corruption!r}, allowed are {' and '.join(CORRUPTIONS)}")
        for name in ("window", "stride"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"sequence.{name} is {value}, allowed are whole numbers from 1, or null")
        for name in ("stride", "random_offset"):
            if self.window is None and getattr(self, name):
                raise ValueError(
                    f"sequence.{name} says nothing where clips are taken whole (window: null); leave it out"
                )
        if self.stride is not None and self.window is not None and self.stride > self.window:
            raise ValueError(
                f"sequence.stride {self.stride} is more than the window of {self.window}, so that frames would never "
                f"be learned from; allowed is 1 to {self.window}"
            )

    @property
    def whole(self) -> bool:
        """Whether a clip has one answer."""
        return self.answers == CLIP

    def model(
        self, recipe: Recipe, task: Supervised, pretexts: Sequence[Pretext], of_frames: Mapping[str, Any]
    ) -> HMTLSequenceModel:
        """A fresh network that answers what the task asks.

        Args:
            recipe: its backbone and image size.
            task: the supervised one.
            pretexts: beside it.
            of_frames: further options of the backbone's `HMTLConfig`.

        Raises:
            ValueError: the task is none that is learned in time, or an option is not allowed.
        """
        check_task(task)
        numbers = isinstance(task, Regression)
        names = task.columns if numbers else task.labels  # type: ignore[attr-defined]
        network = {name: value for name, value in vars(self).items() if name not in _NOT_OF_THE_NETWORK}
        frames = HMTLConfig(backbone=recipe.backbone, image_size=recipe.image_size, **of_frames)
        config = HMTLSequenceConfig(
            frame_config=frames.to_dict(),
            **network,
            num_frames=self.window or HMTLSequenceConfig.num_frames,
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
            problem_type="regression" if numbers else "single_label_classification",
            auxiliary={pretext.name: pretext.head() for pretext in pretexts if pretext.is_learned},
        )
        return (HMTLSequenceForVideoClassification if self.whole else HMTLSequenceModel)(config)

    def learned(self, frames: Dataset, features: np.ndarray | None, seed: int) -> Windows:
        """The windows that are learned from."""
        return Windows(frames, self.window, self.stride, features, seed if self.random_offset else None)

    def evaluated(self, frames: Dataset, features: np.ndarray | None) -> Windows:
        """The windows that scores are taken of: each frame is in one."""
        return Windows(frames, self.window, None, features)

    def training_collator(self, settings: Mapping[str, Any]) -> Collator:
        """Collator of augmented clips, or of features, which are what they are."""
        if self.frozen:
            return FeatureClipCollator(settings["supervised"], settings["image_size"], whole=self.whole)
        return TrainingClipCollator(**settings, whole=self.whole, corruption=self.corruption)

    def evaluation_collator(self, settings: Mapping[str, Any]) -> Collator:
        """Collator of clean clips, or of features."""
        if self.frozen:
            return FeatureClipCollator(settings["supervised"], settings["image_size"], whole=self.whole)
        return EvaluationClipCollator(**settings, whole=self.whole)
