"""Advice: its plan, its decisions against simulated trainings whose truth is known, and its sentences."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from hf_hmtl.commands import advise as command
from hf_hmtl.compare import advise as advising
from hf_hmtl.compare.advice import best_of, difference
from hf_hmtl.compare.advise import Cost, advise
from hf_hmtl.compare.arms import HYBRID, SUPERVISED
from hf_hmtl.compare.rows import planned
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.results.end import at_its_end
from hf_hmtl.results.result import read
from hf_hmtl.run.command_line import parse

EXAMPLE = read(Path(__file__).parents[1] / "results" / "version_1.json")
ACCURACY, ERROR = Measure("accuracy"), Measure("rmse", greater_is_better=False, unit="degrees")
SMALL = ["--set", "source.train=96"]


def finished(accuracy, losses=(1.0, 0.8, 0.9, 1.2), **more):
    history = [
        {"step": 100 * (number + 1), "eval_emotion_accuracy": accuracy, "eval_emotion_loss": loss}
        for number, loss in enumerate(losses)
    ]
    metrics = {"eval_emotion_accuracy": accuracy, "test_emotion_accuracy": accuracy - 0.01,
               "train_emotion_accuracy": 0.99, **more}  # fmt: skip
    return dataclasses.replace(EXAMPLE, metrics=metrics, history=history)


class Trainings:
    """In the place of trainings: writes results whose mean is known, with noise of the seed and of the run."""

    def __init__(self, means, seed, noise=0.01):
        self.means, self.noise, self.made = means, noise, []
        self.generator = np.random.default_rng(seed)
        self.of_seed, self.results = {}, {}

    def finished(self, comparison, title, folder):
        return {row.label: {seed: self.results[row.label][seed] for seed in row.seeds} for row in comparison.rows}

    def __call__(self, comparison, folder, common):
        for run in planned(comparison, folder):
            if run.seed in self.results.get(run.row.label, {}):
                continue
            self.made.append((run.row.label, run.seed))
            shared = self.of_seed.setdefault(run.seed, self.generator.normal(0, self.noise))
            mean = self.means.get(run.row.label, self.means["others"])
            result = finished(mean + shared + self.generator.normal(0, self.noise))
            self.results.setdefault(run.row.label, {})[run.seed] = result
            run.folder.mkdir(parents=True)
            (run.folder / "recipe.yaml").write_text(f"# {run.row.label}\n")


def costs_of(rows, common):
    """Measured by nobody: a view of its own takes half as long again."""
    return {row.label: Cost(0.1 * (1.5 if row.label == "puzzle-own-view" else 1), 0.0) for row in rows}


def advised(folder, means, monkeypatch, seed=0, seeds=5, earlier=None, **more):
    trainings = earlier or Trainings(means, seed, **more)
    monkeypatch.setattr(advising, "run_all", trainings)
    monkeypatch.setattr(advising, "finished_groups", trainings.finished)
    monkeypatch.setattr(advising, "plot_comparison", lambda *arguments: None)
    found = advise("drawn/supervised", folder, SMALL, 3600.0, seeds, lambda line: None, costs_of)
    return found, trainings


def test_the_interval_covers_the_true_difference_of_what_was_chosen(tmp_path, monkeypatch):
    """Over trainings whose truth is known; fewer than 33 of 40 intervals of 95 % cover it twice in 1,000 times."""
    known = parse(["drawn/supervised", *SMALL])
    monkeypatch.setattr(advising, "parse", lambda arguments: known)
    monkeypatch.setattr(advising, "_write", lambda *arguments: None)
    means = {SUPERVISED: 0.50, "puzzle-half": 0.51, "puzzle-falling": 0.505, "others": 0.49}
    covered = []
    for number in range(40):
        advice, _ = advised(tmp_path / str(number), means, monkeypatch, seed=number)
        truth = means.get(advice.hybrid, means["others"]) - means[SUPERVISED]
        covered.append(advice.validation.low <= truth <= advice.validation.high)
    assert sum(covered) >= 33


def test_the_seeds_that_judge_have_chosen_nothing(tmp_path, monkeypatch):
    advice, trainings = advised(tmp_path, {SUPERVISED: 0.6, "puzzle-falling": 0.7, "others": 0.4}, monkeypatch)
    assert advice.hybrid == "puzzle-falling" and advice.pays and not advice.costs
    by_seed = {}
    for label, seed in trainings.made:
        by_seed.setdefault(seed, set()).add(label)
    assert by_seed.pop(1) == {SUPERVISED, *HYBRID}
    assert len(by_seed.pop(2)) == 3
    assert list(by_seed) == [101, 102, 103, 104, 105]
    assert all(labels == {SUPERVISED, "puzzle-falling"} for labels in by_seed.values())
    values = json.loads((tmp_path / "advice.json").read_text())
    paired = [
        values["scores"]["puzzle-falling"][str(s)] - values["scores"][SUPERVISED][str(s)] for s in range(101, 106)
    ]
    assert values["validation"]["mean"] == pytest.approx(np.mean(paired)) and values["winner"] == "puzzle-falling"
    assert (tmp_path / "advice.yaml").read_text() == "# puzzle-falling\n"


def test_it_says_no(tmp_path, monkeypatch):
    advice, _ = advised(tmp_path, {SUPERVISED: 0.70, "others": 0.60}, monkeypatch)
    assert advice.costs and "supervised; the best hybrid, puzzle-" in advice.sentence()
    assert "behind" in advice.sentence() and (tmp_path / "advice.yaml").read_text() == "# supervised\n"
    mean, low, high = (-100 * value for value in dataclasses.astuple(advice.validation)[:3])
    assert f"{mean:.2g} points [{high:.2g}, {low:.2g}] behind" in advice.sentence()


def test_without_a_difference_the_simpler_way_is_advised(tmp_path, monkeypatch):
    advice, _ = advised(tmp_path, {SUPERVISED: 0.70, "others": 0.70}, monkeypatch, noise=0.02)
    assert not advice.pays and not advice.costs and "no difference can be seen" in advice.sentence()


def test_equal_time_is_fewer_steps_where_a_step_takes_longer_and_equal_steps_stand_beside(tmp_path, monkeypatch):
    advice, trainings = advised(tmp_path, {SUPERVISED: 0.6, "puzzle-own-view": 0.7, "others": 0.5}, monkeypatch)
    steps = json.loads((tmp_path / "advice.json").read_text())["steps"]
    assert steps[SUPERVISED] == steps["localizable-rotation"] == 1440
    assert steps["puzzle-own-view"] == pytest.approx(960, abs=1)
    assert ("supervised, equal steps", 103) in trainings.made and advice.equal_steps is not None
    assert any("at equal steps" in line for line in advice.details())
    plan = json.loads((tmp_path / "plan.json").read_text())["plan"]
    trained = 7 + 3 + 15
    assert plan["run"] * trained == pytest.approx(3600)


def test_the_same_command_goes_on_and_another_is_refused(tmp_path, monkeypatch):
    means = {SUPERVISED: 0.6, "others": 0.5}
    first, trainings = advised(tmp_path, means, monkeypatch)
    made = len(trainings.made)
    again, _ = advised(tmp_path, means, monkeypatch, earlier=trainings)
    assert len(trainings.made) == made and again == first
    with pytest.raises(ValueError, match="begun with another budget"):
        advise("drawn/supervised", tmp_path, SMALL, 60.0, 5, print, costs_of)


def test_every_training_is_what_the_command_train_takes(tmp_path, monkeypatch):
    """The plan's rows are parsed by the real command line."""
    plan = advising.planned("drawn/supervised", tmp_path, SMALL, 3600.0, 2, lambda line: None, costs_of)
    for label in (SUPERVISED, *HYBRID):
        recipe, _, args = parse(plan.row(label, [1]).arguments(SMALL))
        assert args.max_steps == plan.steps[label] and args.load_best_model_at_end
        assert args.eval_steps == args.save_steps == plan.steps[label] // 10
        assert bool(recipe.auxiliary) == (label != SUPERVISED)
    affect = advising.planned("drawn-paper/affect-regression", tmp_path / "affect", [], 3600.0, 2, print, costs_of)
    assert affect.hybrid == [label for label in HYBRID if label != "label-augmentation"]  # it has no classes to join
    odd = advising.planned("drawn/supervised", tmp_path / "odd", ["--image_size", "225"], 3600.0, 2, print, costs_of)
    assert odd.changes == ("image_size=224",)


def test_small_budgets_and_rows_that_learn_otherwise_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a budget of 0\.5 minutes leaves \d+ steps .* --budget 4m"):
        advise("drawn/supervised", tmp_path / "a", SMALL, 30.0, 5, print, costs_of)
    with pytest.raises(ValueError, match="2 or more: one pair"):
        advise("drawn/supervised", tmp_path / "b", SMALL, 3600.0, 1, print, costs_of)
    for row in ("puzzle-2x2", "pretrain-puzzle-3x3", "probe-random"):
        with pytest.raises(ValueError, match="such as drawn/supervised"):
            advise(f"drawn/{row}", tmp_path / "c", SMALL, 3600.0, 2, print, costs_of)
    with pytest.raises(ValueError, match="drawn-clips/gru-random reads clips, and advice is given on single pictures"):
        advise("drawn-clips/gru-random", tmp_path / "d", [], 3600.0, 2, print, costs_of)
    for option in ("--seed", "--max_steps", "--num_train_epochs=3", "--output_dir"):
        with pytest.raises(ValueError, match=f"{option.partition('=')[0]} behind -- is of no use here"):
            advise("drawn/supervised", tmp_path / "e", [option, "4"], 3600.0, 2, print, costs_of)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("kept")
    with pytest.raises(FileExistsError, match="--output_dir .*file is a file; give a folder"):
        advise("drawn/supervised", tmp_path / "file", SMALL, 3600.0, 2, print, lambda *_: pytest.fail("measured"))


def test_a_training_is_at_its_end_when_its_validation_loss_has_risen_again():
    end = at_its_end(finished(0.6, (1.0, 0.7, 0.9, 1.1)), "emotion", ACCURACY)
    assert end.reached and end.lowest == 0.5 and (end.train, end.validation) == (0.99, 0.6)
    falling = at_its_end(finished(0.6, (1.0, 0.9, 0.8, 0.7)), "emotion", ACCURACY)
    assert not falling.reached and falling.lowest == 1.0
    assert not at_its_end(finished(0.6, (1.0, 0.8, 0.79, 0.8)), "emotion", ACCURACY).reached  # noise is no rise
    with pytest.raises(ValueError, match="not evaluated during"):
        at_its_end(dataclasses.replace(EXAMPLE, history=[]), "emotion", ACCURACY)


def test_of_an_error_less_is_better():
    groups = {"a": {1: finished(0.5, eval_emotion_rmse=4.0)}, "b": {1: finished(0.5, eval_emotion_rmse=3.0)}}
    assert best_of(groups, ["a", "b"], "eval_emotion_rmse", ERROR, 1) == ["b"]
    assert difference(groups, "b", "a", "eval_emotion_rmse", ERROR).mean == 1.0
    assert math.isnan(difference(groups, "b", "a", "test_emotion_rmse", ERROR).mean)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("60m", 3600), ("2h", 7200), ("1.5 h", 5400), ("30", 1800)])
def test_a_budget_is_read_as_people_write_it(text, seconds):
    assert command.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0m", "-5m", "5 days"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="write 90s, 60m or 2h"):
        command.seconds_of(text)


@pytest.mark.parametrize(
    ("given", "row", "folder"),
    [
        (["--recipe", "drawn"], "drawn/supervised", "outputs/advise-drawn"),
        (["--recipe", "drawn/pose"], "drawn/pose", "outputs/advise-pose"),
        (["--recipe", "some/mine.yaml"], "some/mine.yaml:supervised", "outputs/advise-mine"),
        (["--recipe", "mine.yaml:plain"], "mine.yaml:plain", None),
        (["my_faces"], "custom/supervised", "outputs/advise-my_faces"),
    ],
)
def test_the_command_names_the_row_and_the_folder(given, row, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(advising, "advise", lambda *arguments: asked.extend(arguments) or pytest.skip.Exception)
    with pytest.raises(AttributeError):  # there is no advice to print
        command.run(given)
    assert asked[0] == row and folder in (None, str(asked[1])) and asked[3] == 3600


@pytest.mark.slow
def test_real_trainings_end_in_a_sentence_a_picture_and_a_recipe_that_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(advising, "FEWEST_STEPS", 2)
    monkeypatch.setattr(advising, "measured", lambda rows, common: {row.label: Cost(0.5, 0.0) for row in rows})
    options = ["--backbone", "test_efficientnet", "--use_cpu", "--set", "source.train=64", "source.validation=32",
               "source.test=32"]  # fmt: skip
    command.run(["--recipe", "drawn", "--budget", "1m", "--seeds", "2", "--output_dir", str(tmp_path), "--", *options])
    said = capsys.readouterr().out
    assert "on these faces, with" in said and f"hf-hmtl train {tmp_path / 'advice.yaml'}" in said
    assert (tmp_path / "advice.png").stat().st_size > 1000
    recipe, _, args = parse([str(tmp_path / "advice.yaml")])
    assert args.max_steps == json.loads((tmp_path / "advice.json").read_text())["steps"][SUPERVISED]
    assert recipe.backbone == "test_efficientnet"
