"""Classification of a face: 8 emotions, gender, or whatever classes a dataset has."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.metrics.classification import scores
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.tasks.base import CLASSIFIER_LOSSES, MISSING, Supervised, cross_entropies, number_correct, require_choice


def balanced_class_weights(counts: list[int]) -> tuple[float, ...]:
    """w_c = n_max / n_c (w_e of Eq. 1): the authors' weights, from the counts of the training rows.

    Raises:
        ValueError: a class has no training row, so its weight would be infinite.
    """
    if min(counts) < 1:
        raise ValueError(
            f"class counts are {list(counts)}: a class without training rows has no weight. Leave that class out of "
            "the labels, or train with class_weights: none"
        )
    return tuple(max(counts) / count for count in counts)


@dataclass(frozen=True)
class Classification(Supervised):
    """Cross-entropy over named classes (L_SL of Eq. 1).

    Attributes:
        labels: class names in the order of the logits.
        loss: "cross_entropy", or "focal" with `gamma` (section 2.3).
        class_weights: one factor a class, or None. The weighted losses are averaged over the batch, not over the
            weights, as the authors' code does.
        label_smoothing: appendix B; 0 in the paper's main rows.
    """

    dropout: float = 0.3
    labels: tuple[str, ...] = ()
    loss: str = "cross_entropy"
    gamma: float = 2.0
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    headline: ClassVar[Measure] = Measure("accuracy")
    beside: ClassVar[tuple[Measure, ...]] = (Measure("macro_f1"),)

    def __post_init__(self):
        super().__post_init__()
        if len(self.labels) < 2:
            raise ValueError(
                f"{self.name}: classes are {list(self.labels)}; a classifier needs two or more, so that it can be wrong"
            )
        require_choice(self.name, "loss", self.loss, CLASSIFIER_LOSSES)
        if self.class_weights is not None and len(self.class_weights) != len(self.labels):
            raise ValueError(
                f"{self.name}: {len(self.class_weights)} class weights for {len(self.labels)} classes "
                f"({', '.join(self.labels)}); give one a class, in that order"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"{self.name}: label_smoothing is {self.label_smoothing}, allowed is 0 <= value < 1")
        if self.loss == "focal" and self.label_smoothing:
            raise ValueError(f"{self.name}: focal loss has no smoothed form; set label_smoothing: 0 or cross_entropy")

    def head(self) -> dict[str, Any]:
        return {
            "kind": "linear",
            "shape": [len(self.labels)],
            "dropout": self.dropout,
            "auxiliary": False,
            "labels": list(self.labels),
        }

    def target(self, column: list) -> Tensor:
        """(rows,) int64 class numbers; None and -1 (the `datasets` convention) mean missing."""
        numbers = torch.tensor([-1 if value is None else value for value in column], dtype=torch.int64)
        return torch.where(numbers < 0, MISSING, numbers)

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        gamma = self.gamma if self.loss == "focal" else 0.0
        return cross_entropies(prediction, target, self.class_weights, self.label_smoothing, gamma)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": number_correct(prediction, target)}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return scores(predictions.argmax(-1), targets, list(self.labels))

    def answers(self, predictions: np.ndarray) -> dict[str, list]:
        """The class with the largest logit, and the softmax of the logits."""
        probabilities = torch.from_numpy(np.asarray(predictions, dtype=np.float32)).softmax(-1).numpy()
        return {
            "answer": [self.labels[number] for number in probabilities.argmax(-1)],
            **{f"probability_{label}": probabilities[:, number] for number, label in enumerate(self.labels)},
        }

    def labels_of(self, targets: np.ndarray) -> list[str | None]:
        return [self.labels[number] if number >= 0 else None for number in targets]


TASK = Classification
