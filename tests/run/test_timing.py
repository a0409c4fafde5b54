"""Seconds of steps, where the machine has other work that comes and goes."""

import pytest

from hf_hmtl.run import timing


def test_other_work_slows_all_that_is_timed_in_turn_alike(monkeypatch):
    """Of steps of 2, 3 and 8 ms, with other work that makes two of the five rounds up to six times as long."""

    class Rehearsal:
        slowed = (1.0, 1.0, 6.0, 1.0, 4.0)

        def __init__(self, milliseconds):
            self.milliseconds, self.rounds = milliseconds, iter(self.slowed)

        def step(self):
            return self.milliseconds * next(self.rounds) / 1000

    monkeypatch.setattr(timing, "Rehearsal", Rehearsal)
    found = timing.seconds_in_turn({"supervised": 2, "puzzle": 3, "label-augmentation": 8}, 5)
    assert found == pytest.approx({"supervised": 0.002, "puzzle": 0.003, "label-augmentation": 0.008})
    with pytest.raises(StopIteration):  # it makes as many steps as it is asked for
        timing.seconds_in_turn({"supervised": 2}, 6)
