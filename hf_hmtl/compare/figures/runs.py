"""The runs that a figure is drawn of: from folders to labels and seeds, and means over seeds."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_hmtl.results import result as results
from hf_hmtl.results.intervals import of_mean
from hf_hmtl.results.result import Result


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
    which they were given, and leave out what all of them share of their names.

    Raises:
        ValueError: a folder holds no finished run, or two runs are of one label and seed.
    """
    found: dict[Path, Result] = {}
    for folder in folders:
        inside = sorted(_results(folder))
        if not inside:
            raise ValueError(f"{folder} holds no result.json; give the folder of a finished run or of a comparison")
        found |= {path.parent: results.read(path) for path in inside}
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
    order = list(dict.fromkeys(run.label for run in runs))
    return sorted(runs, key=lambda run: (order.index(run.label), run.seed))


def _labels(names: list[str]) -> dict[str, str]:
    """{name of a recipe: what it is called beside the others}: without the file and the changes that all share."""
    parts = {name: (*name.partition(" with ")[0].rpartition("/")[::2], name.partition(" with ")[2]) for name in names}
    one_file = len({file for file, _, _ in parts.values()}) == 1
    one_change = len({changes for _, _, changes in parts.values()}) == 1
    return {
        name: (row if one_file else f"{file}/{row}") + ("" if one_change or not changes else f" with {changes}")
        for name, (file, row, changes) in parts.items()
    }


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
    notes = [f"left out {run.label}, seed {run.seed}: {reasons[run.folder]}" for run in runs if reasons[run.folder]]
    if not kept:
        raise ValueError(f"none of these {len(runs)} runs has what {figure} shows: {'; '.join(dict.fromkeys(notes))}")
    return kept, notes


def first_classification(run: FinishedRun) -> str | None:
    """The task that figures of classes are about: the first that has some."""
    return next((task for task in run.result.model["supervised"] if task in run.result.rows["train"]["classes"]), None)


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
