"""What stands where in a result.json: whether a file that somebody else wrote holds values of the types it has to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hf_hmtl.option_types import fits
from hf_hmtl.parsing import shown


@dataclass(frozen=True)
class Each:
    """A mapping by name, or a list, whose values have one shape."""

    shape: Any
    container: Any = dict


class Needed(dict):
    """The shapes of values of which none may be absent; a shape of several parts is a tuple of them."""


_NUMBER = float | None  # null stands for what is undefined; whole numbers are numbers
_COUNTS = dict[str, float]
_MODEL = {
    "backbone": str, "image_size": float, "base_model": str | None, "primary": str | None, "supervised": list[str],
    "auxiliary": list[str],
}  # fmt: skip
_LEFT_OUT = {"count": float, "names": list[str], "what": str}
_CALIBRATION = {
    "expected_error": _NUMBER, "brier": _NUMBER, "confidence": _NUMBER, "count": float,
    "reliability": Each(Needed(rows=float, low=float, high=float, confidence=_NUMBER, accuracy=_NUMBER), list),
}  # fmt: skip
_HEAD = {
    "kind": str, "labels": list[str] | None, "names": list[str] | None, "unit": str,
    "range": tuple[float, float] | None,
}  # fmt: skip
_RECIPE = {
    "about": str, "source": {"name": str, "hub_id": str | None}, "mixed_with": list[dict[str, Any]],
    "without_classes": dict[str, list[str]], "train_fraction": float, "label_fraction": float, "balancing": str,
    "backbone": str, "pretrained": bool | str | dict[str, str] | None, "teacher": str | dict[str, str] | None,
    "image_size": float, "crop": dict[str, float], "augmentation": dict[str, Any],
    "supervised": dict[str, dict[str, Any]], "auxiliary": dict[str, dict[str, Any]], "loss_weighting": str,
    "sequence": dict[str, Any] | None, "probe": str | None, "training": dict[str, Any],
}  # fmt: skip
SHAPE: dict[str, Any] = {
    "name": str,
    "recipe": _RECIPE,
    "model": _MODEL,
    "metrics": dict[str, _NUMBER],
    "baselines": dict[str, _NUMBER],
    "confusion": Each(Each(Needed(labels=list[str], matrix=list[list[float]]))),
    "rows": Each(Needed(rows=float, classes=dict[str, _COUNTS])),
    "protocol": {
        "selection": {"metric": str, "split": str, "step": float, "epoch": _NUMBER}, "reported_on": str,
        "notes": list[str],
    },
    "seeds": (_COUNTS, Needed(training=float)),
    "data": {"source": str, "fingerprint": str, "licence": str, "citation": str, "notes": list[str]},
    "packages": dict[str, str],
    "hardware": {"system": str, "cpu": str, "cores": float, "gpus": list[str]},
    "seconds": dict[str, _NUMBER],
    "parameters": dict[str, float],
    "steps": float,
    "epochs": float,
    "broken_images": _COUNTS,
    "scored": dict[str, _COUNTS],
    "measures": Each(Each(Needed(name=str, greater_is_better=bool, unit=str), list)),
    "history": list[dict[str, Any]],
    "paper": {
        "table": Any, "row": str, "metric": str, "value": float, "also": dict[str, float], "plus_minus": float,
        "in_table": Each({"row": str, "value": float}),
    },
    "finished": Any,
    "execution": {"processes": float, "device": str, "precision": str, "global_batch": float},
    "left_out": Each(Each((_LEFT_OUT, Needed(count=float)))),
    "left_out_steps": list[float],
    "groups": dict[str, dict[str, dict[str, dict[str, bool | _NUMBER]]]],
    "fold": {"number": _NUMBER, "of": float},
    "sources": dict[str, _COUNTS],
    "calibration": Each(_CALIBRATION),
    "started_from": ({"name": str, "base_model": str | None}, Needed(sources=list[str])),
    "heads": Each((_HEAD, Needed(kind=str))),
    "seconds_an_image": _NUMBER,
}  # fmt: skip
_MAY_BE_NULL = ("protocol.selection", "paper", "execution", "fold", "started_from")


def require_shape(values: Any, shape: Any = SHAPE, where: str = "") -> None:
    """Raise for the first value of another type. What is not there, and names that are unknown, are passed over.

    Raises:
        ValueError: it says where the value stands, and what it is.
    """
    if values is None and where in _MAY_BE_NULL:
        return
    if isinstance(shape, tuple):
        for part in shape:
            require_shape(values, part, where)
    elif isinstance(shape, Each):
        if not isinstance(values, shape.container):
            raise ValueError(
                f"{where} is {shown(values)}, which is no {'list' if shape.container is list else 'mapping'}"
            )
        inner: Iterable = values.items() if isinstance(values, dict) else enumerate(values)
        for name, value in inner:
            require_shape(value, shape.shape, f"{where}.{shown(name)}")
    elif isinstance(shape, dict):
        if not isinstance(values, Mapping):
            raise ValueError(f"{where or 'the file'} is {shown(values)}, which is no mapping")
        if isinstance(shape, Needed) and (lacking := shape.keys() - values.keys()):
            raise ValueError(f"{where} lacks {', '.join(sorted(lacking))}")
        for name in shape.keys() & values.keys():
            require_shape(values[name], shape[name], f"{where}.{name}".lstrip("."))
    elif not fits(values, shape):
        raise ValueError(f"{where} is {shown(values)}, which is of another type than there has to be")
