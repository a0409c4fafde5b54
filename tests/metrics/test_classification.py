"""Scores of classes against scikit-learn, on random rows and on every degenerate case."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from hf_hmtl.metrics.classification import confusion_matrix, majority_baseline, scores

NAMES = ["neutral", "happy", "sad", "surprise", "fear"]


def random_rows(seed, rows=300):
    generator = np.random.default_rng(seed)
    targets = generator.choice(5, rows, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    predictions = np.where(generator.random(rows) < 0.4, targets, generator.integers(0, 5, rows))
    return predictions, targets


def sklearn_scores(predictions, targets):
    everything = range(len(NAMES))
    found = {
        "accuracy": accuracy_score(targets, predictions),
        "macro_f1": f1_score(targets, predictions, average="macro"),
        "balanced_accuracy": np.mean(recall_score(targets, predictions, labels=np.unique(targets), average=None)),
    }
    recalls = recall_score(targets, predictions, labels=everything, average=None, zero_division=np.nan)
    return found | {f"recall_{name}": recall for name, recall in zip(NAMES, recalls, strict=True)}


@pytest.mark.parametrize("seed", range(5))
def test_random_rows_equal_scikit_learn(seed):
    predictions, targets = random_rows(seed)
    found = scores(predictions, targets, NAMES)
    assert found.pop("count") == 300
    assert found == pytest.approx(sklearn_scores(predictions, targets), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(targets, predictions), abs=1e-12)
    assert all(type(value) is float for value in found.values())
    matrix = confusion_matrix(predictions, targets, NAMES)
    assert np.array_equal(matrix, sklearn_confusion_matrix(targets, predictions, labels=range(5)))


@pytest.mark.parametrize(
    ("predictions", "targets"),
    [
        ([0, 0, 0], [0, 0, 0]),  # one class only, all right
        ([1, 1, 1], [0, 0, 0]),  # one class only, all wrong
        ([0, 3, 1], [0, 1, 2]),  # class 3 answered but absent, class 2 present but unanswered, class 4 neither
        ([4], [4]),
    ],
)
def test_absent_and_unanswered_classes_equal_scikit_learn(predictions, targets):
    found = scores(predictions, targets, NAMES)
    del found["count"]
    assert found == pytest.approx(sklearn_scores(predictions, targets), abs=1e-12, nan_ok=True)


def test_macro_f1_is_over_the_classes_that_occur_or_are_answered():
    # Worked by hand: class 0 has F1 1, the other four names neither occur nor are answered.
    assert scores([0, 0], [0, 0], NAMES)["macro_f1"] == 1
    # Class 1 is answered and does not occur: 0. Class 0: 2 * 1 / (2 * 1 + 0 + 1).
    assert scores([0, 1], [0, 0], NAMES)["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    with_nan = f1_score([0, 0, 2], [0, 1, 2], labels=range(5), average="macro", zero_division=np.nan)
    assert scores([0, 1, 2], [0, 0, 2], NAMES)["macro_f1"] == pytest.approx(with_nan)


@pytest.mark.parametrize("missing", [-1, -100])
def test_rows_without_a_label_are_left_out(missing):
    predictions, targets = random_rows(7)
    unlabelled = np.arange(len(targets)) % 3 == 0
    masked = np.where(unlabelled, missing, targets)
    assert scores(predictions, masked, NAMES) == scores(predictions[~unlabelled], targets[~unlabelled], NAMES)
    assert scores(predictions, masked, NAMES)["count"] == (~unlabelled).sum()


@pytest.mark.parametrize("targets", [[-1, -100], []])
def test_no_labelled_row_gives_nan_and_count_zero(targets):
    found = scores([0] * len(targets), targets, NAMES)
    assert found.pop("count") == 0
    assert len(found) == 3 + len(NAMES)
    assert all(np.isnan(value) for value in found.values())


def test_tensors_and_small_integers_are_welcome():
    predictions, targets = random_rows(1)
    as_tensors = scores(torch.from_numpy(predictions), torch.from_numpy(targets), NAMES)
    assert as_tensors == scores(predictions.astype(np.int8), targets.astype(np.uint8), NAMES)
    # 8-bit class numbers must not wrap when rows and columns are joined to one number.
    many = [str(number) for number in range(100)]
    diagonal = confusion_matrix(np.arange(100, dtype=np.int8), np.arange(100, dtype=np.int8), many)
    assert np.array_equal(diagonal, np.eye(100))


def test_majority_baseline_equals_scikit_learn():
    _, train = random_rows(2)
    _, targets = random_rows(3)
    answers = np.full_like(targets, np.bincount(train).argmax())
    expected = sklearn_scores(answers, targets)
    found = majority_baseline(targets, train, NAMES)
    assert found == pytest.approx({measure: expected[measure] for measure in ("accuracy", "macro_f1")})


def test_majority_baseline_ignores_missing_labels_and_takes_the_first_of_a_tie():
    assert majority_baseline([1, 1, 2], [-1, -1, -1, 2, 1], NAMES)["accuracy"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="none of the 2 training rows has a label"):
        majority_baseline([1], [-1, -1], NAMES)


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        (np.zeros((3, 5)), [0, 1, 2], "argmax"),
        ([0, 1], [0, 1, 2], "one length"),
        ([0.5, 1.0], [0, 1], "predictions must be integers"),
        ([0, 1], [0.0, np.nan], "targets must be integers"),
        ([0, 5], [0, 1], r"predictions .*\[5\].*allow 0 to 4"),
        ([0, -1], [0, 1], "predictions holds"),
        ([0, 1], [0, -2], "targets holds"),
        ([0, 1], [0, 8], "targets holds"),
    ],
)
def test_bad_rows_are_refused(predictions, targets, message):
    with pytest.raises(ValueError, match=message):
        scores(predictions, targets, NAMES)


@pytest.mark.parametrize("names", ["happy", [], ["happy", "happy"]])
def test_bad_names_are_refused(names):
    with pytest.raises(ValueError, match="different class names"):
        scores([0], [0], names)
