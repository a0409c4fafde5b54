"""The axis of folds: which runs there are, what they come to together, and beside one another."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import t as student_t
from sklearn.metrics import accuracy_score, f1_score

from hf_hmtl import recipe
from hf_hmtl.commands import compare
from hf_hmtl.compare import report
from hf_hmtl.compare import rows as comparison
from hf_hmtl.compare import runs as comparison_runs
from hf_hmtl.compare.folds import over_seeds, pooled
from hf_hmtl.results import result as results
from hf_hmtl.results.predictions import read_predictions

FOLDS = 3
DATA = ("source.train=64", "source.validation=16", "source.test=16", "source.size=32", "image_size=16",
        "report_groups=[gender]")  # fmt: skip
OPTIONS = ["--disable_tqdm", "true"]


def probes(seeds=(1,), folds=FOLDS):
    rows = [comparison.Row(probe, "drawn/probe-random", seeds, (f"probe={probe}",)) for probe in ("linear", "knn")]
    return comparison.Comparison("probes", "Two.", {"emotion": "linear"}, {"": DATA}, tuple(rows), folds=folds)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    comparison_runs.run_all(probes(), folder, OPTIONS)
    return folder, report.report(probes(), folder)


def of_folds(folder, label):
    return [folder / label / "seed-1" / f"fold-{number}" for number in range(1, FOLDS + 1)]


def test_seeds_and_folds_come_before_rows_and_origins_have_the_same_fold():
    rows = tuple(comparison.Row(label, f"drawn/{label}", (1, 2)) for label in ("supervised", "probe-rotation"))
    planned = comparison.planned(
        comparison.Comparison("x", "", {"emotion": "supervised"}, {"": DATA}, rows, folds=2), Path("out")
    )
    titles = [run.title for run in planned]
    assert titles[:3] == [
        f"{label}, seed 1, fold 1 of 2" for label in ("supervised", "pretrain-rotation", "probe-rotation")
    ]
    assert len(titles) == 2 * 2 * 3 and titles[3] == "supervised, seed 1, fold 2 of 2"
    probe = planned[5]
    assert probe.folder == Path("out/probe-rotation/seed-1/fold-2")
    assert probe.origins["pretrained"].folder == Path("out/pretrain-rotation/seed-1/fold-2")
    for run in planned:
        loaded = recipe.load(run.row.recipe, recipe.override(run.row.entries))
        assert loaded.source["fold"] == [int(run.folder.name[-1]), 2]


def test_without_folds_nothing_is_called_a_fold():
    (run, *_) = comparison.planned(probes(folds=None), Path("out"))
    assert run.folder == Path("out/linear/seed-1") and run.title == "linear, seed 1"
    assert "fold" not in " ".join(run.arguments([]))


def test_every_row_is_answered_once_and_all_answers_are_scored_together(finished):
    folder, _ = finished
    for label in ("linear", "knn"):
        tables = [read_predictions(each) for each in of_folds(folder, label)]
        tested = pa.concat_tables([table.filter(pa.compute.equal(table["split"], "test")) for table in tables])
        assert len(tested) == len(set(tested["_id"].to_pylist())) == 96
        together = results.read(folder / label / "seed-1" / "pooled" / "result.json")
        true, answers = (tested[f"emotion_{part}"].to_pylist() for part in ("label", "answer"))
        assert together.metrics["test_emotion_accuracy"] == accuracy_score(true, answers)
        assert together.metrics["test_emotion_macro_f1"] == pytest.approx(f1_score(true, answers, average="macro"))
        assert np.trace(together.confusion["test"]["emotion"]["matrix"]) == accuracy_score(true, answers) * 96
        assert together.scored == {"test": {"emotion": 96}} and together.rows["test"]["rows"] == 96
        assert together.fold == {"number": None, "of": FOLDS} and "fold" not in together.recipe["source"]
        assert "fold" not in together.name and "probe=" in together.name
        assert sum(each["rows"] for each in together.groups["emotion"]["gender"].values()) == 96
        assert together.calibration["emotion"]["count"] == 96
        assert not any("fold" in note for note in together.data["notes"])
        whole = read_predictions(folder / label / "seed-1" / "pooled")
        assert whole["_id"].to_pylist() == tested["_id"].to_pylist()


def test_both_rows_are_tested_on_the_same_rows(finished):
    folder, _ = finished
    for one, other in zip(of_folds(folder, "linear"), of_folds(folder, "knn"), strict=True):
        assert results.read(one / "result.json").data["fingerprint"] == results.read(other / "result.json").data[
            "fingerprint"
        ]  # fmt: skip


def test_the_report_pairs_the_folds_and_widens_the_interval_by_what_they_share(finished):
    folder, text = finished
    scores = {
        label: np.array([results.read(each / "result.json").metrics["test_emotion_accuracy"] for each in folds])
        for label, folds in ((label, of_folds(folder, label)) for label in ("linear", "knn"))
    }
    difference = scores["knn"] - scores["linear"]
    # Nadeau and Bengio 2003: of k folds, test rows / training rows is 1 / (k - 1)
    half = student_t.ppf(0.975, FOLDS - 1) * difference.std(ddof=1) * np.sqrt(1 / FOLDS + 1 / (FOLDS - 1))
    (line,) = [line for line in text.split("Pooled:")[1].splitlines() if line.startswith("| knn ")]
    low, high = difference.mean() - half, difference.mean() + half
    assert f" {difference.mean():+.3f} [{low:+.3f}, {high:+.3f}] " in line.replace("-0.000", "+0.000")
    assert f" {scores['knn'].mean():.3f} ± {scores['knn'].std(ddof=1):.3f} " in line and f"|     {FOLDS} |" in line
    together = results.read(folder / "knn" / "seed-1" / "pooled" / "result.json").metrics["test_emotion_accuracy"]
    (line,) = [line for line in text.split("Pooled:")[0].splitlines() if line.startswith("| knn ")]
    assert f" {together:.3f} " in line
    values = json.loads((folder / "comparison.json").read_text())[""]
    assert values["pooled"][1]["score"]["mean"] == together
    assert values["lines"][1]["difference"]["seeds"] == FOLDS
    assert (folder / "comparison.png").stat().st_size > 10_000
    assert report.report(probes(), folder) == text


def test_what_is_finished_is_not_repeated_and_what_is_not_goes_on(finished, monkeypatch):
    folder, text = finished
    (folder / "knn" / "seed-1" / "fold-2" / "result.json").unlink()
    assert "| knn " in report.report(probes(), folder)
    trained, train = [], comparison_runs.train.run
    monkeypatch.setattr(
        comparison_runs.train, "run", lambda *arguments: (trained.append(arguments[0].name), train(*arguments))
    )
    comparison_runs.run_all(probes(), folder, OPTIONS)
    assert len(trained) == 1 and "source.fold=[2, 3]" in trained[0]
    assert report.report(probes(), folder) == text
    with pytest.raises(ValueError, match=r"made with source = .*'fold': \[1, 3\].* wants .*'fold': \[1, 4\]"):
        comparison_runs.run_all(probes(folds=4), folder, OPTIONS)


def test_half_of_the_folds_are_shown_and_not_called_the_whole(finished, tmp_path):
    folder, _ = finished
    for label in ("linear", "knn"):
        for each in of_folds(folder, label)[:2]:
            target = tmp_path / each.relative_to(folder)
            target.mkdir(parents=True)
            (target / "result.json").write_bytes((each / "result.json").read_bytes())
    text = report.report(probes(), tmp_path)
    assert "| knn    |     0 |               - |" in text.split("Pooled:")[0]
    assert [line for line in text.split("Pooled:")[1].splitlines() if line.startswith("| knn ") and "|     2 |" in line]


def test_a_fold_is_a_mean_over_its_seeds(finished):
    first = results.read(of_folds(finished[0], "knn")[0] / "result.json")
    other = dataclasses.replace(first, metrics={key: value / 2 for key, value in first.metrics.items()})
    mean = over_seeds({1: {1: first, 2: first}, 2: {1: other}})
    key = "test_emotion_accuracy"
    assert mean[1].metrics[key] == pytest.approx(first.metrics[key] * 0.75) and mean[2] is first


def test_the_sums_of_the_folds_are_worked_by_hand(finished):
    runs = [results.read(each / "result.json") for each in of_folds(finished[0], "knn")]
    runs = [dataclasses.replace(run, steps=10 * number) for number, run in enumerate(runs, start=1)]
    answers = read_predictions(finished[0] / "knn" / "seed-1" / "pooled")
    together = pooled(runs, answers)
    assert together.steps == 60
    assert together.seconds["total"] == pytest.approx(sum(run.seconds["total"] for run in runs))
    assert together.baselines["test_emotion_accuracy"] == pytest.approx(
        np.mean([run.baselines["test_emotion_accuracy"] for run in runs])
    )
    together.write(finished[0] / "again.json")
    assert results.read(finished[0] / "again.json").metrics.keys() == together.metrics.keys()


def test_a_preset_says_how_many_folds_and_the_paper_stands_beside_the_whole(finished, tmp_path):
    rows = tmp_path / "mine.yaml"
    figure = "{table: Table 0, row: SL, metric: emotion_accuracy, value: 0.5}"
    rows.write_text(
        (recipe.FOLDER / "drawn.yaml")
        .read_text()
        .replace("  probe-random:\n", f"  probe-random:\n    paper: {figure}\n")
    )
    preset = tmp_path / "compare.yaml"
    about = f"about: mine\nrecipe: {rows}\nbaseline: probe-random\nseeds: 1\nrows: {{probe-random: {{}}}}\n"
    preset.write_text(f"{about}folds: 10\n")
    loaded = comparison.preset(str(preset))
    assert loaded.folds == 10 and len(comparison.planned(loaded, tmp_path)) == 10
    shutil.copytree(finished[0] / "linear", tmp_path / "probe-random")
    loaded = dataclasses.replace(loaded, folds=FOLDS)
    assert "| paper |" not in report.report(loaded, tmp_path)  # the runs are of a changed recipe
    for path in tmp_path.glob("probe-random/*/fold-*/result.json"):
        result = results.read(path)
        own = f"source.fold={list(result.fold.values())}"
        dataclasses.replace(result, name=f"mine/probe-random with {own}").write(path)
    header, _, line, *_ = report.report(loaded, tmp_path).split("mine\n\n")[1].split("\n")
    assert header.endswith("| paper |") and line.startswith("| probe-random |") and line.endswith("| 0.500 |")
    for wrong in ("1", "ten", "2.5", "true"):
        preset.write_text(f"{about}folds: {wrong}\n")
        with pytest.raises(ValueError, match="folds is .* whole number"):
            comparison.preset(str(preset))


def test_the_command_compares_rows_by_name_in_folds(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(comparison_runs, "run_all", lambda chosen, folder, common: seen.append((chosen, folder)))
    monkeypatch.setattr(report, "report", lambda chosen, folder: "")
    compare.run(["drawn/supervised", "drawn/puzzle-3x3", "--folds", "5", "--seeds", "1"])
    chosen, folder = seen.pop()
    assert chosen.folds == 5 and [row.label for row in chosen.rows] == ["supervised", "puzzle-3x3"]
    assert chosen.baselines == {"emotion": "supervised"} and {row.seeds for row in chosen.rows} == {(1,)}
    assert folder == Path("outputs/compare-drawn-supervised-puzzle-3x3-5-folds")
    compare.run(["drawn/supervised", "fer2013/supervised"])
    assert [row.label for row in seen.pop()[0].rows] == ["drawn/supervised", "fer2013/supervised"]
    own = tmp_path / "mine.yaml"
    own.write_text((recipe.FOLDER / "drawn.yaml").read_text())
    compare.run([f"{own}:supervised", f"{own}:rotation"])
    chosen, folder = seen.pop()
    assert [(row.label, row.recipe) for row in chosen.rows][1] == ("rotation", f"{own}:rotation")
    assert folder == Path("outputs/compare-mine-supervised-rotation")
    for arguments in ([], ["drawn", "--preset", "drawn"], ["drawn/supervised", "drawn/rotation", "--sweep", "a=1"]):
        with pytest.raises(ValueError, match="give either --preset NAME, or recipe rows"):
            compare.run(arguments)
    with pytest.raises(ValueError, match="rows of a comparison are named once"):
        compare.run(["drawn/supervised", "drawn/supervised"])


def test_a_row_of_another_file_is_taken_from_where_it_was_trained(tmp_path, monkeypatch):
    changes = ("pretrained={row: drawn/pretrain-rotation}",)
    row = comparison.Row("probe", "fer2013-small/supervised", (1,), changes)
    whole = comparison.Comparison("x", "", {"emotion": "probe"}, {"": ()}, (row,), folds=2)
    runs = comparison.planned(whole, tmp_path)
    assert [run.title for run in runs] == ["probe, seed 1, fold 1 of 2", "probe, seed 1, fold 2 of 2"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError,
        match="outputs/drawn-pretrain-rotation holds none. Train it first: hf-hmtl train drawn/pretrain",
    ):
        comparison_runs.run_all(whole, tmp_path, OPTIONS)
