"""Each metric folder loads with `evaluate.load`, offline, where hf_hmtl is not importable, and gives equal scores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_hmtl import metrics
from hf_hmtl.metrics import calibration, classification, multilabel, puzzle, regression

FOLDERS = Path(metrics.__file__).parent

NAMES = ["angry", "happy", "sad"]
CLASSES = {"predictions": [0, 1, 2, 1, 0], "references": [0, 2, 2, -1, 0]}
PUZZLES = {
    "predictions": [[0, 1, 2, 3], [3, 2, 0, 1], [0, 0, 0, 0], [1, 0, 2, 2]],
    "references": [[0, 1, 2, 3], [3, 2, 1, 0], [-100] * 4, [1, 0, 2, 3]],
}
NUMBERS = {"predictions": [0.5, -0.5, 0.25, 0.0], "references": [0.75, -0.5, float("nan"), -0.25]}
SEVERAL = {
    "predictions": [[1.0, -1.0], [0.5, 2.0], [-2.0, 0.0]],
    "references": [[1.0, 0.0], [0.0, 1.0], [1.0, float("nan")]],
}
SURE = {"predictions": [[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]], "references": [0, 0, -1]}

# Rows are added in two batches, as a user of `evaluate` would; the finder hides hf_hmtl even if it is installed.
PROGRAM = """
import importlib.abc
import json
import sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "hf_hmtl":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
import evaluate

found = []
for folder, rows, options in json.load(sys.stdin):
    metric = evaluate.load(folder)
    for part in (slice(0, 2), slice(2, None)):
        metric.add_batch(predictions=rows["predictions"][part], references=rows["references"][part])
    found.append(metric.compute(**options))
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What the metrics give in a fresh interpreter: [classification, puzzle, regression, multilabel, calibration]."""
    home = tmp_path_factory.mktemp("huggingface")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    rows = [
        [str(FOLDERS / "classification"), CLASSES, {"names": NAMES}],
        [str(FOLDERS / "puzzle"), PUZZLES, {}],
        [str(FOLDERS / "regression"), NUMBERS, {}],
        [str(FOLDERS / "multilabel"), SEVERAL, {"names": ["au1", "au2"]}],
        [str(FOLDERS / "calibration"), SURE, {}],
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(rows),
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("FOUND")[2])


def test_classification_loads_from_its_folder(loaded):
    expected = classification.scores(CLASSES["predictions"], CLASSES["references"], NAMES)
    assert loaded[0] == pytest.approx(expected, nan_ok=True)
    assert loaded[0]["accuracy"] == 3 / 4
    assert np.isnan(loaded[0]["recall_happy"])


def test_puzzle_loads_from_its_folder(loaded):
    assert loaded[1] == puzzle.scores(PUZZLES["predictions"], PUZZLES["references"])
    assert loaded[1]["exact_solve"] == pytest.approx(1 / 3)


def test_regression_loads_from_its_folder(loaded):
    assert loaded[2] == pytest.approx(regression.scores(NUMBERS["predictions"], NUMBERS["references"]))
    assert (loaded[2]["mae"], loaded[2]["count"]) == (pytest.approx(0.5 / 3), 3)


def test_multilabel_loads_from_its_folder(loaded):
    assert loaded[3] == pytest.approx(multilabel.scores(SEVERAL["predictions"], SEVERAL["references"], ["au1", "au2"]))
    assert loaded[3]["average_precision_au2"] == 1.0


def test_calibration_loads_from_its_folder(loaded):
    assert loaded[4] == pytest.approx(calibration.scores(SURE["predictions"], SURE["references"]))
    assert (loaded[4]["brier"], loaded[4]["count"]) == (pytest.approx((0.02 + 0.98) / 2), 2)
