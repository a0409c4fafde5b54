"""Barlow Twins: two augmented views of a face should agree in every feature, and no feature repeat another."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.distributed.nn.functional
from torch import Tensor

from hf_hmtl.tasks.base import Pretext

_SMALLEST_VARIANCE = 1e-5


def total_over_processes(values: Tensor) -> Tensor:
    """Sum of a tensor over all processes, with its gradient; the tensor itself in a single process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.nn.functional.all_reduce(values)
    return values


def cross_correlation(first: Tensor, second: Tensor) -> Tensor:
    """(features, features) correlations between two views over the batches of all processes.

    Args:
        first, second: (rows, features) projections of the two views of the same rows.
    """
    rows = total_over_processes(torch.tensor(float(len(first)), device=first.device))

    def standardised(view: Tensor) -> Tensor:
        mean = total_over_processes(view.sum(0)) / rows
        variance = total_over_processes((view - mean).square().sum(0)) / rows
        return (view - mean) / (variance + _SMALLEST_VARIANCE).sqrt()

    return total_over_processes(standardised(first).T @ standardised(second)) / rows


@dataclass(frozen=True)
class BarlowTwins(Pretext):
    """Two independently augmented strong views, compared by redundancy reduction (section 4.6; Zbontar et al. 2021).

    L = sum_i (1 - C_ii)^2 + redundancy * sum_(i != j) C_ij^2, with C the cross-correlation of the projections over the
    whole batch. It is a statistic of the batch: all-reduced over processes, and it cannot be accumulated.

    Attributes:
        redundancy: weight of the off-diagonal part (lambda of Zbontar et al., Eq. 1); the paper gives none.
        hidden, features: width of the projector and of its output; small, as in the authors' leftovers (1024, 256).
        view_level: augmentation level of the two views.
    """

    name: str = "barlow_twins"
    redundancy: float = 0.005
    hidden: int = 1024
    features: int = 256
    view_level: str = "strong"

    augmented_views: ClassVar[int] = 2
    per_row: ClassVar[bool] = False

    def __post_init__(self):
        super().__post_init__()
        if self.share != 1:
            raise ValueError(f"{self.name}: share is {self.share}, but every row has its two views; leave share at 1")
        if self.redundancy < 0:
            raise ValueError(f"{self.name}: redundancy is {self.redundancy}, allowed is 0 or more")

    def head(self) -> dict[str, Any]:
        return {"kind": "projector", "shape": [self.features], "hidden": self.hidden, "auxiliary": True}

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """One number: the loss of the batch. `prediction` holds the first views of all rows, then the second ones."""
        first, second = prediction.float().chunk(2)
        correlation = cross_correlation(first, second)
        diagonal = correlation.diagonal()
        off_diagonal = correlation.square().sum() - diagonal.square().sum()
        return (1 - diagonal).square().sum() + self.redundancy * off_diagonal

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        first, second = prediction.float().chunk(2)
        agreement = torch.nn.functional.cosine_similarity(first - first.mean(0), second - second.mean(0))
        return {"agreement": (agreement.sum(), torch.tensor(len(agreement)))}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"loss": float(self.losses(torch.from_numpy(predictions), torch.from_numpy(targets)))}


TASK = BarlowTwins
