"""Curves of logs: means over seeds at the steps or epochs that all seeds have."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hf_hmtl.compare.canvas import styles
from hf_hmtl.compare.figures.runs import FinishedRun, by_label, mean_and_interval

Smoothing = Callable[[np.ndarray], np.ndarray]
"""Of the values of one curve, in their order."""


def logged(
    runs: Sequence[FinishedRun], key: str, measure: str, position: str, smoothing: Smoothing | None = None
) -> list[dict[str, Any]]:
    """Rows of a table: a measure of the log at each place where all seeds of a label have it.

    Args:
        key: of the log, such as "eval_loss".
        measure: what the table calls it.
        position: "step" or "epoch".
        smoothing: of the curve of each seed, before the mean over seeds and its interval are taken.

    Raises:
        ValueError: the seeds of a label have no such place in common.
    """
    rows = []
    for label, of_seeds in by_label(runs).items():
        found = [curve(run, key, position) for run in of_seeds]
        shared = sorted(set.intersection(*map(set, found)))
        if not shared:
            seeds = " and ".join(str(run.seed) for run in of_seeds)
            raise ValueError(f"{label}, seeds {seeds}: no two were evaluated at one {position}, so there is no mean")
        curves = [np.array([values[place] for place in shared]) for values in found]
        if smoothing is not None:
            curves = [smoothing(values) for values in curves]
        for place, values in zip(shared, zip(*curves, strict=True), strict=True):
            spread = mean_and_interval([float(value) for value in values])
            rows.append({"method": label, "measure": measure, position: place, "seeds": len(found), **spread})
    return rows


def curve(run: FinishedRun, key: str, position: str) -> dict[float, float]:
    """{place: value} of one run's log, finite values alone."""
    entries = (entry for entry in run.result.history if position in entry)
    return {entry[position]: entry[key] for entry in entries if math.isfinite(entry.get(key, math.nan))}


def draw_curves(axis: Axes, rows: Sequence[dict[str, Any]], position: str, labels: list[str]) -> None:
    """A line for each label, and its interval over seeds, where there is one, as a band."""
    for label, looks in styles(labels).items():
        own = [row for row in rows if row["method"] == label]
        places = [row[position] for row in own]
        axis.plot(places, [row["mean"] for row in own], linewidth=1.4, markersize=4, label=label, **looks)
        low, high = ([row[bound] for row in own] for bound in ("low", "high"))
        # An interval of few seeds may reach below 0, where no loss, error or share is.
        axis.fill_between(
            places, np.clip(low, 0, None), np.clip(high, 0, None), color=looks["color"], alpha=0.15, linewidth=0
        )
    axis.set_xlabel("optimiser step" if position == "step" else "epoch")
    axis.grid(alpha=0.3)
