"""Error of head pose on validation by epoch, smoothed by a Gaussian filter, as in Figure 15; raw it is figure E."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.figure_e import pose_errors
from hf_hmtl.compare.figures.runs import FinishedRun

OPTIONS = ()
SIGMA = 2.0
"""Deviation of the filter in evaluations; the paper does not give its own."""


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """As figure E, with means and bounds smoothed; the deviation is that of the raw errors."""
    return pose_errors(runs, "figure 15", smoothed, f",\nGaussian filter, deviation {SIGMA:g} evaluations")


def smoothed(rows: list[dict]) -> list[dict]:
    """The rows with the mean and the bounds of each label's curve smoothed, its ends continued as they are."""
    found = []
    for label in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == label]
        columns = {key: np.array([row[key] for row in own]) for key in ("mean", "low", "high")}
        curves = {key: gaussian_filter1d(values, SIGMA, mode="nearest") for key, values in columns.items()}
        found += [row | {key: float(values[place]) for key, values in curves.items()} for place, row in enumerate(own)]
    return found
