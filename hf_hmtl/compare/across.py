"""A comparison of several variants in one picture and one table: how each row fares from one variant to the next.

Variants that are called by numbers, such as "2 %" and "10 %", stand at their places on a logarithmic axis.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from hf_hmtl.compare.canvas import new_figure, save, styles
from hf_hmtl.compare.statistics import PREFIXES, Groups, paired_difference, spread, training_seconds
from hf_hmtl.compare.table import markdown, with_deviation, with_interval
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.results.result import Result

PANELS_A_LINE = 3
APART = 0.03  # of a place, between the intervals of two methods
Read = Callable[[Result], float]


def worst_recall(result: Result, task: str, split: str) -> float:
    """Recall of the class that is found least often; NaN where the task has no classes."""
    found = result.confusion.get(split, {}).get(task)
    if not found:
        return math.nan
    recalls = [row[place] / sum(row) for place, row in enumerate(found["matrix"]) if sum(row)]
    return min(recalls, default=math.nan)


def quantities(task: str, split: str, measures: Sequence[str], runs: Iterable[Result]) -> dict[str, Read]:
    """{name: how it is read off a result} of what is shown: the task's measures, the recall of the worst class,
    calibration, and minutes of training where all runs were made on equal hardware: else machines would be compared."""

    def measured(name: str) -> Read:
        return lambda result: result.metrics.get(f"{PREFIXES[split]}{task}_{name}", math.nan)

    def calibrated(name: str) -> Read:
        return lambda result: result.calibration.get(task, {}).get(name, math.nan)

    found = {
        **{name: measured(name) for name in measures},
        "worst recall": lambda result: worst_recall(result, task, split),
        "calibration error": calibrated("expected_error"),
        "Brier score": calibrated("brier"),
    }
    if len({str(run.hardware) for run in runs}) == 1:
        found["minutes"] = lambda result: training_seconds(result) / 60
    return found


def values(runs: dict[int, Result], read: Read) -> dict[int, float]:
    """{seed: value} of the runs that have it."""
    found = {seed: read(runs[seed]) for seed in sorted(runs)}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def across_table(variants: dict[str, Groups], baseline: str, shown: dict[str, Read]) -> str:
    """Markdown: a line for each variant and row, means ± deviation over seeds, and of the first quantity the paired
    difference to the baseline with its 95 % interval.

    Args:
        variants: {title: {label: {seed: Result}}}.
        baseline: label.
        shown: of `quantities`; those that no run has are left out.
    """
    known = {
        name: read
        for name, read in shown.items()
        if any(values(runs, read) for groups in variants.values() for runs in groups.values())
    }
    rows = [["variant", "method", "seeds", *map(_words, known), f"difference to {baseline}"]]
    first = next(iter(known.values()))
    for title, groups in variants.items():
        for label, runs in groups.items():
            cells = [with_deviation(spread(values(runs, read).values())) for read in known.values()]
            others = {} if label == baseline else values(groups.get(baseline, {}), first)
            difference = with_interval(paired_difference(values(runs, first), others), len(runs))
            rows.append([title, label, str(len(runs)), *cells, difference])
    return f"{markdown(rows, left=2)}\n"


def _words(name: str) -> str:
    return Measure(name).words


def plot_across(variants: dict[str, Groups], baseline: str, shown: dict[str, Read], path: Path) -> None:
    """Draw a panel for each quantity: means over seeds from variant to variant, dots are seeds. In the first panel the
    bars are the 95 % paired intervals of the difference, laid on the baseline's mean.

    Args:
        variants, baseline, shown: as of `across_table`.
        path: of the PNG; it appears whole or not at all.
    """
    places, is_scale = _places(list(variants))
    looks = styles(dict.fromkeys(label for groups in variants.values() for label in groups))
    lines = -(-len(shown) // PANELS_A_LINE)
    columns = -(-len(shown) // lines)
    figure = new_figure(4.2 * columns, 3.6 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).flat
    for empty in axes[len(shown) :]:
        empty.set_axis_off()
    for axis, (name, read) in zip(axes, shown.items(), strict=False):
        for label, of_label in looks.items():
            _draw(axis, dict(zip(places, variants.values(), strict=True)), label, read, of_label)
        axis.set(title=_words(name), xscale="log" if is_scale else "linear")
        axis.set_xticks(places, list(variants))
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    first = next(iter(shown.values()))
    for position, (label, of_label) in enumerate(looks.items()):
        for place, groups in zip(places, variants.values(), strict=True):
            low, high = _interval(groups, label, baseline, first)
            beside = place * (1 + APART * position) if is_scale else place + APART * position
            axes[0].plot([beside, beside], [low, high], color=of_label["color"], alpha=0.4, linewidth=3)
    title = (
        f"means over seeds; dots: seeds; bars of the first panel: 95 % paired intervals of the difference to {baseline}"
    )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, title=title, fontsize="small")
    save(figure, path)


def _draw(axis: Axes, groups_at: dict[float, Groups], label: str, read: Read, looks: dict[str, str]) -> None:
    """The means of a label from place to place, and its seeds."""
    found = {place: list(values(groups.get(label, {}), read).values()) for place, groups in groups_at.items()}
    found = {place: of_seeds for place, of_seeds in found.items() if of_seeds}
    axis.plot(list(found), [float(np.mean(of_seeds)) for of_seeds in found.values()], label=label, **looks)
    for place, of_seeds in found.items():
        axis.plot([place] * len(of_seeds), of_seeds, ".", color=looks["color"], alpha=0.5)


def _interval(groups: Groups, label: str, baseline: str, read: Read) -> tuple[float, float]:
    """The 95 % interval of the paired difference, laid on the baseline's mean; NaN where there is none."""
    others = values(groups.get(baseline, {}), read)
    difference = paired_difference(values(groups.get(label, {}), read), others)
    if label == baseline or difference.seeds < 2:
        return math.nan, math.nan
    mean = float(np.mean(list(others.values())))
    return mean + difference.low, mean + difference.high


def _places(titles: list[str]) -> tuple[list[float], bool]:
    """Where variants stand, and whether that is a scale: at their numbers where all have one, else in a row."""
    found = [re.match(r"\s*(\d+(?:\.\d+)?)\s*%?", title) for title in titles]
    numbers = [float(match[1]) if match else 0.0 for match in found]
    if all(number > 0 for number in numbers) and numbers == sorted(set(numbers)):
        return numbers, True
    return list(map(float, range(len(titles)))), False
