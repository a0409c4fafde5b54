"""How the losses of several tasks become one: pure functions of the losses and of their weights' state."""

from torch import Tensor


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
    s_t = log(2 * weight_t * L_t).

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


def effective(weights: dict[str, float], log_variances: dict[str, Tensor] | None) -> dict[str, Tensor | float]:
    """The factors that the losses are multiplied by at this moment: {task: weight_t * exp(-s_t)}."""
    if log_variances is None:
        return dict(weights)
    return {task: weight * (-log_variances[task].detach()).exp() for task, weight in weights.items()}
