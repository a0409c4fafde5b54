"""What a head loses against labels, for training without our trainer: plain `Trainer`, accelerate, a loop of one's own.

The tasks know more kinds of losses (class weights, focal, region weights); here are those that need no settings.
"""

import torch
from torch.nn import functional

MISSING = -100  # a class that is not known; a number that is not known is NaN


def head_loss(name: str, kind: str, prediction: torch.Tensor, labels: torch.Tensor, rows=None) -> torch.Tensor:
    """The loss of one head: a mean over the rows that have a label, 0 where none has.

    Args:
        name: of the head.
        kind: "cross_entropy", summed over the slots of a puzzle (Eq. 1 of the paper), of (rows,) or (rows, slots)
            classes, `MISSING` where there is none, or of probabilities in the prediction's shape;
            "squared_error", a mean over the numbers of a row or the pixels of an image, in the prediction's shape, or
            (rows,) for one number; or "binary_cross_entropy", a mean over the classes of a row, 0 or 1 in the
            prediction's shape. There NaN is what is not known.
        prediction: (rows, *shape) output of the head.
        labels: see `kind`.
        rows: number to divide by instead of the labelled rows, such as those of a whole accumulated batch.

    Raises:
        ValueError: the labels have another shape than the head needs.
    """
    numbers = kind != "cross_entropy"
    if kind == "squared_error" and prediction.shape[1:] == (1,) and labels.ndim == 1:
        labels = labels[:, None]
    wanted = prediction.shape if numbers or labels.is_floating_point() else prediction.shape[:-1]
    if labels.shape != wanted:
        raise ValueError(
            f"labels of the head {name!r} have the shape {tuple(wanted)} for its {kind} over {len(prediction)} rows, "
            f"got {tuple(labels.shape)}."
        )
    losses, labelled = _LOSSES[kind](prediction.float(), labels)
    return losses.sum() / (labelled.sum().clamp_min(1) if rows is None else rows)


def _cross_entropies(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows,) sum over the slots of each row, and which rows have a label."""
    flat = labels.reshape(-1, logits.shape[-1]).float() if labels.is_floating_point() else labels.reshape(-1).long()
    losses = functional.cross_entropy(logits.flatten(0, -2), flat, ignore_index=MISSING, reduction="none")
    labelled = (labels != MISSING).unsqueeze(1).flatten(1).any(1)
    return losses.view(len(logits), -1).sum(1), labelled


def _squared_errors(prediction: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return _mean_over_known(labels, lambda known: (prediction - known).square())


def _binary_cross_entropies(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return _mean_over_known(
        labels, lambda known: functional.binary_cross_entropy_with_logits(logits, known, reduction="none")
    )


def _mean_over_known(labels: torch.Tensor, loss) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows,) mean over the known numbers of each row, and which rows have any."""
    labels = labels.float()
    known = ~labels.isnan()
    losses, counts = loss(torch.where(known, labels, 0)) * known, known.flatten(1).sum(1)
    return losses.flatten(1).sum(1) / counts.clamp_min(1), counts > 0


_LOSSES = {
    "cross_entropy": _cross_entropies,
    "squared_error": _squared_errors,
    "binary_cross_entropy": _binary_cross_entropies,
}
