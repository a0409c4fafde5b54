"""Curves of a run: what is drawn where, on a machine without a display, whole files only."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from hf_hmtl.analysis import curves
from hf_hmtl.analysis.curves import plot_curves

HISTORY = [
    {"step": 10, "epoch": 0.5, "loss": 2.0, "loss_emotion": 1.5, "loss_puzzle": 0.5, "learning_rate": 1e-3},
    {"step": 20, "epoch": 1.0, "loss": 1.0, "loss_emotion": 0.8, "emotion_accuracy": 0.4, "learning_rate": 5e-4},
    {"step": 20, "epoch": 1.0, "eval_loss": 1.2, "eval_emotion_loss": 1.2, "eval_emotion_accuracy": 0.3}
    | {"eval_emotion_recall_happy": 0.9, "eval_runtime": 3.0, "eval_emotion_count": 80.0, "weight_puzzle": 0.5},
    {"step": 20, "epoch": 1.0, "train_loss": 1.5, "train_runtime": 9.0, "total_flos": 0.0},
]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw a history and return its figure."""

    def draw(history):
        figures = []
        savefig = Figure.savefig
        monkeypatch.setattr(
            Figure,
            "savefig",
            lambda figure, *args, **options: (figures.append(figure), savefig(figure, *args, **options)),
        )
        plot_curves(history, tmp_path / "curves.png")
        return figures[0]

    return draw


def lines(axis):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axis.get_lines()}


def test_each_measure_stands_in_its_panel_once(drawn):
    panels = {axis.get_title(): lines(axis) for axis in drawn(HISTORY).axes}
    assert panels == {
        "Losses": {
            "loss (weighted sum)": ([0.5, 1.0], [2.0, 1.0]),
            "loss emotion (unweighted)": ([0.5, 1.0], [1.5, 0.8]),
            "loss puzzle (unweighted)": ([0.5], [0.5]),
            "loss (validation, weighted sum)": ([1.0], [1.2]),
            "emotion loss (validation, unweighted)": ([1.0], [1.2]),
        },
        "Scores": {"emotion accuracy": ([1.0], [0.4]), "emotion accuracy (validation)": ([1.0], [0.3])},
        "Learning rate": {"learning rate": ([0.5, 1.0], [1e-3, 5e-4])},
        "Loss weights": {"weight puzzle": ([1.0], [0.5])},
    }


def test_axes_have_units_and_a_legend(drawn):
    figure = drawn(HISTORY)
    assert {axis.get_xlabel() for axis in figure.axes} == {"epoch"}
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "loss (nats for cross-entropies)",
        "share of images or tiles, 0 to 1",
        "factor of the loss",
        "learning rate a step",
    ]
    assert all(axis.get_legend() for axis in figure.axes)


def test_training_and_validation_of_a_measure_share_a_colour(drawn):
    losses = {line.get_label(): line for line in drawn(HISTORY).axes[0].get_lines()}
    training, validation = losses["loss emotion (unweighted)"], losses["emotion loss (validation, unweighted)"]
    assert training.get_color() == validation.get_color() != losses["loss (weighted sum)"].get_color()
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")


def test_without_epochs_the_axis_counts_steps(drawn):
    figure = drawn([{"step": 5, "loss": 1.0}, {"step": 10, "loss": 0.5}])
    assert figure.axes[0].get_xlabel() == "optimiser step"
    assert lines(figure.axes[0]) == {"loss (weighted sum)": ([5, 10], [1.0, 0.5])}


def test_undefined_numbers_are_left_out(drawn):
    history = [{"step": 1, "loss": math.nan}, {"step": 2, "loss": math.inf}, {"step": 3, "loss": None}]
    figure = drawn([*history, {"step": 4, "loss": 1.0, "learning_rate": 0.0}])
    assert lines(figure.axes[0]) == {"loss (weighted sum)": ([4], [1.0])}


@pytest.mark.parametrize(
    "history", [[], [{"step": 5, "train_loss": 1.0}], [{"loss": 1.0}], [{"step": 5, "epoch": 1.0}]]
)
def test_nothing_to_draw_is_an_error(history, tmp_path):
    with pytest.raises(ValueError, match="--logging_steps"):
        plot_curves(history, tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_a_crash_while_drawing_leaves_the_old_picture_and_nothing_else(monkeypatch, tmp_path):
    path = tmp_path / "curves.png"
    plot_curves(HISTORY, path)
    before = path.read_bytes()

    def half(figure, target, **options):
        Path(target).write_bytes(before[:50])
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        plot_curves(HISTORY[:2], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_it_needs_no_display_and_leaves_pyplot_alone(tmp_path):
    # The file alone: importing the package would bring transformers, and seconds, along.
    program = (
        "import runpy, sys\n"
        f"plot_curves = runpy.run_path({curves.__file__!r})['plot_curves']\n"
        f"plot_curves([{{'step': 1, 'loss': 1.0}}], {str(tmp_path / 'new' / 'curves.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "new" / "curves.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 300
