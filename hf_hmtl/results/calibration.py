"""How well the probabilities of every classification hold, read off predictions.parquet."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from hf_hmtl.metrics.calibration import reliability, scores
from hf_hmtl.results.by_row import has_probabilities, probabilities_of

BINS = 10
"""Of the table that a reader sees; the error itself is over the metric's own bins."""


def calibration_of(predictions: pa.Table, classes: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """{task: its scores, and `reliability`, the bins of a table}, as `metrics.calibration` defines them.

    Args:
        predictions: rows of one split, as predictions.parquet has them.
        classes: {task: names of its classes}; those without probabilities are passed over.
    """
    found = {}
    for task, labels in classes.items():
        if has_probabilities(predictions, task, labels):
            probabilities, targets = probabilities_of(predictions, task, labels)
            found[task] = {**scores(probabilities, targets), "reliability": reliability(probabilities, targets, BINS)}
    return found
