"""95 % intervals of what the number of rows alone leaves open."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def of_share(hits: float, rows: int) -> tuple[float, float]:
    """Wilson's interval (1927) of a share; NaN of no rows."""
    if not rows:
        return math.nan, math.nan
    share, square = hits / rows, _Z * _Z
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    half = _Z / (1 + square / rows) * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    return centre - half, centre + half


def of_mean(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Student's interval of a mean, with n - 1 degrees of freedom; NaN of fewer than two values."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return math.nan, math.nan
    half = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half
