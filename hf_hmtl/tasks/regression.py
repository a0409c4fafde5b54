"""Real numbers of a face: valence and arousal, or whatever columns of numbers a dataset has."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_hmtl.metrics.measure import Measure
from hf_hmtl.metrics.regression import scores
from hf_hmtl.tasks.base import Sums, Supervised, numbers_of, require_choice, require_number

LOSSES = ("rmse", "mse", "mae", "ccc", "huber")
BIN_VALUES = ("centres", "left_edges", "nodes")
_UNDER_ROOT = 1e-12  # keeps the gradient of the root finite where every number is hit
_SMALLEST_SPREAD = 1e-8  # keeps the concordance of two equal constants finite


@dataclass(frozen=True)
class Regression(Supervised):
    """Regression of the numbers of one column or several, or regression by classification (section 3.3.1, Eq. 4).

    The loss is the sum over the columns; each is over the rows that have its number. With `bins` a softmax over values
    of the range takes the place of the number, which is its expectation E, and a column costs

        alpha * cross-entropy + loss(E)

    Eq. 4 prints the second term twice; valence and arousal are meant, each with a head of its own.

    Attributes:
        loss: "rmse" (the paper's), "mse", "mae", "huber" (with `delta`), or "ccc": 1 - Lin's concordance. Roots and
            concordances are of the whole step: of all accumulated batches and processes. A concordance below 0 rises
            as the answers move away from the labels, so that numbers which are not learned may leave their range;
            `tanh` or `bins` keep them in it.
        range: lowest and highest number there is. Others are refused.
        unit: of the numbers, for readers.
        tanh: bend the numbers into the range.
        bins: number of equal bins of the range, 20 in the paper; None for plain regression.
        bin_values: the number that a bin stands for: its centre; its left edge, as in HopeNet (Ruiz et al. 2018), which
            is low by half a bin; or "nodes", values from end to end of the range, the label being in the nearest bin.
            The paper does not say.
        alpha: weight of the cross-entropy; 1 in the paper (section 4.4.2).
        delta: where the Huber loss becomes linear, in the unit of the numbers.
        missing: a number that stands for no label, as -2 in AffectNet's lists; NaN and None always do.
    """

    loss: str = "rmse"
    range: tuple[float, float] | None = None
    unit: str = ""
    tanh: bool = False
    bins: int | None = None
    bin_values: str = "centres"
    alpha: float = 1.0
    delta: float = 1.0
    missing: float | None = None

    headline: ClassVar[Measure] = Measure("ccc", unit="")
    leaves_out: ClassVar[bool] = False
    """Whether rows with a number out of the range count as rows without a label; otherwise they are refused."""

    def __post_init__(self):
        super().__post_init__()
        require_choice(self.name, "loss", self.loss, LOSSES)
        require_choice(self.name, "bin_values", self.bin_values, BIN_VALUES)
        if self.range is not None:
            object.__setattr__(self, "range", tuple(float(end) for end in self.range))
            if len(self.range) != 2 or not self.range[0] < self.range[1] or not np.isfinite(self.range).all():
                raise ValueError(f"{self.name}: range is {self.range}, needed are two numbers, lowest < highest")
        if self.range is None and (self.tanh or self.bins):
            raise ValueError(
                f"{self.name}: {'bins' if self.bins else 'tanh'} divide or bend a range, and there is none; give it: "
                "range: [-1, 1]"
            )
        if self.bins is not None and not (isinstance(self.bins, int) and self.bins >= 2):
            raise ValueError(f"{self.name}: bins is {self.bins!r}, allowed are none, or 2 or more (the paper: 20)")
        if self.tanh and self.bins:
            raise ValueError(
                f"{self.name}: with bins the numbers keep within their range by themselves; leave tanh out"
            )
        require_number(self.name, "alpha", self.alpha, "a finite number of 0 or more")
        require_number(self.name, "delta", self.delta, "a finite number above 0", low=sys.float_info.min)

    # Bins

    @property
    def _step(self) -> float:
        low, high = self.range or (math.nan, math.nan)
        return (high - low) / ((self.bins or 0) - (self.bin_values == "nodes"))

    @property
    def _first(self) -> float:
        low, _ = self.range or (math.nan, math.nan)
        return low + self._step / 2 if self.bin_values == "centres" else low

    def bin_of(self, numbers: Tensor) -> Tensor:
        """int64 bin that each number of the range lies in, for "nodes" the nearest; the highest belongs to the last."""
        places = (numbers - (self.range or (math.nan,))[0]) / self._step
        places = places.round() if self.bin_values == "nodes" else places.floor()
        return places.clamp(0, (self.bins or 1) - 1).long()

    def numbers_of(self, prediction: Tensor) -> Tensor:
        """(rows, columns) float32 numbers: as they are, or of (rows, columns, bins) logits the expectation."""
        if self.bins is None:
            return prediction.float()
        values = self._first + self._step * torch.arange(self.bins, device=prediction.device, dtype=torch.float32)
        return prediction.float().softmax(-1) @ values

    # The task

    def head(self) -> dict[str, Any]:
        """A linear layer for the numbers or for the logits of their bins, with all that is needed to read them."""
        bins = None if self.bins is None else {"first": self._first, "step": self._step, "count": self.bins}
        return {
            "kind": "regression",
            "shape": [len(self.columns)],
            "dropout": self.dropout,
            "auxiliary": False,
            "names": list(self.columns),
            "unit": self.unit,
            "range": None if self.range is None else list(self.range),
            "tanh": self.tanh,
            "bins": bins,
        }

    def target(self, *columns: list) -> Tensor:
        """(rows, columns) float32, NaN where there is no label."""
        rows = [[math.nan if value is None else value for value in row] for row in zip(*columns, strict=True)]
        numbers = torch.tensor(rows, dtype=torch.float32).view(-1, len(columns))
        if self.missing is not None:
            numbers = numbers.masked_fill(numbers == self.missing, math.nan)
        if self.leaves_out and self.range is not None:
            low, high = self.range
            numbers = numbers.masked_fill(((numbers < low) | (numbers > high)).any(1, keepdim=True), math.nan)
        return numbers

    def labelled(self, target: Tensor) -> Tensor:
        return self._known(target).any(1)

    def counts(self, target: Tensor) -> Sums:
        """The rows that have each number: (columns,)."""
        return {"numbers": self._known(target).sum(0)}

    @property
    def additive(self) -> bool:
        return self.loss not in ("rmse", "ccc")

    @property
    def smallest_step(self) -> int:
        return 2 if self.loss == "ccc" else 1

    def statistics(self, prediction: Tensor, target: Tensor) -> Sums:
        """Sums (columns,) over the rows with the number.

        Args:
            prediction: (rows, columns) numbers, or with bins (rows, columns, bins) logits.
            target: (rows, columns), or (rows,) of one column; NaN where there is no label.
        """
        known = self._known(target)
        truth = torch.where(known, target.view(known.shape), 0).float()
        answer = torch.where(known, self.numbers_of(prediction), 0)
        sums = self._sums_of_loss(answer, truth, known) | self.counts(target)
        if self.bins is not None:
            logits, bins = prediction.float().flatten(0, 1), self.bin_of(truth).flatten()
            costs = F.cross_entropy(logits, bins, reduction="none").view(known.shape)
            sums["cross_entropy"] = torch.where(known, costs, 0).sum(0)
        return sums

    def loss_of(self, statistics: Sums) -> Tensor:
        """The loss of the numbers, and alpha times the cross-entropy of their bins where there are any (Eq. 4)."""
        numbers = statistics["numbers"]
        means = {name: part / numbers.clamp_min(1) for name, part in statistics.items() if name != "numbers"}
        of_bins, of_numbers = self._factors
        each = of_numbers * _LOSS_OF_MEANS[self.loss](means)
        if self.bins is not None:
            each = each + of_bins * means["cross_entropy"]
        return torch.where(numbers > 0, each, 0 * each).sum()

    @property
    def _factors(self) -> tuple[float, float]:
        """Of the cross-entropy over bins, and of the loss of the numbers."""
        return self.alpha, 1.0

    def _sums_of_loss(self, answer: Tensor, truth: Tensor, known: Tensor) -> Sums:
        error = answer - truth
        if self.loss == "mae":
            return {"absolute": error.abs().sum(0)}
        if self.loss == "huber":
            return {"huber": F.huber_loss(answer, truth, reduction="none", delta=self.delta).sum(0)}
        sums = {"squares": error.square().sum(0)}
        if self.loss == "ccc":
            # About the middle of the range, where less is lost when the product of the means is subtracted.
            middle = 0.0 if self.range is None else sum(self.range) / 2
            answer, truth = (torch.where(known, part - middle, 0) for part in (answer, truth))
            sums |= {"answers": answer.sum(0), "truths": truth.sum(0), "products": (answer * truth).sum(0)}
        return sums

    def _known(self, target: Tensor) -> Tensor:
        return ~target.unsqueeze(1).flatten(1).isnan()

    # What is reported

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        known = self._known(target)
        error = torch.where(known, self.numbers_of(prediction) - target.view(known.shape), 0).abs()
        return {"absolute_error": (error.sum(), known.sum())}

    @property
    def beside(self) -> tuple[Measure, ...]:
        several = self.columns if len(self.columns) > 1 else ()
        each = (Measure(f"ccc_{column}", unit="") for column in several)
        return (*each, Measure("rmse", greater_is_better=False, unit=self.unit))

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.score(*np.zeros((2, 1, len(self.columns)))))

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """The scores of `metrics.regression`; of several columns each one's, and their means.

        Args:
            predictions, targets: (rows, columns) numbers.
        """
        targets = np.asarray(targets).reshape(np.shape(predictions))
        each = {name: scores(predictions[:, k], targets[:, k]) for k, name in enumerate(self.columns)}
        if len(each) == 1:
            return next(iter(each.values()))
        names = [name for name in next(iter(each.values())) if name != "count"]
        found = {name: float(np.mean([of_column[name] for of_column in each.values()])) for name in names}
        found |= {f"{name}_{column}": of_column[name] for column, of_column in each.items() for name in names}
        return found | {"count": float((~np.isnan(targets)).any(1).sum())}

    def answers(self, predictions: np.ndarray) -> dict[str, list]:
        """The numbers."""
        return dict(zip(self.parts("answer"), predictions.T, strict=True))

    def score_of_rows(self, rows: Mapping[str, Sequence]) -> dict[str, float]:
        """A row counts where each of its answers is a finite number."""
        answers, labels = (numbers_of(rows, self.parts(kind)) for kind in ("answer", "label"))
        answered = np.isfinite(answers).all(axis=1)
        return self.score(answers[answered], labels[answered])

    def labels_of(self, targets: np.ndarray) -> dict[str, list]:
        columns = np.asarray(targets).reshape(-1, len(self.columns)).T.tolist()
        known = [[None if math.isnan(number) else number for number in column] for column in columns]
        return dict(zip(self.parts("label"), known, strict=True))


_LOSS_OF_MEANS: dict[str, Callable[[Sums], Tensor]] = {
    "mse": lambda means: means["squares"],
    "rmse": lambda means: (means["squares"] + _UNDER_ROOT).sqrt(),
    "mae": lambda means: means["absolute"],
    "huber": lambda means: means["huber"],
    "ccc": lambda means: 1 - _concordance(means),
}


def _concordance(means: Sums) -> Tensor:
    """2 cov / (var x + var y + (mean x - mean y)^2), whose denominator is the mean of (x - y)^2 plus 2 cov."""
    twice = 2 * (means["products"] - means["answers"] * means["truths"])
    return twice / (means["squares"] + twice + _SMALLEST_SPREAD)


TASK = Regression
