import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hf_hmtl.compare.runs import minutes_left
from hf_hmtl.compare.side_by_side import side_by_side


def recorded(needs, at_a_time, seconds=0.02):
    """Make the calls; return how they began and ended, and how many were under way at most."""
    events, most, lock = [], [], threading.Lock()

    def call(name):
        with lock:
            events.append(f"+{name}")
            most.append(sum(1 if event[0] == "+" else -1 for event in events))
        time.sleep(seconds)
        with lock:
            events.append(f"-{name}")

    with ThreadPoolExecutor(8) as pool:
        ended = list(side_by_side(call, {name: name for name in needs}, needs, pool, at_a_time))
    assert sorted(ended) == sorted(needs)
    return events, max(most)


def test_no_more_than_allowed_and_no_fewer_than_possible():
    needs = {name: set() for name in "abcdef"}
    assert recorded(needs, 1)[1] == 1
    assert recorded(needs, 3)[1] == 3


def test_needs_come_first_and_others_overtake():
    needs = {"pupil": {"teacher"}, "teacher": set(), "other": set(), "grandpupil": {"pupil", "elsewhere"}}
    events, _ = recorded(needs, 2)
    assert events.index("-teacher") < events.index("+pupil")
    assert events.index("-pupil") < events.index("+grandpupil")
    assert events.index("+other") < events.index("+pupil")


def test_a_failing_call_is_raised_and_nothing_begins_after_it():
    begun = []

    def call(name):
        begun.append(name)
        raise OSError(f"no room for {name}")

    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="no room for first"):
        list(side_by_side(call, {"first": "first", "second": "second"}, {"first": set(), "second": set()}, pool, 1))
    assert begun == ["first"]


@pytest.mark.parametrize(
    ("finished", "at_a_time", "left"),
    [
        (2, 1, 10.0),  # 10 minutes for two, of four
        (1, 2, 10.0 * 2.5 / 1.5),  # one and a half are made
        (3, 2, 10.0 * 0.5 / 3.5),
        (4, 1, 0.0),
        (4, 2, 0.0),
        (1, 8, 10.0 * 1.5 / 2.5),  # no more than the three others can be at work
    ],
)
def test_minutes_left_reckon_with_what_is_at_work(finished, at_a_time, left):
    assert minutes_left(10.0, finished, 4, at_a_time) == pytest.approx(left)
