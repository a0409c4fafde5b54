"""Figure 15 and that of appendix E: errors of head pose by epoch."""

import numpy as np
import pytest
from matplotlib.image import imread
from scipy import stats

from hf_hmtl.compare.figures import FigureOptions, write_figure
from hf_hmtl.compare.figures.figure_15 import SIGMA
from hf_hmtl.results import result as results

ERRORS = np.array([20.0, 14.0, 16.0, 9.0, 11.0, 8.0, 8.5])


@pytest.fixture
def pose(rewritten, trained):
    recipe = results.read(trained / "result.json").recipe | {"supervised": {"pose": {"task": "head_pose"}}}
    history = [{"step": 5 * n, "epoch": float(n), "eval_pose_mae": error} for n, error in enumerate(ERRORS, 1)]
    return rewritten("pose", row="pose", recipe=recipe, history=history)


def test_appendix_e_is_the_log_as_it_is(pose, trained, tmp_path):
    drawn, path = write_figure("e", [pose, trained], FigureOptions(), tmp_path)
    assert path.name == "figure-E.png" and np.ptp(imread(path)) > 0
    assert [(row["epoch"], row["mean"]) for row in drawn.numbers] == list(enumerate(ERRORS, 1))
    assert drawn.notes == ["left out supervised, seed 1: it learned no head pose"]


def by_hand(errors):
    offsets = np.arange(-8, 9)  # scipy cuts its filter at four deviations
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    padded = np.pad(errors, 8, mode="edge")
    return np.array([weights @ padded[place : place + 17] / weights.sum() for place in range(len(errors))])


def test_figure_15_is_smoothed_by_a_gaussian_filter(pose, tmp_path):
    drawn, _ = write_figure("15", [pose], FigureOptions(), tmp_path)
    np.testing.assert_allclose([row["mean"] for row in drawn.numbers], by_hand(ERRORS), rtol=1e-9)


def test_the_band_of_figure_15_is_that_of_smoothed_seeds(pose, rewritten, tmp_path):
    """Noise that seeds do not share is smoothed away before it is a spread."""
    noise = np.array([3.0, -3.0, 3.0, -3.0, 3.0, -3.0, 3.0])
    first = results.read(pose / "result.json")
    history = [
        entry | {"eval_pose_mae": entry["eval_pose_mae"] + far} for entry, far in zip(first.history, noise, strict=True)
    ]
    other = rewritten("other", row="pose", seed=2, recipe=first.recipe, history=history)
    drawn, _ = write_figure("15", [pose, other], FigureOptions(), tmp_path)
    seeds = np.stack([by_hand(ERRORS), by_hand(ERRORS + noise)])
    expected = stats.t.interval(0.95, 1, seeds.mean(0), stats.sem(seeds))
    for key, values in zip(
        ("mean", "sd", "low", "high"), (seeds.mean(0), seeds.std(0, ddof=1), *expected), strict=True
    ):
        np.testing.assert_allclose([row[key] for row in drawn.numbers], values, rtol=1e-9, err_msg=key)
