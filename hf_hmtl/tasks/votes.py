"""Classification by votes: several people have labelled a face, and each class has a share of their votes."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_hmtl.draws import Draws
from hf_hmtl.metrics.classification import scores
from hf_hmtl.tasks.base import MISSING, number_correct, require_choice
from hf_hmtl.tasks.classification import Classification

WAYS = ("cross_entropy", "probability", "multi_target")


@dataclass(frozen=True)
class Votes(Classification):
    """Named classes, learned from the share that each has of the votes (Barsoum et al. 2016, arXiv 1608.01041).

    A row without shares is learned by its class. Scores are against the class with the largest share.

    Attributes:
        shares: the column of shares, one number a class and row; "<column>_shares" if it is not given. The numbers of a
            row need not add up to 1: votes will do.
        way: "cross_entropy" against all shares; "probability", against a class that is drawn by its share in every
            epoch; or "multi_target", minus the logarithm of the likeliest class that has a share.
    """

    shares: str = ""
    way: str = "cross_entropy"

    def __post_init__(self):
        super().__post_init__()
        if not self.shares:
            object.__setattr__(self, "shares", f"{super().columns[0]}_shares")
        require_choice(self.name, "way", self.way, WAYS)
        if self.loss != "cross_entropy":
            raise ValueError(f"{self.name}: loss is {self.loss!r}, and votes are learned by cross_entropy alone")
        if self.way == "multi_target" and (self.class_weights or self.label_smoothing):
            raise ValueError(
                f"{self.name}: multi_target lets the network choose among the classes that have a share, so there is "
                "no one class to weight and nothing to smooth; leave class_weights and label_smoothing out"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The class, and the shares."""
        return (*super().columns, self.shares)

    def target(self, *columns: list) -> Tensor:
        """(rows, classes) float32 shares that add up to 1, NaN where there is no label.

        Args:
            columns: class numbers, and lists of shares; None, and -1 as a class, mean missing.

        Raises:
            ValueError: a row has another number of shares, or one that is negative or not finite.
        """
        numbers, shares = super().target(columns[0]), columns[1]
        target = torch.full((len(numbers), len(self.labels)), torch.nan)
        for row, (number, given) in enumerate(zip(numbers.tolist(), shares, strict=True)):
            if given is not None and len(given):
                target[row] = self._of_one(torch.as_tensor(given, dtype=torch.float32))
            elif number != MISSING:
                target[row] = F.one_hot(torch.tensor(number), len(self.labels)).float()
        return target

    def _of_one(self, given: Tensor) -> Tensor:
        if given.shape != (len(self.labels),) or not (given >= 0).all() or not given.isfinite().all():
            raise ValueError(
                f"{self.name}: a row of {self.shares!r} is {given.tolist()}; needed are {len(self.labels)} numbers of "
                f"0 or more, one for each of {', '.join(self.labels)}"
            )
        return given / given.sum() if given.sum() > 0 else torch.full_like(given, torch.nan)

    def labelled(self, target: Tensor) -> Tensor:
        return ~target.isnan().any(1)

    def drawn(self, target: Tensor, draws: Draws) -> Tensor:
        """For "probability", the class whose part of the cumulated shares a number from 0 to 1 falls into."""
        if self.way != "probability":
            return target
        place = torch.from_numpy(draws.uniform(f"{self.name}/votes"))[:, None]
        ends = target.double().cumsum(1)
        last = target.shape[1] - 1 - (target > 0).long().flip(1).argmax(1)  # rounding may end the sum below 1
        chosen = torch.minimum((ends <= place).sum(1), last)
        return torch.where(target.isnan(), target, F.one_hot(chosen, target.shape[1]).float())

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(rows,) losses of (rows, classes) logits and shares, 0 where the shares are NaN; what is smoothed weighs as
        much as the shares that it is taken from."""
        known = self.labelled(target)
        shares = torch.where(known[:, None], target, 0).float()
        if self.way == "multi_target":
            likeliest = prediction.float().log_softmax(-1).masked_fill(shares == 0, -torch.inf).amax(-1)
            return torch.where(known, -likeliest.masked_fill(~known, 0), 0)
        if self.class_weights is not None:
            shares = shares * shares.new_tensor(self.class_weights)
        smoothed = torch.lerp(shares, shares.mean(-1, keepdim=True), self.label_smoothing)
        return torch.where(known, -(smoothed * prediction.float().log_softmax(-1)).sum(-1), 0)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": number_correct(prediction, self._classes(target))}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """See `metrics.classification.scores`.

        Args:
            predictions: (rows, classes) logits.
            targets: (rows, classes) shares, or (rows,) class numbers.
        """
        return scores(predictions.argmax(-1), self._numbers(targets), list(self.labels))

    def labels_of(self, targets: np.ndarray) -> dict[str, list]:
        return super().labels_of(self._numbers(targets))

    def _numbers(self, targets: np.ndarray) -> np.ndarray:
        targets = np.asarray(targets)
        return targets if targets.ndim == 1 else self._classes(torch.from_numpy(targets)).numpy()

    def _classes(self, target: Tensor) -> Tensor:
        """(rows,) int64 class of the largest share."""
        return torch.where(self.labelled(target), target.nan_to_num().argmax(1), MISSING)


TASK = Votes
