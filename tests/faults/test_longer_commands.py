"""Commands of many trainings, and the benchmark with its server, that are killed or told to end."""

import functools
import json

import pytest
from child_commands import at, interrupt_all, kill, run, tell

from hf_hmtl.benchmark import images, server
from hf_hmtl.benchmark.rows import value_row
from hf_hmtl.compare import advise as advising

pytestmark = [pytest.mark.slow, pytest.mark.faults]
ENDS = {"killed": (kill, -9), "told": (tell, 143), "interrupted": (interrupt_all, 130)}
STEP = "hf_hmtl.training.trainer:HMTLTrainer.training_step"
SMALL = ["--backbone", "test_resnet", "--image_size", "48", "--use_cpu", "--disable_tqdm", "true", "--cpu_threads", "1"]
FACES = ["--set", "source.train=64", "source.validation=32", "source.test=32", "source.size=48"]


def broken_off(ended, command, how):
    """A command has ended as it was made to, in one line, with all its processes."""
    assert ended.status == ENDS[how][1], ended.printed[-3000:]
    if ended.status > 0:
        assert ended.last_line.startswith(f"hf-hmtl {command}: ") and "Traceback" not in ended.printed
    assert ended.leaves_no_process()


def goes_on_through(command, name, how, folder, points, answer):
    """A command is broken off at each of these points in turn, says how it goes on, and has no answer yet."""
    for fault in points:
        ended = command(folder, fault)
        broken_off(ended, name, how)
        assert ended.status < 0 or ended.last_line.endswith(". The same command goes on")
        assert not (folder / answer).exists()


def few_steps():
    """A minute is enough for a step of each setting, whatever the machine."""
    advising.FEWEST_STEPS = 2
    advising.measured = lambda rows, common: {row.label: advising.Cost(0.5, 0.0) for row in rows}


def advise(folder, fault=None):
    arguments = ["advise", "--recipe", "drawn", "--budget", "1m", "--seeds", "2", "--output_dir", str(folder)]
    return run([*arguments, "--", *SMALL, *FACES], folder.with_suffix(".log"), fault, prepared=few_steps)


@pytest.fixture(scope="module")
def advice(tmp_path_factory):
    """What an uninterrupted command decides."""
    folder = tmp_path_factory.mktemp("advice") / "run"
    ended = advise(folder)
    assert ended.status == 0, ended.printed[-3000:]
    return json.loads((folder / "advice.json").read_text())


@pytest.mark.parametrize("how", ENDS)
def test_advice_goes_on_to_the_same_answer(advice, tmp_path, how):
    folder, befalls = tmp_path / "run", ENDS[how][0]
    before_its_plan = at("hf_hmtl.compare.advise:_new_plan", 1, befalls)
    in_a_training = at(STEP, 4, befalls)
    before_its_answer = at("hf_hmtl.compare.advise:plot_comparison", 1, befalls, behind=True)
    points = before_its_plan, in_a_training, before_its_answer
    goes_on_through(advise, "advise", how, folder, points, "advice.json")
    ended = advise(folder)
    assert ended.status == 0 and json.loads((folder / "advice.json").read_text()) == advice, ended.printed[-3000:]


def reproduce(folder, fault=None):
    arguments = ["reproduce", "--on", "drawn", "--rows", "nonlinear-puzzle", "--seeds", "1", "--at_a_time", "1"]
    arguments += ["--output_dir", str(folder), "--", *SMALL, "--max_steps", "2", "--decay_epochs", "none", *FACES]
    return run(arguments, folder.with_suffix(".log"), fault)


def scores(folder):
    return {path.parent.parent.name: json.loads(path.read_text())["metrics"] for path in folder.rglob("result.json")}


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduced") / "run"
    ended = reproduce(folder)
    assert ended.status == 0, ended.printed[-3000:]
    return scores(folder)


@pytest.mark.parametrize("how", ENDS)
def test_a_reproduction_goes_on_to_the_same_results(reproduced, tmp_path, how):
    folder, befalls = tmp_path / "run", ENDS[how][0]
    in_a_training = at(STEP, 2, befalls)
    in_what_begins_with_it = at("hf_hmtl.run.train:evaluate_probe", 1, befalls)
    before_the_page = at("hf_hmtl.compare.reproduce.reproduce:write_pages", 1, befalls)
    points = in_a_training, in_what_begins_with_it, before_the_page
    goes_on_through(reproduce, "reproduce", how, folder, points, "reproduction.md")
    ended = reproduce(folder)
    assert ended.status == 0 and scores(folder) == reproduced, ended.printed[-3000:]
    assert (folder / "reproduction.md").is_file() and len(reproduced) == 2


def loaded_for_hours():
    """One row, and a server of a small network, whose clients ask for longer than any test would wait."""
    images.rows = lambda rounds: [value_row("first", "s", [1.0], "<= 1")]
    server.WARM = 0
    small = {"clients": 2, "seconds": 36_000.0, "backbone": "test_resnet", "side": 48, "picture": 48}
    server.rows = functools.partial(server.rows, **small)


@pytest.mark.parametrize("how", ENDS)
def test_a_benchmark_ends_with_its_server_and_keeps_what_was_measured(tmp_path, how):
    arguments = ["bench", "images", "server", "--output", str(tmp_path / "rows.json")]
    fault = at("hf_hmtl.benchmark.server:_megabytes", 1, ENDS[how][0])
    ended = run(arguments, tmp_path / "log", fault, prepared=loaded_for_hours)
    broken_off(ended, "bench", how)
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["row"] == "first"
