"""Finished runs side by side, as numbers: methods x seeds to means, differences and intervals.

Everything is a pure function of `Groups`, {label: {seed: Result}} in the order of display; where the folds of a
cross-validation are compared, they stand in the place of seeds. A label without a finished
run is allowed, so that a comparison can be looked at half done. Shares are 0 to 1; what does not exist is NaN.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
from scipy.special import stdtrit

from hf_hmtl.metrics.measure import Measure
from hf_hmtl.results.end import validation_curve
from hf_hmtl.results.result import SPLITS, Result
from hf_hmtl.results.versions import ACCURACY

Groups = dict[str, dict[int, Result]]

PREFIXES = {split: prefix for prefix, split in SPLITS.items()}
"""{split: how the names of its metrics begin}."""


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
        split: validation or test, which `score` and `beside` are of; None while no run of any label has finished.
        seeds: finished runs.
        measure: the headline measure of the task, which every score here is in.
        score: of the reported split.
        beside: {measure: of the reported split} of the measures that the task shows beside it.
        validation_score: mean over seeds, of the weights that were kept.
        difference: of `score` to the baseline; NaN for the baseline itself.
        steps_to_threshold: mean over the seeds whose validation score reaches the threshold.
        seeds_reaching: how many those are.
        gap: mean over seeds of the score on training images - validation score.
        relative_speed: median over common seeds of images/s / images/s of the baseline, on equal hardware only.
        steps: mean of the optimiser steps.
        constant: {measure: what the answer that needs no image scores}, of those it was measured by; the same for every
            label, whose runs share their data.
    """

    label: str
    is_baseline: bool
    split: str | None
    seeds: int
    measure: Measure
    score: Spread
    beside: dict[str, Spread]
    validation_score: float
    difference: Difference
    steps_to_threshold: float
    seeds_reaching: int
    gap: float
    relative_speed: float
    steps: float
    constant: dict[str, float] = dataclasses.field(default_factory=dict)


def paired_difference(values: dict[int, float], baseline: dict[int, float], shared: float = 0.0) -> Difference:
    """Compare two methods seed by seed, with Student's paired t interval (95 %, n - 1 degrees of freedom).

    Args:
        values, baseline: {seed: value}; seeds that only one of them has are left out.
        shared: test rows / other rows where the values are of folds, whose training rows overlap: the variance of the
            mean is then not sd^2 / n but sd^2 (1 / n + shared). Nadeau and Bengio, Inference for the Generalization
            Error, Machine Learning 52, 2003, section 4.

    Returns:
        One common seed gives a mean without an interval (NaN), none gives NaN throughout.
    """
    differences = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    mean, sd, count = _mean(differences), _sample_sd(differences), len(differences)
    # scipy's own t.interval is NaN for a deviation of zero; half a width of zero is the right answer.
    half = float(stdtrit(count - 1, 0.975)) * sd * math.sqrt(1 / count + shared) if count > 1 else math.nan
    return Difference(mean, float(mean - half), float(mean + half), count)


def measures_of(groups: Groups, task: str) -> list[Measure]:
    """The measures of a task, the headline first; accuracy and macro F1 while no run that learned it has finished.

    Raises:
        ValueError: the runs do not agree on them.
    """
    found = {tuple(run.measures_of(task)) for runs in groups.values() for run in in_order(runs)} - {()}
    if len(found) > 1:
        named = " and ".join(", ".join(measure.name for measure in measures) for measures in sorted(found, key=str))
        raise ValueError(f"The runs measure {task!r} in different ways: {named}. Train all of them with one version.")
    return list(next(iter(found), ACCURACY))


def steps_to(result: Result, task: str, measure: Measure, threshold: float) -> int | None:
    """First evaluated step at which the validation score of a task is at least as good as the threshold.

    Returns:
        None if it never is. The answer is only as fine as the interval between evaluations.
    """
    curve = validation_curve(result, f"{task}_{measure.name}")
    return next((step for step, value in curve.items() if measure.reaches(value, threshold)), None)


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
    """A validation score to count steps to: nine tenths of the baseline's best, averaged over seeds, or of an error ten
    ninths; to 2 digits.

    Returns:
        NaN, which no run reaches, while no run of the baseline has finished or if none logged a validation score.

    Raises:
        ValueError: `baseline` is no label.
    """
    _require_label(groups, baseline)
    headline, *_ = measures_of(groups, task)
    curves = [validation_curve(result, f"{task}_{headline.name}") for result in in_order(groups[baseline])]
    best = _mean(headline.best(curve.values()) for curve in curves if curve)
    return round(0.9 * best if headline.greater_is_better else best / 0.9, 2)


def select_on_validation(groups: Groups, task: str) -> str:
    """The label with the best mean validation score, to choose in a sweep without looking at test.

    Labels with fewer finished runs than others are no candidates: one lucky seed would beat a mean. The first of equals
    wins.

    Raises:
        ValueError: no candidate has a validation score.
    """
    headline, *_ = measures_of(groups, task)
    metric = f"eval_{task}_{headline.name}"
    most = max(map(len, groups.values()), default=0)
    means = {label: _mean(by_seed(runs, metric).values()) for label, runs in groups.items()}
    candidates = {label: means[label] for label in groups if len(groups[label]) == most and math.isfinite(means[label])}
    if not candidates:
        raise ValueError(
            f"Nothing to select from: none of {listed(groups)} has an {metric} in its metrics. "
            "Finish at least one run, on data with a validation split."
        )
    best = headline.best(candidates.values())
    return next(label for label, mean in candidates.items() if mean == best)


def compare(groups: Groups, baseline: str, task: str, threshold: float, shared: float = 0.0) -> list[Line]:
    """One line for each label, in their order.

    Args:
        groups: {label: {seed: result}}; a label without a finished run has an empty dict.
        baseline: label that the others are compared with.
        task: supervised task whose measures count, such as "emotion"; probes and self-supervised runs have no primary
            task of their own to take it from.
        threshold: validation score to count steps to.
        shared: as `paired_difference` takes it.

    Raises:
        ValueError: `baseline` is no label, the runs report on different splits, or none of them measured `task`.
    """
    _require_label(groups, baseline)
    split, measures = _reported_split(groups), measures_of(groups, task)
    _require_measured(groups, split, task, measures[0])
    return [_line(label, groups, baseline, split, task, measures, threshold, shared) for label in groups]


def _line(
    label: str,
    groups: Groups,
    baseline: str,
    split: str | None,
    task: str,
    measures: list[Measure],
    threshold: float,
    shared: float,
) -> Line:
    runs, prefix, (headline, *beside) = groups[label], PREFIXES.get(split, ""), measures
    scores = by_seed(runs, f"{prefix}{task}_{headline.name}")
    validation = by_seed(runs, f"eval_{task}_{headline.name}")
    training = by_seed(runs, f"train_{task}_{headline.name}")
    compared = {} if label == baseline else by_seed(groups[baseline], f"{prefix}{task}_{headline.name}")
    reached = [steps_to(result, task, headline, threshold) for result in in_order(runs)]
    reached = [steps for steps in reached if steps is not None]
    return Line(
        label=label,
        is_baseline=label == baseline,
        split=split,
        seeds=len(runs),
        measure=headline,
        score=spread(scores.values()),
        beside={each.name: spread(by_seed(runs, f"{prefix}{task}_{each.name}").values()) for each in beside},
        validation_score=_mean(validation.values()),
        difference=paired_difference(scores, compared, shared),
        steps_to_threshold=_mean(reached),
        seeds_reaching=len(reached),
        gap=_mean(training[seed] - validation[seed] for seed in training),
        relative_speed=_relative_speed(runs, groups[baseline]),
        steps=_mean(result.steps for result in in_order(runs)),
        constant=_constant(groups, prefix, task, measures),
    )


def _constant(groups: Groups, prefix: str, task: str, measures: list[Measure]) -> dict[str, float]:
    """The baseline without an image, of any run that has one."""
    for result in (result for runs in groups.values() for result in in_order(runs)):
        found = {each.name: result.baselines.get(f"{prefix}{task}_{each.name}", math.nan) for each in measures}
        if math.isfinite(found[measures[0].name]):
            return {name: value for name, value in found.items() if math.isfinite(value)}
    return {}


def _relative_speed(runs: dict[int, Result], baseline: dict[int, Result]) -> float:
    ratios = [
        images_per_second(runs[seed]) / images_per_second(baseline[seed])
        for seed in runs.keys() & baseline.keys()
        if runs[seed].hardware == baseline[seed].hardware  # across machines it would compare the machines
    ]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    return float(np.median(known)) if known else math.nan


def in_order(runs: dict[int, Result]) -> list[Result]:
    """Results by seed, so that sums round alike in whatever order the runs finished."""
    return [runs[seed] for seed in sorted(runs)]


def by_seed(runs: dict[int, Result], metric: str) -> dict[int, float]:
    """{seed: value} of a metric such as "test_emotion_accuracy"; NaN where a run has none."""
    return {seed: runs[seed].metrics.get(metric, math.nan) for seed in sorted(runs)}


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return float(np.mean(values)) if values else math.nan


def _sample_sd(values: Iterable[float]) -> float:
    values = list(values)
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def spread(values: Iterable[float]) -> Spread:
    """Mean and sample deviation; NaN where there are too few."""
    values = list(values)
    return Spread(_mean(values), _sample_sd(values))


def listed(names: Iterable[str]) -> str:
    """Labels for a message."""
    return ", ".join(map(repr, names)) or "no labels"


def _require_label(groups: Groups, baseline: str) -> None:
    if baseline not in groups:
        raise ValueError(
            f"The baseline is {baseline!r}, but the labels are {listed(groups)}; every difference is taken to it, so "
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


def _require_measured(groups: Groups, split: str | None, task: str, headline: Measure) -> None:
    keys = {key for runs in groups.values() for result in runs.values() for key in result.metrics}
    wanted = f"{PREFIXES.get(split, '')}{task}_{headline.name}"
    if split is not None and wanted not in keys:
        measured = sorted(key for key in keys if key.endswith(f"_{headline.name}"))
        raise ValueError(
            f"The task is {task!r}, but no run has {wanted}; there are: {listed(measured)}. Give a task of those, "
            "without its split."
        )
