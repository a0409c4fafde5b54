"""One writer at a time, of which a dead one is none."""

import multiprocessing
import os
import signal

import pytest

from hf_hmtl.locks import sole_writer


def hold(place, ready, end):
    with sole_writer(place):
        if os.fork() == 0:  # as a worker of a loader, which outlives its trainer by a moment
            end.get()
            os._exit(0)
        ready.put(os.getpid())
        signal.pause()


@pytest.fixture
def owner(tmp_path):
    """A process that holds the folder, with a fork of it that waits for a word."""
    context = multiprocessing.get_context("spawn")
    ready, end = context.SimpleQueue(), context.SimpleQueue()
    process = context.Process(target=hold, args=(tmp_path / "run", ready, end))
    process.start()
    assert ready.get() == process.pid
    yield process
    process.kill()
    process.join()
    end.put(None)


def test_a_place_of_a_living_process_is_refused_with_its_name_and_that_of_a_dead_one_is_free(owner, tmp_path):
    place = tmp_path / "run"
    says = f"{place} is being written by process {owner.pid} on .*Wait"
    with pytest.raises(BlockingIOError, match=says), sole_writer(place):
        pytest.fail("two at once")
    with sole_writer(tmp_path / "other"):
        pass
    owner.kill()
    owner.join()  # its fork lives
    assert (place / ".lock").is_file()
    with sole_writer(place):
        pass
    assert not (place / ".lock").exists()


def test_what_was_written_stays_and_the_lock_goes_whatever_ends_the_block(tmp_path):
    with pytest.raises(KeyError), sole_writer(tmp_path / "new" / "run"):
        (tmp_path / "new" / "run" / "file").touch()
        raise KeyError
    assert [path.name for path in (tmp_path / "new" / "run").iterdir()] == ["file"]
    with sole_writer(tmp_path / "table.csv", tmp_path / ".table.csv.lock"):
        assert (tmp_path / ".table.csv.lock").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_a_place_that_cannot_be_written_is_named_and_not_its_lock(tmp_path):
    place = tmp_path / ("x" * 252)  # the name of its lock is longer than names of files may be
    with pytest.raises(OSError) as error, sole_writer(place, place.with_name(f".{place.name}.lock")):
        pass
    assert error.value.filename == str(place) and ".lock" not in str(error.value)
