"""Ways are measured in turn, and ratios are those of each round."""

import pytest

from hf_hmtl.benchmark.measuring import in_turn, median_ratio


def test_every_way_runs_once_a_round_after_one_run_that_does_not_count():
    calls = []
    ways = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    seconds = in_turn(ways, rounds=3)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"
    assert {name: len(each) for name, each in seconds.items()} == {"a": 3, "b": 3, "c": 3}
    assert all(each > 0 for way in seconds.values() for each in way)


def test_a_way_may_time_itself():
    own = iter([9.0, 1.0, 2.0])
    assert in_turn({"own": lambda: next(own)}, rounds=2) == {"own": [1.0, 2.0]}


def test_the_ratio_is_the_median_of_the_rounds():
    ratio, spread = median_ratio([2.0, 3.0, 40.0], [1.0, 1.0, 10.0])  # 2, 3, 4
    assert ratio == 3.0 and spread == pytest.approx(2 / 3)
