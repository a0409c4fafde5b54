"""What predictions.parquet says of each row: how right its answer is, and how sure."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.results.predictions import column_of

ACCURACY, ERROR = "accuracy", "mae"
"""What a mean over rows is called: of classes and attributes, of numbers."""


def tasks_of(predictions: pa.Table, tasks: Sequence[str]) -> list[str]:
    """Those of the tasks that the table has answers to."""
    return [task for task in tasks if _pairs(predictions, task)]


def row_scores(predictions: pa.Table, task: str) -> tuple[str, np.ndarray]:
    """What a row's answer is worth: whether its class is right, the share of its attributes that are, or how far its
    numbers are from the true ones, a mean over the columns of the task.

    Args:
        predictions: rows of predictions.parquet.
        task: one that it has answers to.

    Returns:
        `ACCURACY` or `ERROR`, and (rows,) float64, NaN where there is no label or no answer.
    """
    measure, columns = ACCURACY, []
    for label, answer in _pairs(predictions, task):
        true, answered = column_of(predictions, label), column_of(predictions, answer)
        if pa.types.is_floating(answered.type):
            measure = ERROR
            columns.append(np.abs(_numbers(true) - _numbers(answered)))
        else:
            right = pc.equal(true.cast(pa.string()), answered.cast(pa.string()))
            columns.append(_numbers(right.cast(pa.int8())))
    values = np.stack(columns)
    known = ~np.isnan(values)
    means = np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1)
    return measure, np.where(known.any(0), means, np.nan)


def probabilities_of(predictions: pa.Table, task: str, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(rows, classes) probabilities, and (rows,) class numbers with -1 where there is no label or no answer."""
    probabilities = np.stack(
        [_numbers(column_of(predictions, f"{task}_probability_{label}")) for label in labels], axis=1
    )
    true = pc.index_in(column_of(predictions, f"{task}_label").cast(pa.string()), pa.array(labels)).fill_null(-1)
    answered = np.isfinite(probabilities).all(1)
    return np.nan_to_num(probabilities), np.where(answered, np.asarray(true), -1)


def has_probabilities(predictions: pa.Table, task: str, labels: Sequence[str]) -> bool:
    """Whether the table has a probability of every class."""
    return all(f"{task}_probability_{label}" in predictions.column_names for label in labels)


def _pairs(predictions: pa.Table, task: str) -> list[tuple[str, str]]:
    """(label, answer) columns of a task: one pair, or one for each of its columns."""
    if f"{task}_answer" in predictions.column_names:
        return [(f"{task}_label", f"{task}_answer")]
    start = f"{task}_answer_"
    parts = [name.removeprefix(start) for name in predictions.column_names if name.startswith(start)]
    return [(f"{task}_label_{part}", f"{start}{part}") for part in parts]


def _numbers(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan))
