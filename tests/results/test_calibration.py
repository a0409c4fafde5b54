"""Calibration as it is read off predictions.parquet."""

import numpy as np
import pyarrow as pa
import pytest

from hf_hmtl.metrics.calibration import scores
from hf_hmtl.results.calibration import calibration_of


def predictions(rows=60):
    draw = np.random.default_rng(0)
    probabilities, labels = draw.dirichlet(np.ones(3), rows), draw.integers(0, 3, rows)
    names = np.array(["x", "y", "z"], dtype=object)
    table = {f"mood_probability_{name}": probabilities[:, k] for k, name in enumerate(names)}
    return {"mood_label": names[labels], "mood_answer": names[probabilities.argmax(1)], **table}, probabilities, labels


def test_it_is_that_of_the_rows_with_label_and_image():
    table, probabilities, labels = predictions()
    table["mood_label"][:5] = None
    broken = np.arange(60) >= 50
    columns = {name: pa.array(values, mask=broken if "label" not in name else None) for name, values in table.items()}
    found = calibration_of(pa.table(columns), {"mood": ("x", "y", "z")})["mood"]
    expected = scores(probabilities[5:50], labels[5:50])
    assert {name: found[name] for name in expected} == pytest.approx(expected) and found["count"] == 45
    assert sum(part["rows"] for part in found["reliability"]) == 45


def test_a_task_without_probabilities_has_none():
    assert calibration_of(pa.table({"age_label": [3.0], "age_answer": [2.0]}), {"age": ("a", "b")}) == {}
