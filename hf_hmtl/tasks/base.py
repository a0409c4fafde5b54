"""What a task is: it describes a head, turns predictions and targets into losses, and scores them.

A task is a frozen dataclass of its options: no state, no device, no generator. It never imports the model.
"""

import math
import re
import sys
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_hmtl.draws import Draws
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.schedule import Scheduled, average, is_moving, largest, scheduled, value_at

MISSING = -100
"""Target of a row that has no label (torch's own `ignore_index`); real-valued targets use NaN."""


BELOW_ONE = math.nextafter(1, 0)
CLASSIFIER_LOSSES = ("cross_entropy", "focal")

Sums = dict[str, Tensor]
"""Named sums over rows, which add over batches and processes."""


_TAKEN = frozenset(("eval", "image", "loss", "test", "train", "validation"))
"""Names that scores, logs and columns have already."""


def head_name(column: str, avoided: Collection[str] = ()) -> str:
    """A name for the head of a column, which becomes part of parameters' names: "Head-Pose" is "head_pose".

    Args:
        column: any text; letters that ASCII lacks lose their marks, and a name of none such is "label".
        avoided: names of other heads; "puzzle" is then "puzzle_label".
    """
    plain = unicodedata.normalize("NFKD", column.strip().lower()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name:
        return "label"
    name = name if name[0].isalpha() else f"label_{name}"
    is_taken = name in _TAKEN or name in avoided or hasattr(torch.nn.ModuleDict(), name)
    return f"{name}_label" if is_taken else name


def require_choice(task: str, option: str, given: Any, allowed: tuple) -> None:
    """Raise when an option is none of the allowed values."""
    if given not in allowed:
        raise ValueError(f"{task}: {option} is {given!r}, allowed are {', '.join(map(str, allowed))}")


def require_number(task: str, option: str, given: Any, allowed: str, low: float = 0, high: float = math.inf) -> None:
    """Raise when an option is no finite number from `low` to `high`, or no number at all."""
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    if not (is_number and math.isfinite(given) and low <= given <= high):
        raise ValueError(f"{task}: {option} is {given!r}, allowed is {allowed}")


def require_whole(task: str, option: str, given: Any, least: int = 1) -> None:
    """Raise when an option is no whole number of `least` or more."""
    if isinstance(given, bool) or not isinstance(given, Integral) or given < least:
        raise ValueError(f"{task}: {option} is {given!r}, allowed are whole numbers of {least} or more")


def require_factors(task: str, option: str, given: Sequence, least: int) -> None:
    """Raise when factors of losses are no finite numbers of 0 or more, or fewer than `least` of them are above 0."""
    for factor in given:
        require_number(task, option, factor, f"a finite number of 0 or more in each place of {given}")
    if sum(factor > 0 for factor in given) < least:
        raise ValueError(f"{task}: {option} is {given}, and {least} or more of them must be above 0 to learn anything")


def cross_entropies(
    logits: Tensor,
    target: Tensor,
    class_weights: tuple[float, ...] | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Cross-entropy of every element, with the focal factor (1 - p)^gamma of Lin et al. 2017 (arXiv 1708.02002, Eq. 4).

    Nothing is averaged here: a weighted loss divided by the sum of its weights (torch's own mean) would shrink the
    supervised loss 3.7 times against the auxiliary ones on AffectNet; the authors divide by the batch size. A weight is
    that of the element's own class, as in Keras, which the authors use; torch's own gives every class its weight also
    in the smoothed part, so that the best answer for a certain element of a frequent class would be the rare ones.

    Args:
        logits: (..., classes).
        target: (...) int64; `MISSING` counts as loss 0.

    Returns:
        (...) float32 losses.
    """
    classes = logits.shape[-1]
    flat_logits, flat_target = logits.reshape(-1, classes).float(), target.reshape(-1)
    losses = F.cross_entropy(
        flat_logits, flat_target, ignore_index=MISSING, reduction="none", label_smoothing=label_smoothing
    )
    known = flat_target.clamp_min(0)
    if class_weights is not None:
        losses = losses * flat_logits.new_tensor(class_weights)[known]
    if focal_gamma:
        probability = flat_logits.softmax(-1).gather(1, known[:, None])[:, 0]
        # The clamp keeps the gradient of 0^gamma finite for gamma < 1, where p rounds to 1.
        losses = losses * (1 - probability).clamp_min(1e-6) ** focal_gamma
    return losses.view(target.shape)


def number_correct(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """How many labelled elements the arg-max hits, and how many there are, as tensors on the device."""
    labelled = target != MISSING
    return ((logits.argmax(-1) == target) & labelled).sum(), labelled.sum()


def share_correct(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Share of the labelled elements that the arg-max hits, on whole arrays; NaN where nothing is labelled."""
    hits = (predictions.argmax(-1) == targets)[targets != MISSING]
    return float(hits.mean()) if len(hits) else float("nan")


def numbers_of(rows: Mapping[str, Sequence], names: Sequence[str]) -> np.ndarray:
    """(rows, names) float64 of columns of numbers or of yes and no, NaN where there is None."""
    columns = [[math.nan if value is None else float(value) for value in rows[name]] for name in names]
    return np.array(columns, dtype=np.float64).T


def classifier_head(shape: list[int], dropout: float, hidden: int | None) -> dict[str, Any]:
    """An auxiliary head that classifies: linear, or with one hidden layer (appendix C: 512 units)."""
    described = {"kind": "linear", "shape": shape, "dropout": dropout, "auxiliary": True}
    return described if hidden is None else {**described, "kind": "mlp", "hidden": hidden}


@dataclass(frozen=True)
class Task:
    """One thing the network learns.

    Its loss is a function of sums: `statistics` of some rows, which add over batches and processes, and `loss_of` the
    sums over all rows that are learned from in one step, or scored. A task whose loss is the mean of row losses gives
    `losses` alone.

    Attributes:
        name: name of the task, of its head and of its target.
        weight: factor of its loss in the sum (lambda of Eq. 5); it may move over the training (see `schedule`).
        dropout: dropout before its head.
    """

    name: str
    weight: Scheduled = 1.0
    dropout: float = 0.0

    auxiliary: ClassVar[bool] = False

    def __post_init__(self):
        checked = scheduled(self.weight, f"{self.name}: weight", 0, sys.float_info.max, "a finite number of 0 or more")
        object.__setattr__(self, "weight", checked)
        require_number(self.name, "dropout", self.dropout, "0 <= dropout < 1", high=BELOW_ONE)

    @property
    def largest_weight(self) -> float:
        """The weight, or of one that moves the largest."""
        return largest(self.weight)

    @property
    def is_learned(self) -> bool:
        """Whether its loss counts at any time of the training; a task of weight 0 has no head."""
        return self.largest_weight > 0

    def weight_at(self, progress: float) -> float:
        """The weight at this progress of the training, 0..1."""
        return float(value_at(self.weight, progress))

    @property
    def moves(self) -> bool:
        """Whether anything of it moves over the training."""
        return is_moving(self.weight)

    def head(self) -> dict[str, Any]:
        """The head this task needs, as the model's config stores it: kind, shape, dropout, auxiliary, labels."""
        raise NotImplementedError

    def labelled(self, target: Tensor) -> Tensor:
        """(rows,) bool: which rows carry a label."""
        return (target != MISSING).unsqueeze(1).flatten(1).any(1)

    @property
    def additive(self) -> bool:
        """Whether `loss_of` is linear in all sums but the `counts`, as a mean is: the parts of a step are then learned
        from one after the other. Otherwise (a root, a correlation) the sums of the whole step are found beforehand."""
        return True

    @property
    def smallest_step(self) -> int:
        """Rows of the smallest step that has something to learn from; more than 1 for a loss that compares rows."""
        return 1

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(rows,) loss of each row, 0 where the label is missing; of tasks whose loss is their mean."""
        raise NotImplementedError

    def counts(self, target: Tensor) -> Sums:
        """The sums that need no prediction, all 0 where nothing is labelled; the loss divides by them."""
        return {"rows": self.labelled(target).sum()}

    def statistics(self, prediction: Tensor, target: Tensor) -> Sums:
        """All sums that the loss is made of, the `counts` among them."""
        return {"loss": self.losses(prediction, target).sum(), **self.counts(target)}

    def loss_of(self, statistics: Sums) -> Tensor:
        """The loss of the rows that these are the sums over; 0, with a gradient of 0, where nothing is labelled."""
        return statistics["loss"] / statistics["rows"].clamp_min(1)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Running scores for the training log: {name: (sum, count)}, tensors that stay on the device."""
        return {}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Final scores on whole arrays: {measure: value}."""
        raise NotImplementedError


@dataclass(frozen=True)
class Supervised(Task):
    """A task whose target is a column of the dataset, or several.

    Attributes:
        column: that column or those columns; the one of the task's name if it is not given.
    """

    column: str | tuple[str, ...] = ""

    headline: ClassVar[Measure]
    """What models are selected by, compared by and announced with."""
    turnable: ClassVar[bool] = True
    """Whether the label of a face holds for the image turned in its plane, too."""

    def __post_init__(self):
        super().__post_init__()
        if not self.column:
            object.__setattr__(self, "column", self.name)
        if isinstance(self.column, list):  # YAML and JSON know no tuples
            object.__setattr__(self, "column", tuple(self.column))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the dataset that the target is made of."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def beside(self) -> tuple[Measure, ...]:
        """Measures that tables show beside the headline."""
        return ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what `score` gives."""
        raise NotImplementedError

    def answers(self, predictions: np.ndarray) -> dict[str, list]:
        """What `predictions.parquet` says of each row beside its label, by the names of `parts("answer")` and others:
        {"answer": ..., "probability_<class>": ...}."""
        raise NotImplementedError

    def labels_of(self, targets: np.ndarray) -> dict[str, list]:
        """The true label of each row as a reader knows it, None where it is missing, named by `parts("label")`."""
        raise NotImplementedError

    def score_of_rows(self, rows: Mapping[str, Sequence]) -> dict[str, float]:
        """The scores of rows as `answers` and `labels_of` tell them, by the same names; rows without a label or an
        answer (None) do not count."""
        raise NotImplementedError

    def parts(self, kind: str) -> list[str]:
        """How the answers or labels of each column are called: ["answer"], or of several ["answer_yaw", ...]."""
        return [kind] if len(self.columns) == 1 else [f"{kind}_{column}" for column in self.columns]

    def target(self, *columns: list) -> Tensor:
        """The columns of a batch, as a tensor with `MISSING` or NaN where there is no label."""
        raise NotImplementedError

    def drawn(self, target: Tensor, draws: Draws) -> Tensor:
        """What is learned from these rows in this epoch, where a target says what may be drawn from it."""
        return target

    def mirrored(self, target: Tensor) -> Tensor:
        """The target of the same faces in a mirror."""
        return target


@dataclass(frozen=True)
class Pretext(Task):
    """A self-supervised task: it makes its own target from the pixels.

    It may use five capabilities, and leaves out those it does not need:
    (a) `affine`: an angle composed last into the one warp of the augmentation;
    (b) `augmented_views` extra views of the row, augmented independently at `view_level`;
    (c) `corrupt`: change the uint8 batch and return its target, at the place that `order` gives it;
    (d) `head`: the head it needs;
    (e) `copies`: further copies of the shared view as the supervised heads see it, changed as `copied` says, with a
        target made of the supervised ones; `compared` may then set its answers beside those of the supervised heads.

    Attributes:
        view: "image" corrupts the image that the supervised heads see (the paper's hybrid learning); "own" corrupts a
            copy of it, which costs a backbone pass of the corrupted rows.
        share: share of the rows that are corrupted; 1.0 in the paper. Rows left whole have no target, and are not in a
            view of its own. It may move over the training (see `schedule`).
        calibrate: multiply the weight by a factor, measured once before the first step, that makes this loss as large
            as the supervised ones at the start (section 4.4, lambda of Eq. 3, whose value the paper does not give). A
            weight that moves is then multiplied by that factor all along.
    """

    dropout: float = 0.2
    view: str = "image"
    share: Scheduled = 1.0
    calibrate: bool = False

    auxiliary: ClassVar[bool] = True
    augmented_views: ClassVar[int] = 0
    copies: ClassVar[int] = 0

    # A subclass may make a constant, an option or a property of each of these.

    @property
    def order(self) -> float:
        """Place of `corrupt` among several pretexts on one view: 0 rotate, 1 puzzle, 2 cut."""
        return 0

    @property
    def view_level(self) -> str | None:
        """Augmentation level of the `augmented_views`; None for that of the run."""
        return None

    @property
    def inscribed_disc(self) -> bool:
        """Whether everything outside the inscribed disc is made black, in every row of the view."""
        return False

    @property
    def turns_the_image(self) -> bool:
        """Whether `affine` turns images as a whole."""
        return False

    @property
    def needs_teacher(self) -> bool:
        """Whether `losses` compares an offline teacher's features of the predicted and of the target image."""
        return False

    def __post_init__(self):
        super().__post_init__()
        if self.view not in ("image", "own"):
            raise ValueError(f"{self.name}: view is {self.view!r}, allowed are 'image' and 'own'")
        if self.calibrate and not self.is_learned:
            raise ValueError(f"{self.name}: weight 0 cannot be calibrated; leave calibrate out, or give a weight")
        if self.view == "own" and not self.is_learned:
            raise ValueError(f"{self.name}: with weight 0 nothing would look at its own view; use view: image")
        allowed = "0 < share <= 1 (1.0 in the paper)"
        object.__setattr__(self, "share", scheduled(self.share, f"{self.name}: share", 0, 1, allowed))
        if not largest(self.share) > 0:
            raise ValueError(f"{self.name}: share is {self.share}, allowed is {allowed}")

    @property
    def moves(self) -> bool:
        return is_moving(self.weight) or is_moving(self.share)

    @property
    def mean_share(self) -> float:
        """The share of the rows, as a mean over the training."""
        return average(self.share)

    @property
    def shares_the_image(self) -> bool:
        """Whether it corrupts the view that the supervised heads see, and so costs no pass of its own."""
        return self.view == "image" and not self.augmented_views and not self.copies

    def chosen(self, draws: Draws) -> np.ndarray:
        """(batch,) bool: the rows that are corrupted, a `share` of them."""
        return draws.chosen(f"{self.name}/share", value_at(self.share, draws.progress))

    def check_side(self, side: int) -> None:
        """Raise when images of this side cannot be corrupted."""

    def affine(self, draws: Draws) -> tuple[np.ndarray, Tensor] | None:
        """(batch,) angles in degrees, counter-clockwise, for the one warp, and the (batch,) target; or None."""
        return None

    def corrupt(self, pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor] | None:
        """The corrupted (batch, 3, side, side) uint8 pixels and their target; or None when pixels stay as they are."""
        return None

    def with_tasks(self, supervised: Sequence[Supervised]) -> "Pretext":
        """The same pretext, knowing the supervised tasks that stand beside it; most need not know them."""
        return self

    def copied(self, pixels: Tensor, targets: dict[str, Tensor], draws: Draws) -> tuple[Tensor, Tensor]:
        """The `copies` * batch pixels that stand behind the (batch, 3, side, side) shared view, so that its head sees
        view and copies, and the target of all of them, which may be made of the supervised `targets`."""
        raise NotImplementedError

    def compared(self, predictions: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What its loss compares, of all that the heads say of a batch."""
        return predictions[self.name], targets[self.name]

    def view_target(self, batch: int) -> Tensor:
        """Target of a pretext that compares its augmented views: nothing but their number of rows."""
        return torch.zeros(self.augmented_views * batch, dtype=torch.int64)
