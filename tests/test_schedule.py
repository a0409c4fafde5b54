import numpy as np
import pytest

from hf_hmtl.schedule import average, in_words, largest, scheduled, value_at

FALLING = ((0.0, 0.75), (0.7, 0.0))


def given(number):
    return scheduled(number, "puzzle: share", 0, 1, "0 to 1")


def test_between_points_it_is_linear_and_outside_it_stays():
    assert given([[0, 0.75], [0.7, 0]]) == FALLING
    progress = np.array([0.0, 0.35, 0.69, 0.7, 1.0])
    by_hand = [0.75, 0.375, 0.75 * 0.01 / 0.7, 0.0, 0.0]
    np.testing.assert_allclose(value_at(FALLING, progress), by_hand, atol=1e-12)
    rising = given([[0.2, 0.1], [0.5, 0.4]])
    assert (value_at(rising, 0.0), value_at(rising, 1.0)) == (0.1, 0.4)


def test_its_mean_is_the_area_under_it():
    assert average(FALLING) == pytest.approx(0.75 * 0.7 / 2)
    assert average(((0.2, 0.1), (0.5, 0.4))) == pytest.approx(0.2 * 0.1 + 0.3 * 0.25 + 0.5 * 0.4)
    fine = np.linspace(0, 1, 100_001)
    assert average(FALLING) == pytest.approx(np.mean(value_at(FALLING, fine)), abs=1e-5)


def test_a_constant_is_itself_at_every_time():
    assert given(0.5) == 0.5 and value_at(0.5, 0.9) == average(0.5) == largest(0.5) == 0.5
    assert largest(FALLING) == 0.75 and in_words(0.5) == "0.5" and in_words(FALLING) == "0.75 at 0%, 0 from 70% on"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1.5, "share is 1.5, allowed is 0 to 1"),
        (float("nan"), "share is nan"),
        ([[0, 0.5]], "two or more points"),
        ([[0.5, 0.5], [0.2, 0]], "the progress rising"),
        ([[0, 0.5], [0, 0]], "the progress rising"),
        ([[-0.1, 0.5], [1, 0]], r"rising from 0 \(the first step\) to 1"),
        ([[0, 0.5], [70, 0]], "to 1 "),
        ([[0, 0.5], [1, 2]], "has the value 2"),
        ([], "two or more points"),
    ],
)
def test_what_is_no_schedule_is_refused(number, said):
    with pytest.raises(ValueError, match=said):
        given(number)
