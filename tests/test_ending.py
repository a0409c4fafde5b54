"""SIGTERM and Ctrl-C: what a process says, and with which status it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from hf_hmtl import commands
from hf_hmtl.ending import OF_A_LAUNCHER, ToldToEnd, postponed, told, with_the_launcher


def end(number=signal.SIGTERM):
    """Send a signal to this process; it has come when this returns."""
    os.kill(os.getpid(), number)


def test_sigterm_raises_within_the_block_and_is_what_it_was_behind_it():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ToldToEnd), told():
        end()
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_ends_by_himself_hears_it_and_it_is_raised_behind_him():
    reached = []
    with pytest.raises(ToldToEnd), told(), postponed() as wish:
        assert not wish.heard
        end()
        end()  # a launcher and a scheduler may both say it
        reached.append(wish.heard)
    assert reached == [True]


def test_what_was_raised_meanwhile_is_not_lost():
    with pytest.raises(KeyError), told(), postponed():
        end()
        raise KeyError


def test_a_library_leaves_signals_alone():
    before = signal.getsignal(signal.SIGTERM)
    with postponed() as wish:
        assert signal.getsignal(signal.SIGTERM) is before
    assert not wish.heard


def test_threads_change_nothing():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with told(), postponed():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGTERM, 143, "told to end (SIGTERM)"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_command_ends_in_one_line_that_says_how_it_goes_on(monkeypatch, capsys, number, status, said):
    monkeypatch.setattr("hf_hmtl.commands.predict.run", lambda arguments: end(number))
    monkeypatch.setattr("sys.argv", ["hf-hmtl", "predict"])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with pytest.raises(SystemExit) as left:
            commands.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert left.value.code == status
    assert capsys.readouterr().err == f"hf-hmtl predict: {said}. The same command goes on\n"


ORPHAN = """
import signal
from hf_hmtl.ending import ToldToEnd, told, with_the_launcher
try:
    with told(), with_the_launcher():
        print("works", flush=True)
        signal.pause()
except ToldToEnd:
    print("told", flush=True)
"""
LAUNCHER = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {ORPHAN!r}])"


def test_the_end_of_the_launcher_is_taken_for_sigterm():
    """The launcher is killed, and its process, which holds the pipe for as long as it lives, says that it was told."""
    environment = {**os.environ, **dict.fromkeys(OF_A_LAUNCHER, "no")}
    options = {"stdout": subprocess.PIPE, "text": True, "env": environment, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", LAUNCHER], **options) as launcher:
        try:
            assert launcher.stdout.readline() == "works\n"
            launcher.kill()
            assert launcher.communicate(timeout=300)[0] == "told\n"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(launcher.pid, signal.SIGKILL)


@pytest.mark.parametrize("given", [(), OF_A_LAUNCHER[:1]])
def test_without_a_launcher_nobody_is_watched(monkeypatch, given):
    """A user may set the precision himself, and leave a training behind in the shell that he closes."""
    for name in OF_A_LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    for name in given:
        monkeypatch.setenv(name, "bf16")
    before = threading.active_count()
    with with_the_launcher():
        assert threading.active_count() == before
