"""Scores of puzzles against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from hf_hmtl.metrics.puzzle import scores


def random_puzzles(seed, rows=200, tiles=9):
    generator = np.random.default_rng(seed)
    targets = generator.permuted(np.tile(np.arange(tiles), (rows, 1)), axis=1)
    wrong = generator.random((rows, tiles)) < 0.1
    return np.where(wrong, generator.integers(0, tiles, (rows, tiles)), targets), targets


@pytest.mark.parametrize("tiles", [1, 4, 9, 16])
def test_random_puzzles_equal_scikit_learn(tiles):
    predictions, targets = random_puzzles(tiles, tiles=tiles)
    as_words = [[" ".join(map(str, row)) for row in rows] for rows in (targets, predictions)]
    assert scores(predictions, targets) == pytest.approx(
        {
            "tile_accuracy": accuracy_score(targets.ravel(), predictions.ravel()),
            "exact_solve": accuracy_score(*as_words),
            "count": 200,
        }
    )


def test_by_hand():
    targets = [[0, 1, 2, 3], [3, 2, 1, 0]]
    assert scores([[0, 1, 2, 3], [3, 2, 0, 0]], targets) == {"tile_accuracy": 7 / 8, "exact_solve": 0.5, "count": 2.0}


def test_rows_that_are_no_puzzle_are_left_out():
    predictions, targets = random_puzzles(3)
    masked = targets.copy()
    masked[::4] = -100
    kept = np.arange(len(targets)) % 4 != 0
    assert scores(predictions, masked) == scores(predictions[kept], targets[kept])


@pytest.mark.parametrize("rows", [0, 3])
def test_no_puzzle_gives_nan_and_count_zero(rows):
    found = scores(np.zeros((rows, 9), dtype=int), np.full((rows, 9), -100))
    assert found.pop("count") == 0
    assert set(found) == {"tile_accuracy", "exact_solve"}
    assert all(np.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        (np.zeros((2, 4, 4), dtype=int), np.zeros((2, 4), dtype=int), "argmax"),
        (np.zeros(4, dtype=int), np.zeros(4, dtype=int), "rows, tiles"),
        (np.zeros((1, 4)), [[0, 1, 2, 3]], "predictions must be integers"),
        ([[0, 1, 2, 3]], [[0, 1, 2, 2]], r"no order of the places 0 to 3.*\[0, 1, 2, 2\]"),
        ([[0, 1, 2, 3]], [[0, 1, 2, -100]], "-100 in all its 4 slots"),
        ([[0, 1, 2, 3]], [[1, 2, 3, 4]], "no order"),
    ],
)
def test_bad_puzzles_are_refused(predictions, targets, message):
    with pytest.raises(ValueError, match=message):
        scores(predictions, targets)
