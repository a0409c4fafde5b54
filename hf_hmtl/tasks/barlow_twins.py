"""Barlow Twins: two augmented views of a face should agree in every feature, and no feature repeat another."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.tasks.base import Pretext, Sums, require_number, require_whole

_SMALLEST_VARIANCE = 1e-5


def cross_correlation(sums: Sums) -> Tensor:
    """(features, features) correlations between two views, from the sums over their rows.

    Args:
        sums: `rows` (their number); `first`, `second`, `first_squares`, `second_squares` (features,); `products`
            (features, features), of each feature of the first view with each of the second.
    """
    rows = sums["rows"].clamp_min(1)
    means = {view: sums[view] / rows for view in ("first", "second")}
    deviations = {
        view: (sums[f"{view}_squares"] / rows - mean.square() + _SMALLEST_VARIANCE).clamp_min(_SMALLEST_VARIANCE).sqrt()
        for view, mean in means.items()
    }
    covariance = sums["products"] / rows - torch.outer(means["first"], means["second"])
    return covariance / torch.outer(deviations["first"], deviations["second"])


@dataclass(frozen=True)
class BarlowTwins(Pretext):
    """Two independently augmented strong views, compared by redundancy reduction (section 4.6; Zbontar et al. 2021).

    L = sum_i (1 - C_ii)^2 + redundancy * sum_(i != j) C_ij^2, with C the cross-correlation of the projections over the
    whole step, accumulated batches and all processes included.

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

    def __post_init__(self):
        super().__post_init__()
        if self.share != 1:
            raise ValueError(f"{self.name}: share is {self.share}, but every row has its two views; leave share at 1")
        require_number(self.name, "redundancy", self.redundancy, "a finite number of 0 or more")
        require_whole(self.name, "hidden", self.hidden)
        require_whole(self.name, "features", self.features)

    def head(self) -> dict[str, Any]:
        return {"kind": "projector", "shape": [self.features], "hidden": self.hidden, "auxiliary": True}

    @property
    def additive(self) -> bool:
        return False

    @property
    def smallest_step(self) -> int:
        return 2

    def counts(self, target: Tensor) -> Sums:
        """The number of rows, each with its two views."""
        return {"rows": torch.tensor(len(target) // 2, device=target.device)}

    def statistics(self, prediction: Tensor, target: Tensor) -> Sums:
        """See `cross_correlation`; `prediction` holds the first views of all rows, then the second ones."""
        first, second = prediction.float().chunk(2)
        return {
            "first": first.sum(0),
            "second": second.sum(0),
            "first_squares": first.square().sum(0),
            "second_squares": second.square().sum(0),
            "products": first.T @ second,
            **self.counts(target),
        }

    def loss_of(self, statistics: Sums) -> Tensor:
        """Zbontar et al., Eq. 1; 0 without rows."""
        correlation = cross_correlation(statistics)
        diagonal = correlation.diagonal()
        off_diagonal = correlation.square().sum() - diagonal.square().sum()
        loss = (1 - diagonal).square().sum() + self.redundancy * off_diagonal
        return loss * (statistics["rows"] > 0)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        first, second = prediction.float().chunk(2)
        agreement = torch.nn.functional.cosine_similarity(first - first.mean(0), second - second.mean(0))
        return {"agreement": (agreement.sum(), torch.tensor(len(agreement)))}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        statistics = self.statistics(torch.from_numpy(predictions), torch.from_numpy(targets))
        return {"loss": float(self.loss_of(statistics))}


TASK = BarlowTwins
