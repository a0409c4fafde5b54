"""What figures of settings read off a run: its level, weights and puzzle, and the accuracy that it reports."""

import contextlib
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from matplotlib.axes import Axes

from hf_hmtl import recipe as recipes
from hf_hmtl.compare.figures.runs import (
    FinishedRun,
    by_label,
    first_classification,
    mean_and_interval,
    require_comparable,
)
from hf_hmtl.compare.runs import decisive
from hf_hmtl.compare.statistics import PREFIXES

LEVELS = {"none": "no augmentation", "weak": "weak", "strong": "strong"}
RANDOM, IMAGENET = "random", "ImageNet"
Setting = TypeVar("Setting", bound=Hashable)


def level_of(run: FinishedRun) -> str:
    """The level of augmentation: one of `LEVELS`, or another word."""
    return run.result.recipe.get("augmentation", {}).get("level", "none")


def weights_of(run: FinishedRun) -> str:
    """What the backbone began with: random, ImageNet, or the name of a row or model."""
    pretrained = run.result.recipe.get("pretrained") or False
    if isinstance(pretrained, bool):
        return IMAGENET if pretrained else RANDOM
    row, _, changes = run.result.name.partition(" with ")
    if "pretrained=" not in changes:  # a result keeps the folder, "seed-1", and the recipe the row
        with contextlib.suppress(ValueError):
            pretrained = recipes.load(row).pretrained
    return str(pretrained["row"] if isinstance(pretrained, dict) else pretrained)


def unfit(run: FinishedRun) -> str | None:
    """Why a run is no training of classes with an accuracy, or None."""
    if run.result.recipe.get("probe"):
        return "it is a probe"
    if first_classification(run) is None:
        return "it learned no classes"
    return None if math.isfinite(accuracy(run)) else "it reports no accuracy"


def accuracy(run: FinishedRun) -> float:
    """Of the first task with classes, on the split that is reported; NaN where there is none."""
    split = run.result.protocol["reported_on"]
    return run.result.metrics.get(f"{PREFIXES[split]}{first_classification(run)}_accuracy", math.nan)


def spreads(
    runs: Sequence[FinishedRun], setting: Callable[[FinishedRun], Setting], figure: str, notes: Sequence[str] = ()
) -> dict[Setting, dict[str, Any]]:
    """{setting: method, split, seeds, mean, sd, low and high of the accuracy over seeds, and that of the most frequent
    class}, in the order of the runs.

    Args:
        runs: those that fit.
        setting: of a run.
        figure: what it is, for the message.
        notes: on the others, for the message.

    Raises:
        ValueError: two rows have one setting, so that one point would stand for both; the runs cannot be compared, or
            all are of one row, which has nothing beside it.
    """
    splits = sorted({run.result.protocol["reported_on"] for run in runs})
    if len(splits) > 1:
        raise ValueError(f"{figure} shows one split, and these runs report on {' and '.join(splits)}")
    require_comparable(runs, splits[0], figure)
    found: dict[Setting, dict[str, Any]] = {}
    for label, of_seeds in by_label(runs).items():
        key = setting(of_seeds[0])
        if key in found:
            raise ValueError(
                f"{found[key]['method']} and {label} are one setting of {figure}, {key}; leave one of them out"
            )
        scores = [accuracy(run) for run in of_seeds]
        found[key] = {"method": label, "split": splits[0], "seeds": len(scores), **mean_and_interval(scores)}
        found[key]["most_frequent"] = most_frequent(of_seeds[0], splits[0])
    if len(found) == 1:
        raise ValueError(
            f"{figure} sets the scores of several rows beside each other, and of these runs it can show one, "
            f"{runs[0].label}{''.join(f'; {note}' for note in notes)}; give the runs of another row, too"
        )
    return found


def require_alike(runs: Sequence[FinishedRun], free: Sequence[str], figure: str) -> None:
    """Raise where runs differ in more than in what a figure sets side by side, which its picture would not tell.

    Args:
        free: entries of the recipe that may differ, "training.learning_rate" among them.
        figure: what it is, for the message.

    Raises:
        ValueError: it names the runs, and in what they differ.
    """
    of_first = decisive(runs[0].result.recipe)
    for run in runs[1:]:
        own = decisive(run.result.recipe)
        # An entry that only one of them has is one that an earlier version did not know, or an argument of training.
        of_training = {key for key in own.keys() | of_first.keys() if key.startswith("training.")}
        both = own.keys() & of_first.keys() | of_training
        compared = both - {*free, "training.seed", "training.data_seed"}
        differing = sorted(key for key in compared if own.get(key) != of_first.get(key))
        if differing:
            each = " and ".join(f"{key} ({own.get(key)}, not {of_first.get(key)})" for key in differing)
            raise ValueError(
                f"{figure} would show {run.label} beside {runs[0].label} as if they differed in {' and '.join(free)} "
                f"alone, and they differ in {each} as well. Leave one of them out: --without {run.label}"
            )


def most_frequent(run: FinishedRun, split: str) -> float:
    """Accuracy of always answering the most frequent class of the training rows; NaN where the result does not say."""
    return run.result.baselines.get(f"{PREFIXES[split]}{first_classification(run)}_accuracy", math.nan)


def mark_most_frequent(axis: Axes, numbers: Sequence[dict[str, Any]], upright: bool = True) -> str:
    """A dotted line at the accuracy of the most frequent class, where scores come so low that it is in the picture.

    Returns:
        What the line is, for a legend; empty where there is none.
    """
    low, high = axis.get_ylim() if upright else axis.get_xlim()
    share = next((row["most_frequent"] for row in numbers if low <= row["most_frequent"] <= high), None)
    if share is None:
        return ""
    (axis.axhline if upright else axis.axvline)(share, color="0.5", linestyle=":", linewidth=1, zorder=0)
    return f"\ndotted: always the most frequent class, {share:.3f}"


def draw_interval(
    axis: Axes, place: float, spread: dict[str, Any], color: str, marker: str = "o", upright: bool = True
) -> None:
    """A point at the mean, and its 95 % interval over seeds where there is one."""
    mean, low, high = (spread[name] for name in ("mean", "low", "high"))
    known = math.isfinite(low)
    low, high = max(low, 0.0), min(high, 1.0)  # an interval of few seeds may leave the shares, and its cap the picture
    errors = [[max(mean - low, 0)], [max(high - mean, 0)]] if known else None
    if upright:
        axis.errorbar([place], [mean], yerr=errors, fmt=marker, capsize=4, color=color)
    else:
        axis.errorbar([mean], [place], xerr=errors, fmt=marker, capsize=4, color=color)
