"""A comparison as a picture: scores of each label, and validation scores over steps."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from hf_hmtl.compare.canvas import new_figure, save, styles, within_shares
from hf_hmtl.compare.statistics import PREFIXES, Groups, Line, by_seed, in_order, listed
from hf_hmtl.metrics.measure import SHARE, Measure
from hf_hmtl.results.end import validation_curve


def plot_comparison(lines: list[Line], groups: Groups, task: str, path: str | Path, unit: str = "seed") -> None:
    """Draw the comparison as a PNG of two panels: scores of each label, and validation scores over steps.

    Left, small dots are seeds, the big one their mean; the bar is the interval of `Line.difference` laid on the
    baseline's mean, so that a bar that crosses the vertical line is an interval that holds zero. Right, the mean over
    seeds in a band from the worst to the best of them, at the steps where all of them were evaluated.

    Args:
        lines: what `compare` returned for the groups; a label keeps its colour when others finish.
        groups, task: as given to `compare`.
        unit: "fold" where they stand in the place of seeds.
        path: where the PNG goes; it appears whole or not at all.

    Raises:
        ValueError: no label has a finished run.
    """
    looks = styles(line.label for line in lines)
    drawn = [line for line in lines if line.seeds]
    if not drawn:
        raise ValueError(f"Nothing to draw: none of {listed(looks)} has a finished run. Finish at least one.")
    figure = new_figure(13, max(4.4, 1.8 + 0.34 * len(drawn)))
    scores, curves = figure.subplots(1, 2)
    _draw_scores(scores, drawn, groups, task, looks, unit)
    _draw_curves(curves, drawn, groups, task, looks, unit)
    if curves.get_lines():
        figure.legend(handles=curves.get_lines(), loc="outside right upper", fontsize="small", handlelength=3.5)
    save(figure, Path(path))


def _range(measure: Measure) -> str:
    return "0 to 1" if measure.unit == SHARE else measure.unit or "own unit"


def _draw_scores(axis: Axes, lines: list[Line], groups: Groups, task: str, looks: dict[str, dict], unit: str) -> None:
    split = lines[0].split
    baseline_mean = next((line.score.mean for line in lines if line.is_baseline), math.nan)
    axis.axvline(baseline_mean, color="gray", linewidth=1, linestyle=":")
    for row, line in enumerate(lines):
        color, difference = looks[line.label]["color"], line.difference
        interval = [baseline_mean + difference.low, baseline_mean + difference.high]
        scores = list(by_seed(groups[line.label], f"{PREFIXES[split]}{task}_{line.measure.name}").values())
        axis.plot(interval, [row, row], linewidth=2, alpha=0.5, color=color)
        axis.plot([line.score.mean], [row], "o", markersize=9, color=color)
        axis.plot(scores, [row] * len(scores), "o", markersize=4.5, markeredgecolor="white", color=color)
    measure = lines[0].measure
    if measure.unit == SHARE:
        within_shares(axis, upright=False)
    axis.set_ylim(len(lines) - 0.5, -0.5)  # the first label on top
    axis.set_yticks(range(len(lines)), [line.label for line in lines])
    axis.set_xlabel(f"{task} {measure.words} on {split}, {_range(measure)}")
    title = f"Dots: {unit}s and mean; bar: 95 % paired interval\nof the difference to the dotted line"
    axis.set_title(title, fontsize=10)
    axis.grid(axis="x", alpha=0.3)


def _draw_curves(axis: Axes, lines: list[Line], groups: Groups, task: str, looks: dict[str, dict], unit: str) -> None:
    for line in lines:
        curves = [validation_curve(result, f"{task}_{line.measure.name}") for result in in_order(groups[line.label])]
        curves = [curve for curve in curves if curve]  # probes log none
        if not curves:
            continue
        steps = sorted(set.intersection(*map(set, curves)))
        values = np.array([[curve[step] for step in steps] for curve in curves])  # (seeds, steps)
        axis.plot(steps, values.mean(0), linewidth=1.4, markersize=4, label=line.label, **looks[line.label])
        if len(curves) > 1:
            color = looks[line.label]["color"]
            axis.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.12, linewidth=0)
    measure = lines[0].measure
    axis.set(xlabel="optimiser step", ylabel=f"{task} {measure.words} on validation, {_range(measure)}")
    axis.set_title(f"Mean over {unit}s; band: worst to best {unit}", fontsize=10)
    axis.grid(alpha=0.3)
