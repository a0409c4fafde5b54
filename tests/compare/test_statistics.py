"""Comparing runs: intervals as scipy's, numbers by hand, half-finished comparisons, whole pictures only."""

import dataclasses
import json
import math
import re
import warnings
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import ttest_rel

from hf_hmtl.compare.plot import plot_comparison
from hf_hmtl.compare.statistics import (
    Spread,
    compare,
    default_threshold,
    images_per_second,
    paired_difference,
    select_on_validation,
    steps_to,
    training_seconds,
)
from hf_hmtl.compare.table import markdown_table, to_json
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.results.result import read

ACCURACY = Measure("accuracy")
EXAMPLE = read(Path(__file__).parents[1] / "results" / "version_1.json")


def run(test=0.5, validation=0.5, curve=(), seconds=100.0, steps=800, **changes):
    """A finished run; `curve` holds validation accuracies of evaluations every 100 steps that take 10 s each."""
    history = [{"step": 50, "loss": 2.0}]
    history += [
        {"step": 100 * (index + 1), "eval_emotion_accuracy": value, "eval_runtime": 10.0}
        for index, value in enumerate(curve)
    ]
    metrics = {
        "eval_emotion_accuracy": validation,
        "test_emotion_accuracy": test,
        "test_emotion_macro_f1": test - 0.1,
        "train_emotion_accuracy": validation + 0.25,
    }
    values = {
        "metrics": metrics,
        "history": history,
        "seconds": {"total": seconds, "per_step": 0.1},
        "recipe": {"training": {"per_device_train_batch_size": 32, "gradient_accumulation_steps": 2}},
        "steps": steps,
    }
    return dataclasses.replace(EXAMPLE, **(values | changes))


def probe(**changes):
    return run(steps=0, recipe={"about": "logistic regression on frozen features"}, **changes)


@pytest.fixture
def groups():
    return {
        "supervised": {
            0: run(0.50, 0.52, (0.2, 0.4, 0.52), seconds=130),
            1: run(0.48, 0.50, (0.3, 0.50, 0.46), seconds=130),
            2: run(0.55, 0.54, (0.1, 0.3, 0.54), seconds=130),
        },
        "puzzle-3x3": {
            0: run(0.53, 0.56, (0.3, 0.46, 0.56), seconds=230),
            1: run(0.50, 0.52, (0.4, 0.5, 0.52), seconds=180),
            2: run(0.60, 0.60, (0.1, 0.2, 0.44), seconds=430),
        },
        "rotation": {},
    }


def row(table, label):
    """{column: cell} of one line of a Markdown table."""
    header, _, *rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.split("\n\n")[0].splitlines()
    ]
    return dict(zip(header, next(cells for cells in rows if cells[0] == label), strict=True))


def is_nan(*values):
    return all(map(math.isnan, values))


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_the_interval_is_that_of_scipys_paired_test(seeds):
    generator = np.random.default_rng(seeds)
    values = dict(enumerate(generator.normal(0.5, 0.05, seeds)))
    baseline = dict(enumerate(generator.normal(0.45, 0.05, seeds)))
    found = paired_difference(values | {77: 0.9}, baseline | {88: 0.1})  # seeds that only one has do not count
    expected = ttest_rel(list(values.values()), list(baseline.values())).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert found.mean == pytest.approx(np.mean(list(values.values())) - np.mean(list(baseline.values())))
    assert found.seeds == seeds


def test_the_interval_worked_by_hand():
    # Differences 0.02, 0.04: mean 0.03, sd 0.01 sqrt(2), half width 12.706 sd / sqrt(2).
    found = paired_difference({3: 0.52, 1: 0.54}, {1: 0.50, 3: 0.50})
    assert dataclasses.astuple(found) == pytest.approx((0.03, 0.03 - 0.12706, 0.03 + 0.12706, 2), abs=1e-5)


def test_the_interval_of_folds_is_wider_by_the_rows_that_they_share():
    values, baseline = {1: 0.5, 2: 0.6, 3: 0.8, 4: 0.7}, {1: 0.4, 2: 0.6, 3: 0.6, 4: 0.65}
    plain, widened = paired_difference(values, baseline), paired_difference(values, baseline, shared=1 / 3)
    assert widened.mean == plain.mean
    ratio = (widened.high - widened.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(math.sqrt((1 / 4 + 1 / 3) / (1 / 4)))  # Nadeau and Bengio 2003


def test_few_seeds_and_equal_differences():
    one, none = paired_difference({1: 0.5, 2: 0.7}, {2: 0.5, 3: 0.9}), paired_difference({1: 0.5}, {2: 0.5})
    assert (one.mean, one.seeds) == (pytest.approx(0.2), 1)
    assert is_nan(one.low, one.high)
    assert none.seeds == 0
    assert is_nan(none.mean, none.low, none.high)
    equal = paired_difference({1: 0.75, 2: 0.5}, {1: 0.5, 2: 0.25})  # exact in binary: no deviation at all
    assert (equal.mean, equal.low, equal.high) == (0.25, 0.25, 0.25)


def test_steps_to_a_threshold():
    result = run(curve=(0.2, 0.5, 0.4, math.nan, 0.7))
    assert [steps_to(result, "emotion", ACCURACY, threshold) for threshold in (0.1, 0.5, 0.51, 0.7)] == [
        100,
        200,
        500,
        500,
    ]
    assert steps_to(result, "emotion", ACCURACY, 0.71) is None
    assert steps_to(result, "emotion", Measure("macro_f1"), 0.1) is None
    assert steps_to(result, "emotion", ACCURACY, math.nan) is None


def test_evaluation_does_not_count_as_training():
    result = run(curve=(0.2, 0.5, 0.6), seconds=130)
    assert training_seconds(result) == 100  # 130 s less three evaluations of 10 s
    assert images_per_second(result) == 800 * 32 * 2 / 100
    plain = dataclasses.replace(result, recipe={"training": {"per_device_train_batch_size": 32}})
    assert images_per_second(plain) == 800 * 32 / 100


def test_an_unknown_speed_is_nan():
    without_batch = run(recipe={"training": {"learning_rate": 0.1}})
    assert is_nan(*map(images_per_second, (probe(), run(steps=0), without_batch)))


def test_lines_worked_by_hand(groups):
    supervised, puzzle, _ = compare(groups, "supervised", "emotion", 0.45)
    assert (puzzle.label, puzzle.is_baseline, puzzle.split, puzzle.seeds) == ("puzzle-3x3", False, "test", 3)
    # 0.53, 0.50, 0.60: mean 0.543333, squared deviations 0.000178, 0.001878, 0.003211, sum / 2 = 0.0026333
    assert dataclasses.astuple(puzzle.score) == pytest.approx((0.543333, 0.0513160), abs=1e-6)
    assert dataclasses.astuple(puzzle.beside["macro_f1"]) == pytest.approx((0.443333, 0.0513160), abs=1e-6)
    assert puzzle.validation_score == pytest.approx(0.56)
    interval = ttest_rel([0.53, 0.50, 0.60], [0.50, 0.48, 0.55]).confidence_interval(0.95)
    expected = (0.1 / 3, interval.low, interval.high, 3)
    assert dataclasses.astuple(puzzle.difference) == pytest.approx(expected)
    assert (puzzle.steps_to_threshold, puzzle.seeds_reaching) == (200, 2)  # 200, 200, never
    assert supervised.steps_to_threshold == pytest.approx((300 + 200 + 300) / 3)
    assert puzzle.gap == pytest.approx(0.25)
    assert puzzle.relative_speed == pytest.approx(100 / 200)  # training takes 200, 150 and 400 s instead of 100 s
    assert puzzle.steps == 800
    assert supervised.is_baseline
    assert supervised.relative_speed == 1
    assert supervised.difference.seeds == 0
    assert is_nan(supervised.difference.mean, supervised.difference.low)


def test_a_label_without_runs_has_a_line_of_nothing(groups):
    line = compare(groups, "supervised", "emotion", 0.45)[2]
    assert (line.label, line.seeds, line.seeds_reaching, line.difference.seeds) == ("rotation", 0, 0, 0)
    numbers = (line.validation_score, line.steps_to_threshold, line.gap, line.relative_speed, line.steps)
    assert is_nan(*numbers, line.score.mean, line.score.sd, line.beside["macro_f1"].mean, line.difference.mean)
    assert set(
        list(row(markdown_table([line, *compare(groups, "supervised", "emotion", 0.45)], 0.45), "rotation").values())[
            2:
        ]
    ) == {"-"}


def test_a_half_finished_comparison_pairs_the_seeds_that_both_have(groups):
    del groups["supervised"][0], groups["supervised"][2]
    lines = compare(groups, "supervised", "emotion", 0.45)
    assert lines[0].score.mean == 0.48
    assert math.isnan(lines[0].score.sd)
    assert lines[1].difference.mean == pytest.approx(0.50 - 0.48)
    assert lines[1].relative_speed == pytest.approx(100 / 150)
    table = markdown_table(lines, 0.45)
    assert row(table, "puzzle-3x3")["difference to supervised"] == "+0.020 (1/3)"
    assert row(table, "supervised")["test accuracy"] == "0.480"


def test_before_the_baseline_there_are_lines_without_differences(groups):
    groups["supervised"] = {}
    threshold = default_threshold(groups, "supervised", "emotion")
    lines = compare(groups, "supervised", "emotion", threshold)
    cells = row(markdown_table(lines, threshold), "puzzle-3x3")
    assert cells["test accuracy"] == "0.543 ± 0.051"
    assert {cells["difference to supervised"], cells["steps to threshold"], cells["relative images/s"]} == {"-"}


def test_before_any_run_there_is_a_table_and_no_picture(tmp_path):
    groups = {"supervised": {}, "rotation": {}}
    lines = compare(groups, "supervised", "emotion", math.nan)
    assert [(line.split, line.seeds) for line in lines] == [(None, 0), (None, 0)]
    assert row(markdown_table(lines, math.nan), "rotation")["reported accuracy"] == "-"
    with pytest.raises(ValueError, match="'supervised', 'rotation' has a finished run"):
        plot_comparison(lines, groups, "emotion", tmp_path / "comparison.png")
    assert not list(tmp_path.iterdir())


def test_probes_and_runs_without_the_task(groups):
    groups["probe"] = {seed: probe(test=0.4) for seed in range(3)}
    groups["self-supervised"] = {0: run(metrics={})}
    lines = {line.label: line for line in compare(groups, "supervised", "emotion", 0.45)}
    table = markdown_table(list(lines.values()), 0.45)
    assert lines["probe"].score == Spread(pytest.approx(0.4), pytest.approx(0))
    cells = row(table, "probe")
    assert (cells["relative images/s"], cells["steps"], cells["steps to 0.45"]) == ("-", "0", "-")
    assert is_nan(lines["self-supervised"].score.mean, lines["self-supervised"].gap)


def test_an_undefined_score_is_not_averaged_away(groups):
    groups["puzzle-3x3"][1].metrics["test_emotion_accuracy"] = math.nan
    line = compare(groups, "supervised", "emotion", 0.45)[1]
    assert is_nan(line.score.mean, line.difference.mean)


def test_without_a_test_split_validation_is_reported_and_called_optimistic():
    metrics = {"eval_emotion_accuracy": 0.7, "eval_emotion_macro_f1": 0.6}
    protocol = EXAMPLE.protocol | {"reported_on": "validation"}
    lines = compare({"supervised": {0: run(metrics=metrics, protocol=protocol)}}, "supervised", "emotion", 0.5)
    assert (lines[0].split, lines[0].score.mean, lines[0].beside["macro_f1"].mean) == ("validation", 0.7, 0.6)
    assert "optimistic" in markdown_table(lines, 0.5)


def test_speed_is_not_compared_across_machines(groups):
    hardware = EXAMPLE.hardware | {"gpus": ["another"]}
    groups["puzzle-3x3"][2] = dataclasses.replace(groups["puzzle-3x3"][2], hardware=hardware)
    assert compare(groups, "supervised", "emotion", 0.45)[1].relative_speed == pytest.approx(
        (100 / 200 + 100 / 150) / 2
    )


def test_mistakes_are_named(groups):
    with pytest.raises(ValueError, match="baseline is 'suprevised', but the labels are 'supervised', 'puzzle-3x3'"):
        compare(groups, "suprevised", "emotion", 0.45)
    with pytest.raises(ValueError, match="baseline is 'suprevised'"):
        default_threshold(groups, "suprevised", "emotion")
    with pytest.raises(ValueError, match="no run has test_age_accuracy; .*'test_emotion_accuracy'"):
        compare(groups, "supervised", "age", 0.45)
    groups["rotation"][0] = run(protocol=EXAMPLE.protocol | {"reported_on": "validation"})
    with pytest.raises(ValueError, match="'puzzle-3x3' on test, 'rotation' on validation"):
        compare(groups, "supervised", "emotion", 0.45)


def test_the_default_threshold_is_nine_tenths_of_the_baselines_best(groups):
    # Best of each seed: 0.52, 0.50, 0.54; their mean 0.52, times 0.9 is 0.468.
    assert default_threshold(groups, "supervised", "emotion") == 0.47
    groups["supervised"][3] = run(curve=(math.nan, 0.92))  # the mean is 0.62 now
    assert default_threshold(groups, "supervised", "emotion") == 0.56
    assert math.isnan(default_threshold(groups, "rotation", "emotion"))
    assert math.isnan(default_threshold({"probe": {0: probe()}}, "probe", "emotion"))


def posed(test, curve):
    """A run whose task is measured by an error in degrees."""
    metrics = {"eval_pose_mae": curve[-1], "test_pose_mae": test, "train_pose_mae": curve[-1] - 1}
    history = [{"step": 100 * (place + 1), "eval_pose_mae": value} for place, value in enumerate(curve)]
    measures = {"pose": [vars(Measure("mae", greater_is_better=False, unit="degrees"))]}
    return run(metrics=metrics, measures=measures, history=history)


def test_errors_are_better_when_they_are_smaller(tmp_path):
    groups = {
        "supervised": {0: posed(5.26, (9, 6, 5.4)), 1: posed(5.0, (8, 6, 5.4))},
        "puzzle": {0: posed(4.78, (7, 5.5, 5)), 1: posed(4.6, (6, 5, 4.8))},
    }
    assert default_threshold(groups, "supervised", "pose") == 6.0  # ten ninths of 5.4
    assert select_on_validation(groups, "pose") == "puzzle"
    lines = compare(groups, "supervised", "pose", 6.0)
    assert [line.steps_to_threshold for line in lines] == [200, 150]
    assert lines[1].difference.mean == pytest.approx((4.78 - 5.26 + 4.6 - 5.0) / 2)
    assert lines[1].gap == pytest.approx(-1) and lines[1].beside == {}
    cells = row(markdown_table(lines, 6.0), "puzzle")
    assert cells["test MAE"] == "4.690 ± 0.127" and cells["steps to 6"] == "150 (2/2)"
    plot_comparison(lines, groups, "pose", tmp_path / "comparison.png")
    groups["puzzle"][0] = run()
    with pytest.raises(ValueError, match="no run has test_pose_accuracy"):
        compare({"supervised": {0: run()}}, "supervised", "pose", 6.0)


def test_runs_that_measure_differently_are_not_compared():
    other = run(measures={"emotion": [vars(Measure("balanced_accuracy"))]})
    with pytest.raises(ValueError, match="different ways: .*accuracy, macro_f1.*"):
        compare({"supervised": {0: run()}, "other": {0: other}}, "supervised", "emotion", 0.5)


def test_selection_looks_at_validation_and_not_at_test(groups):
    groups["best on test"] = {seed: run(test=0.9, validation=0.4) for seed in range(3)}
    assert select_on_validation(groups, "emotion") == "puzzle-3x3"
    groups["one lucky seed"] = {0: run(validation=0.9)}
    groups["diverged"] = {seed: run(validation=math.nan) for seed in range(3)}
    assert select_on_validation(groups, "emotion") == "puzzle-3x3"
    groups["equal"] = groups["puzzle-3x3"]
    assert select_on_validation(groups, "emotion") == "puzzle-3x3"
    for nothing in ({}, {"rotation": {}}, {"pretraining": {0: run(metrics={})}}):
        with pytest.raises(ValueError, match="eval_emotion_accuracy"):
            select_on_validation(nothing, "emotion")


def test_the_table_reads_as_promised(groups):
    groups["supervised"][3] = run(test=0.5, steps=2400)
    groups["a|b"] = {0: run(test=0.49995)}
    table = markdown_table(compare(groups, "supervised", "emotion", 0.45), 0.45)
    interval = ttest_rel([0.53, 0.50, 0.60], [0.50, 0.48, 0.55]).confidence_interval(0.95)
    assert row(table, "puzzle-3x3") == {
        "method": "puzzle-3x3",
        "seeds": "3",
        "test accuracy": "0.543 ± 0.051",
        "test macro F1": "0.443 ± 0.051",
        "validation accuracy": "0.560",
        "difference to supervised": f"+0.033 [{interval.low:+.3f}, {interval.high:+.3f}]",
        "steps to 0.45": "200 (2/3)",
        "training - validation": "+0.250",
        "relative images/s": "0.50",
        "steps": "800",
    }
    assert row(table, "supervised")["difference to supervised"] == "-"
    assert row(table, "supervised")["steps"] == "1,200"  # 800, 800, 800 and 2,400
    cells = row(table, "a\\|b")
    assert cells["test accuracy"] == "0.500"
    assert cells["difference to supervised"] == "+0.000"  # -0.00005 is no loss
    assert cells["steps to 0.45"] == "- (0/1)"
    lines, explanation = table.split("\n\n")
    assert len({len(line) for line in lines.splitlines()}) == 1  # aligned
    assert re.fullmatch(r"\| -+ \|( -+: \|){9}", lines.splitlines()[1])
    for promise in ("n seeds", "standard deviation", "paired t interval", "of the test split", "images/s"):
        assert promise in explanation
    assert "optimistic" not in explanation


def test_table_and_values_do_not_depend_on_the_order_in_which_runs_finished(groups):
    # Three numbers whose sum depends on the order, in its last bit.
    groups["supervised"] |= {seed: run(test=value) for seed, value in enumerate((0.1, 0.2, 0.3))}
    backwards = {label: dict(reversed(runs.items())) for label, runs in groups.items()}
    first, again = (compare(given, "supervised", "emotion", 0.45) for given in (groups, backwards))
    assert markdown_table(first, 0.45).encode() == markdown_table(again, 0.45).encode()
    assert json.dumps(to_json(first, 0.45)) == json.dumps(to_json(again, 0.45))
    values, nothing = {0: 0.1, 8: 0.2, 16: 0.3}, {0: 0.0, 8: 0.0, 16: 0.0}  # a set gives these seeds as they came
    backwards = (dict(reversed(given.items())) for given in (values, nothing))
    assert paired_difference(values, nothing) == paired_difference(*backwards)
    # 0.9 times the mean is 0.345 but for the last bit, which decides the rounding.
    runs = {seed: run(curve=(best,)) for seed, best in enumerate((0.3, 0.31, 0.54))}
    thresholds = [
        default_threshold({"supervised": given}, "supervised", "emotion")
        for given in (runs, dict(reversed(runs.items())))
    ]
    assert thresholds[0] == thresholds[1]


def test_plain_values_survive_strict_json(groups):
    lines = compare(groups, "supervised", "emotion", 0.45)
    values = json.loads(json.dumps(to_json(lines, 0.45), allow_nan=False))
    assert values["threshold"] == 0.45
    assert [line["label"] for line in values["lines"]] == ["supervised", "puzzle-3x3", "rotation"]
    assert values["lines"][1]["score"] == dataclasses.asdict(lines[1].score)
    assert values["lines"][1]["difference"]["seeds"] == 3
    assert values["lines"][2]["score"] == {"mean": None, "sd": None}
    assert to_json(lines, math.nan)["threshold"] is None


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw groups and return the figure."""

    def draw(groups):
        figures, savefig = [], Figure.savefig
        monkeypatch.setattr(
            Figure,
            "savefig",
            lambda figure, *args, **options: (figures.append(figure), savefig(figure, *args, **options)),
        )
        lines = compare(groups, "supervised", "emotion", 0.45)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plot_comparison(lines, groups, "emotion", tmp_path / "comparison.png")
        return figures[0]

    return draw


def points(axis):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axis.get_lines()]


def test_the_left_panel_shows_seeds_means_intervals_and_the_baseline(drawn, groups):
    axis = drawn(groups).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["supervised", "puzzle-3x3"]
    assert axis.yaxis_inverted()  # the first on top
    baseline, _, mean, seeds, interval, other_mean, other_seeds = points(axis)
    assert baseline[0] == pytest.approx([0.51, 0.51])
    assert seeds == ([0.50, 0.48, 0.55], [0, 0, 0])
    assert mean == ([pytest.approx(0.51)], [0])
    expected = ttest_rel([0.53, 0.50, 0.60], [0.50, 0.48, 0.55]).confidence_interval(0.95)
    assert interval == ([pytest.approx(0.51 + expected.low), pytest.approx(0.51 + expected.high)], [1, 1])
    assert other_seeds == ([0.53, 0.50, 0.60], [1, 1, 1])
    assert other_mean == ([pytest.approx(0.543333, abs=1e-6)], [1])
    assert axis.get_xlabel() == "emotion accuracy on test, 0 to 1"


def test_a_wide_interval_does_not_leave_the_range_of_shares(drawn):
    # Two seeds with differences 0 and 0.2: the half width is 12.7 times 0.1.
    figure = drawn({"supervised": {0: run(0.5), 1: run(0.5)}, "puzzle-3x3": {0: run(0.5), 1: run(0.7)}})
    assert figure.axes[0].get_xlim() == pytest.approx((0, 1), abs=0.05)


def test_the_right_panel_shows_mean_and_band_of_the_curves(drawn, groups):
    groups["puzzle-3x3"][2] = run(curve=(0.2, 0.3))  # it was not evaluated at step 300
    groups["probe"] = {0: probe()}
    axis = drawn(groups).axes[1]
    curves = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axis.get_lines()}
    assert curves == {
        "supervised": ([100, 200, 300], pytest.approx([0.2, 0.4, (0.52 + 0.46 + 0.54) / 3])),
        "puzzle-3x3": ([100, 200], pytest.approx([0.3, 0.42])),
    }
    corners = axis.collections[1].get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} == {(100, 0.2), (200, 0.3), (200, 0.5), (100, 0.4)}
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("optimiser step", "emotion accuracy on validation, 0 to 1")


def test_colours_stay_when_others_finish(drawn, groups):
    def colours(figure):
        return {line.get_label(): line.get_color() for line in figure.axes[1].get_lines()}

    before = colours(drawn({"first": {}} | groups))
    after = colours(drawn({"first": {0: run(curve=(0.1, 0.2))}} | groups))
    assert before == {label: colour for label, colour in after.items() if label != "first"}


def test_fifteen_labels_are_told_apart(drawn, groups, tmp_path):
    groups |= {f"method {number}": {0: run(curve=(0.1, number / 20))} for number in range(13)}
    groups["rotation"] = {0: run(curve=(0.1, 0.2))}
    few, many = drawn({"supervised": groups["supervised"]}), drawn(groups)
    looks = {(line.get_color(), line.get_linestyle()) for line in many.axes[1].get_lines()}
    assert len(looks) == len(groups) == 16
    assert [text.get_text() for text in many.legends[0].get_texts()] == list(groups)
    legend, panel = many.legends[0].get_window_extent(), many.axes[1].get_window_extent()
    assert legend.x0 >= panel.x1  # beside the curves, not on them
    assert legend.y0 >= 0  # and all of it is in the picture
    labels = [label.get_window_extent() for label in many.axes[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in zip(labels, labels[1:], strict=False))
    assert many.get_size_inches()[1] > few.get_size_inches()[1]


def test_the_picture_is_a_png_whatever_is_finished(drawn, groups, tmp_path):
    probes = {"supervised": {}, "probe": {0: probe(), 1: probe()}}
    for given, legends in ((groups, 1), (probes, 0)):
        assert len(drawn(given).legends) == legends
        picture = matplotlib.image.imread(tmp_path / "comparison.png", format="png")
        assert picture.shape[2] == 4
        assert picture.shape[1] == 13 * 150  # inches x dots
        assert picture.shape[0] >= 400
        assert picture[..., :3].std() > 0.02  # something is drawn
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.png"]


def test_a_crash_while_drawing_leaves_the_old_picture_and_nothing_else(groups, tmp_path, monkeypatch):
    path = tmp_path / "comparison.png"
    lines = compare(groups, "supervised", "emotion", 0.45)
    plot_comparison(lines, groups, "emotion", path)
    before = path.read_bytes()

    def half(figure, target, **options):
        Path(target).write_bytes(before[:50])
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        plot_comparison(lines[:1], groups, "emotion", path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
