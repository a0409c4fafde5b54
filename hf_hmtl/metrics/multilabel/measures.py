"""How well several yes-or-no labels are ranked and decided, with numpy alone."""

from collections.abc import Sequence

import numpy as np


def average_precision(predictions, targets) -> float:
    """sum_k (R_k - R_(k-1)) P_k over the thresholds k, from the highest score down; equal scores are one threshold.

    Args:
        predictions: (rows,) scores; greater means yes.
        targets: (rows,) 1 or 0.

    Returns:
        The score; NaN if no row is 1.
    """
    predictions, targets = np.asarray(predictions, dtype=np.float64), np.asarray(targets)
    positive = targets == 1
    if not positive.any():
        return float("nan")
    order = np.argsort(-predictions, kind="stable")
    last_of_threshold = np.append(np.diff(predictions[order]) != 0, True)
    hits = np.cumsum(positive[order])[last_of_threshold]
    answered = np.flatnonzero(last_of_threshold) + 1
    recall = hits / positive.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * hits / answered))


def scores(predictions, targets, names: Sequence[str]) -> dict[str, float]:
    """Score the answers to several yes-or-no questions.

    Args:
        predictions: (rows, labels) scores such as logits; above 0 means yes.
        targets: (rows, labels) 1 or 0, NaN where there is no label.
        names: the name of each label.

    Returns:
        mean_average_precision: mean over the labels that occur; average_precision_<name> of each, NaN where no row has
        it; accuracy: share of known labels decided rightly; count: rows with any label. With none all scores are NaN.

    Raises:
        ValueError: shapes or names do not fit, a target is neither 0, 1 nor NaN, or a prediction is not finite.
    """
    predictions, targets = np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if predictions.shape != targets.shape or targets.ndim != 2 or targets.shape[1] != len(names):
        raise ValueError(
            f"predictions and targets must both have shape (rows, {len(names)}) for {', '.join(names)}, got "
            f"{predictions.shape} and {targets.shape}."
        )
    known = ~np.isnan(targets)
    if not np.isin(targets[known], (0, 1)).all():
        raise ValueError("targets hold other values than 0, 1 and NaN (no label).")
    if not np.isfinite(predictions[known]).all():
        raise ValueError("a labelled row has no finite prediction, so there is no score; the network has diverged.")
    each = {
        f"average_precision_{name}": average_precision(predictions[rows, column], targets[rows, column])
        for column, (name, rows) in enumerate(zip(names, known.T, strict=True))
    }
    occurring = [value for value in each.values() if not np.isnan(value)]
    return {
        "mean_average_precision": float(np.mean(occurring)) if occurring else float("nan"),
        "accuracy": float(((predictions > 0) == targets)[known].mean()) if known.any() else float("nan"),
        **each,
        "count": float(known.any(axis=1).sum()),
    }
