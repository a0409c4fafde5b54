import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from hf_hmtl.metrics.regression import angle_scores, scores


@pytest.fixture
def numbers():
    generator = np.random.default_rng(0)
    truth = generator.uniform(-1, 1, 500)
    return 0.6 * truth + generator.normal(0.1, 0.3, 500), truth


def concordance_by_hand(x, y):
    """Lin 1989, Eq. 1, with explicit sums."""
    n = len(x)
    mean_x, mean_y = sum(x) / n, sum(y) / n
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / n
    variances = sum((a - mean_x) ** 2 for a in x) / n + sum((b - mean_y) ** 2 for b in y) / n
    return 2 * covariance / (variances + (mean_x - mean_y) ** 2)


def test_scores_are_those_of_scipy_and_sklearn(numbers):
    answers, truth = numbers
    found = scores(answers, truth)
    correlation = stats.pearsonr(answers, truth).statistic
    assert found["pearson"] == pytest.approx(correlation, abs=1e-9)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth, answers), abs=1e-9)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, answers), abs=1e-9)
    assert found["ccc"] == pytest.approx(concordance_by_hand(answers, truth), abs=1e-9)
    # Concordance is the correlation times a penalty for scale and location (Lin 1989): another way to the same number.
    scale, shift = answers.std() / truth.std(), (answers.mean() - truth.mean()) ** 2 / (answers.std() * truth.std())
    assert found["ccc"] == pytest.approx(correlation * 2 / (scale + 1 / scale + shift), abs=1e-9)
    assert found["sagr"] == pytest.approx(sum((a > 0) == (b > 0) for a, b in zip(*numbers, strict=True)) / 500)
    assert found["count"] == 500


def test_rows_without_a_label_are_left_out(numbers):
    answers, truth = numbers
    holes = np.where(np.arange(500) % 3 == 0, np.nan, truth)
    kept = ~np.isnan(holes)
    answers = np.where(kept, answers, np.inf)  # whatever was answered there
    assert scores(answers, holes) == scores(answers[kept], truth[kept])
    empty = scores(np.zeros(3), np.full(3, np.nan))
    assert empty.pop("count") == 0 and all(np.isnan(value) for value in empty.values())


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
def test_a_constant_answer_has_no_concordance(numbers, constant):
    answers = np.full(500, constant)
    found = scores(answers, numbers[1])
    assert (found["ccc"], found["pearson"]) == (0.0, 0.0)
    assert found["mae"] == pytest.approx(np.abs(constant - numbers[1]).mean())
    assert scores(answers, answers)["ccc"] == 0.0
    assert scores(numbers[1], numbers[1])["ccc"] == pytest.approx(1.0)


def test_signs_agree_at_zero_only_with_zero():
    assert scores([0.0, 0.1, -0.1, 0.0], [0.0, 0.0, -0.5, 0.3])["sagr"] == 0.5


def test_angles_are_compared_one_by_one_and_unwrapped():
    answers, truth = np.array([[10.0, 179.0], [0.0, 0.0]]), np.array([[12.0, -179.0], [np.nan, 1.0]])
    found = angle_scores(answers, truth, ("yaw", "roll"))
    assert found == {"mae": pytest.approx((2 + 179.5) / 2), "mae_yaw": 2.0, "mae_roll": 179.5, "count": 2.0}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        scores([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="1 labelled rows have no finite prediction"):
        scores([np.nan, 1.0], [0.0, np.nan])
    with pytest.raises(ValueError, match="yaw, roll"):
        angle_scores(np.zeros((2, 3)), np.zeros((2, 3)), ("yaw", "roll"))
