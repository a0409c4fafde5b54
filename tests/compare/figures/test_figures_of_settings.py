"""Figures 9, 10 and 13: settings and scores, read off results."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from scipy import stats

from hf_hmtl.compare.figures import FigureOptions, write_figure
from hf_hmtl.compare.figures.settings import draw_interval
from hf_hmtl.results import result as results


@pytest.fixture
def run(rewritten, trained):
    """A function that makes the finished runs of a row: changes to its recipe, and the accuracy of each seed."""
    known = results.read(trained / "result.json")

    def make(row, scores, **changes):
        recipe = known.recipe | changes
        return [
            rewritten(f"{row}-{seed}", row=row, seed=seed, recipe=recipe,
                      metrics=known.metrics | {"test_emotion_accuracy": score})
            for seed, score in enumerate(scores, 1)
        ]  # fmt: skip

    return make


def level(name):
    return {"augmentation": {"level": name}}


def drawn(name, folders, tmp_path):
    found, path = write_figure(name, folders, FigureOptions(), tmp_path)
    assert np.ptp(imread(path)) > 0
    return found


def test_figure_9_has_a_line_for_random_and_one_for_imagenet_weights(run, tmp_path):
    folders = [
        *run("none", [0.5, 0.6]), *run("none-imagenet", [0.7], pretrained=True),
        *run("strong", [0.55], **level("strong")),
        *run("hybrid", [0.9], auxiliary={"puzzle": {"grid": 2}}), *run("fifth", [0.3], train_fraction=0.2),
        *run("tuned", [0.8], pretrained={"row": "pretrain-puzzle"}),
    ]  # fmt: skip
    found = drawn("9", folders, tmp_path)
    assert [(row["weights"], row["level"], row["seeds"]) for row in found.numbers] == [
        ("random", "none", 2), ("random", "strong", 1), ("ImageNet", "none", 1),
    ]  # fmt: skip
    expected = stats.t.interval(0.95, 1, 0.55, stats.sem([0.5, 0.6]))
    assert [found.numbers[0][key] for key in ("mean", "low", "high")] == pytest.approx([0.55, *expected])
    assert [note.partition(": ")[2] for note in found.notes] == [
        "it has a pretext beside the labels", "it learned from a share of the rows",
        "it began with the weights of pretrain-puzzle",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="are one setting of figure 9"):
        drawn("9", [*folders, *run("again", [0.4])], tmp_path)


def test_figure_10_sorts_all_settings(run, tmp_path):
    folders = [*run("good", [0.8, 0.9]), *run("bad", [0.2], **level("weak")),
               *run("middle", [0.5], auxiliary={"puzzle": {"grid": 3}}, train_fraction=0.2)]  # fmt: skip
    found = drawn("10", [*folders, *run("probe", [0.4], probe="linear")], tmp_path)
    assert [(row["method"], row["mean"]) for row in found.numbers] == [
        ("bad", 0.2), ("middle", 0.5), ("good", pytest.approx(0.85)),
    ]  # fmt: skip
    middle = found.numbers[1]
    assert (middle["pretexts"], middle["share_of_rows"], middle["level"]) == ("puzzle", 0.2, "none")
    assert found.numbers[0]["level"] == "weak" and found.notes == ["left out probe, seed 1: it is a probe"]


def test_weights_to_begin_with_are_called_by_their_row_and_not_by_its_folder(run, tmp_path):
    folders = [*run("finetune-puzzle-3x3", [0.5], pretrained="seed-1"), *run("mine", [0.6], pretrained="earlier")]
    found = drawn("10", folders, tmp_path)
    assert [row["weights"] for row in found.numbers] == ["pretrain-puzzle-3x3", "earlier"]


def test_the_most_frequent_class_is_marked_where_scores_come_so_low(run, tmp_path, trained):
    share = results.read(trained / "result.json").baselines["test_emotion_accuracy"]
    low = drawn(
        "13", [*run("none", [share - 0.1]), *run("two", [share + 0.2], auxiliary={"puzzle": {"grid": 2}})], tmp_path
    )
    assert {row["most_frequent"] for row in low.numbers} == {share}
    (axis,) = low.figure.axes
    marked = [line.get_ydata() for line in axis.lines if line.get_linestyle() == ":"]
    assert marked == [[share, share]] and f"most frequent class, {share:.3f}" in axis.get_title()
    folders = [*run("other", [share - 0.1, share + 0.1]), *run("better", [share + 0.2])]
    (axis,) = drawn("10", folders, tmp_path).figure.axes
    assert [share, share] in [list(line.get_xdata()) for line in axis.lines] and f", {share:.3f}" in axis.get_xlabel()
    high = drawn("9", [*run("plain", [0.97]), *run("weak", [0.98], **level("weak"))], tmp_path)
    assert not [line for line in high.figure.axes[0].lines if line.get_linestyle() == ":"]


@pytest.mark.parametrize("name", ["9", "10", "13"])
def test_one_row_has_nothing_beside_it(name, run, tmp_path):
    folders = [*run("plain", [0.5, 0.6]), *run("probe", [0.4], probe="linear")]
    told = f"figure {name} sets the scores of several rows .* can show one, plain; left out probe, .*: it is a probe; "
    with pytest.raises(ValueError, match=told):
        drawn(name, folders, tmp_path)
    assert not list(tmp_path.glob("figure-*"))


def test_figure_13_goes_by_the_size_and_sets_region_weights_apart(run, tmp_path):
    weights = [[1.0, 0.5], [0.5, 1.0]]
    folders = [
        *run("weighted", [0.6], auxiliary={"puzzle": {"grid": 2, "region_weights": weights}}), *run("none", [0.4]),
        *run("three", [0.5, 0.7], auxiliary={"puzzle": {}}), *run("two", [0.45], auxiliary={"puzzle": {"grid": 2}}),
        *run("half", [0.9], auxiliary={"puzzle": {"grid": 2, "share": 0.5}}),
        *run("turned", [0.9], auxiliary={"rotation": {}}),
    ]  # fmt: skip
    found = drawn("13", folders, tmp_path)
    assert [(row["size"], row["tiles"], row["mean"]) for row in found.numbers] == [
        ("no puzzle", 0, 0.4), ("2x2", 4, 0.45), ("2x2, weighted regions", 4, 0.6), ("3x3", 9, pytest.approx(0.6)),
    ]  # fmt: skip
    assert "its puzzle differs in more than its size (share=0.5)" in found.notes[0]
    assert "it has another pretext than a puzzle" in found.notes[1]


def trained_by(trained, **changes):
    return {"training": results.read(trained / "result.json").recipe["training"] | changes}


UNLIKE = {
    "share of the rows": ("13", {"train_fraction": 0.2}, r"train_fraction \(0.2, not 1.0\)"),
    "level": ("13", level("weak"), "augmentation "),
    "backbone": ("13", {"backbone": "resnet10t"}, r"backbone \(resnet10t, not "),
    "weights": ("13", {"pretrained": {"row": "pretrain-puzzle"}}, "pretrained "),
    "both": ("13", {"balancing": "down", "train_fraction": 0.5}, "balancing .* and train_fraction "),
    "balancing": ("9", level("weak") | {"balancing": "down"}, r"balancing \(down, not none\)"),
    "loss": ("9", level("weak") | {"supervised": {"emotion": {"label_smoothing": 0.3}}}, "supervised "),
}


@pytest.mark.parametrize("kind", UNLIKE)
def test_a_point_of_figures_9_and_13_differs_in_nothing_that_the_picture_does_not_tell(kind, run, tmp_path):
    name, changes, told = UNLIKE[kind]
    if name == "13":
        changes = {"auxiliary": {"puzzle": {"grid": 2}}} | changes
    with pytest.raises(ValueError, match=f"figure {name} would show other beside plain .* {told}.*--without other"):
        drawn(name, [*run("plain", [0.5, 0.6]), *run("other", [0.7], **changes)], tmp_path)


def test_figure_9_takes_the_rate_that_goes_with_the_weights_and_no_other(run, tmp_path, trained):
    slow, plain = trained_by(trained, learning_rate=1e-4), run("plain", [0.5])
    tuned = run("tuned", [0.7], pretrained=True, **slow)
    weak = run("weak", [0.6], crop={"train": 0.8, "eval": 0.9}, **level("weak"))
    assert len(drawn("9", [*plain, *tuned, *weak], tmp_path).numbers) == 3
    with pytest.raises(ValueError, match=r"training.learning_rate \(0.0001, not "):
        drawn("9", [*plain, *tuned, *run("slow", [0.6], **level("weak"), **slow)], tmp_path)


def test_figure_13_takes_the_side_that_goes_with_the_puzzle(run, tmp_path):
    three = run("three", [0.7], auxiliary={"puzzle": {"grid": 3}}, image_size=51)
    assert len(drawn("13", [*run("plain", [0.5]), *three], tmp_path).numbers) == 2


def test_figure_12_adds_up_to_the_score_of_the_run(trained, tmp_path):
    found, path = write_figure("12", [trained], FigureOptions(rows=12), tmp_path)
    assert np.ptp(imread(path)) > 0
    assert [(row["row"], row["column"]) for row in found.numbers[:5]] == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)]
    assert len(found.numbers) == 2 * 16 and {row["seeds"] for row in found.numbers} == {1}
    for row in found.numbers:  # of 12 faces
        assert row["mean"] * 12 == pytest.approx(round(row["mean"] * 12))
    share = results.read(trained / "result.json").baselines["eval_emotion_accuracy"]
    assert {row["most_frequent"] for row in found.numbers} == {share}
    lost, alone = (axis.get_title() for axis in found.figure.axes if axis.images)
    assert f"the most frequent class has {share:.3f}" in alone and "most frequent" not in lost


def test_shares_are_drawn_from_0_to_1_and_levels_are_told_apart_in_gray(run, tmp_path):
    folders = [
        *run("wide", [0.05, 0.9]),
        *run("weak", [0.95], **level("weak")),
        *run("strong", [0.9], **level("strong")),
    ]
    sizes = [*run("none", [0.05, 0.9]), *run("two", [0.95], auxiliary={"puzzle": {"grid": 2}})]
    for name, of_figure, upright in (("9", folders, True), ("10", folders, False), ("13", sizes, True)):
        found = drawn(name, of_figure, tmp_path)
        assert min(row["low"] for row in found.numbers) < 0 and max(row["high"] for row in found.numbers) > 1
        (axis,) = found.figure.axes
        assert (axis.get_ylim() if upright else axis.get_xlim()) == (-0.02, 1.02)
    levels = drawn("10", folders, tmp_path).figure
    handles = levels.legends[0].legend_handles
    assert len({handle.get_marker() for handle in handles}) == len(handles) == 3
    assert "95 % intervals, none of a single seed" in levels.axes[0].get_xlabel()
    assert "one seed each, so no bars" in drawn("10", folders[2:], tmp_path).figure.axes[0].get_xlabel()


def test_maps_of_tiles_share_the_scale_of_their_measure(trained, rewritten, tmp_path):
    found, _ = write_figure("12", [trained, rewritten("two", row="other")], FigureOptions(rows=12), tmp_path)
    maps = [axis.images[0].get_clim() for axis in found.figure.axes if axis.images]
    assert len(maps) == 4 and maps[:2] == maps[2:]


@pytest.mark.parametrize("upright", [True, False])
def test_an_interval_that_leaves_the_shares_ends_with_a_cap_at_their_ends(upright):
    axis = Figure().subplots()
    draw_interval(axis, 3.0, {"mean": 0.5, "low": -0.2, "high": 1.1}, "C0", upright=upright)
    (bars,) = axis.collections
    assert bars.get_segments()[0][:, int(upright)].tolist() == [0.0, 1.0]
