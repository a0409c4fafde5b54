"""Attributes: several yes-or-no labels of a face, such as action units."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_hmtl.metrics.measure import Measure
from hf_hmtl.metrics.multilabel import scores
from hf_hmtl.tasks.base import Sums, Supervised, numbers_of, require_number


@dataclass(frozen=True)
class Attributes(Supervised):
    """Binary cross-entropy over the columns, each a mean over the rows that have its label; their mean is the loss.

    Attributes:
        column: the columns, two or more (for one attribute use a classification of two classes).
        threshold: numbers above it mean yes, for columns of intensities; None for columns of 1 and 0.
    """

    threshold: float | None = None

    headline: ClassVar[Measure] = Measure("mean_average_precision")

    def __post_init__(self):
        super().__post_init__()
        if self.threshold is not None:
            require_number(self.name, "threshold", self.threshold, "none or a finite number", low=-math.inf)
        if len(self.columns) < 2:
            raise ValueError(
                f"{self.name}: the columns are {', '.join(self.columns)}; give two or more, as column: [au1, au2]. One "
                "attribute is a classification of two classes"
            )

    def head(self) -> dict[str, Any]:
        """One logit a column."""
        return {
            "kind": "multilabel",
            "shape": [len(self.columns)],
            "dropout": self.dropout,
            "auxiliary": False,
            "labels": list(self.columns),
        }

    def target(self, *columns: list) -> Tensor:
        """(rows, columns) 1.0 or 0.0, NaN where there is no label: None, NaN, or -1 where there is no threshold.

        Raises:
            ValueError: without a threshold, a number is neither 1, 0 nor -1.
        """
        rows = [[math.nan if value is None else float(value) for value in row] for row in zip(*columns, strict=True)]
        numbers = torch.tensor(rows, dtype=torch.float32).view(-1, len(columns))
        if self.threshold is not None:
            return torch.where(numbers.isnan(), numbers, (numbers > self.threshold).float())
        numbers = numbers.masked_fill(numbers == -1, math.nan)
        strange = ~(numbers.isnan() | (numbers == 0) | (numbers == 1))
        if strange.any():
            raise ValueError(
                f"{self.name}: a label is 1 (yes), 0 (no), or missing, and a row has {numbers[strange][0].item():g}. "
                "Where the columns hold intensities, say which mean yes: threshold: 0.5"
            )
        return numbers

    def labelled(self, target: Tensor) -> Tensor:
        return (~target.isnan()).any(1)

    def counts(self, target: Tensor) -> Sums:
        """The rows that have each label: (columns,)."""
        return {"labels": (~target.isnan()).sum(0)}

    def statistics(self, prediction: Tensor, target: Tensor) -> Sums:
        """Sums (columns,) over the rows with the label, of (rows, columns) logits."""
        known = ~target.isnan()
        truth = torch.where(known, target, 0).float()
        costs = F.binary_cross_entropy_with_logits(prediction.float(), truth, reduction="none")
        return {"cross_entropy": torch.where(known, costs, 0).sum(0), **self.counts(target)}

    def loss_of(self, statistics: Sums) -> Tensor:
        return (statistics["cross_entropy"] / statistics["labels"].clamp_min(1)).mean()

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        known = ~target.isnan()
        return {"accuracy": ((((prediction > 0) == target) & known).sum(), known.sum())}

    @property
    def beside(self) -> tuple[Measure, ...]:
        return (Measure("accuracy"),)

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.score(*np.zeros((2, 1, len(self.columns)))))

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """See `metrics.multilabel.scores`."""
        return scores(predictions, targets, self.columns)

    def answers(self, predictions: np.ndarray) -> dict[str, list]:
        """Whether each logit is above 0, and its sigmoid."""
        probabilities = torch.from_numpy(np.asarray(predictions, dtype=np.float32)).sigmoid().numpy().T
        return {
            **dict(zip(self.parts("answer"), (predictions > 0).T, strict=True)),
            **dict(zip(self.parts("probability"), probabilities, strict=True)),
        }

    def score_of_rows(self, rows: Mapping[str, Sequence]) -> dict[str, float]:
        """Probabilities rank rows as logits do, and answer yes above one half."""
        probabilities, labels = (numbers_of(rows, self.parts(kind)) for kind in ("probability", "label"))
        answered = np.isfinite(probabilities).all(axis=1)
        return self.score(probabilities[answered] - 0.5, labels[answered])

    def labels_of(self, targets: np.ndarray) -> dict[str, list]:
        known = [[None if math.isnan(number) else number == 1 for number in column] for column in targets.T.tolist()]
        return dict(zip(self.parts("label"), known, strict=True))


TASK = Attributes
