"""Variants side by side: the numbers by hand, and whole pictures only."""

import dataclasses
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from scipy.stats import ttest_rel

from hf_hmtl.compare import across, rows
from hf_hmtl.compare.across import _places, across_table, plot_across, quantities, worst_recall
from hf_hmtl.results.result import read
from hf_hmtl.run.command_line import parse

EXAMPLE = read(Path(__file__).parents[1] / "results" / "version_1.json")
MATRIX = [[6, 2, 0], [0, 0, 0], [3, 0, 1]]  # no row of the second class; a quarter of the third is found


def finished(accuracy, **changes):
    values = {
        "metrics": {"test_emotion_accuracy": accuracy, "test_emotion_macro_f1": accuracy / 2},
        "confusion": {"test": {"emotion": {"labels": ["a", "b", "c"], "matrix": MATRIX}}},
        "calibration": {"emotion": {"expected_error": 0.1, "brier": 0.6}},
        "seconds": {"total": 120.0, "per_step": 0.1},
        "history": [],
    }
    return dataclasses.replace(EXAMPLE, **(values | changes))


@pytest.fixture
def variants():
    return {
        "2 %": {"supervised": {1: finished(0.30), 2: finished(0.32)}, "puzzle": {1: finished(0.36), 2: finished(0.40)}},
        "10 %": {"supervised": {1: finished(0.40), 2: finished(0.44)}, "puzzle": {1: finished(0.45)}},
    }


SHOWN = quantities("emotion", "test", ["accuracy", "macro_f1"], [EXAMPLE])


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_line_holds_what_its_runs_have(variants):
    header, _, *lines = across_table(variants, "supervised", SHOWN).splitlines()
    assert cells(header)[3:] == [
        "accuracy", "macro F1", "worst recall", "calibration error", "Brier score", "minutes",
        "difference to supervised",
    ]  # fmt: skip
    found = {tuple(cells(line)[:2]): dict(zip(cells(header), cells(line), strict=True)) for line in lines}
    line = found["2 %", "puzzle"]
    assert line["accuracy"] == f"0.380 ± {np.std([0.36, 0.40], ddof=1):.3f}" and line["seeds"] == "2"
    assert (line["worst recall"], line["minutes"]) == ("0.250 ± 0.000", "2.000 ± 0.000")
    low, high = ttest_rel([0.36, 0.40], [0.30, 0.32]).confidence_interval(0.95)
    assert line["difference to supervised"] == f"+0.070 [{low:+.3f}, {high:+.3f}]"
    assert found["10 %", "puzzle"]["difference to supervised"] == "+0.050"  # one pair has no interval
    assert found["10 %", "supervised"]["difference to supervised"] == "-"


def test_minutes_are_shown_where_all_runs_were_made_on_equal_hardware():
    elsewhere = dataclasses.replace(EXAMPLE, hardware=EXAMPLE.hardware | {"cores": 64})
    assert "minutes" in SHOWN and "minutes" not in quantities("emotion", "test", ["accuracy"], [EXAMPLE, elsewhere])


def test_what_no_run_has_is_no_column(variants):
    bare = {
        title: {label: {seed: dataclasses.replace(run, calibration={}, confusion={}) for seed, run in runs.items()}
                for label, runs in groups.items()}
        for title, groups in variants.items()
    }  # fmt: skip
    assert "Brier" not in across_table(bare, "supervised", SHOWN)
    assert math.isnan(worst_recall(bare["2 %"]["puzzle"][1], "emotion", "test"))


def test_the_picture_is_whole_and_another_where_a_number_is(variants, tmp_path):
    plot_across(variants, "supervised", SHOWN, tmp_path / "a.png")
    variants["10 %"]["puzzle"][2] = finished(0.9)
    plot_across(variants, "supervised", SHOWN, tmp_path / "b.png")
    first, second = (matplotlib.image.imread(tmp_path / name) for name in ("a.png", "b.png"))
    assert first.shape == second.shape and (first != second).any()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.png", "b.png"]


def test_the_picture_says_what_its_marks_are(variants, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(across, "save", lambda figure, path: figures.append(figure))
    plot_across(variants, "supervised", SHOWN, tmp_path / "a.png")
    (legend,) = figures[0].legends
    assert "means over seeds; dots: seeds" in legend.get_title().get_text()
    assert "95 % paired intervals of the difference to supervised" in legend.get_title().get_text()
    looks = [(handle.get_marker(), handle.get_linestyle()) for handle in legend.legend_handles]
    assert len(set(looks)) == len(looks) > 1


def test_variants_stand_at_their_numbers_where_all_have_one():
    assert _places(["2 %", "10 %", "100 %"]) == ([2.0, 10.0, 100.0], True)
    assert _places(["weak", "strong"]) == ([0.0, 1.0], False)
    assert _places(["20 %, weak", "20 %, strong"]) == ([0.0, 1.0], False)


def test_the_comparison_over_shares_of_labels_is_what_train_takes():
    whole = rows.preset("fer2013-labels")
    for title, steps in {"2 %": 1800, "100 %": 14400}.items():
        for row in whole.rows_of(title):
            recipe, _, args = parse(row.arguments([]))
            assert args.max_steps == steps == 20 * args.eval_steps == 20 * args.save_steps
            assert recipe.train_fraction == float(title.split()[0]) / 100
            assert bool(recipe.mixed_with) == row.label.endswith("rest")
