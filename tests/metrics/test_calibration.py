"""Calibration, against scikit-learn and sums by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from hf_hmtl.metrics.calibration import reliability, scores


def probabilities_of(rows, classes, seed=0):
    drawn = np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), rows)
    return drawn, np.array([np.random.default_rng((seed, k)).choice(classes, p=row) for k, row in enumerate(drawn)])


def test_bins_hold_what_a_loop_finds_and_the_error_is_their_weighted_gap():
    probabilities, targets = probabilities_of(500, 4)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    error = 0.0
    for part in reliability(probabilities, targets, bins=10):
        inside = (confidence > part["low"]) & (confidence <= part["high"])
        assert part["rows"] == inside.sum()
        if inside.any():
            assert part["confidence"] == pytest.approx(confidence[inside].mean())
            assert part["accuracy"] == pytest.approx(right[inside].mean())
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert scores(probabilities, targets, bins=10)["expected_error"] == pytest.approx(error)


def test_the_curve_is_that_of_scikit_learn():
    probabilities, targets = probabilities_of(800, 3)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    accurate, confident = calibration_curve(right, confidence, n_bins=15)
    parts = [part for part in reliability(probabilities, targets) if part["rows"]]
    assert [part["accuracy"] for part in parts] == pytest.approx(accurate.tolist())
    assert [part["confidence"] for part in parts] == pytest.approx(confident.tolist())


def test_brier_is_that_of_scikit_learn_for_every_class_and_of_two_twice_it():
    probabilities, targets = probabilities_of(300, 5)
    by_class = sum(brier_score_loss(targets == k, probabilities[:, k]) for k in range(5))
    assert scores(probabilities, targets)["brier"] == pytest.approx(by_class)
    two, answers = probabilities_of(300, 2)
    assert scores(two, answers)["brier"] == pytest.approx(2 * brier_score_loss(answers, two[:, 1]))


def test_a_perfect_and_a_wrongly_certain_classifier():
    sure = np.eye(3)[[0, 1, 2, 0]]
    assert scores(sure, [0, 1, 2, 0]) == {"expected_error": 0, "brier": 0, "confidence": 1, "count": 4}
    wrong = scores(sure, [1, 2, 0, 1])
    assert (wrong["expected_error"], wrong["brier"]) == (1, 2)


def test_rows_without_a_label_count_for_nothing_and_none_at_all_is_nan():
    probabilities, targets = probabilities_of(50, 3)
    more = np.concatenate([probabilities, probabilities[:9]]), np.concatenate([targets, np.full(9, -1)])
    assert scores(*more) == scores(probabilities, targets)
    nothing = scores(probabilities, np.full(50, -100))
    assert nothing["count"] == 0 and np.isnan(nothing["brier"]) and np.isnan(nothing["expected_error"])


@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [
        ([[2.0, 3.0]], [0], "take the softmax first"),
        ([[0.5, 0.5]], [2], "the class 2, and there are 2 classes"),
        ([[0.5, 0.5]], [0, 1], r"got \(1, 2\) and \(2,\)"),
    ],
)
def test_what_are_no_probabilities_or_classes_raise(probabilities, targets, message):
    with pytest.raises(ValueError, match=message):
        scores(probabilities, targets)
