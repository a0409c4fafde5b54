"""How well numbers are predicted: concordance, errors, correlation and agreement of signs, with numpy alone.

All scores are of the whole set of rows; a mean over batches would be another number (protocols, section 10). Variances
and covariances divide by the number of rows (ddof 0). A row whose target is NaN has no label and is left out.
"""

from collections.abc import Sequence

import numpy as np

NAMES = ("ccc", "rmse", "mae", "pearson", "sagr", "count")


def scores(predictions, targets) -> dict[str, float]:
    """Score predicted numbers against the labelled rows.

    Args:
        predictions: (rows,) real numbers, finite wherever there is a label.
        targets: (rows,) real numbers, NaN where there is no label.

    Returns:
        ccc: Lin's concordance (1989), 2 cov / (var x + var y + (mean x - mean y)^2), -1 to 1; 0 if either is constant.
        rmse, mae: root mean square and mean absolute error, in the unit of the targets.
        pearson: correlation, -1 to 1; 0 if either is constant, where it is undefined.
        sagr: share of rows whose prediction has the sign of the target, zero being a sign of its own.
        count: number of labelled rows; if it is 0, every score is NaN.

    Raises:
        ValueError: the shapes differ, or a labelled row has no finite prediction.
    """
    predictions, targets = _labelled_rows(predictions, targets)
    if len(targets) == 0:
        return dict.fromkeys(NAMES, np.nan) | {"count": 0.0}
    error = predictions - targets
    return {
        **_correlations(predictions, targets),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "mae": float(np.abs(error).mean()),
        "sagr": float((np.sign(predictions) == np.sign(targets)).mean()),
        "count": float(len(targets)),
    }


def angle_scores(predictions, targets, names: Sequence[str]) -> dict[str, float]:
    """Mean absolute error of each angle, and the mean of these.

    Angles are compared as numbers, so 179 and -179 are 358 apart: HopeNet's measure (Ruiz et al. 2018), to which the
    angles of 300W-LP and AFLW2000 within +-99 degrees give no occasion for another.

    Args:
        predictions: (rows, angles) in degrees.
        targets: (rows, angles) in degrees, NaN where there is no label.
        names: the name of each angle.

    Returns:
        mae: mean over the angles; mae_<name> for each; count: rows with a label of any of them.

    Raises:
        ValueError: as `scores`, or the names are not one for each angle.
    """
    predictions, targets = np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if predictions.shape != targets.shape or targets.ndim != 2 or targets.shape[1] != len(names):
        raise ValueError(
            f"predictions and targets must both have shape (rows, {len(names)}) for {', '.join(names)}, got "
            f"{predictions.shape} and {targets.shape}."
        )
    errors = {
        f"mae_{name}": scores(predictions[:, column], targets[:, column])["mae"] for column, name in enumerate(names)
    }
    labelled = (~np.isnan(targets)).any(axis=1)
    return {"mae": float(np.mean(list(errors.values()))), **errors, "count": float(labelled.sum())}


def _correlations(predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    means = predictions.mean(), targets.mean()
    deviations = predictions - means[0], targets - means[1]
    covariance = (deviations[0] * deviations[1]).mean()
    variances = [np.square(deviation).mean() for deviation in deviations]
    # A mean can miss the one value of a constant by a rounding, so the values say whether there is a variance.
    if np.ptp(predictions) == 0 or np.ptp(targets) == 0:
        return {"ccc": 0.0, "pearson": 0.0}
    return {
        "ccc": float(2 * covariance / (sum(variances) + (means[0] - means[1]) ** 2)),
        "pearson": float(covariance / np.sqrt(variances[0] * variances[1])),
    }


def _labelled_rows(predictions, targets) -> tuple[np.ndarray, np.ndarray]:
    """Check both vectors and keep the rows that have a label, as float64."""
    predictions, targets = np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if predictions.shape != targets.shape or targets.ndim != 1:
        raise ValueError(
            f"predictions and targets must be two vectors of one length, got shapes {predictions.shape} and "
            f"{targets.shape}; score several numbers one by one."
        )
    labelled = ~np.isnan(targets)
    predictions, targets = predictions[labelled], targets[labelled]
    if not np.isfinite(predictions).all():
        raise ValueError(
            f"{int((~np.isfinite(predictions)).sum())} labelled rows have no finite prediction, so there is no score; "
            "the network has diverged."
        )
    return predictions, targets
