"""The configuration of an HMTL network: its backbone, its pixels and its heads."""

import copy
import difflib
import re
from dataclasses import field

from transformers import PreTrainedConfig

# What each kind of head may say, with its default; None means that it has to be given.
HEAD_KINDS: dict[str, dict] = {
    "linear": {"shape": None, "dropout": 0.0},
    "mlp": {"shape": None, "dropout": 0.0, "hidden": 512},
    "projector": {"shape": None, "hidden": 1024},
    "decoder": {},
}
LOSS_WEIGHTINGS = ("static", "uncertainty")
LOSS_WEIGHTS = "loss_weights"  # name of the learned loss weights among the auxiliary modules


class HMTLConfig(PreTrainedConfig):
    """Describes an HMTL network completely: with it and the weights, the network can be rebuilt anywhere.

    Args:
        backbone: name of a timm model, for example "efficientnet_b0".
        image_size: side in pixels of the square images that the network is trained on.
        pixel_mean, pixel_std: statistics, in units of [0, 1], by which the model itself normalises its pixels: a list
            of three numbers each; ImageNet's by default.
        heads: {name: head}. A head is a dict with these keys (unknown ones raise), completed with the defaults:
            kind: "linear", "mlp", "projector" or "decoder" (see heads_hmtl.py);
            shape: of one row of its output, [8] for 8 classes, [9, 9] for 9 puzzle slots of 9 places (not for decoders,
            whose output is an image as large as the input);
            dropout: share of the features dropped before the head (linear, mlp), 0 by default;
            hidden: width of its hidden layers (mlp: 512, appendix C of the paper; projector: 1024);
            auxiliary: True for a head that serves training only and vanishes in `without_auxiliary`;
            labels: names of the classes in the order of the outputs, for one-dimensional shapes; None for numbers.
        primary: the supervised head that `logits`, the pipeline and the Hub show, with a one-dimensional shape; the
            first one given by default. `id2label` and `num_labels` follow from it and cannot be set.
        loss_weighting: "static", or "uncertainty" for a learned log-variance per head (Kendall, Gal and Cipolla 2018).

    Raises:
        ValueError: a head, a name or a number is not allowed; the message says which and what is.
    """

    model_type = "hmtl"
    _auto_class = "AutoConfig"  # saved folders carry the code
    keys_to_ignore_at_inference = ["log_variances"]

    backbone: str = "efficientnet_b0"
    image_size: int = 224
    pixel_mean: list = field(default_factory=lambda: [0.485, 0.456, 0.406])
    pixel_std: list = field(default_factory=lambda: [0.229, 0.224, 0.225])
    heads: dict = field(default_factory=dict)
    primary: str | None = None
    loss_weighting: str = "static"

    def __post_init__(self, **kwargs):
        _refuse_misspelt(kwargs)
        if kwargs.pop("num_labels", None) is not None:
            self.num_labels = None
        given = self.id2label
        self.resolve()
        if given and {int(number): name for number, name in given.items()} != self.id2label:
            raise ValueError(
                f"id2label={given} disagrees with the labels of the primary head {self.primary!r}, {self.id2label}. It "
                f"follows from heads[{self.primary!r}]['labels'], in the order of the outputs: set the labels there."
            )
        super().__post_init__(**kwargs)

    def resolve(self):
        """Checks all fields, completes the heads and derives the labels of the primary head.

        The model calls it once more, because `from_pretrained(..., heads=...)` sets attributes on a finished config.
        """
        _check_backbone_fields(self)
        _check_choice("loss_weighting", self.loss_weighting, LOSS_WEIGHTINGS)
        self.heads = {name: _completed_head(name, head) for name, head in self.heads.items()}
        showable = [name for name, head in self.supervised_heads.items() if len(head.get("shape", ())) == 1]
        if self.primary is None:
            self.primary = next(iter(showable), None)
        # JSON files are written with sorted keys, and a loaded model must have its parameters in the same order as a
        # built one: optimizers know them by their number.
        self.heads = dict(sorted(self.heads.items()))
        if self.primary is not None and self.primary not in showable:
            raise ValueError(
                f"primary={self.primary!r} cannot be shown: the pipeline needs a head that stays after training and "
                f"gives one row of numbers. Such heads are: {_listed(showable)}. Give one of these names, or leave "
                f"primary out to take the first."
            )
        self.id2label, self.label2id, self.problem_type = {}, {}, None
        if self.primary is not None:
            head = self.heads[self.primary]
            self.problem_type = "single_label_classification" if head["labels"] else "regression"
            names = head["labels"] or _numbered(self.primary, head["shape"])
            self.id2label = dict(enumerate(names))
            self.label2id = {name: number for number, name in enumerate(names)}

    @property
    def num_labels(self) -> int:
        """Number of outputs of the primary head; 0 without one."""
        return len(self.id2label or {})

    @num_labels.setter
    def num_labels(self, value):
        raise ValueError(
            "num_labels cannot be set: it follows from the labels of the primary head. Give that head the labels you "
            'want, HMTLConfig(heads={"emotion": {"kind": "linear", "shape": [2], "labels": ["sad", "happy"]}}), and '
            "take the backbone of a checkpoint over with model.load_backbone_from(folder)."
        )

    @property
    def supervised_heads(self) -> dict:
        """The heads that stay after training: {name: head}."""
        return {name: head for name, head in self.heads.items() if not head["auxiliary"]}

    @property
    def auxiliary_heads(self) -> dict:
        """The heads that serve training only: {name: head}."""
        return {name: head for name, head in self.heads.items() if head["auxiliary"]}

    def without_auxiliary(self) -> "HMTLConfig":
        """A copy that describes the network as it is used after training: supervised heads, nothing learned beside."""
        slim = copy.deepcopy(self)
        slim.heads = slim.supervised_heads
        slim.loss_weighting = "static"
        return slim


def _completed_head(name: str, head: dict) -> dict:
    """The head with every default filled in, in one order of keys; raises on anything that is not allowed."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)) or name == LOSS_WEIGHTS:
        raise ValueError(
            f"{name!r} cannot be the name of a head: it becomes part of the names of parameters, so it has lower-case "
            f"letters, digits and underscores only, and is not {LOSS_WEIGHTS!r}. Rename it, for example 'head_pose'."
        )
    if not isinstance(head, dict) or "kind" not in head:
        raise ValueError(
            f'head {name!r} must be a dict that says its kind, like {{"kind": "linear", "shape": [8]}}, got {head!r}'
        )
    _check_choice(f"kind of head {name!r}", head["kind"], HEAD_KINDS)
    defaults = {"kind": None, **HEAD_KINDS[head["kind"]], "auxiliary": False, "labels": None}
    for key in head:
        _check_choice(f"key of the {head['kind']} head {name!r}", key, defaults)
    completed = {**defaults, **head}
    if "shape" in completed:
        completed["shape"] = _checked_shape(name, completed["shape"])
    if "hidden" in completed and not _is_count(completed["hidden"]):
        raise ValueError(f"head {name!r}: hidden is the width of a layer, a whole number, got {completed['hidden']!r}")
    if not isinstance(completed.get("dropout", 0.0), (int, float)) or not 0 <= completed.get("dropout", 0.0) < 1:
        raise ValueError(f"head {name!r}: dropout is a share of at least 0 and below 1, got {completed['dropout']!r}")
    if completed["labels"] is not None:
        completed["labels"] = _checked_labels(name, list(completed["labels"]), completed.get("shape"))
    return completed


def _checked_shape(name: str, shape) -> list:
    shape = list(shape) if isinstance(shape, (list, tuple)) else shape
    if not isinstance(shape, list) or not shape or not all(_is_count(size) for size in shape):
        raise ValueError(
            f"head {name!r}: shape lists the sizes of one row of its output, like [8] for 8 classes or [9, 9] for 9 "
            f"slots of 9 places, got {shape!r}"
        )
    return shape


def _checked_labels(name: str, labels: list, shape) -> list:
    if shape is None or len(shape) != 1 or len(labels) != shape[0] or len(set(labels)) != len(labels) or shape[0] < 2:
        raise ValueError(
            f"head {name!r}: labels name the outputs of a classification one by one, so they are unique, at least two, "
            f"and as many as its one-dimensional shape; got {len(labels)} labels {labels} for the shape {shape}"
        )
    return labels


def _check_backbone_fields(config: HMTLConfig):
    if not isinstance(config.backbone, str) or not config.backbone:
        raise ValueError(f"backbone is the name of a timm model, like 'efficientnet_b0', got {config.backbone!r}")
    if not _is_count(config.image_size):
        raise ValueError(f"image_size is the side of the square image in pixels, like 224, got {config.image_size!r}")
    for name in ("pixel_mean", "pixel_std"):
        values = [float(value) for value in getattr(config, name)]
        if len(values) != 3 or not all(0 <= value <= 1 for value in values) or (name == "pixel_std" and 0 in values):
            raise ValueError(
                f"{name} holds three numbers, for red, green and blue, in units of [0, 1] (ImageNet's are "
                f"[0.485, 0.456, 0.406] and [0.229, 0.224, 0.225]), and no deviation is 0; got {values}"
            )
        setattr(config, name, values)


def _refuse_misspelt(names):
    """Raises when an unknown argument looks like one of ours: the base class would store it and say nothing."""
    for name in names:
        near = difflib.get_close_matches(name, HMTLConfig.__annotations__, n=1, cutoff=0.75)
        if near:
            raise ValueError(f"HMTLConfig has no argument {name!r}. Did you mean {near[0]!r}?")


def _check_choice(what: str, given, allowed):
    if given not in allowed:
        near = difflib.get_close_matches(str(given), list(allowed), n=1)
        raise ValueError(
            f"{given!r} is not allowed as {what}. " + (f"Did you mean {near[0]!r}? " if near else "") + "Allowed: "
            f"{_listed(allowed)}."
        )


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _numbered(name: str, shape: list) -> list:
    """Names for outputs without labels: 'valence' for one number, 'pose_0', 'pose_1' ... for more."""
    return [name] if shape == [1] else [f"{name}_{index}" for index in range(shape[0])]


def _listed(names) -> str:
    return ", ".join(map(repr, names)) or "none"
