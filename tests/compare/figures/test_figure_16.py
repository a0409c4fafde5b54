"""Figure 16: networks under attack, chosen by their validation loss."""

import csv
import math
import shutil

import numpy as np
import pytest
from matplotlib.image import imread
from safetensors.numpy import load_file
from scipy import stats

from hf_hmtl.commands import figure
from hf_hmtl.compare.figures import FigureOptions, available, figure_16, write_figure
from hf_hmtl.results import result as results
from hf_hmtl.run import lowest_loss
from hf_hmtl.run.finished import LOWEST_LOSS, open_run, recipe_of, some_rows, weights_of

KEPT = FigureOptions(weights="kept", radii=(0.02,))


def numbers(path):
    with open(path.with_suffix(".csv"), encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_without_attack_the_accuracy_is_the_one_that_the_run_was_scored_with(trained, tmp_path):
    _, path = write_figure("16", [trained], KEPT, tmp_path)
    result = results.read(trained / "result.json")
    found = [row for row in numbers(path) if row["radius"] == "0" and row["seed"] == "1"]
    assert [row["attack"] for row in found] == ["fgsm", "pgd"]
    for row in found:
        assert float(row["accuracy"]) == pytest.approx(result.metrics["eval_emotion_accuracy"], abs=1e-6)
        assert (row["method"], row["rows"]) == ("supervised", "40")


def test_runs_of_one_row_are_seeds_whose_mean_and_interval_are_drawn(rewritten, tmp_path, capsys):
    folders = [rewritten(f"seed-{seed}", seed=seed) for seed in (1, 2)]
    # Another network under the second seed, so that the two differ.
    (folders[1] / "model.safetensors").write_bytes((folders[1] / "checkpoint-1" / "model.safetensors").read_bytes())
    command = ["16", *map(str, folders), "--weights", "kept", "--radii", "0.01", "0.004"]
    figure.run([*command, "--output_dir", str(tmp_path / "out")])
    path = tmp_path / "out" / "figure-16.png"
    assert capsys.readouterr().out.splitlines()[-2:] == [str(path), str(path.with_suffix(".csv"))]
    assert np.ptp(imread(path)) > 0
    table = numbers(path)
    assert [row["radius"] for row in table[:3]] == ["0", "0.004", "0.01"]
    for mean in (row for row in table if row["seed"] == "mean"):
        same = [row for row in table if row["seed"] != "mean" and (row["attack"], row["radius"])
                == (mean["attack"], mean["radius"])]  # fmt: skip
        scores = [float(row["accuracy"]) for row in same]
        assert [row["seed"] for row in same] == ["1", "2"]
        assert float(mean["accuracy"]) == pytest.approx(np.mean(scores), abs=1e-5)
        if scores[0] != scores[1]:
            expected = stats.t.interval(0.95, 1, np.mean(scores), stats.sem(scores))
            assert [float(mean["low"]), float(mean["high"])] == pytest.approx(expected, rel=1e-4)


def test_the_weights_are_those_of_the_lowest_validation_loss(rewritten):
    def with_losses(folder, first, second):
        losses = [{"step": 1, "eval_loss": first}, {"step": 2, "eval_loss": second}]
        selection = {"metric": "eval_emotion_accuracy", "split": "validation", "step": 2, "epoch": 1.0}
        protocol = {"selection": selection, "reported_on": "test", "notes": []}
        run = rewritten(folder, history=losses, protocol=protocol)
        lowest_loss.remove(run)
        return run, results.read(run / "result.json")

    falling, result = with_losses("falling", 2.0, 1.0)
    assert weights_of(falling, result, LOWEST_LOSS) == (falling, 2)
    rising, result = with_losses("rising", 1.0, 2.0)
    assert weights_of(rising, result, LOWEST_LOSS) == (rising / "checkpoint-1", 1)
    assert open_run(rising, None, LOWEST_LOSS, "validation").step == 1
    assert weights_of(rising, result, "kept") == (rising, 2)
    shutil.rmtree(rising / "checkpoint-1")
    with pytest.raises(
        ValueError,
        match="lowest at step 1, whose weights were not kept .those of step 2 are, chosen by .*keep_lowest_loss",
    ):
        weights_of(rising, result, LOWEST_LOSS)
    without, result = with_losses("without", float("nan"), float("nan"))
    with pytest.raises(ValueError, match="--weights kept"):
        weights_of(without, result, LOWEST_LOSS)


def test_a_run_keeps_the_weights_of_the_lowest_loss_where_it_is_asked_to(trained, rewritten):
    result = results.read(trained / "result.json")
    losses = {entry["step"]: entry["eval_loss"] for entry in result.history if "eval_loss" in entry}
    lowest = min(losses, key=losses.get)
    assert [path.name for path in trained.glob("lowest-loss-*")] == [f"lowest-loss-{lowest}"]
    kept, checkpoint = (load_file(trained / name / "model.safetensors")
                        for name in (f"lowest-loss-{lowest}", f"checkpoint-{lowest}"))  # fmt: skip
    assert kept.keys() == checkpoint.keys()
    assert all(np.array_equal(kept[name], checkpoint[name]) for name in kept)
    selection = {"metric": "eval_emotion_accuracy", "split": "validation", "step": 3 - lowest, "epoch": 1.0}
    alone = rewritten("alone", protocol=result.protocol | {"selection": selection})
    for path in alone.glob("checkpoint-*"):
        shutil.rmtree(path)
    assert open_run(alone, None, LOWEST_LOSS, "validation").step == lowest


def test_the_lowest_loss_is_finite_and_the_first_of_equals(tmp_path):
    history = [{"step": 1, "eval_loss": math.nan}, {"step": 2, "eval_loss": 0.5}, {"step": 3, "loss": 0.1},
               {"step": 3, "eval_loss": 0.7}, {"step": 4, "eval_loss": 0.5}]  # fmt: skip
    assert lowest_loss.lowest_step(history) == 2 and lowest_loss.lowest_step(history[:1]) is None
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step}").mkdir()
        for name in ("config.json", "model.safetensors"):
            (tmp_path / f"checkpoint-{step}" / name).write_text(str(step))
        lowest_loss.keep(tmp_path, step)
    assert [path.name for path in tmp_path.glob("*lowest-loss*")] == ["lowest-loss-4"]
    assert lowest_loss.kept(tmp_path, 2) is None and lowest_loss.kept(tmp_path, 4) == tmp_path / "lowest-loss-4"
    lowest_loss.remove(tmp_path)
    assert lowest_loss.kept(tmp_path, 4) is None


def test_a_recipe_comes_back_from_a_result(trained):
    result = results.read(trained / "result.json")
    recipe = recipe_of(result)
    assert recipe.source["train"] == 64 and recipe.supervised == {"emotion": {"task": "classification"}}
    assert recipe.name == result.name


def test_other_rows_than_those_of_the_run_are_refused(rewritten, tmp_path):
    run = rewritten("run")
    result = results.read(run / "result.json")
    result.recipe["source"]["seed"] = 5
    result.write(run / "result.json")
    with pytest.raises(ValueError, match="other rows than those of now"):
        open_run(run, None, "kept", "validation")


def test_what_cannot_be_attacked_is_left_out_and_told(rewritten, tmp_path):
    plain = rewritten("plain")
    recipe = results.read(plain / "result.json").recipe
    probe = rewritten("probe", row="probe-random", recipe=recipe | {"probe": "linear"})
    drawn, _ = write_figure("16", [plain, probe], KEPT, tmp_path)
    assert {row["method"] for row in drawn.numbers} == {"supervised"}
    assert drawn.notes == ["left out probe-random, seed 1: a probe saves no network"]
    with pytest.raises(ValueError, match="this run has not what figure 16 shows"):
        write_figure("16", [probe], KEPT, tmp_path)


def test_some_rows_are_the_same_for_every_run():
    assert some_rows(10, None) == some_rows(10, 12) == list(range(10))
    some = some_rows(1000, 50)
    assert some == sorted(set(some)) == some_rows(1000, 50) and len(some) == 50 and np.ptp(some) > 800


def test_mistakes_say_what_is_allowed(trained, rewritten, tmp_path):
    with pytest.raises(ValueError, match="unknown figure '7'. Figures of the paper that runs can show: .*16"):
        write_figure("7", [trained], FigureOptions(), tmp_path)
    with pytest.raises(ValueError, match="figure 11 has no use for --radii; its options are: --data_dir"):
        write_figure("11", [trained], FigureOptions(radii=(0.1,)), tmp_path)
    with pytest.raises(ValueError, match="--rows is 0, allowed is 1 or more"):
        FigureOptions(rows=0)
    with pytest.raises(ValueError, match="holds no result.json"):
        write_figure("16", [tmp_path], FigureOptions(), tmp_path)
    again = rewritten("again")
    with pytest.raises(ValueError, match="are both supervised of seed 1"):
        write_figure("16", [trained, again], FigureOptions(), tmp_path)


def test_weights_that_are_gone_are_told_before_anything_is_looked_at(trained, rewritten, tmp_path, monkeypatch):
    """Of the last run, too: attacking those before it would take minutes."""
    history = [{"step": 1, "eval_loss": 1.0}, {"step": 2, "eval_loss": 2.0}]
    selection = {"metric": "eval_emotion_accuracy", "split": "validation", "step": 2, "epoch": 1.0}
    protocol = {"selection": selection, "reported_on": "test", "notes": []}
    without = rewritten("without", seed=2, history=history, protocol=protocol)
    lowest_loss.remove(without)
    shutil.rmtree(without / "checkpoint-1")
    monkeypatch.setattr(figure_16, "open_run", lambda *_: pytest.fail("looked at"))
    with pytest.raises(ValueError, match="without: validation loss was lowest at step 1, whose weights were not kept"):
        write_figure("16", [trained, without], FigureOptions(), tmp_path)


def test_the_help_names_every_figure():
    named = [
        line.split()[0] for line in figure.__doc__.splitlines() if line.startswith("    ") and "hf-hmtl" not in line
    ]
    assert named == available()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_an_output_folder_that_is_a_file_is_told_before_anything_is_looked_at(trained, tmp_path, place, monkeypatch):
    (tmp_path / "file").write_text("kept")
    monkeypatch.setattr(figure_16, "make", lambda *_: pytest.fail("looked at"))
    with pytest.raises(FileExistsError, match=f"--output_dir .*{place}: .*file is a file; give a folder"):
        figure.run(["16", str(trained), "--output_dir", str(tmp_path / place)])
    assert (tmp_path / "file").read_text() == "kept"


def test_radii_are_typed_as_fractions_too(trained, tmp_path):
    figure.run(["16", str(trained), "--rows", "8", "--radii", "8/255", "0.01", "--output_dir", str(tmp_path)])
    with open(tmp_path / "figure-16.csv", encoding="utf-8") as file:
        radii = sorted({float(row["radius"]) for row in csv.DictReader(file)})
    assert radii == pytest.approx([0.0, 0.01, 8 / 255], rel=1e-5)


@pytest.mark.parametrize("radius", ["eight", "8/0", "nan", "8", "-1"])
def test_a_radius_that_is_none_is_refused_with_what_to_type(trained, tmp_path, radius):
    with pytest.raises(ValueError, match="8/255"):
        figure.run(["16", str(trained), "--radii", radius, "--output_dir", str(tmp_path)])
    assert not list(tmp_path.iterdir())
