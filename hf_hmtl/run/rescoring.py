"""Scores once more, of what predictions.parquet says: the model is never run again."""

from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from hf_hmtl.data.identity import CLIP
from hf_hmtl.model.configuration_sequence_hmtl import CLIP as WHOLE
from hf_hmtl.results.result import Result
from hf_hmtl.run.experiment import build_supervised
from hf_hmtl.tasks import Supervised
from hf_hmtl.tasks.base import numbers_of
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.training.clips import scores_in_time

OF_SEED = "answer_of_seed_"
"""How the answers of further fits of a probe begin."""


def task_of(result: Result, name: str) -> Supervised:
    """A supervised task of a run, as far as it scores answers.

    Raises:
        ValueError: the run has learned none of that name, or its options are of another hf_hmtl.
    """
    entries = {(settings or {}).get("name", key): (key, settings) for key, settings in _learned(result).items()}
    if name not in entries:
        raise ValueError(f"{result.name} learned no {name!r}; it learned {', '.join(entries) or 'no label'}")
    key, settings = entries[name]
    options = {option: value for option, value in (settings or {}).items() if option != "class_weights"}
    labels = result.heads.get(name, {}).get("labels")
    features = datasets.Features({key: datasets.ClassLabel(names=labels)} if labels else {})
    return build_supervised(key, options, datasets.Dataset.from_dict({each: [] for each in features}, features), name)


def _learned(result: Result) -> Mapping[str, Any]:
    return result.recipe.get("supervised", {})


def rescored(result: Result, predictions: pa.Table, name: str) -> dict[str, float]:
    """{measure: score} of a task over some rows of predictions.parquet; of a probe that was fitted with several seeds
    the mean over them.

    Args:
        result: of a run whose answers the rows are, or of one with the same tasks.
        predictions: the rows, of one run or of several.
        name: of the task.

    Raises:
        ValueError: as `task_of`.
    """
    task = task_of(result, name)
    own = [column for column in predictions.column_names if column.startswith(f"{name}_")]
    rows = {column.removeprefix(f"{name}_"): predictions[column].to_pylist() for column in own}
    fits = [part for part in rows if part.startswith(OF_SEED)] or ["answer"]
    scores = [task.score_of_rows(rows | {"answer": rows[fit]} if fit in rows else rows) for fit in fits]
    found = {measure: float(np.mean([of_fit[measure] for of_fit in scores])) for measure in scores[0]}
    in_time = result.recipe.get("sequence")
    if in_time is not None and in_time.get("answers") != WHOLE and isinstance(task, Regression):
        answers, labels = (numbers_of(rows, task.parts(kind)) for kind in ("answer", "label"))
        answered = np.isfinite(answers).all(axis=1)
        clips = np.array(predictions[CLIP].to_pylist(), dtype=object)[answered]
        found |= scores_in_time(task, clips.tolist(), answers[answered], labels[answered])
    return found
