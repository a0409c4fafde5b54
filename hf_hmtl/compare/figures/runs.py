"""The runs that a figure is drawn of: from folders to labels and seeds, and means over seeds."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_hmtl.compare.folds import POOLED, name_without_fold
from hf_hmtl.recipe import require_known
from hf_hmtl.results import result as results
from hf_hmtl.results.intervals import of_mean
from hf_hmtl.results.result import Result
from hf_hmtl.run.record import DECISIVE

_NEXT_CHANGE = re.compile(r", (?=[\w.]+=)")
_NAMED = 4  # labels of runs that were left out for one reason; the others are counted
_ONE_FOLD = "seed-1/fold-1"


@dataclass(frozen=True)
class FinishedRun:
    """One run: its folder, its result, and what it is called in a figure."""

    folder: Path
    result: Result
    label: str

    @property
    def seed(self) -> int:
        """Of its training."""
        return self.result.seeds["training"]


def finished_runs(folders: Sequence[Path]) -> list[FinishedRun]:
    """The runs in some folders, each of a run or of runs at any depth, as those of a comparison.

    Runs of one recipe row and the same changes have one label; they differ in their seeds. Labels come in the order in
    which they were given, and leave out what all of them share of their names. Of a cross-validation the result over
    all its folds stands for them.

    Raises:
        ValueError: a folder holds no finished run, or runs of one label differ in more than their seeds.
    """
    found: dict[Path, Result] = {}
    for folder in folders:
        inside = sorted(_results(folder))
        if not inside:
            raise ValueError(f"{folder} holds no result.json; give the folder of a finished run or of a comparison")
        found |= {path.parent: results.read(path) for path in inside}
    found = _without_folds(found)
    labels = _labels([result.name for result in found.values()])
    runs = [FinishedRun(folder, result, labels[result.name]) for folder, result in found.items()]
    places: dict[tuple[str, int], Path] = {}
    for run in runs:
        other = places.setdefault((run.label, run.seed), run.folder)
        if other != run.folder:
            raise ValueError(
                f"{other} and {run.folder} are both {run.label} of seed {run.seed}; a mean over seeds needs different "
                "ones. Leave one of them out"
            )
    _require_same_training(runs)
    order = list(dict.fromkeys(run.label for run in runs))
    return sorted(runs, key=lambda run: (order.index(run.label), run.seed))


def without_labels(runs: list[FinishedRun], labels: Sequence[str]) -> list[FinishedRun]:
    """The runs but for those of some labels.

    Raises:
        ValueError: a label is of no run.
    """
    require_known(labels, list(by_label(runs)), "label of these runs")
    return [run for run in runs if run.label not in labels]


def _without_folds(found: dict[Path, Result]) -> dict[Path, Result]:
    """The runs without those folds whose answers are scored together by a result among them.

    Raises:
        ValueError: there are several folds of one row and seed, and nothing that scores them together.
    """
    pooled = {(run.name, run.seeds["training"]) for run in found.values() if is_pooled(run)}
    kept: dict[Path, Result] = {}
    first: dict[tuple[str, int], Path] = {}
    for folder, run in found.items():
        if not run.fold or run.fold.get("number") is None:
            kept[folder] = run
            continue
        key = (name_without_fold(run), run.seeds["training"])
        if key in pooled:
            continue
        other = first.setdefault(key, folder)
        if found[other].fold != run.fold:
            raise ValueError(
                f"{other} and {folder} are folds of one cross-validation, each of which is tested on other faces: no "
                f"two settings, and no two seeds. Give the runs of one fold, or all of them with the folder {POOLED} "
                "beside them, whose answers hf-hmtl compare --folds scores together"
            )
        kept[folder] = run
    return kept


def is_pooled(result: Result) -> bool:
    """Whether a result is that of all folds of a cross-validation together."""
    return bool(result.fold) and result.fold.get("number", 1) is None


def _require_same_training(runs: Sequence[FinishedRun]) -> None:
    """Raise where runs of one label were trained otherwise, which their names need not tell."""
    for of_label in by_label(runs).values():
        first = of_label[0]
        of_first = first.result.recipe.get("training", {})
        for run in of_label[1:]:
            training = run.result.recipe.get("training", {})
            for key in sorted(set(DECISIVE) & set(training) & set(of_first) - {"seed", "data_seed"}):
                if training[key] != of_first[key]:
                    raise ValueError(
                        f"{first.folder} and {run.folder} are both {run.label}, of {key} {of_first[key]} and "
                        f"{training[key]}; a mean over seeds needs the same training. Leave one of them out"
                    )


def _labels(names: Sequence[str]) -> dict[str, str]:
    """{name of a recipe: what it is called beside the others}: without the file and the changes that all share."""
    parts = {name: (*name.partition(" with ")[0].rpartition("/")[::2], _changes(name)) for name in names}
    one_file = len({file for file, _, _ in parts.values()}) == 1
    shared = set.intersection(*(set(changes) for _, _, changes in parts.values()))
    labels = {}
    for name, (file, row, changes) in parts.items():
        own = ", ".join(change for change in changes if change not in shared)
        labels[name] = (row if one_file else f"{file}/{row}") + (f" with {own}" if own else "")
    return labels


def _changes(name: str) -> list[str]:
    """The changes in the name of a recipe, each an entry and its value, which may be a list."""
    return [change for change in _NEXT_CHANGE.split(name.partition(" with ")[2]) if change]


def _results(folder: Path) -> Iterable[Path]:
    if (folder / "result.json").is_file():
        return [folder / "result.json"]
    return folder.rglob("result.json")


def fitting(
    runs: Sequence[FinishedRun], unfit: Callable[[FinishedRun], str | None], figure: str
) -> tuple[list[FinishedRun], list[str]]:
    """The runs that a figure can be drawn of, and sentences on the others.

    Args:
        runs: those that were given.
        unfit: why a run is of no use, or None.
        figure: what it is, for the message.

    Raises:
        ValueError: none fits.
    """
    reasons = {run.folder: unfit(run) for run in runs}
    kept = [run for run in runs if reasons[run.folder] is None]
    notes = left_out(runs, {run.folder: reason for run in runs if (reason := reasons[run.folder])})
    if not kept:
        whom = f"none of these {len(runs)} runs has" if len(runs) > 1 else "this run has not"
        raise ValueError(f"{whom} what {figure} shows: {'; '.join(notes)}")
    return kept, notes


def left_out(runs: Sequence[FinishedRun], reasons: dict[Path, str]) -> list[str]:
    """A sentence for each reason for which runs are left out, bounded however many they are.

    Args:
        runs: all that were given.
        reasons: {folder: why that run is of no use}.
    """
    by_reason: dict[str, list[FinishedRun]] = {}
    for run in runs:
        if run.folder in reasons:
            by_reason.setdefault(reasons[run.folder], []).append(run)
    return [f"left out {_named(of_reason, runs)}: {reason}" for reason, of_reason in by_reason.items()]


def _named(some: Sequence[FinishedRun], runs: Sequence[FinishedRun]) -> str:
    """Labels, with their seeds where these are not all that the label has."""
    whole = by_label(runs)
    names = [
        label
        if len(of_label) == len(whole[label]) > 1
        else f"{label}, seed {' and '.join(str(run.seed) for run in of_label)}"
        for label, of_label in by_label(some).items()
    ]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more


def require_comparable(runs: Sequence[FinishedRun], split: str, figure: str) -> str:
    """The task that the runs are compared in: the first one with classes.

    Args:
        split: whose faces the figure is about.
        figure: what it is, for the message.

    Raises:
        ValueError: they learned several tasks, or are of several data sets, or of other faces of one.
    """
    tasks = sorted({str(first_classification(run)) for run in runs})
    if len(tasks) > 1:
        raise ValueError(f"{figure} shows one task, and these runs learned {' and '.join(tasks)}")
    sources = sorted({run.result.data["source"] for run in runs})
    if len(sources) > 1:
        raise ValueError(f"{figure} shows one data set, and these runs are of {' and '.join(sources)}")
    first = runs[0]
    for run in runs[1:]:
        if run.result.rows.get(split) != first.result.rows.get(split):
            counts = [f"{each.label} {each.result.rows.get(split, {}).get('rows', 0):,} rows" for each in (first, run)]
            raise ValueError(
                f"{figure} shows scores of the same faces, and these runs have other ones in {split}: "
                f"{' and '.join(counts)}. Leave one of them out: --without {run.label}"
            )
    return tasks[0]


def saves_no_network(run: FinishedRun) -> str | None:
    """Why a run has no network that could be shown pictures, or None."""
    if is_pooled(run.result):
        return f"it scores several networks together, those of its folds; give the runs of one, such as {_ONE_FOLD}"
    if run.result.recipe.get("probe"):
        return "a probe saves no network"
    return "it reads clips, and pictures are looked at here" if run.result.recipe.get("sequence") else None


def require_weights(runs: Sequence[FinishedRun], weights: str) -> None:
    """Raise where a run has not the weights that are to be looked at: before the minutes that looking takes.

    Args:
        weights: one of `run.finished.WEIGHTS`.
    """
    from hf_hmtl.run.finished import weights_of  # here: figures of logs alone need no torch

    for run in runs:
        weights_of(run.folder, run.result, weights)


def first_classification(run: FinishedRun) -> str | None:
    """The task that figures of classes are about: the first that has some, in any split; all folds together have only
    the one that is reported."""
    of_classes = {task for split in run.result.rows.values() for task in split["classes"]}
    return next((task for task in run.result.model["supervised"] if task in of_classes), None)


def by_label(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """{label: its runs}, both in their order."""
    found: dict[str, list[FinishedRun]] = {}
    for run in runs:
        found.setdefault(run.label, []).append(run)
    return found


def mean_and_interval(values: Sequence[float]) -> dict[str, float]:
    """Mean over seeds, sample deviation, and Student's 95 % interval; of one seed the mean alone."""
    values = [value for value in values if math.isfinite(value)]
    low, high = of_mean(values)
    mean = float(np.mean(values)) if values else math.nan
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return {"mean": mean, "sd": deviation, "low": low, "high": high}
