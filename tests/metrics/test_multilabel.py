import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from hf_hmtl.metrics.multilabel import scores

NAMES = ("au1", "au2", "au4")


def test_average_precision_is_sklearns_ties_and_holes_included():
    generator = np.random.default_rng(1)
    truth = (generator.uniform(size=(300, 3)) < [0.5, 0.1, 0.02]).astype(float)
    answers = np.round(truth + generator.normal(0, 1, truth.shape), 1)  # many ties
    truth[generator.uniform(size=truth.shape) < 0.2] = np.nan
    found, each = scores(answers, truth, NAMES), []
    for column, name in enumerate(NAMES):
        known = ~np.isnan(truth[:, column])
        each.append(average_precision_score(truth[known, column], answers[known, column]))
        assert found[f"average_precision_{name}"] == pytest.approx(each[-1], abs=1e-9)
    assert found["mean_average_precision"] == pytest.approx(np.mean(each), abs=1e-9)
    known = ~np.isnan(truth)
    assert found["accuracy"] == pytest.approx(np.mean((answers[known] > 0) == (truth[known] == 1)))
    assert found["count"] == known.any(1).sum()


def test_a_label_that_never_occurs_counts_in_no_mean():
    truth = np.array([[1.0, 0.0], [0.0, 0.0]])
    found = scores(np.array([[1.0, 3.0], [-1.0, -3.0]]), truth, ("seen", "unseen"))
    assert found["mean_average_precision"] == 1.0 and np.isnan(found["average_precision_unseen"])
    nothing = scores(np.zeros((2, 2)), np.full((2, 2), np.nan), ("seen", "unseen"))
    assert nothing["count"] == 0 and np.isnan(nothing["mean_average_precision"]) and np.isnan(nothing["accuracy"])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="other values than 0, 1 and NaN"):
        scores(np.zeros((1, 1)), np.full((1, 1), 2.0), ("au1",))
    with pytest.raises(ValueError, match="rows, 3"):
        scores(np.zeros((1, 2)), np.zeros((1, 2)), NAMES)
    with pytest.raises(ValueError, match="finite"):
        scores(np.full((1, 1), np.nan), np.ones((1, 1)), ("au1",))
