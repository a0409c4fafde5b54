"""What runs testify to: late falls, slopes and ratios, by hand and by scipy."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from hf_hmtl.compare.reproduce.evidence import LATE, Evidence, NotTested, late_fall, ratio

from .conftest import log, result


@pytest.mark.parametrize(
    ("losses", "share"),
    [
        ([2.1, 0.6, 0.3, 0.2, 0.15, 0.13, 0.1, 0.1], 0.03 / 2.0),  # a rate that falls late: a quarter of the loss
        ([2.1, 2.9, 0.7, 0.6, 0.5, 0.5, 0.46, 0.46], 0.04 / 1.64),  # a spike is no part of the fall
        ([2.1, 1.9, 1.7, 1.6, 1.5, 1.45, 1.40, 1.35], 0.1 / 0.75),
        ([2.1, 1.0, 0.6, 0.5, 0.5, 0.5, 0.6, 0.8], 0),  # overfits
        ([2.1] * 8, 0),
        ([2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7, 2.8], 0),
        ([2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7, 1.1], 1),
    ],
)
def test_how_much_of_its_fall_the_last_quarter_of_a_training_brought(losses, share):
    found = late_fall(result("supervised-none", 1, 0.5, history=log([0.5] * 8, losses)))
    assert found == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(
    ("decays", "share"),
    [
        ("none", 0.9 / 2.0),  # a drop of the rate that was not told: what it took off is taken for a late fall
        (None, 0.9 / 2.0),
        ("6,7", 0.1 / 2.0),  # at the full rate from 1.1 to 1.0 in the last quarter of 6 epochs
        ("4,6", 0.2 / 2.0),
        ("60,72", 0.9 / 2.0),  # never reached
    ],
)
def test_a_drop_of_the_rate_is_no_late_fall(decays, share):
    known = result("supervised-none", 1, 0.5, history=log([0.5] * 8, [2.1, 1.6, 1.3, 1.1, 1.05, 1.0, 0.4, 0.1]))
    recipe = known.recipe | {"training": known.recipe["training"] | {"decay_epochs": decays}}
    assert late_fall(dataclasses.replace(known, recipe=recipe)) == pytest.approx(share)
    assert late_fall(dataclasses.replace(known, history=[])) is None


@pytest.mark.parametrize(
    ("lates", "falling"),
    [((0.049,) * 3, False), ((0.051,) * 3, True), ((0.09, 0.03, 0.02), False), ((0.12, 0.03, 0.02), True)],
)
def test_a_loss_falls_no_more_where_its_last_quarter_brought_almost_nothing_in_the_mean_over_seeds(lates, falling):
    """No single seed decides: the other preconditions are of means, too."""
    runs = {
        seed: result("supervised-none", seed, 0.5, history=log([0.5] * 8, [1.0] + [late] * 5 + [0.0] * 2))
        for seed, late in enumerate(lates, 1)
    }
    evidence = Evidence({"supervised-none": runs})
    if falling:
        mean = np.mean(lates)
        with pytest.raises(NotTested, match=f"still falls: {mean:.1%} of its fall .* and {LATE:.0%} are allowed"):
            evidence.require_converged("supervised-none")
    else:
        evidence.require_converged("supervised-none")


def test_ratios_of_steps_have_the_interval_of_their_logarithms():
    values, to = {1: 40.0, 2: 60.0, 3: 80.0}, {1: 20.0, 2: 30.0, 3: 30.0}
    found = ratio(values, to)
    low, high = stats.ttest_rel(np.log([40, 60, 80]), np.log([20, 30, 30])).confidence_interval()
    assert (found.low, found.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))
    assert found.mean == pytest.approx(stats.gmean([2, 2, 8 / 3]))


def test_scores_are_those_of_the_metric_on_the_reported_split_and_on_validation():
    known = result("supervised-none", 1, 0.5)
    of_pose = dataclasses.replace(known, metrics=known.metrics | {"test_pose_mae": 3.5, "eval_pose_mae": 2.5})
    evidence = Evidence({"supervised": {1: of_pose}}, metric="pose_mae")
    assert evidence.scores("supervised") == {1: 3.5} and evidence.validation("supervised") == 2.5
    assert Evidence({"supervised": {1: of_pose}}).scores("supervised") == {1: 0.5}
