"""The configuration of an HMTL network: its backbone, its pixels and its heads."""

import copy
import difflib
import re
from dataclasses import field

from transformers import PreTrainedConfig

from .descriptions_hmtl import (
    HEAD_KINDS as HEAD_KINDS,
)
from .descriptions_hmtl import (
    LOSS_WEIGHTS as LOSS_WEIGHTS,
)
from .descriptions_hmtl import (
    check_choice,
    completed_head,
    is_count,
    is_number,
    is_plain,
    listed,
)
from .strangers_hmtl import LARGEST_SIDE, StrangersConfig, short

FORMAT = 1  # of saved configurations; it grows when an earlier hf_hmtl would misread one
LOSS_WEIGHTINGS = ("static", "uncertainty")
NEW_HEAD = "label"  # of a network without a supervised head that is given labels; imagefolder's name of that column
_LABEL_ARGUMENTS = ("num_labels", "id2label", "label2id")


class HMTLConfig(StrangersConfig, PreTrainedConfig):
    """Describes an HMTL network completely: with it and the weights, the network can be rebuilt anywhere.

    Args:
        backbone: name of a timm model, for example "efficientnet_b0".
        image_size: side in pixels of the square images that the network is trained on.
        pixel_mean, pixel_std: statistics, in units of [0, 1], by which the model itself normalises its pixels: a list
            of three numbers each; ImageNet's by default.
        heads: {name: head}. A head is a dict with these keys (unknown ones raise), completed with the defaults:
            kind: "linear", "mlp", "multilabel", "regression", "projector" or "decoder" (see heads_hmtl.py);
            shape: of one row of its output, [8] for 8 classes, [9, 9] for 9 puzzle slots of 9 places (not for decoders,
            whose output is an image as large as the input);
            dropout: share of the features dropped before the head (not projector, decoder), 0 by default;
            hidden: width of its hidden layers (mlp: 512, appendix C of the paper; projector: 1024);
            auxiliary: True for a head that serves training only and vanishes in `without_auxiliary`;
            labels: names of the classes in the order of the outputs, for one-dimensional shapes; None for numbers;
                of a "multilabel" head, whose outputs are yes-or-no questions (sigmoid), it has to be given.
            A "regression" may also say: names and unit of its numbers; range, [lowest, highest]; tanh, True to bend
                them into the range; bins, {"first": -0.95, "step": 0.1, "count": 20}, for a softmax over so many
                values, whose mean is the number (Eq. 4 of the paper). Its shape is that of the numbers.
        primary: the supervised head that `logits`, the pipeline and the Hub show, with a one-dimensional shape; the
            first one given by default. `id2label`, `label2id`, `num_labels` and `problem_type` follow from it.
        format_version: of the saved configuration; files without one are of version 1.
        loss_weighting: "static", or "uncertainty" for a learned log-variance per head (Kendall, Gal and Cipolla 2018).
        learned_from: names of the sources whose images its weights have learned from, as far as is known; "drawn" are
            faces drawn by code, and whatever such a model answers says so.
        face_margin: share of a face's sides that its crops show beyond the face's box, where that is known; None leaves
            it to whoever cuts faces out of pictures (see pipeline_hmtl.py).

    Setting `id2label`, `label2id` or `num_labels`, in `from_pretrained` or on a finished config, gives the primary head
    other labels; a network without one gets a new linear head "label". What then becomes of the weights says
    `HMTLForImageClassification.from_pretrained`. `num_labels=1` makes it a number, as everywhere in transformers.

    Raises:
        ValueError: a head, a name or a number is not allowed, or two of the arguments disagree; the message says which
            and what is allowed.
    """

    model_type = "hmtl"
    _auto_class = "AutoConfig"  # saved folders carry the code
    # What a plain Trainer gathers, and hands to compute_metrics, is the logits of the primary head.
    keys_to_ignore_at_inference = ["predictions", "log_variances", "hidden_states", "bin_logits"]

    backbone: str = "efficientnet_b0"
    image_size: int = 224
    pixel_mean: list = field(default_factory=lambda: [0.485, 0.456, 0.406])
    pixel_std: list = field(default_factory=lambda: [0.229, 0.224, 0.225])
    heads: dict = field(default_factory=dict)
    primary: str | None = None
    loss_weighting: str = "static"
    format_version: int = FORMAT
    learned_from: list = field(default_factory=list)
    face_margin: float | None = None

    pipelines_are_registered = False  # by registration.py, which stays behind where the code has travelled

    def __post_init__(self, **kwargs):
        if not is_count(self.format_version):
            raise ValueError(f"format_version is a whole number of at least 1, got {short(self.format_version)}")
        if self.format_version > FORMAT:
            raise ValueError(
                f"This model was saved in format {self.format_version}, by a newer hf_hmtl than this one, which reads "
                f"formats up to {FORMAT}. Type pip install --upgrade hf_hmtl; where hf_hmtl is not installed, "
                "trust_remote_code=True runs the code that came with the model."
            )
        _refuse_misspelt(kwargs)
        asked = asked_labels(kwargs.pop("num_labels", None), self.id2label, self.label2id)
        self.resolve()
        if asked is not None and self.primary is None:
            self._relabel(asked)
        if asked is not None and not _same(asked, self.labels):
            raise ValueError(
                f"{_shown(asked)} disagrees with the labels of the primary head {short(self.primary)}, "
                f"{_shown(self.labels)}, in heads[{short(self.primary)}]['labels']. Give them in one place."
            )
        super().__post_init__(**kwargs)
        # {head: {new name: name in the saved weights}}. That it is there tells `__setattr__` that the setup is over.
        self._renamed: dict[str, dict] = {}

    @classmethod
    def from_dict(cls, config_dict: dict, **kwargs):
        """As the base class's; labels that are asked for in several words are taken together, whatever their order."""
        asked = asked_labels(*(kwargs.pop(name, None) for name in _LABEL_ARGUMENTS))
        if cls.pipelines_are_registered:  # pipeline() would ask for trust_remote_code, and run the code of the folder
            config_dict = {name: value for name, value in config_dict.items() if name != "custom_pipelines"}
        loaded = super().from_dict(config_dict, **kwargs)
        config = loaded[0] if isinstance(loaded, tuple) else loaded
        if asked is not None:
            config._relabel(asked)
        return loaded

    def __setattr__(self, name, value):
        """Labels that are set on a finished config become those of the primary head, and the other way round."""
        finished = "_renamed" in self.__dict__
        if finished and name in ("id2label", "label2id") and value is not None:
            self._relabel(asked_labels(**{name: value}))
        elif finished and name in ("heads", "primary"):
            given = {"heads": self.heads, "primary": self.primary, name: value}
            if given["primary"] in (None, *given["heads"]):
                self._take(**given)
            else:  # the other of the two may follow; if not, the model's `resolve` raises
                followed = self.problem_type == self._problem_type
                self.__dict__.update({name: value, "problem_type": None if followed else self.problem_type})
        else:
            super().__setattr__(name, value)

    def to_dict(self) -> dict:
        """All fields, as config.json stores them."""
        return {name: value for name, value in super().to_dict().items() if name != "_renamed"}

    def resolve(self):
        """Checks all fields, completes the heads and derives the labels of the primary head.

        The model calls it once more, because single entries of `heads` may have been changed since.
        """
        _check_backbone_fields(self)
        check_choice("loss_weighting", self.loss_weighting, LOSS_WEIGHTINGS)
        self._take(self.heads, self.primary)
        allowed = [None, self._problem_type]
        if self._problem_type == "single_label_classification":
            allowed.append("multi_label_classification")
        if self.problem_type not in allowed:
            raise ValueError(
                f"problem_type={short(self.problem_type)} does not fit the primary head {short(self.primary)}: a head "
                f"with labels is a single_label_classification or, when asked for, a multi_label_classification, and "
                f"one without is a regression. Leave problem_type out, or describe the head you want in heads."
            )

    def _take(self, heads: dict, primary: str | None):
        """Takes over heads and what follows from them: all of it, or, when something is not allowed, nothing."""
        if not isinstance(heads, dict):
            raise ValueError(f"heads is a dict of heads by name, got {short(heads)}")
        heads = {name: completed_head(name, head) for name, head in heads.items()}
        showable = [name for name, head in heads.items() if not head["auxiliary"] and len(head.get("shape", ())) == 1]
        primary = next(iter(showable), None) if primary is None else primary
        if primary is not None and primary not in showable:
            raise ValueError(
                f"primary={short(primary)} cannot be shown: the pipeline needs a head that stays after training and "
                f"gives one row of numbers. Such heads are: {listed(showable)}. Give one of these names, or leave "
                f"primary out to take the first."
            )
        follows = self.problem_type in (None, self._problem_type)
        # JSON files are written with sorted keys, and a loaded model must have its parameters in the same order as a
        # built one: optimizers know them by their number. By way of __dict__: `__setattr__` would come back here.
        self.__dict__.update(heads=dict(sorted(heads.items())), primary=primary)
        self.__dict__.update(
            id2label=dict(enumerate(self.labels)),
            label2id={name: number for number, name in enumerate(self.labels)},
            problem_type=self._problem_type if follows else self.problem_type,
        )

    @property
    def labels(self) -> list:
        """Names of the outputs of the primary head, in their order; [] without one."""
        if self.primary is None:
            return []
        head = self.heads[self.primary]
        return list(head["labels"] or head.get("names") or _numbered(self.primary, head["shape"]))

    def loss_kind(self, head: str, labels) -> str:
        """What a head loses against a tensor of labels; see `head_loss`."""
        described = self.heads[head]
        asked = head == self.primary and self.problem_type == "multi_label_classification"
        if asked or described["kind"] == "multilabel":
            return "binary_cross_entropy"
        if described["kind"] == "projector" or (described["kind"] == "decoder" and not labels.is_floating_point()):
            raise ValueError(f"The head {head!r} ({described['kind']}) has no loss against such labels.")
        # A pretext's head has no labels, and its targets are classes all the same.
        classes = described["labels"] or (described["auxiliary"] and not labels.is_floating_point())
        return "cross_entropy" if classes else "squared_error"

    @property
    def _problem_type(self) -> str | None:
        """What the primary head makes of `problem_type`."""
        head = self.heads.get(self.primary) if self.primary is not None else None
        if head is None or "labels" not in head:
            return None
        if head["kind"] == "multilabel":
            return "multi_label_classification"
        return "single_label_classification" if head["labels"] else "regression"

    def _relabel(self, asked: list | int):
        """Gives the primary head these labels: names, or as many as a number says."""
        if _same(asked, self.labels):
            return
        if isinstance(asked, list) and len(asked) == 1:
            raise ValueError(
                f"{_shown(asked)} is one label, with which nothing can be told apart. For a head that gives one number "
                f"pass num_labels=1; for one of two classes give both."
            )
        names = asked if isinstance(asked, list) else [f"LABEL_{number}" for number in range(asked)]
        primary = self.primary or NEW_HEAD
        head = dict(self.heads.get(primary, {"kind": "linear"}))
        if head["kind"] == "regression":  # classes have neither a range nor bins
            head = {"kind": "linear", "dropout": head["dropout"]}
        head["shape"] = [len(names)]
        head["labels"] = names if len(names) > 1 else None
        self._take({**self.heads, primary: head}, primary)

    def rename_labels(self, names: dict, head: str | None = None):
        """Calls classes by other names; what the network answers stays what it was.

        Args:
            names: {name: new name}; classes that are not named keep theirs.
            head: the head whose labels they are; the primary one by default.

        Raises:
            ValueError: there is no such head or label, or two labels would have one name.
        """
        head = head or self.primary
        labels = self.heads[head]["labels"] if head in self.heads else None
        if head is None or not labels:
            raise ValueError(
                f"rename_labels: the head {head!r} has no labels; heads with labels: "
                f"{listed(name for name, each in self.heads.items() if each['labels'])}."
            )
        for name in names:
            check_choice(f"label of the head {head!r}", name, labels)
        renamed = [names.get(name, name) for name in labels]
        before = self._renamed.get(head, {})
        self.heads = {**self.heads, head: {**self.heads[head], "labels": renamed}}
        self._renamed[head] = {new: before.get(old, old) for new, old in zip(renamed, labels, strict=True)}

    def saved_names(self, head: str) -> list | None:
        """The labels of a head as they were before `rename_labels`; None for numbers."""
        labels = self.heads[head]["labels"]
        before = self._renamed.get(head, {})
        return None if labels is None else [before.get(name, name) for name in labels]

    @property
    def num_labels(self) -> int:
        """Number of outputs of the primary head; 0 without one. Setting another number gives it labels LABEL_0 ..."""
        return len(self.id2label or {})

    @num_labels.setter
    def num_labels(self, value):
        self._relabel(asked_labels(num_labels=value))

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


def asked_labels(num_labels=None, id2label: dict | None = None, label2id: dict | None = None) -> list | int | None:
    """What the three arguments of transformers ask for: names in their order, their number alone, or None for nothing.

    Args:
        id2label, label2id: with numbers as int or, as JSON has them, as str.

    Raises:
        ValueError: the numbers are not 0, 1, 2 ..., or the arguments disagree.
    """
    asked = []
    for name, given in (("label2id", label2id), ("id2label", id2label)):
        if given is not None and not (isinstance(given, dict) and all(map(is_plain, [*given, *given.values()]))):
            raise ValueError(f"{name} is a dict of labels and their numbers, got {short(given)}")
    if label2id is not None:
        asked.append(_in_order("label2id", {number: name for name, number in label2id.items()}, len(label2id)))
    if id2label is not None:
        asked.append(_in_order("id2label", id2label, len(id2label)))
    if len(asked) == 2 and asked[0] != asked[1]:
        raise ValueError(f"label2id={short(label2id)} and id2label={short(id2label)} disagree. Give one of them.")
    if num_labels is None:
        return asked[0] if asked else None
    if not is_count(num_labels):
        raise ValueError(f"num_labels is a whole number of at least 1, got {short(num_labels)}")
    if asked and num_labels != len(asked[0]):
        raise ValueError(f"num_labels={num_labels} disagrees with {len(asked[0])} labels: {_shown(asked[0])}.")
    return asked[0] if asked else num_labels


def _in_order(argument: str, names: dict, count: int) -> list:
    numbered = {int(number): name for number, name in names.items() if re.fullmatch(r"[0-9]{1,9}", str(number))}
    if sorted(numbered) != list(range(count)):
        raise ValueError(
            f"{argument} gives every label a number of its own, 0 to {count - 1} for {count} labels, got {short(names)}"
        )
    return [numbered[number] for number in range(count)]


def _same(asked: list | int, labels: list) -> bool:
    """Whether labels are what is asked for; a number alone asks for nothing but so many."""
    return asked == (labels if isinstance(asked, list) else len(labels))


def _shown(labels) -> str:
    return f"num_labels={labels}" if isinstance(labels, int) else f"[{listed(labels)}]"


def _check_backbone_fields(config: HMTLConfig):
    if not isinstance(config.backbone, str) or not config.backbone:
        raise ValueError(f"backbone is the name of a timm model, like 'efficientnet_b0', got {short(config.backbone)}")
    if not (is_count(config.image_size) and config.image_size <= LARGEST_SIDE):
        raise ValueError(
            f"image_size is the side of the square image in pixels, like 224, at most {LARGEST_SIDE:,}, got "
            f"{short(config.image_size)}"
        )
    for name in ("pixel_mean", "pixel_std"):
        given = getattr(config, name)
        numbers = isinstance(given, (list, tuple)) and all(is_number(value) for value in given)
        values = [float(value) for value in given] if numbers else []
        if len(values) != 3 or not all(0 <= value <= 1 for value in values) or (name == "pixel_std" and 0 in values):
            raise ValueError(
                f"{name} holds three numbers, for red, green and blue, in units of [0, 1] (ImageNet's are "
                f"[0.485, 0.456, 0.406] and [0.229, 0.224, 0.225]), and no deviation is 0; got {short(given)}"
            )
        setattr(config, name, values)
    if not isinstance(config.learned_from, list) or not all(isinstance(name, str) for name in config.learned_from):
        raise ValueError(
            f"learned_from is a list of names of sources, like ['fer2013'], got {short(config.learned_from)}"
        )
    margin = config.face_margin
    if margin is not None and not (is_number(margin) and 0 <= margin <= 2):
        raise ValueError(f"face_margin is a share of a face's sides, from 0 to 2, like 0.25, got {short(margin)}")


def _refuse_misspelt(names):
    """Raises when an unknown argument looks like one of ours: the base class would store it and say nothing."""
    for name in names:
        near = difflib.get_close_matches(name, HMTLConfig.__annotations__, n=1, cutoff=0.75)
        if near:
            raise ValueError(f"HMTLConfig has no argument {short(name)}. Did you mean {near[0]!r}?")


def _numbered(name: str, shape: list) -> list:
    """Names for outputs without labels: 'valence' for one number, 'pose_0', 'pose_1' ... for more."""
    return [name] if shape == [1] else [f"{name}_{index}" for index in range(shape[0])]
