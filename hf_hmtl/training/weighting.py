"""How the losses of several tasks become one: pure functions of the losses and of their weights' state."""

import math
from dataclasses import dataclass, field

from torch import Tensor

TEMPERATURE = 2.0  # of dynamic weight averaging, as in its paper


def static(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """sum_t weight_t * L_t (Eq. 1, 2 and 5).

    Args:
        losses: {task: scalar loss}.
        weights: {task: factor}; lambda of Eq. 5.
    """
    return sum(weights[task] * loss for task, loss in losses.items())


def uncertainty(
    losses: dict[str, Tensor], weights: dict[str, float], log_variances: dict[str, Tensor], shares: dict[str, Tensor]
) -> Tensor:
    """sum_t exp(-s_t) * weight_t * L_t + s_t / 2, with s_t = log sigma_t^2 learned (Kendall, Gal and Cipolla 2018,
    arXiv 1705.07115, section 3).

    With s_t = 0, where it starts, it is the static sum; its minimum over s_t for a fixed loss is at
    s_t = log(2 * weight_t * L_t). There the unit of a loss is gone: a loss c times as large moves s_t by log c,
    and the gradient of the network stays what it was; on the way there it does not, so weights still matter.

    Args:
        losses, weights: as for `static`.
        log_variances: {task: scalar s_t}.
        shares: {task: factor of s_t / 2}: 1 / number of accumulated batches, so that it counts once a step, and 0 for a
            task whose labels are all missing, which then neither gains nor loses weight.
    """
    return sum(
        (-log_variances[task]).exp() * weights[task] * loss + shares[task] * log_variances[task] / 2
        for task, loss in losses.items()
    )


@dataclass(frozen=True)
class PastLosses:
    """What dynamic weight averaging remembers: each task's loss, summed over the steps of an epoch.

    Attributes:
        epoch: the epoch under way.
        current: {task: loss so far}; it is filled in for a checkpoint only.
        last, before_last: {task: loss} of the two epochs before; empty where there was none.
    """

    epoch: int = 0
    current: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    before_last: dict[str, float] = field(default_factory=dict)

    def followed_by(self, epoch: int, losses: dict[str, float]) -> "PastLosses":
        """The same at the beginning of the next epoch, when `losses` are those of the one that ended."""
        return PastLosses(epoch, {}, losses, self.last)


def dynamic(past: PastLosses, tasks: list[str]) -> dict[str, float]:
    """Dynamic weight averaging (Liu, Johns and Davison 2019, arXiv 1803.10704): tasks whose loss falls slower than that
    of the others gain weight.

    factor_t = K exp(r_t / T) / sum_u exp(r_u / T), with r_t = last loss / loss before it, K tasks and T = 2. All are 1
    in the first two epochs; a task without a loss before (no label) counts as one that stands still, r = 1. Only
    ratios of a task's own losses count, so degrees and nats weigh alike; units are left to the tasks' own weights.

    Returns:
        {task: factor beside its weight}; the factors sum to the number of tasks.
    """
    before = past.before_last
    rates = {task: past.last[task] / before[task] if before.get(task, 0) > 0 else 1.0 for task in tasks}
    shares = {task: math.exp(rate / TEMPERATURE) for task, rate in rates.items()}
    return {task: len(tasks) * share / sum(shares.values()) for task, share in shares.items()}


def effective(weights: dict[str, float], log_variances: dict[str, Tensor] | None) -> dict[str, Tensor | float]:
    """The factors that the losses are multiplied by at this moment: {task: weight_t * exp(-s_t)}."""
    if log_variances is None:
        return dict(weights)
    return {task: weight * (-log_variances[task].detach()).exp() for task, weight in weights.items()}
