"""How well the probabilities of a classifier hold, with numpy alone."""

import numpy as np

BINS = 15
"""Of equal width, over the confidence (Guo et al. 2017, arXiv 1706.04599, use 15)."""


def reliability(probabilities, targets, bins: int = BINS) -> list[dict[str, float]]:
    """Confidence beside accuracy: the rows sorted by the probability of their answer, in bins (k/n, (k+1)/n].

    Args:
        probabilities: (rows, classes), each row sums to 1.
        targets: (rows,) class numbers; negative ones are left out.
        bins: number of bins of equal width.

    Returns:
        One entry a bin: {low, high, rows, confidence, accuracy}, the means NaN in an empty bin.

    Raises:
        ValueError: shapes do not fit, a number is no probability, or a target is no class.
    """
    probabilities, targets = _labelled(probabilities, targets)
    confidence, right = probabilities.max(1, initial=0.0), probabilities.argmax(1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confident = np.bincount(place, confidence, bins) / rows
        accurate = np.bincount(place, right, bins) / rows
    return [
        {
            "low": k / bins,
            "high": (k + 1) / bins,
            "rows": int(rows[k]),
            "confidence": float(confident[k]),
            "accuracy": float(accurate[k]),
        }
        for k in range(bins)
    ]


def scores(probabilities, targets, bins: int = BINS) -> dict[str, float]:
    """Expected calibration error and Brier score.

    Args:
        probabilities, targets, bins: as of `reliability`.

    Returns:
        expected_error: mean over the rows of |accuracy - confidence| of their bin (Guo et al. 2017, Eq. 3).
        brier: mean over the rows of sum_k (p_k - y_k)^2 (Brier 1950), from 0 to 2.
        confidence: mean probability of the answer.
        count: number of labelled rows; if it is 0, every score is NaN.
    """
    parts = reliability(probabilities, targets, bins)
    probabilities, targets = _labelled(probabilities, targets)
    count = len(targets)
    if count == 0:
        return {"expected_error": np.nan, "brier": np.nan, "confidence": np.nan, "count": 0.0}
    gaps = [part["rows"] * abs(part["accuracy"] - part["confidence"]) for part in parts if part["rows"]]
    truth = np.arange(probabilities.shape[1]) == targets[:, None]
    return {
        "expected_error": float(sum(gaps) / count),
        "brier": float(np.square(probabilities - truth).sum(1).mean()),
        "confidence": float(probabilities.max(1).mean()),
        "count": float(count),
    }


def _labelled(probabilities, targets) -> tuple[np.ndarray, np.ndarray]:
    probabilities, targets = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    if probabilities.ndim != 2 or targets.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities must have shape (rows, classes) and targets (rows,), got {probabilities.shape} and "
            f"{targets.shape}."
        )
    kept = targets >= 0
    probabilities, targets = probabilities[kept], targets[kept].astype(np.int64)
    if not (np.isfinite(probabilities).all() and np.allclose(probabilities.sum(1), 1, atol=1e-3)):
        raise ValueError("each row of probabilities must sum to 1; of logits, take the softmax first.")
    if (targets >= probabilities.shape[1]).any():
        raise ValueError(f"a target is the class {targets.max()}, and there are {probabilities.shape[1]} classes.")
    return probabilities, targets
