"""Reading result.json of earlier versions: each is turned into the next, up to the present one."""

from typing import Any

from hf_hmtl.metrics.measure import Measure

PRESENT = 2
PREFIXES = {"validation": "eval_", "test": "test_"}
ACCURACY = (Measure("accuracy"), Measure("macro_f1"))
"""What every supervised task of version 1 was measured by."""


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a file of any version from 1, as the present version has them.

    Raises:
        KeyError: the file lacks what its version requires.
    """
    if values["schema_version"] == 1:
        values = _from_1(values)
    return values


def _from_1(values: dict[str, Any]) -> dict[str, Any]:
    """Version 2 counts broken images by split, knows which rows were scored, and names the measures of every task."""
    tasks = values["model"]["supervised"]
    counts = {
        split: {task: int(values["metrics"].get(f"{prefix}{task}_count") or 0) for task in tasks}
        for split, prefix in PREFIXES.items()
        if split in values["rows"]
    }
    return {
        **values,
        "schema_version": 2,
        "broken_images": {"train": values["broken_images"]},
        "scored": counts,
        "measures": {task: [vars(measure) for measure in ACCURACY] for task in tasks},
    }
