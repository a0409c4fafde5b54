"""The configuration of a network for faces in time: a backbone, a recurrent network, and what it answers."""

import copy

from transformers import PreTrainedConfig

from .configuration_hmtl import HMTLConfig
from .descriptions_hmtl import LARGEST_OUTPUT, is_number, is_plain
from .strangers_hmtl import StrangersConfig, short

RECURRENT = ("gru", "lstm")
FRAMES, CLIP = ANSWERS = ("frames", "clip")
SUMMARIES = ("last", "mean")
_OF_THE_BACKBONE = (
    "backbone", "image_size", "pixel_mean", "pixel_std", "format_version", "learned_from", "face_margin",
)  # fmt: skip
_MOST_LAYERS = 100
_NUMBERS, _CLASSES = PROBLEMS = ("regression", "single_label_classification")


class HMTLSequenceConfig(StrangersConfig, PreTrainedConfig):
    """Describes a network that reads the frames of a clip one after the other (section 4.7 of the paper).

    Args:
        frame_config: the `HMTLConfig` of the backbone that every frame goes through; its heads are left out.
        recurrent: "gru" (two layers of 64 units for Aff-Wild, section 4.7.1) or "lstm" (one layer, 4.7.2 and 4.7.3).
        layers, units: of the recurrent network; units are those of one direction.
        bidirectional: whether it also reads from the end.
        dropout: share of the backbone's features that is dropped before it (section 4.7.1: 0.3).
        answers: "frames", one answer a frame, or "clip", one for all of it.
        summary: what answers for a clip: the "last" state of each direction, or the "mean" over the frames.
        frozen: whether the backbone stays as it is; it can then be left out of a training on its `features`.
        frames_at_once: how many frames go through the backbone at once. It bounds the memory of an evaluation; batch
            norms of a backbone that is trained take their statistics over so many.
        num_frames: of a clip; what `pipeline("video-classification")` takes of a video.
        auxiliary: {name: description} of heads that serve training only, as `HMTLConfig` has them among its heads; they
            look at what the backbone makes of every frame.
        id2label, problem_type: the classes, or with problem_type="regression" the names of the numbers.

    Raises:
        ValueError: an argument is not allowed; the message says which and what is.
    """

    model_type = "hmtl-sequence"
    _auto_class = "AutoConfig"
    sub_configs_defaults = {"frame_config": HMTLConfig}
    keys_to_ignore_at_inference = ["last_hidden_state", "features", "auxiliary"]

    frame_config: dict | PreTrainedConfig | None = None
    recurrent: str = "gru"
    layers: int = 2
    units: int = 64
    bidirectional: bool = True
    dropout: float | int = 0.3
    answers: str = FRAMES
    summary: str = "last"
    frozen: bool = False
    frames_at_once: int = 64
    num_frames: int = 32
    auxiliary: dict | None = None  # a finished config holds a dict

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.problem_type is None:
            self.problem_type = _CLASSES
        for name, allowed in (
            ("recurrent", RECURRENT), ("answers", ANSWERS), ("summary", SUMMARIES), ("problem_type", PROBLEMS),
        ):  # fmt: skip
            value = getattr(self, name)
            if not is_plain(value) or value not in allowed:
                raise ValueError(f"{name} is {short(value)}, allowed are {' and '.join(map(repr, allowed))}")
        for name in ("layers", "units", "frames_at_once", "num_frames"):
            value = getattr(self, name)
            most = _MOST_LAYERS if name == "layers" else LARGEST_OUTPUT
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name} is {short(value)}, allowed are whole numbers from 1 to {most:,}")
        for name in ("bidirectional", "frozen"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {short(getattr(self, name))}, allowed are true and false")
        if not is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {short(self.dropout)}, allowed is 0 <= share < 1")
        if self.problem_type == _CLASSES and self.num_labels < 2:
            raise ValueError(
                f"the only class is {self.id2label[0]!r}; a classifier needs two or more. For a number give "
                "problem_type='regression'"
            )
        self.frame_config = HMTLConfig(**_of_the_backbone(self.frame_config.to_dict()))
        self.auxiliary = _completed(self.auxiliary, self.frame_config)

    @property
    def image_size(self) -> int:
        """Side of the frames, pixels."""
        return self.frame_config.image_size  # type: ignore[union-attr]  # a finished config holds an HMTLConfig

    def without_auxiliary(self) -> "HMTLSequenceConfig":
        """A copy that describes the network as it is used after training."""
        slim = copy.deepcopy(self)
        slim.auxiliary = {}
        return slim

    @property
    def channels(self) -> int:
        """What the recurrent network says of each frame."""
        return self.units * (1 + self.bidirectional)


def _completed(heads: dict | None, frames: HMTLConfig) -> dict:
    """The training heads with all their defaults, each known to be one."""
    completed = HMTLConfig(backbone=frames.backbone, image_size=frames.image_size, heads=heads or {})
    if serving := list(completed.supervised_heads):
        raise ValueError(
            f"auxiliary has the head {serving[0]!r}, which is to stay after training, and a network for faces in time "
            "has one answer. Say auxiliary: true in its description"
        )
    return completed.heads


def _of_the_backbone(frame: dict) -> dict:
    """What a configuration says of the backbone. Heads answered for single images, and where the weights lay before is
    nobody's concern."""
    return {name: frame[name] for name in _OF_THE_BACKBONE if name in frame}
