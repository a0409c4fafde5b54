"""The folds of a cross-validation: as one result over all rows, and each as a mean over its seeds."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hf_hmtl.compare.rows import Comparison, Row, run_folder
from hf_hmtl.compare.statistics import PREFIXES
from hf_hmtl.results import result as results
from hf_hmtl.results.calibration import calibration_of
from hf_hmtl.results.groups import by_groups
from hf_hmtl.results.predictions import NAME as PREDICTIONS
from hf_hmtl.results.predictions import confusion, of_split, read_predictions, write_predictions
from hf_hmtl.results.result import Result
from hf_hmtl.run.rescoring import rescored

POOLED = "pooled"
"""The folder, beside those of the folds, of the result over all rows."""


def finished_folds(comparison: Comparison, row: Row, folder: Path) -> dict[int, dict[int, Result]]:
    """{seed: {fold: Result}} of what is finished of a row.

    Args:
        folder: of the variant.
    """
    found: dict[int, dict[int, Result]] = {}
    for seed in row.seeds:
        for of_fold in comparison.of_each_fold(row):
            path = run_folder(folder, row.label, seed, of_fold.fold) / "result.json"
            if path.is_file():
                found.setdefault(seed, {})[of_fold.fold[0]] = results.read(path)
    return found


def over_seeds(runs: Mapping[int, Mapping[int, Result]]) -> dict[int, Result]:
    """{fold: a result whose scores are means over seeds}; of several seeds without a log, which is none's.

    Args:
        runs: {seed: {fold: Result}}.
    """
    by_fold: dict[int, list[Result]] = {}
    for seed in sorted(runs):
        for fold, result in runs[seed].items():
            by_fold.setdefault(fold, []).append(result)
    return {fold: _mean_of(by_fold[fold]) for fold in sorted(by_fold)}


def _mean_of(runs: Sequence[Result]) -> Result:
    first = runs[0]
    if len(runs) == 1:
        return first
    return dataclasses.replace(first, metrics=_means(runs, "metrics"), history=[])


def _means(runs: Sequence[Result], group: str) -> dict[str, float]:
    """The mean of each score that all of the runs have."""
    scores = [getattr(run, group) for run in runs]
    return {key: float(np.mean([each[key] for each in scores])) for key in scores[0] if all(key in s for s in scores)}


def pooled_results(
    comparison: Comparison, row: Row, folder: Path, finished: Mapping[int, Mapping[int, Result]]
) -> dict[int, Result]:
    """{seed: the result over all rows} of the seeds whose folds are all finished; written beside the folds.

    Copies of results without their predictions (`hf-hmtl cards --keep`) have it from when it was written.

    Args:
        folder: of the variant.
        finished: as `finished_folds` gives it.
    """
    found = {}
    for seed, runs in finished.items():
        if len(runs) < len(comparison.of_each_fold(row)):
            continue
        of_seed = run_folder(folder, row.label, seed)
        place, folds = of_seed / POOLED, {number: of_seed / f"fold-{number}" for number in runs}
        if all((each / PREDICTIONS).is_file() for each in folds.values()):
            found[seed] = _pool(runs, {number: read_predictions(each) for number, each in folds.items()}, place)
        elif (place / "result.json").is_file():
            found[seed] = results.read(place / "result.json")
    return found


def _pool(runs: Mapping[int, Result], predictions: Mapping[int, pa.Table], folder: Path) -> Result:
    split = runs[1].protocol["reported_on"]
    table = pa.concat_tables([of_split(predictions[number], split) for number in runs], promote_options="permissive")
    result = pooled([runs[number] for number in runs], table)
    write_predictions([table], folder)
    result.write(folder / "result.json")
    return result


def pooled(runs: Sequence[Result], answers: pa.Table) -> Result:
    """One result of all folds of a cross-validation.

    Scores, confusion, calibration and groups of the tested rows are over all of them together; those of validation and
    training rows, and of the answer that needs no image, are means over the folds. Steps and seconds are sums.

    Args:
        runs: one a fold.
        answers: their answers to the rows that they tested, as predictions.parquet has them.
    """
    first, split = runs[0], runs[0].protocol["reported_on"]
    prefix = PREFIXES[split]
    tasks = first.model["supervised"]
    tested = {
        f"{prefix}{task}_{name}": value for task in tasks for name, value in rescored(first, answers, task).items()
    }
    classes = {task: found["labels"] for task, found in first.confusion.get(split, {}).items()}
    metrics = {key: value for key, value in _means(runs, "metrics").items() if not key.startswith(prefix)} | tested
    steps, seconds = sum(run.steps for run in runs), sum(run.seconds["total"] for run in runs)
    columns = first.recipe.get("report_groups") or []
    folds = len(runs)
    return dataclasses.replace(
        first,
        name=name_without_fold(first),
        recipe=first.recipe | {"source": {k: v for k, v in first.recipe["source"].items() if k != "fold"}},
        metrics=metrics,
        baselines=_means(runs, "baselines"),
        confusion={
            split: {
                task: {"labels": labels, "matrix": confusion(answers, task, labels)} for task, labels in classes.items()
            }
        },
        rows={split: _added([run.rows[split] for run in runs])},
        protocol={
            "selection": None,
            "reported_on": split,
            "notes": [
                f"Cross-validation in {folds} folds: the answers to all rows are scored together, each given by "
                "weights that never saw the row.",
                *_shared([run.protocol["notes"] for run in runs]),
            ],
        },
        data=first.data
        | {
            "fingerprint": _fingerprint([run.data["fingerprint"] for run in runs]),
            "notes": _shared([run.data["notes"] for run in runs]),
        },
        seconds={"total": seconds, "per_step": seconds / max(steps, 1)},
        steps=steps,
        epochs=float(np.mean([run.epochs for run in runs])),
        broken_images={split: sum(run.broken_images.get(split, 0) for run in runs)},
        scored={split: _added([run.scored.get(split, {}) for run in runs])},
        history=[],
        paper=None,
        finished=max((run.finished for run in runs if run.finished), default=None),
        groups=by_groups(answers, columns, tasks) if columns else {},
        calibration=calibration_of(answers, classes),
        fold={"number": None, "of": folds},
        sources={},
    )


def name_without_fold(result: Result) -> str:
    """The name of a run without the change that makes it one fold."""
    title, _, changes = result.name.partition(" with ")
    own = f"source.fold=[{result.fold['number']}, {result.fold['of']}]"
    left = changes.replace(f", {own}", "").replace(f"{own}, ", "").replace(own, "")
    return f"{title} with {left}" if left else title


def _shared(notes: Sequence[Sequence[str]]) -> list[str]:
    """What is noted on every fold alike."""
    return [note for note in notes[0] if all(note in of_fold for of_fold in notes)]


def _added(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums of nested counts."""
    total: dict[str, Any] = {}
    for each in counts:
        for key, value in each.items():
            total[key] = (
                _added([total.get(key, {}), value]) if isinstance(value, Mapping) else total.get(key, 0) + value
            )
    return total


def _fingerprint(fingerprints: Sequence[str]) -> str:
    """Of the folds together, which differs where any of them saw other data."""
    digest = hashlib.blake2b("".join(fingerprints).encode(), digest_size=16).hexdigest()
    return f"{fingerprints[0].partition(':')[0]}:{digest}"
