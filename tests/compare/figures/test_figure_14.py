"""Figure 14: loss and accuracy by step, read off the logs."""

import math

import numpy as np
import pytest
from matplotlib.image import imread
from scipy import stats

from hf_hmtl.compare.figures import FigureOptions, write_figure


def history(accuracies, steps=(10, 20, 30)):
    return [
        {"step": step, "epoch": step / 10, "eval_emotion_loss": 2 - value, "eval_emotion_accuracy": value}
        for step, value in zip(steps, accuracies, strict=True)
    ]


def test_means_and_intervals_stand_at_the_steps_that_all_seeds_have(rewritten, tmp_path):
    folders = [
        rewritten("one", seed=1, history=history([0.2, 0.4, 0.5])),
        rewritten("two", seed=2, history=history([0.1, 0.5, math.nan])),
        rewritten("hybrid", row="puzzle-3x3", history=history([0.2, 0.6, 0.7])),
    ]
    drawn, path = write_figure("14", folders, FigureOptions(), tmp_path)
    assert np.ptp(imread(path)) > 0
    found = {(row["method"], row["measure"], row["step"]): row for row in drawn.numbers}
    assert [step for method, measure, step in found if (method, measure) == ("supervised", "accuracy")] == [10, 20]
    assert [step for method, measure, step in found if (method, measure) == ("puzzle-3x3", "loss")] == [10, 20, 30]
    row = found["supervised", "accuracy", 20]
    assert (row["seeds"], row["mean"], row["sd"]) == (2, pytest.approx(0.45), pytest.approx(np.std([0.4, 0.5], ddof=1)))
    expected = stats.t.interval(0.95, 1, 0.45, stats.sem([0.4, 0.5]))
    assert (row["low"], row["high"]) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    assert found["supervised", "loss", 10]["mean"] == pytest.approx(1.85)
    assert found["puzzle-3x3", "accuracy", 30]["mean"] == 0.7
    assert math.isnan(found["puzzle-3x3", "accuracy", 30]["low"])
    bands = [path for axis in drawn.figure.axes for band in axis.collections for path in band.get_paths()]
    assert min(row["low"] for row in drawn.numbers) < 0 <= min(np.nanmin(path.vertices[:, 1]) for path in bands)


def test_a_run_without_such_a_log_is_left_out_and_told(rewritten, tmp_path):
    logged, silent = rewritten("logged", history=history([0.2, 0.4, 0.5])), rewritten("silent", seed=2, history=[])
    drawn, _ = write_figure("14", [logged, silent], FigureOptions(), tmp_path)
    assert {row["seeds"] for row in drawn.numbers} == {1}
    assert drawn.notes == ["left out supervised, seed 2: its log holds no validation loss and accuracy by step"]
    with pytest.raises(ValueError, match="figure 14 has no use for --rows; its options are: none"):
        write_figure("14", [logged], FigureOptions(rows=3), tmp_path)
