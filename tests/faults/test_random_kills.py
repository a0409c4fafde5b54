"""A run that is killed at points drawn by chance, and goes on to the bits of the uninterrupted one."""

import functools
import os
import sys

import numpy as np
import pytest
from broken_runs import assert_same_run, go_on, train
from child_commands import at, kill

pytestmark = [pytest.mark.slow, pytest.mark.faults]
KILLS = int(os.environ.get("HF_HMTL_KILLS", "3"))


def count_calls(end_at, write_to=None):
    """Count the calls of Python functions in the main thread, and kill the process at one of them.

    Args:
        end_at: number of that call; 0 for none.
        write_to: where the number of all calls is written at the end of the run.
    """
    calls = 0

    def look(frame, event, argument):
        nonlocal calls
        if event == "call":
            calls += 1
            if calls == end_at:
                kill()

    sys.setprofile(look)
    if write_to is not None:
        at("hf_hmtl.run.process:leave_together", 1, lambda: write_to.write_text(str(calls)))()


def from_the_build(*arguments):
    """Counts from where a run reads its data: what comes before leaves nothing behind."""
    return at("hf_hmtl.run.train:build", 1, functools.partial(count_calls, *arguments))


@pytest.fixture(scope="module")
def calls_of_a_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    ended = train(folder / "run", fault=from_the_build(0, folder / "calls"))
    assert ended.status == 0, ended.printed[-3000:]
    return int((folder / "calls").read_text())


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed_anywhere_goes_on_to_the_same_bits(whole, calls_of_a_run, tmp_path, number):
    point = int(np.random.default_rng(number).integers(1, calls_of_a_run))
    ended = train(tmp_path / "run", fault=from_the_build(point))
    assert ended.status in (-9, 0), ended.printed[-3000:]  # 0: this time there were fewer calls than the point
    if ended.status == 0:
        pytest.skip("the run was over before")
    go_on(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run")
