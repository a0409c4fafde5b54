"""The curves of a run: losses, scores and learning rate against epochs, from the log of the Trainer."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hf_hmtl.analysis.lettering import families_for
from hf_hmtl.files import replacing

# Bookkeeping of the Trainer, and what is better read as a table.
_NOT_DRAWN = ("step", "epoch", "total_flos", "grad_norm", "num_input_tokens_seen")
_NOT_DRAWN_ENDINGS = ("_runtime", "_per_second", "_preparation_time", "_count")
_SCORE_ENDINGS = ("accuracy", "f1", "exact_solve")


def _is_loss(measure: str) -> bool:
    return measure == "loss" or measure.startswith("loss_") or measure.endswith("_loss")


# Title, unit of the vertical axis, scale, and which measures (without eval_) it shows; the first that fits takes it.
_PANELS: tuple[tuple[str, str, str, Callable[[str], bool]], ...] = (
    ("Losses", "loss (nats for cross-entropies)", "linear", _is_loss),
    ("Scores", "share of images or tiles, 0 to 1", "linear", lambda measure: measure.endswith(_SCORE_ENDINGS)),
    ("Loss weights", "factor of the loss", "log", lambda measure: measure.startswith("weight_")),
    ("Learning rate", "learning rate a step", "log", lambda measure: measure == "learning_rate"),
    ("Other measures", "own unit", "linear", lambda measure: True),
)


def plot_curves(history: list[dict[str, Any]], path: str | Path) -> None:
    """Draw a run's log as a PNG: a panel each for losses, scores, learning rate and anything else that was logged.

    Training measures are full lines, validation ones (eval_) dashed with dots, in the same colour. The losses of tasks
    stand beside the weighted sum that is minimised, and say that they are unweighted.

    Args:
        history: dicts as transformers' Trainer.state.log_history: "step", perhaps "epoch", and numbers by name.
        path: where the PNG goes; it appears whole or not at all.

    Raises:
        ValueError: there is nothing to draw.
    """
    panels = _curves_by_panel(history)
    if not any(panels.values()):
        raise ValueError(
            f"No curve to draw: none of the {len(history)} entries of the history holds a step and a measure. "
            "Log at least once, with --logging_steps below the number of steps."
        )
    has_epochs = all("epoch" in entry for entry in history if _measures(entry))
    figure = _figure({panel: curves for panel, curves in panels.items() if curves}, "epoch" if has_epochs else "step")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _measures(entry: dict[str, Any]) -> dict[str, float]:
    """The numbers of one entry that can be drawn; the summary after training (train_...) is one point, not a curve."""
    return {
        name: value
        for name, value in entry.items()
        if isinstance(value, int | float)
        and math.isfinite(value)
        and name not in _NOT_DRAWN
        and not name.endswith(_NOT_DRAWN_ENDINGS)
        and not name.startswith("train_")
        and "_recall_" not in name
    }


def _curves_by_panel(history: list[dict[str, Any]]) -> dict[str, dict[str, list[tuple[dict, float]]]]:
    """{title: {name: [(entry, value)]}}, names in the order of their first appearance."""
    panels: dict[str, dict[str, list]] = {title: {} for title, *_ in _PANELS}
    for entry in history:
        if "step" not in entry:
            continue
        for name, value in _measures(entry).items():
            title = next(title for title, _, _, fits in _PANELS if fits(name.removeprefix("eval_")))
            panels[title].setdefault(name, []).append((entry, value))
    return panels


def _figure(panels: dict[str, dict[str, list]], position: str) -> Figure:
    # Figure and canvas by hand: pyplot would choose a backend and keep the figure alive for the whole process.
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        unit, scale = next((unit, scale) for name, unit, scale, _ in _PANELS if name == title)
        _draw(axis, curves, position)
        positive = any(value > 0 for points in curves.values() for _, value in points)
        axis.set(title=title, xlabel="epoch" if position == "epoch" else "optimiser step", ylabel=unit)
        axis.set_yscale(scale if positive else "linear")
        if title == "Scores":
            axis.set_ylim(0, 1)
        axis.grid(alpha=0.3)
        families, _ = families_for(map(_legend, curves))
        for text in axis.legend(prop={"size": "small", "family": families}, framealpha=0.7).get_texts():
            text.set_parse_math(False)
    return figure


def _draw(axis, curves: dict[str, list], position: str) -> None:
    shared = list(dict.fromkeys(_shared_name(name) for name in curves))
    for name, points in curves.items():
        evaluated = name.startswith("eval_")
        axis.plot(
            [entry[position] for entry, _ in points],
            [value for _, value in points],
            color=f"C{shared.index(_shared_name(name)) % 10}",
            linestyle="--" if evaluated else "-",
            marker="o" if evaluated or len(points) == 1 else None,
            markersize=3,
            linewidth=1.4,
            label=_legend(name),
        )


def _shared_name(name: str) -> str:
    """One name, hence one colour, for a measure in training and on validation: loss_emotion and eval_emotion_loss."""
    measure = name.removeprefix("eval_")
    return f"loss_{measure.removesuffix('_loss')}" if measure.endswith("_loss") else measure


def _legend(name: str) -> str:
    measure = name.removeprefix("eval_")
    parts = ["validation"] * name.startswith("eval_")
    if _is_loss(measure):
        parts.append("weighted sum" if measure == "loss" else "unweighted")
    shown = measure.replace("_", " ")
    return f"{shown} ({', '.join(parts)})" if parts else shown
