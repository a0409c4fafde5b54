import dataclasses
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hf_hmtl import recipe
from hf_hmtl.commands import compare
from hf_hmtl.compare import report
from hf_hmtl.compare import rows as comparison
from hf_hmtl.compare import runs as comparison_runs
from hf_hmtl.results import result as results

ROOT = Path(__file__).parents[2]
TINY = ["--max_steps", "2", "--eval_steps", "1", "--save_steps", "1", "--disable_tqdm", "true"]
SMALL_DATA = ("source.train=64", "source.validation=32", "source.test=32")


def small(*rows, baseline="supervised", seeds=(1, 2)):
    return comparison.Comparison(
        "small",
        "Two rows.",
        {"emotion": baseline},
        {"": SMALL_DATA},
        tuple(comparison.Row(label, f"drawn/{label}", seeds) for label in rows),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    comparison_runs.run_all(small("inpainting-perceptual", "supervised", "probe-rotation"), folder, TINY)
    return folder


def test_every_preset_can_be_planned():
    counts = {}
    for name in comparison.available():
        preset = comparison.preset(name)
        runs = comparison.planned(preset, Path("out"))
        assert len({run.folder for run in runs}) == len(runs)
        for task, label in preset.baselines.items():
            assert label in [row.label for row in preset.learning(task)]
        counts[name] = len(runs)
    # jaffe: 2 rows x 10 folds; drawn-clips: 4 rows and the backbone that they begin with, x 3 seeds
    # drawn: 2 rows x 8 seeds, 13 rows x 3 seeds, and 5 pre-trainings x 3 seeds
    assert counts == {"drawn": 2 * 8 + 15 * 3 + 5 * 3, "fer2013-small": 10 * 3, "fer2013": 4 * 7 * 3,
                      "fer2013-labels": 6 * 4 * 3, "fer2013-labels-resnet10t": 2 * 4 * 3,
                      "drawn-tasks": 10 * 3, "jaffe": 2 * 10,
                      "drawn-clips": 5 * 3, "drawn-subjects": 2 * 10, "afew-va": 2 * 10, "ckplus": 2 * 10}  # fmt: skip


def test_origins_come_first_and_have_the_same_seed():
    runs = comparison.planned(small("inpainting-perceptual", "finetune-barlow-twins"), Path("out"))
    labels = [(run.row.label, run.seed) for run in runs]
    assert labels[:4] == [
        ("supervised", 1), ("inpainting-perceptual", 1), ("pretrain-barlow-twins", 1), ("finetune-barlow-twins", 1),
    ]  # fmt: skip
    for run in runs:
        for origin in run.origins.values():
            assert origin.seed == run.seed and runs.index(origin) < runs.index(run)
    perceptual = runs[1].arguments(["--data_dir", "x"])
    assert perceptual[perceptual.index("--teacher") + 1] == str(Path("out/supervised/seed-1"))
    assert perceptual[perceptual.index("--seed") + 1] == "1"
    assert perceptual[1:7] == ["--data_dir", "x", "--set", *SMALL_DATA]


def test_a_file_of_the_users_own_has_its_rows_and_their_origins(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((recipe.FOLDER / "drawn.yaml").read_text())
    preset = tmp_path / "compare.yaml"
    rows = "{supervised: {}, probe-rotation: {}}"
    preset.write_text(f"about: mine\nrecipe: {path}\nbaseline: supervised\nseeds: 1\nrows: {rows}\n")
    runs = comparison.planned(comparison.preset(str(preset)), tmp_path)
    assert [run.row.recipe for run in runs] == [
        f"{path}:{row}" for row in ("supervised", "pretrain-rotation", "probe-rotation")
    ]
    assert recipe.load(runs[1].row.recipe).name == "mine/pretrain-rotation"


def test_variants_have_runs_and_origins_of_their_own():
    preset = comparison.preset("fer2013").narrowed(["inpainting-perceptual"], [1])
    runs = comparison.planned(preset, Path("out"))
    assert len(runs) == 8  # a teacher and a pupil for each of four variants
    low = next(run for run in runs if run.folder.parts[1].startswith("20") and run.origins)
    assert "train_fraction=0.2" in low.origins["teacher"].row.changes
    assert low.origins["teacher"].folder.parts[:2] == low.folder.parts[:2]


def test_finished_runs_are_not_repeated(finished, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("result.json")}
    assert len(before) == 2 * 4
    monkeypatch.setattr(comparison_runs.train, "run", lambda *arguments: pytest.fail("trained again"))
    comparison_runs.run_all(small("inpainting-perceptual", "supervised", "probe-rotation"), finished, TINY)
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("result.json")}


def test_a_result_of_other_settings_is_not_taken_for_this_one(finished):
    other = comparison.Comparison(
        "x", "", {"emotion": "supervised"}, {"": ("source.train=128",)}, small("supervised").rows
    )
    with pytest.raises(ValueError, match=r"made with source = .*Remove .* or compare into another --output_dir"):
        comparison_runs.run_all(other, finished, TINY)


def test_options_for_every_run_are_settings_too(tmp_path, monkeypatch):
    chosen, options = small("supervised", seeds=(1,)), [*TINY, "--backbone", "test_efficientnet"]
    comparison_runs.run_all(chosen, tmp_path, options)
    run = comparison.planned(chosen, tmp_path)[0]
    assert comparison_runs.is_finished(run, options)
    with pytest.raises(ValueError, match="backbone = test_efficientnet, and this comparison wants test_resnet"):
        comparison_runs.is_finished(run, TINY)
    with pytest.raises(ValueError, match="training.max_steps = 2, and this comparison wants 3"):
        comparison_runs.is_finished(run, [*options, "--max_steps", "3"])
    with pytest.raises(ValueError, match="training.learning_rate = 0.002, and this comparison wants 0.1"):
        comparison_runs.is_finished(run, [*options, "--learning_rate", "0.1"])
    with pytest.raises(ValueError, match="pretrained = False, and this comparison wants True"):
        comparison_runs.is_finished(run, [*options, "--pretrained"])
    assert comparison_runs.is_finished(run, [*options, "--logging_steps", "7"])
    assert comparison_runs.is_finished(run, [*options, "--set", "source.train=64"])  # what the row has anyway
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")  # as a configuration of accelerate sets it
    with pytest.raises(ValueError, match="precision = float32, and this comparison wants bfloat16"):
        comparison_runs.is_finished(run, [*options, "--logging_steps", "8"])
    with pytest.raises(ValueError, match="source = "):  # beside the --set of the row itself
        comparison_runs.is_finished(run, [*options, "--set", "source.seed=5"])


@pytest.mark.slow
def test_runs_side_by_side_are_those_one_after_the_other(tmp_path, capfd):
    chosen = small("inpainting-perceptual", "supervised", seeds=(1,))
    one_thread = [*TINY, "--cpu_threads", "1"]
    comparison_runs.run_all(chosen, tmp_path / "one", one_thread)
    capfd.readouterr()
    comparison_runs.run_all(dataclasses.replace(chosen, at_a_time=2), tmp_path / "two", one_thread)
    printed = capfd.readouterr().out
    assert "[2/2] finished inpainting-perceptual, seed 1" in printed and "macro F1" not in printed
    assert "macro F1" in (tmp_path / "two" / "supervised" / "seed-1" / comparison_runs.LOG).read_text()
    for run in ("supervised", "inpainting-perceptual"):
        one, two = (results.read(tmp_path / name / run / "seed-1" / "result.json") for name in ("one", "two"))
        assert one.metrics == two.metrics
    with pytest.raises(ValueError, match="unknown option '--wrong'"):
        comparison_runs.run_all(dataclasses.replace(chosen, at_a_time=2), tmp_path / "bad", ["--wrong", "1"])


@pytest.mark.slow
def test_runs_side_by_side_end_with_the_comparison_that_began_them(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "compare.py"), "--preset", "drawn", "--output_dir", str(tmp_path)]
    parent = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("*/seed-1/train.log"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    children = parent.children(recursive=True)
    parent.kill()
    assert len(children) >= 2
    ended, alive = psutil.wait_procs(children, timeout=20)
    for process in alive:
        process.kill()
    assert not alive


def test_a_run_that_was_cut_off_goes_on(tmp_path, monkeypatch):
    run = comparison.planned(small("supervised", seeds=(1,)), tmp_path)[0]
    whole = comparison_runs.run_all
    resumed = []
    train = comparison_runs.train.run
    monkeypatch.setattr(
        comparison_runs.train,
        "run",
        lambda recipe, options, args: (resumed.append(args.resume_from_checkpoint), train(recipe, options, args)),
    )
    whole(small("supervised", seeds=(1,)), tmp_path, TINY)
    first = results.read(run.folder / "result.json").metrics
    (run.folder / "result.json").unlink()
    whole(small("supervised", seeds=(1,)), tmp_path, TINY)
    assert resumed == [None, "last"]
    assert results.read(run.folder / "result.json").metrics["test_emotion_accuracy"] == first["test_emotion_accuracy"]


def test_the_report_has_every_row_and_comes_out_the_same_again(finished):
    chosen = small("supervised", "inpainting-perceptual", "probe-rotation")
    text = report.report(chosen, finished)
    assert "Best on validation, of the seeds 1, 2: " in text
    names = ("comparison.md", "comparison.json", "comparison.png")
    contents = [(finished / name).read_bytes() for name in names[:2]]
    for label in ("supervised", "inpainting-perceptual", "probe-rotation"):
        assert f"| {label} " in text
    runs = [results.read(finished / "supervised" / f"seed-{seed}" / "result.json") for seed in (1, 2)]
    mean = sum(run.metrics["test_emotion_accuracy"] for run in runs) / 2
    line = next(line for line in text.splitlines() if line.startswith("| supervised "))
    assert f"{mean:.3f}" in line
    report.report(chosen, finished)
    assert contents == [(finished / name).read_bytes() for name in names[:2]]
    assert (finished / "comparison.png").stat().st_size > 10_000
    assert json.loads(contents[1])[""]


def test_the_best_on_validation_is_found_among_seeds_that_all_rows_have():
    """`supervised` has a seed more than the others, which alone must not make it the only candidate, nor count."""

    example = results.read(ROOT / "tests" / "results" / "version_2.json")

    def having(accuracy):
        return dataclasses.replace(example, metrics={"eval_emotion_accuracy": accuracy})

    groups = {
        "supervised": {1: having(0.5), 2: having(0.6), 3: having(0.99)},
        "rotation": {1: having(0.6), 2: having(0.7)},
        "unfinished": {1: having(0.9)},
    }
    seeds = {"supervised": (1, 2, 3), "rotation": (1, 2), "unfinished": (1, 2)}
    rows = [comparison.Row(label, f"drawn/{label}", seeds[label]) for label in groups]
    table = report.Table("", "emotion", rows, groups, [], 0.5, "")
    assert table._best_on_validation() == "Best on validation, of the seeds 1, 2: rotation."


def test_a_sweep_is_a_comparison_with_the_recipe_without_auxiliary_tasks():
    swept = comparison.sweep("fer2013-small/puzzle-2x2", "auxiliary.puzzle.weight=0.01,0.1,1", (1, 2))
    assert [row.label for row in swept.rows] == ["supervised"] + [
        f"auxiliary.puzzle.weight={v}" for v in ("0.01", "0.1", "1")
    ]
    without, *rest = [recipe.load(row.recipe, recipe.override(list(row.changes))) for row in swept.rows]
    assert without.auxiliary == {} and [found.auxiliary["puzzle"]["weight"] for found in rest] == [0.01, 0.1, 1]
    with pytest.raises(ValueError, match="write --sweep"):
        comparison.sweep("fer2013-small/puzzle-2x2", "auxiliary.puzzle.weight", (1,))


@pytest.fixture
def untrained(monkeypatch):
    """Nothing is read, nor trained."""

    def fail(*_, **__):
        raise AssertionError("a comparison that cannot be finished has begun")

    monkeypatch.setattr(comparison_runs.train, "run", fail)
    monkeypatch.setattr("hf_hmtl.data.sources.drawn.load", fail)


@pytest.mark.parametrize(
    "assignment, message",
    [
        ("auxiliary.puzzle.wieght=0.1,1", "Did you mean 'weight'"),
        ("auxiliary.puzzle.weight=1,-1", "weight=-1 cannot be: puzzle: weight is -1, allowed"),
        ("auxiliary.puzlze.weight=1", "'puzlze'"),
        ("supervised.emotion.class_weights=balancd", "class_weights is 'balancd'"),
        ("supervised.emotion.labels_smoothing=0", "Did you mean 'label_smoothing'"),
        ("source.trian=64", "Did you mean 'train'"),
        ("source.fold=[3,2]", "fold"),
        ("mixed_with=[{name: fer2031}]", "Did you mean 'fer2013'"),
        ("augmentation.nosie=0.1", "did you mean 'noise'"),
        ("sequence.windwo=4", "Did you mean 'window'"),
        ("backbone=resnet10x", "Did you mean 'resnet10t'"),
        ("image_size=48,47", "47 px cannot be cut into 2 equal tiles"),
    ],
)
@pytest.mark.parametrize("at_a_time", ["1", "2"])
def test_a_row_that_cannot_be_trained_is_told_before_any_is(untrained, tmp_path, assignment, message, at_a_time):
    with pytest.raises(ValueError, match=re.escape(message)):
        command = ["drawn/puzzle-2x2", "--sweep", assignment, "--at_a_time", at_a_time]
        compare.run([*command, "--output_dir", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_row_alone_is_compared_with_nothing(untrained, tmp_path):
    with pytest.raises(ValueError, match="nothing that drawn/supervised could be compared with.*--sweep.*--folds"):
        compare.run(["drawn/supervised", "--output_dir", str(tmp_path / "out")])


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'drawn'"):
        comparison.preset("drwan")
    with pytest.raises(ValueError, match="Did you mean 'rotation'"):
        comparison.preset("drawn").narrowed(["rotatoin"], None)
    with pytest.raises(ValueError, match="at_a_time is 0"):
        dataclasses.replace(comparison.preset("drawn"), at_a_time=0)
    with pytest.raises(ValueError, match="no finished run"):
        report.report(small("supervised"), tmp_path)
    for seeds in ([1, 2, 1], [-1], [2**32]):
        with pytest.raises(ValueError, match=f"--seeds are {seeds[0]}.*, allowed are different whole numbers from 0"):
            comparison.preset("drawn").narrowed(None, seeds)
    for option in ("--seed", "--output_dir=x", "--overwrite", "--resume_from_checkpoint", "--dry_run"):
        with pytest.raises(ValueError, match=f"{option.partition('=')[0]} behind -- is of no use here"):
            comparison_runs.run_all(small("supervised"), tmp_path, [*TINY, option])
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("kept")
    with pytest.raises(FileExistsError, match="--output_dir .*file is a file; give a folder"):
        comparison_runs.run_all(small("supervised"), tmp_path / "file", TINY)


def test_the_command_takes_the_number_of_runs_side_by_side(monkeypatch, tmp_path):
    begun = []
    monkeypatch.setattr(comparison_runs, "run_all", lambda chosen, folder, common: begun.append(chosen.at_a_time))
    monkeypatch.setattr(report, "report", lambda chosen, folder: "")
    command = ["--preset", "drawn", "--output_dir", str(tmp_path)]
    for own, expected in ([], 2), (["--at_a_time", "5"], 5):
        compare.run([*command, *own])
        assert begun.pop() == expected
    with pytest.raises(ValueError, match="at_a_time is 0"):
        compare.run([*command, "--at_a_time", "0"])


def test_the_command_shows_its_help_and_refuses_half_a_question(capsys):
    with pytest.raises(SystemExit):
        compare.run(["--help"])
    shown = capsys.readouterr().out
    assert "--preset" in shown and "fer2013-small" in shown and "--sweep" in shown
    with pytest.raises(ValueError, match="give either --preset NAME"):
        compare.run(["--sweep", "a=1"])


def test_a_table_for_each_task_holds_the_rows_that_learn_it_beside_the_constant_answer(tmp_path):
    preset = tmp_path / "tasks.yaml"
    preset.write_text(
        "about: two tasks\nrecipe: drawn\ntasks: {emotion: supervised, pose: pose}\nseeds: 1\n"
        "options: {max_steps: 2, eval_steps: 1, save_steps: 1}\n"
        "variants: {'': [source.train=64, source.validation=32, source.test=32, supervised.pose.alpha=0.1]}\n"
        "rows: {supervised: {set: [supervised.pose=null]}, pose: {}, all-at-once: {}}\n"
    )
    chosen = comparison.preset(str(preset))
    assert chosen.options == ("--max_steps", "2", "--eval_steps", "1", "--save_steps", "1")
    assert {task: [row.label for row in chosen.learning(task)] for task in chosen.baselines} == {
        "emotion": ["supervised", "all-at-once"],
        "pose": ["pose", "all-at-once"],
    }
    comparison_runs.run_all(chosen, tmp_path, [*chosen.options, "--disable_tqdm", "true"])
    text = report.report(chosen, tmp_path)
    emotion, pose = text.split("### emotion")[1].split("### pose")
    assert "| pose " not in emotion and "| supervised " not in pose and "| all-at-once " in emotion and pose
    alone = results.read(tmp_path / "pose" / "seed-1" / "result.json")
    (constant,) = [line for line in pose.splitlines() if line.startswith("| constant answer")]
    assert f" {alone.baselines['test_pose_mae']:.3f} " in constant and "test MAE" in pose
    assert {path.name for path in tmp_path.glob("*.png")} == {"comparison-emotion.png", "comparison-pose.png"}
    assert set(json.loads((tmp_path / "comparison.json").read_text())[""]) == {"emotion", "pose"}


def test_a_preset_names_a_baseline_or_one_for_each_task(tmp_path):
    preset = tmp_path / "mine.yaml"
    rows = "rows: {supervised: {}, pretrain-rotation: {}}\nseeds: 1\nrecipe: drawn\nabout: mine\n"
    for named, message in (
        ("baseline: supervised\ntasks: {emotion: supervised}\n", "needs `baseline`, a row, or `tasks`"),
        ("", "needs `baseline`, a row, or `tasks`"),
        ("baseline: supervise\n", "unknown baseline in mine.yaml 'supervise'. Did you mean 'supervised'?"),
        ("baseline: pretrain-rotation\n", "the baseline 'pretrain-rotation' learns no label"),
    ):
        preset.write_text(rows + named)
        with pytest.raises(ValueError, match=message):
            comparison.preset(str(preset))
