"""Finished runs side by side: methods x seeds to a table, a picture and plain values.

Everything is a pure function of `Groups`, {label: {seed: Result}} in the order of display. A label without a finished
run is allowed, so that a comparison can be looked at half done. Shares are 0 to 1; what does not exist is NaN.
"""

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import t as student_t

from hf_hmtl.files import replacing
from hf_hmtl.results.result import SPLITS, Result

Groups = dict[str, dict[int, Result]]

_PREFIXES = {split: prefix for prefix, split in SPLITS.items()}
_NOTHING = "-"


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean of value - baseline over the seeds that both have, and its 95 % interval."""

    mean: float
    low: float
    high: float
    seeds: int


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean over seeds and sample standard deviation (n - 1); the deviation of a single seed is NaN."""

    mean: float
    sd: float


@dataclasses.dataclass(frozen=True)
class Line:
    """What one label achieved over its seeds.

    Attributes:
        label: name of the method.
        is_baseline: whether the other lines are compared with this one.
        split: validation or test, which accuracy and macro_f1 are of; None while no run of any label has finished.
        seeds: finished runs.
        accuracy, macro_f1: of the reported split.
        validation_accuracy: mean over seeds, of the weights that were kept.
        difference: of `accuracy` to the baseline; NaN for the baseline itself.
        steps_to_threshold: mean over the seeds whose validation accuracy reaches the threshold.
        seeds_reaching: how many those are.
        gap: mean over seeds of training accuracy - validation accuracy.
        relative_speed: median over common seeds of images/s / images/s of the baseline, on equal hardware only.
        steps: mean of the optimiser steps.
    """

    label: str
    is_baseline: bool
    split: str | None
    seeds: int
    accuracy: Spread
    macro_f1: Spread
    validation_accuracy: float
    difference: Difference
    steps_to_threshold: float
    seeds_reaching: int
    gap: float
    relative_speed: float
    steps: float


def paired_difference(values: dict[int, float], baseline: dict[int, float]) -> Difference:
    """Compare two methods seed by seed, with Student's paired t interval (95 %, n - 1 degrees of freedom).

    Args:
        values, baseline: {seed: value}; seeds that only one of them has are left out.

    Returns:
        One common seed gives a mean without an interval (NaN), none gives NaN throughout.
    """
    differences = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    mean, sd, count = _mean(differences), _sample_sd(differences), len(differences)
    # scipy's own t.interval is NaN for a deviation of zero; half a width of zero is the right answer.
    half = student_t.ppf(0.975, count - 1) * sd / math.sqrt(count) if count > 1 else math.nan
    return Difference(mean, float(mean - half), float(mean + half), count)


def steps_to(result: Result, measure: str, threshold: float) -> int | None:
    """First evaluated step at which a validation measure, such as "emotion_accuracy", is at least the threshold.

    Returns:
        None if it never is. The answer is only as fine as the interval between evaluations.
    """
    curve = _validation_curve(result, measure)
    return next((step for step, value in curve.items() if value >= threshold), None)


def training_seconds(result: Result) -> float:
    """Seconds of training without the evaluations during it; checkpoints are included."""
    return result.seconds["total"] - sum(entry.get("eval_runtime", 0.0) for entry in result.history)


def images_per_second(result: Result) -> float:
    """Training images a second of one process: rows of the data set, however many views are made of each.

    Returns:
        NaN where the speed is unknown: probes, which take no steps, and a recipe without its batch size.
    """
    seconds, training = training_seconds(result), result.recipe.get("training", {})
    if not result.steps:
        return math.nan
    batch = training.get("per_device_train_batch_size", math.nan) * training.get("gradient_accumulation_steps", 1)
    return result.steps * batch / seconds


def default_threshold(groups: Groups, baseline: str, task: str) -> float:
    """A validation accuracy to count steps to: 90 % of the baseline's best, averaged over seeds, to 2 digits.

    Returns:
        NaN, which no run reaches, while no run of the baseline has finished or if none logged validation accuracy.

    Raises:
        ValueError: `baseline` is no label.
    """
    _require_label(groups, baseline)
    curves = [_validation_curve(result, f"{task}_accuracy") for result in _in_order(groups[baseline])]
    return round(0.9 * _mean(max(curve.values()) for curve in curves if curve), 2)


def select_on_validation(groups: Groups, task: str) -> str:
    """The label with the best mean validation accuracy, to choose in a sweep without looking at test.

    Labels with fewer finished runs than others are no candidates: one lucky seed would beat a mean. The first of equals
    wins.

    Raises:
        ValueError: no candidate has a validation accuracy.
    """
    most = max(map(len, groups.values()), default=0)
    means = {label: _mean(_by_seed(runs, f"eval_{task}_accuracy").values()) for label, runs in groups.items()}
    candidates = {label: means[label] for label in groups if len(groups[label]) == most and math.isfinite(means[label])}
    if not candidates:
        raise ValueError(
            f"Nothing to select from: none of {_listed(groups)} has an eval_{task}_accuracy in its metrics. "
            "Finish at least one run, on data with a validation split."
        )
    return max(candidates, key=candidates.get)


def compare(groups: Groups, baseline: str, task: str, threshold: float) -> list[Line]:
    """One line for each label, in their order.

    Args:
        groups: {label: {seed: result}}; a label without a finished run has an empty dict.
        baseline: label that the others are compared with.
        task: supervised task whose accuracy and macro F1 count, such as "emotion"; probes and self-supervised runs
            have no primary task of their own to take it from.
        threshold: validation accuracy to count steps to.

    Raises:
        ValueError: `baseline` is no label, the runs report on different splits, or none of them measured `task`.
    """
    _require_label(groups, baseline)
    split = _reported_split(groups)
    _require_measured(groups, split, task)
    return [_line(label, groups, baseline, split, task, threshold) for label in groups]


def _line(label: str, groups: Groups, baseline: str, split: str | None, task: str, threshold: float) -> Line:
    runs, prefix = groups[label], _PREFIXES.get(split, "")
    accuracy = _by_seed(runs, f"{prefix}{task}_accuracy")
    validation = _by_seed(runs, f"eval_{task}_accuracy")
    training = _by_seed(runs, f"train_{task}_accuracy")
    compared = {} if label == baseline else _by_seed(groups[baseline], f"{prefix}{task}_accuracy")
    reached = [steps_to(result, f"{task}_accuracy", threshold) for result in _in_order(runs)]
    reached = [steps for steps in reached if steps is not None]
    return Line(
        label=label,
        is_baseline=label == baseline,
        split=split,
        seeds=len(runs),
        accuracy=_spread(accuracy.values()),
        macro_f1=_spread(_by_seed(runs, f"{prefix}{task}_macro_f1").values()),
        validation_accuracy=_mean(validation.values()),
        difference=paired_difference(accuracy, compared),
        steps_to_threshold=_mean(reached),
        seeds_reaching=len(reached),
        gap=_mean(training[seed] - validation[seed] for seed in training),
        relative_speed=_relative_speed(runs, groups[baseline]),
        steps=_mean(result.steps for result in _in_order(runs)),
    )


def _relative_speed(runs: dict[int, Result], baseline: dict[int, Result]) -> float:
    ratios = [
        images_per_second(runs[seed]) / images_per_second(baseline[seed])
        for seed in runs.keys() & baseline.keys()
        if runs[seed].hardware == baseline[seed].hardware  # across machines it would compare the machines
    ]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    return float(np.median(known)) if known else math.nan


def _validation_curve(result: Result, measure: str) -> dict[int, float]:
    """{step: value} of a validation measure, as it was logged during training."""
    key = f"eval_{measure}"
    return {entry["step"]: entry[key] for entry in result.history if math.isfinite(entry.get(key, math.nan))}


def _in_order(runs: dict[int, Result]) -> list[Result]:
    """Results by seed, so that sums round alike in whatever order the runs finished."""
    return [runs[seed] for seed in sorted(runs)]


def _by_seed(runs: dict[int, Result], metric: str) -> dict[int, float]:
    return {seed: runs[seed].metrics.get(metric, math.nan) for seed in sorted(runs)}


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return float(np.mean(values)) if values else math.nan


def _sample_sd(values: Iterable[float]) -> float:
    values = list(values)
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _spread(values: Iterable[float]) -> Spread:
    values = list(values)
    return Spread(_mean(values), _sample_sd(values))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "no labels"


def _require_label(groups: Groups, baseline: str) -> None:
    if baseline not in groups:
        raise ValueError(
            f"The baseline is {baseline!r}, but the labels are {_listed(groups)}; every difference is taken to it, so "
            "give one of them."
        )


def _reported_split(groups: Groups) -> str | None:
    """The split that every run reports on; None while there is no run."""
    found = {result.protocol["reported_on"]: label for label, runs in groups.items() for result in runs.values()}
    if len(found) > 1:
        differing = ", ".join(f"{label!r} on {split}" for split, label in found.items())
        raise ValueError(
            f"The runs report on different splits: {differing}. Their scores cannot be compared; train all of them on "
            "the same data."
        )
    return next(iter(found), None)


def _require_measured(groups: Groups, split: str | None, task: str) -> None:
    keys = {key for runs in groups.values() for result in runs.values() for key in result.metrics}
    wanted = f"{_PREFIXES.get(split, '')}{task}_accuracy"
    if split is not None and wanted not in keys:
        measured = sorted(key for key in keys if key.endswith("_accuracy"))
        raise ValueError(
            f"The task is {task!r}, but no run has {wanted}; accuracies there are: {_listed(measured)}. Give a task "
            "of those, without its split."
        )


def to_json(lines: list[Line], threshold: float) -> dict[str, Any]:
    """The comparison as values that strict JSON can hold: NaN is None."""
    return _without_nan({"threshold": threshold, "lines": [dataclasses.asdict(line) for line in lines]})


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def markdown_table(lines: list[Line], threshold: float) -> str:
    """The comparison as a Markdown table whose columns are aligned in plain text too, and what they mean below it."""
    baseline = next(line.label for line in lines if line.is_baseline)
    split = lines[0].split or "reported"
    header = [
        "method",
        "seeds",
        f"{split} accuracy",
        f"{split} macro F1",
        "validation accuracy",
        f"difference to {baseline}",
        "steps to threshold" if math.isnan(threshold) else f"steps to {threshold:g}",
        "training - validation",
        "relative images/s",
        "steps",
    ]
    rows = [header, *(_cells(line, threshold) for line in lines)]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    table = "\n".join(f"| {' | '.join(_aligned(row, widths))} |" for row in rows)
    return f"{table}\n\n{_explanation(baseline, split, threshold)}\n"


def _aligned(row: list[str], widths: list[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def _cells(line: Line, threshold: float) -> list[str]:
    counts_steps = line.steps > 0 and not math.isnan(threshold)
    reaching = f"{_number(line.steps_to_threshold, 0)} ({line.seeds_reaching}/{line.seeds})"
    return [
        line.label,
        str(line.seeds),
        _with_deviation(line.accuracy),
        _with_deviation(line.macro_f1),
        _number(line.validation_accuracy, 3),
        _with_interval(line),
        reaching if counts_steps else _NOTHING,
        _number(line.gap, 3, "+"),
        _number(line.relative_speed, 2),
        _number(line.steps, 0),
    ]


def _number(value: float, digits: int, sign: str = "") -> str:
    # Adding zero turns the -0.0 that rounding leaves into 0.0, so that no difference of nothing looks like a loss.
    return _NOTHING if math.isnan(value) else f"{round(value, digits) + 0.0:{sign},.{digits}f}"


def _with_deviation(spread: Spread) -> str:
    deviation = "" if math.isnan(spread.sd) else f" ± {spread.sd:.3f}"
    return f"{_number(spread.mean, 3)}{deviation}"


def _with_interval(line: Line) -> str:
    difference = line.difference
    if math.isnan(difference.mean):
        return _NOTHING
    low, high = _number(difference.low, 3, "+"), _number(difference.high, 3, "+")
    interval = f" [{low}, {high}]" if difference.seeds > 1 else ""
    partly = f" ({difference.seeds}/{line.seeds})" if difference.seeds < line.seeds else ""
    return f"{_number(difference.mean, 3, '+')}{interval}{partly}"


def _explanation(baseline: str, split: str, threshold: float) -> str:
    reached = "the threshold" if math.isnan(threshold) else f"{threshold:g}"
    optimistic = " Validation also selected the weights, so its scores are optimistic." if split == "validation" else ""
    return (
        f"Scores are means over n seeds ± their sample standard deviation, of the {split} split.{optimistic} "
        f"The difference to {baseline} is the mean over the seeds that both have, with a 95 % paired t interval over "
        "seeds in brackets: it covers what the seed changes, not the choice of images, and is not corrected for the "
        f"number of rows. Steps to {reached} are optimiser steps until an evaluation first finds validation accuracy "
        "there, a mean over the seeds that get there. (k/n) means k of n seeds. Training - validation is the accuracy "
        f"on training images minus that on validation images. Relative images/s is the median ratio to {baseline}, "
        "measured on this machine while training, without evaluation."
    )


def plot_comparison(lines: list[Line], groups: Groups, task: str, path: str | Path) -> None:
    """Draw the comparison as a PNG of two panels: accuracy of each label, and validation accuracy over steps.

    Left, small dots are seeds, the big one their mean; the bar is the interval of `Line.difference` laid on the
    baseline's mean, so that a bar that crosses the vertical line is an interval that holds zero. Right, the mean over
    seeds in a band from the worst to the best of them, at the steps where all of them were evaluated.

    Args:
        lines: what `compare` returned for the groups; a label keeps its colour when others finish.
        groups, task: as given to `compare`.
        path: where the PNG goes; it appears whole or not at all.

    Raises:
        ValueError: no label has a finished run.
    """
    styles = {line.label: _style(position) for position, line in enumerate(lines)}
    drawn = [line for line in lines if line.seeds]
    if not drawn:
        raise ValueError(f"Nothing to draw: none of {_listed(styles)} has a finished run. Finish at least one.")
    # Figure and canvas by hand: pyplot would choose a backend and keep the figure alive for the whole process.
    figure = Figure(figsize=(13, max(4.4, 1.8 + 0.34 * len(drawn))), layout="constrained")
    FigureCanvasAgg(figure)
    scores, curves = figure.subplots(1, 2)
    _draw_scores(scores, drawn, groups, task, styles)
    _draw_curves(curves, drawn, groups, task, styles)
    if curves.get_lines():
        figure.legend(handles=curves.get_lines(), loc="outside right upper", fontsize="small", handlelength=3.5)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _style(position: int) -> dict[str, str]:
    """Ten colours, then the same ones dashed and dotted."""
    return {"color": f"C{position % 10}", "linestyle": ("-", "--", ":")[position // 10 % 3]}


def _draw_scores(axis: Axes, lines: list[Line], groups: Groups, task: str, styles: dict[str, dict]) -> None:
    split = lines[0].split
    baseline_mean = next((line.accuracy.mean for line in lines if line.is_baseline), math.nan)
    axis.axvline(baseline_mean, color="gray", linewidth=1, linestyle=":")
    for row, line in enumerate(lines):
        color, difference = styles[line.label]["color"], line.difference
        interval = [baseline_mean + difference.low, baseline_mean + difference.high]
        accuracies = list(_by_seed(groups[line.label], f"{_PREFIXES[split]}{task}_accuracy").values())
        axis.plot(interval, [row, row], linewidth=2, alpha=0.5, color=color)
        axis.plot([line.accuracy.mean], [row], "o", markersize=9, color=color)
        axis.plot(accuracies, [row] * len(accuracies), "o", markersize=4.5, markeredgecolor="white", color=color)
    low, high = axis.get_xlim()
    axis.set_xlim(max(low, -0.02), min(high, 1.02))  # an interval of two seeds can leave the range of shares
    axis.set_ylim(len(lines) - 0.5, -0.5)  # the first label on top
    axis.set_yticks(range(len(lines)), [line.label for line in lines])
    axis.set_xlabel(f"{task} accuracy on {split}, 0 to 1")
    axis.set_title("Dots: seeds and mean; bar: 95 % paired interval\nof the difference to the dotted line", fontsize=10)
    axis.grid(axis="x", alpha=0.3)


def _draw_curves(axis: Axes, lines: list[Line], groups: Groups, task: str, styles: dict[str, dict]) -> None:
    for line in lines:
        curves = [_validation_curve(result, f"{task}_accuracy") for result in _in_order(groups[line.label])]
        curves = [curve for curve in curves if curve]  # probes log none
        if not curves:
            continue
        steps = sorted(set.intersection(*map(set, curves)))
        values = np.array([[curve[step] for step in steps] for curve in curves])  # (seeds, steps)
        axis.plot(steps, values.mean(0), linewidth=1.4, marker=".", label=line.label, **styles[line.label])
        if len(curves) > 1:
            color = styles[line.label]["color"]
            axis.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.12, linewidth=0)
    axis.set(xlabel="optimiser step", ylabel=f"{task} accuracy on validation, 0 to 1")
    axis.set_title("Mean over seeds; band: worst to best seed", fontsize=10)
    axis.grid(alpha=0.3)
