"""From the command to runs, figures and pages."""

import dataclasses
import json
import os
import shutil

import pytest

from hf_hmtl.commands import reproduce as command
from hf_hmtl.compare import runs
from hf_hmtl.compare.reproduce import drawing, hours, plan, reproduce
from hf_hmtl.compare.reproduce.blocks import to_markdown
from hf_hmtl.compare.reproduce.hours import Cost
from hf_hmtl.compare.reproduce.page import page
from hf_hmtl.results import result as results
from hf_hmtl.training.finite_steps import Diverged

from .conftest import log, recipe_of, result

TINY = ["--use_cpu", "--disable_tqdm", "true", "--max_steps", "2", "--decay_epochs", "none",
        "--set", "source.train=64", "source.validation=32", "source.test=32"]  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """What would be trained, in place of the training."""
    calls = []
    monkeypatch.setattr(reproduce, "train_all", lambda name, runs, at_a_time, *_, **__: calls.append((runs, at_a_time)))
    monkeypatch.setattr(reproduce, "_why_missing", lambda backbone: "no network")
    return calls


def test_the_plan_tells_the_hours_of_what_is_left(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(hours, "is_finished", lambda run, *_, **__: run.row.label == "smoothing-0.0" and run.seed == 1)
    monkeypatch.setattr(reproduce, "is_finished", hours.is_finished)
    done = result("smoothing-0.0", 1, 0.5)
    done.seconds["total"] = 1800.0
    done.write(tmp_path / "drawn-paper" / "smoothing-0.0" / "seed-1" / "result.json")
    asked = []

    def cost_of(run, common):
        asked.append(run.row.label)
        return Cost(step=0.5, steps=3600, evaluation=18.0, evaluations=100)

    wish = reproduce.Wish(("drawn",), tables=("B",), output_dir=tmp_path)
    reproduce.reproduce(wish, [], dry_run=True, cost_of=cost_of)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split("|")[1:-1][0].strip() == "drawn-paper/smoothing-0.0"
    assert [cell.strip() for cell in lines[2].split("|")[3:6]] == ["3", "1", "1.00"]  # two seeds as the first
    assert [cell.strip() for cell in lines[3].split("|")[3:6]] == ["3", "0", "3.00"]
    assert asked == ["smoothing-0.1", "smoothing-0.2", "smoothing-0.3"]
    assert lines[-1] == "12 runs, about 5.0 hours, 2 at a time, on this machine."


def test_a_measured_cost_is_of_real_steps_and_the_whole_training(monkeypatch, tmp_path):
    """And leaves no folder behind, though a trainer makes one."""

    def seconds_a_step(experiment, steps):
        os.makedirs(experiment.args.output_dir, exist_ok=True)
        return 0.5

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hours, "seconds_a_step", seconds_a_step)
    (pupil,) = [
        run
        for run in plan.runs_of([(plan.load("drawn").narrowed((), (), ["inpainting-perceptual-none"]), reproduce.ROOT)],
                                reproduce.ROOT)
        if run.origins and run.seed == 1
    ]  # fmt: skip
    small = ["--set", "source.train=320", "source.validation=64", "source.test=64"]
    cost = hours.measuring(1)(pupil, small)
    assert (cost.step, cost.steps, cost.evaluations) == (
        1.0,
        10 * 80,
        80,
    )  # 32 rows a step, 80 epochs; a teacher beside
    assert cost.evaluation == pytest.approx(64 / 3 * 0.5 / 32)
    assert not any(tmp_path.iterdir())


def test_runs_without_their_weights_are_left_out_and_the_others_go_on(trained, tmp_path, capsys):
    wish = reproduce.Wish(("drawn",), tables=("1",), seeds=(4, 5), at_a_time=3, output_dir=tmp_path)
    reproduce.reproduce(wish, [])
    ((runs, at_a_time),) = trained
    assert [(run.row.label, run.seed) for run in runs] == [
        (f"supervised-{level}", seed) for seed in (4, 5) for level in ("none", "weak", "strong")
    ]
    assert at_a_time == 3
    notes = capsys.readouterr().out
    assert notes.count("no ImageNet weights of test_resnet (no network)") == 3
    assert (tmp_path / "reproduction.html").is_file()


def test_a_run_whose_origin_is_a_kept_result_is_refused_before_any_is_trained(folder, monkeypatch):
    trained = []
    monkeypatch.setattr(runs, "_side_by_side", lambda waiting, *_: trained.append(len(waiting)) or ())
    folder.add("supervised-none", [0.5, 0.6])
    models = [folder / "drawn-paper" / "supervised-none" / f"seed-{seed}" / "config.json" for seed in (1, 2)]
    wish = reproduce.Wish(("drawn",), rows=("smoothing-0.0", "inpainting-perceptual-none"), output_dir=folder)
    for dry_run in (False, True):
        with pytest.raises(ValueError, match=r"seed 1 begins with .*seed-1 holds its result without the model"):
            reproduce.reproduce(wish, [], dry_run=dry_run)
    reproduce.reproduce(wish, [], train=False)  # a page needs results alone
    assert not trained
    for model in models:
        model.write_text("{}")
    reproduce.reproduce(wish, [])
    folder.add("inpainting-perceptual-none", [0.5, 0.6])
    for model in models:
        model.unlink()
    reproduce.reproduce(wish, [])  # what is finished begins with nothing any more
    assert trained == [7, 5]  # smoothing, the third teacher, and its pupils that are left


def test_a_budget_is_for_three_rows_and_keeps_its_steps(trained, tmp_path, monkeypatch):
    costs = {"supervised-none": 0.1, "puzzle-2x2-none": 0.2, "puzzle-2x2-none-without-heads": 0.1}

    def cost_of(run, common):
        return Cost(costs[run.row.label], 1, 1.0, 1)

    wish = reproduce.Wish(("drawn",), budget=9 * 30.0, output_dir=tmp_path)
    reproduce.reproduce(wish, [], dry_run=True, cost_of=cost_of)
    assert not list(tmp_path.iterdir())
    reproduce.reproduce(wish, [], cost_of=cost_of)
    ((runs, _),) = trained
    # 270 s, two at a time, for nine runs: 60 s each, of which 8 to start and ten evaluations of a second.
    steps = {"supervised-none": 420, "puzzle-2x2-none": 210, "puzzle-2x2-none-without-heads": 420}
    assert json.loads((tmp_path / plan.STEPS).read_text())["steps"] == steps
    for run in runs:
        assert f"--max_steps={steps[run.row.label]}" in run.arguments([])
    assert len(runs) == 9 and {run.seed for run in runs} == {1, 2, 3}
    costs.clear()  # not measured again
    reproduce.reproduce(wish, [], cost_of=cost_of)
    assert trained[1] == trained[0]
    text = (tmp_path / "reproduction.md").read_text(encoding="utf-8")
    assert "0 of 9 runs are finished" in text and "Table 6" in text and "Table 5" not in text
    with pytest.raises(ValueError, match=r"Type --budget 4\.5m to go on with it"):
        reproduce.reproduce(reproduce.Wish(("drawn",), output_dir=tmp_path), [], cost_of=cost_of)
    costs.update(dict.fromkeys(steps, 100.0))
    with pytest.raises(ValueError, match=r"leaves 0 steps of .*Type --budget \d+m or more"):
        reproduce.reproduce(reproduce.Wish(("drawn",), budget=60.0, output_dir=tmp_path / "new"), [], cost_of=cost_of)


def test_figures_are_drawn_once_and_again_where_their_runs_are_others(folder):
    curve = log([0.2, 0.4, 0.5], [2.0, 1.5, 1.2])
    folder.add("supervised-none", [0.5, 0.6, 0.7], history=curve)
    drawn = plan.load("drawn").narrowed((), ["14", "16"], ())
    (note,) = drawing.draw_figures(drawn, folder, None)
    assert note.startswith("figure 16 is not drawn: ") and "holds a result without a model" in note
    picture = folder / "figures" / "figure-14.png"

    def is_drawn_again(reproduction=drawn):
        os.utime(picture, ns=(0, 0))
        drawing.draw_figures(reproduction, folder, None)
        return picture.stat().st_mtime_ns > 0

    assert not is_drawn_again()
    folder.add("puzzle-2x2-none", [0.5], history=curve)  # a run more
    assert is_drawn_again() and "puzzle-2x2-none" in picture.with_suffix(".csv").read_text()
    folder.add("puzzle-2x2-none", [0.6], history=curve)  # another one in its place
    assert is_drawn_again() and not is_drawn_again()
    shutil.rmtree(folder / "drawn-paper" / "puzzle-2x2-none")  # one fewer
    assert is_drawn_again() and "puzzle-2x2-none" not in picture.with_suffix(".csv").read_text()
    assert is_drawn_again(dataclasses.replace(drawn, seeds=(1,)))
    drawing.draw_figures(drawn, folder, None)
    picture.unlink()  # as in a copy of what was kept
    drawing.draw_figures(drawn, folder, None)
    assert picture.is_file()


def test_copies_of_results_go_nowhere_near_the_results(folder, tmp_path):
    folder.add("supervised-none", [0.5, 0.6, 0.7], history=log([0.2, 0.4], [2.0, 1.5]))
    own = folder / "drawn-paper" / "supervised-none" / "seed-1" / "result.json"
    before = own.read_bytes()
    whole = folder.parent / "drawn"
    folder.rename(whole)
    for keep in (whole.parent, whole, whole / "drawn-paper"):
        with pytest.raises(ValueError, match="--keep .* copies shortened results .* Give a folder apart from it"):
            command.run(["--on", "drawn", "--report", "--output_dir", str(whole), "--keep", str(keep)])
    assert (whole / own.relative_to(folder)).read_bytes() == before


def test_of_nothing_there_is_no_report(tmp_path, capsys):
    arguments = ["--on", "drawn", "--report", "--output_dir", str(tmp_path / "nowhere")]
    with pytest.raises(ValueError, match="nothing to report: .*nowhere is not there"):
        command.run(arguments)
    assert not list(tmp_path.iterdir())
    (tmp_path / "nowhere").mkdir()
    command.run([*arguments, "--keep", str(tmp_path / "kept")])
    assert f"no results to keep in {tmp_path / 'kept' / 'drawn'}" in capsys.readouterr().out


def test_what_is_kept_gives_the_same_page(folder, tmp_path):
    curve = log([0.2, 0.4, 0.5], [2.0, 1.5, 1.2], [0.3, 0.8, 0.9], [2.0, 1.6, 1.0])
    for row in ("supervised-none", "puzzle-3x3-none", "puzzle-3x3-none-without-heads"):
        folder.add(row, [0.5, 0.6, 0.7], history=curve)
    whole = plan.load("drawn").narrowed((), (), ())
    drawing.draw_figures(whole, folder, None)
    target = tmp_path / "cards" / "drawn.md"
    command.run(["--on", "drawn", "--report", "--output_dir", str(folder), "--keep", str(tmp_path / "cards" / "paper"),
                 "--page", str(target)])  # fmt: skip
    text = target.read_text(encoding="utf-8")
    kept = tmp_path / "cards" / "paper" / "drawn"
    assert reproduce.write_pages(whole, kept, target.with_name("again.md")).read_text(encoding="utf-8") == text
    assert (tmp_path / "cards" / "figures" / "drawn-figure-14.png").is_file() and "drawn-figure-14.png" in text
    assert not list(kept.rglob("*.png"))
    copied = [run for run in plan.runs_of([(whole, kept)], kept.parent) if runs.is_finished(run, [])]
    assert len(copied) == 9  # on another machine the command goes on behind them
    history = results.read(kept / "drawn-paper" / "puzzle-3x3-none" / "seed-1" / "result.json").history
    assert {key for entry in history for key in entry} == {
        "step", "epoch", "loss_emotion", "eval_emotion_loss", "eval_emotion_accuracy", "puzzle_tile_accuracy",
    }  # fmt: skip


def test_a_run_that_diverges_is_noted_and_what_begins_with_it_left_out(monkeypatch, tmp_path, capsys):
    drawn = plan.load("drawn").narrowed((), (), ["finetune-puzzle", "supervised-none"])
    all_runs = plan.runs_of([(drawn, tmp_path)], tmp_path)
    tried = []

    def train(recipe, options, args):
        tried.append(recipe.name)
        if recipe.name == "drawn-paper/pretrain-puzzle":
            raise Diverged("step 7: the loss is not finite")

    monkeypatch.setattr(runs.train, "run", train)
    for _ in range(2):  # what has diverged is not tried again
        runs.train_all("these", all_runs, 1, [], go_on=True)
    assert tried.count("drawn-paper/pretrain-puzzle") == 3 and "drawn-paper/finetune-puzzle" not in tried
    assert tried.count("drawn-paper/supervised-none") == 6  # it leaves no result here
    note = tmp_path / "drawn-paper" / "pretrain-puzzle" / "seed-2" / "diverged.txt"
    assert note.read_text() == "step 7: the loss is not finite\n"
    said = capsys.readouterr().out
    assert "finetune-puzzle, seed 1 is left out: a run that it begins with has diverged" in said
    assert "9 runs, 0 of them finished, 6 left out, which have diverged or begin with one that has" in said
    assert "Diverged, and so without a score: 3 of pretrain-puzzle." in to_markdown(page(drawn, tmp_path))
    kept = reproduce.keep_results(drawn, tmp_path, tmp_path / "kept")
    assert (kept / note.relative_to(tmp_path)).is_file()
    note.unlink()
    with pytest.raises(Diverged):
        runs.train_all("these", all_runs, 1, [])


def test_a_row_that_cannot_be_trained_is_told_before_weights_are_fetched(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(reproduce, "_why_missing", lambda backbone: pytest.fail("weights are fetched"))
    wish = reproduce.Wish(("drawn",), tables=("B",), output_dir=tmp_path)
    for common, message in (
        (["--set", "augmentation.nosie=1"], "did you mean 'noise'"),
        (["--backbone", "resnet10x", "--pretrained", "true"], "Did you mean 'resnet10t'"),
    ):
        with pytest.raises(ValueError, match=f"nothing was trained, since smoothing-0.* cannot be: .*{message}"):
            reproduce.reproduce(wish, common)
    assert not trained and not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError("no network"), RuntimeError("no network")])
def test_a_download_that_fails_is_a_reason(monkeypatch, error):
    def create_model(backbone, **options):
        raise error

    monkeypatch.setattr(reproduce.timm, "create_model", create_model)
    assert reproduce._why_missing("test_resnet") == "no network"
    monkeypatch.setattr(reproduce.timm, "create_model", lambda backbone, **options: None)
    assert reproduce._why_missing("test_resnet") is None


def test_mistakes_of_the_command_are_one_sentence(trained, tmp_path):
    for arguments, message in (
        (["--on", "drawn", "fer2013", "--data_dir", "x"], "--data_dir and --output_dir are of one data set"),
        (["--on", "drawn", "fer2013", "--page", "x.md"], "--page is of one data set"),
        (["--on", "drawn", "drawn"], "--on names a data set once"),
        (["--on", "drawn", "--budget", "5m", "--tables", "5"], "--budget is for supervised training, a puzzle and"),
        (["--on", "jaffe", "--budget", "5m"], "jaffe has no rows for a --budget"),
        (["--on", "drawn", "--budget", "soon"], "--budget 'soon' is no time"),
        (["--on", "drawn", "--at_a_time", "-1"], "--at_a_time is -1"),
        (["--on", "drawn", "--at_a_time", "0"], "--at_a_time is 0"),
        (["--on", "drawn", "--seeds", "1", "1"], "--seeds are 1 1, allowed are different whole numbers"),
        (["--on", "drawn", "--seeds", "-1"], "--seeds are -1"),
        (["--on", "drawn", "--page", "drawn.html"], "drawn.html, and the page is Markdown"),
        (["--on", "drawn", "--", "--seed", "7"], "--seed behind -- is of no use here, which --seeds sets"),
        (["--on", "drawn", "--", "--output_dir=x"], "--output_dir behind -- is of no use here"),
        (["--on", "drawn", "--", "--dry_run"], "--dry_run behind -- is of no use here"),
        (["--on", "drawn", "--budget", "20m", "--", "--max_steps", "9"], "which follows from the --budget"),
        (["--on", "drawings"], "data set to reproduce on, 'drawings'"),
    ):
        with pytest.raises(ValueError, match=message):
            command.run(arguments)
    (tmp_path / "file").write_text("kept")
    for option, given in (("--output_dir", "file"), ("--keep", "file/kept"), ("--page", "file/drawn.md")):
        with pytest.raises(FileExistsError, match=f"{option} .*file is a file; give a folder"):
            command.run(["--on", "drawn", option, str(tmp_path / given)])
    assert trained == []


def test_a_plan_and_a_report_are_not_asked_for_at_once(capsys):
    with pytest.raises(SystemExit):
        command.run(["--on", "drawn", "--dry_run", "--report"])
    assert "not allowed with argument" in capsys.readouterr().err


def of_row(row, seed, *options):
    """A result that a row may have left, with other options."""
    return dataclasses.replace(result(row, seed, 0.5), recipe=recipe_of(row, *options))


BFLOAT16 = {"processes": 1, "device": "cuda", "precision": "bfloat16", "global_batch": 64}


def place_of(folder, row, seed):
    return folder / "drawn-paper" / row / f"seed-{seed}" / "result.json"


@pytest.mark.parametrize("how", [[], ["--report"], ["--dry_run"], ["--rows", "supervised-strong"]])
@pytest.mark.parametrize(
    ("found", "message"),
    [
        (lambda: of_row("supervised-weak", 1), "made with augmentation = .*weak.* wants .*none"),
        (lambda: of_row("supervised-none", 1, "--set", "source.train=64"), "source = .*64.* wants .*4000"),
        (lambda: of_row("supervised-none", 1, "--max_steps", "7"), "training.max_steps = 7"),
        (lambda: of_row("supervised-none", 2), "made with seed = 2, and this comparison wants 1"),
    ],
    ids=["of another row", "of fewer faces", "of fewer steps", "of another seed"],
)
def test_a_result_that_is_not_of_its_row_is_on_no_page(found, message, how, trained, folder):
    found().write(place_of(folder, "supervised-none", 1))
    with pytest.raises(ValueError, match=message):
        command.run(["--on", "drawn", "--output_dir", str(folder), *how])
    assert trained == [] and not (folder / reproduce.PAGE).exists()


def test_results_of_their_rows_are_reported_with_how_many_there_are(folder, tmp_path, capsys):
    of_row("supervised-none", 1).write(place_of(folder, "supervised-none", 1))
    of_bfloat16 = dataclasses.replace(of_row("supervised-none", 2), execution=BFLOAT16)
    of_bfloat16.write(place_of(folder, "supervised-none", 2))  # of a GPU, reported elsewhere
    command.run(["--on", "drawn", "--report", "--output_dir", str(folder), "--keep", str(tmp_path / "kept")])
    said = capsys.readouterr().out
    assert f"results {tmp_path / 'kept' / 'drawn'}: 2 of 228 runs are finished\n" in said
    assert f"page {folder / reproduce.PAGE}: 2 of 228 runs are finished\n" in said


@pytest.mark.parametrize("content", ["", "{", "{}", '{"schema_version": 99}'])
def test_a_result_that_cannot_be_read_is_named_with_what_to_do(folder, content, trained):
    folder.add("supervised-none", [0.5, 0.6])
    broken = place_of(folder, "supervised-none", 2)
    broken.write_text(content)
    with pytest.raises(ValueError, match=f"{broken}.*Remove {broken.parent}, or compare into another --output_dir$"):
        command.run(["--on", "drawn", "--rows", "supervised-weak", "--output_dir", str(folder)])
    assert trained == []


def test_the_page_shows_all_seeds_that_there_are_whatever_was_asked_for_now(folder, trained):
    folder.add("supervised-none", [0.5, 0.6, 0.7, 0.8])
    for seeds, wanted in (("1", [1]), ("5", [5])):
        command.run(["--on", "drawn", "--rows", "smoothing-0.0", "--output_dir", str(folder), "--seeds", seeds])
        text = (folder / reproduce.PAGE).read_text(encoding="utf-8")
        assert "| 0.650 ± 0.129 |     4 |" in text and "3 of 228 runs, and 1 of further seeds, are finished" in text
        assert [run.seed for run in trained[-1][0]] == wanted


@pytest.mark.slow
def test_rows_are_trained_with_their_origins_and_the_command_goes_on(tmp_path, capsys):
    arguments = ["--on", "drawn", "--rows", "nonlinear-puzzle", "puzzle-2x2-none", "--seeds", "1", "--at_a_time", "1",
                 "--output_dir", str(tmp_path), "--", *TINY]  # fmt: skip
    command.run(arguments)
    found = {path.parent.parent.name for path in tmp_path.rglob("result.json")}
    assert found == {"pretrain-puzzle", "nonlinear-puzzle", "puzzle-2x2-none"}
    assert list((tmp_path / "drawn-paper" / "puzzle-2x2-none" / "seed-1").glob("lowest-loss-*"))
    capsys.readouterr()
    command.run(arguments)
    assert "3 runs, 3 of them finished" in capsys.readouterr().out
