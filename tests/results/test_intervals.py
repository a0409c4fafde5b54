"""Intervals, against scipy."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from hf_hmtl.results.intervals import of_mean, of_share


@pytest.mark.parametrize(("hits", "rows"), [(0, 1), (3, 10), (10, 10), (700, 1000)])
def test_a_share_has_wilsons_interval(hits, rows):
    found = binomtest(hits, rows).proportion_ci(method="wilson")
    assert of_share(hits, rows) == pytest.approx((found.low, found.high), abs=1e-12)


def test_a_mean_has_students_interval():
    values = np.random.default_rng(0).normal(size=17)
    found = ttest_1samp(values, 0).confidence_interval()
    assert of_mean(values) == pytest.approx((found.low, found.high))


def test_too_few_values_leave_everything_open():
    assert all(math.isnan(end) for end in (*of_share(0, 0), *of_mean([]), *of_mean([0.5])))
