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
    """As figure E, of the smoothed curve of each seed."""
    return pose_errors(runs, "figure 15", smoothed, f",\nGaussian filter, deviation {SIGMA:g} evaluations")


def smoothed(errors: np.ndarray) -> np.ndarray:
    """One curve, its ends continued as they are."""
    return gaussian_filter1d(errors, SIGMA, mode="nearest")
