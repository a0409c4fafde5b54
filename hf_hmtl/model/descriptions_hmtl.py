"""How a head is described: what each kind may say, and whether what is said can be meant."""

import difflib
import math
import re
from numbers import Integral, Real

from torch.nn import ModuleDict

from .numbers_hmtl import checked_numbers
from .strangers_hmtl import short

# What each kind of head may say, with its default; None means that it has to be given.
HEAD_KINDS: dict[str, dict] = {
    "linear": {"shape": None, "dropout": 0.0},
    "mlp": {"shape": None, "dropout": 0.0, "hidden": 512},
    "multilabel": {"shape": None, "dropout": 0.0},
    "regression": {
        "shape": None,
        "dropout": 0.0,
        "names": None,
        "unit": "",
        "range": None,
        "tanh": False,
        "bins": None,
    },
    "projector": {"shape": None, "hidden": 1024},
    "decoder": {},
}
LARGEST_OUTPUT = 1_000_000  # numbers of a row of a head's output, and widths of its layers
MOST_LISTED = 40  # names in a message
LOSS_WEIGHTS = "loss_weights"  # name of the learned loss weights among the auxiliary modules


def completed_head(name: str, head: dict) -> dict:
    """The head with every default filled in, in one order of keys; raises on anything that is not allowed."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,99}", str(name)) or name == LOSS_WEIGHTS or hasattr(ModuleDict(), name):
        raise ValueError(
            f"{short(name)} cannot be the name of a head: it becomes part of the names of parameters, so it has up to "
            f"100 lower-case letters, digits and underscores only, and is neither {LOSS_WEIGHTS!r} nor what torch "
            f"calls something else, like 'type' or 'keys'. Rename it, for example 'head_pose'."
        )
    if not isinstance(head, dict) or "kind" not in head:
        raise ValueError(
            f'head {name!r} must be a dict that says its kind, like {{"kind": "linear", "shape": [8]}}, got '
            f"{short(head)}"
        )
    check_choice(f"kind of head {name!r}", head["kind"], HEAD_KINDS)
    defaults = {"kind": None, **HEAD_KINDS[head["kind"]], "auxiliary": False, "labels": None}
    for key in head:
        check_choice(f"key of the {head['kind']} head {name!r}", key, defaults)
    completed = {**defaults, **head}
    if "shape" in completed:
        completed["shape"] = _checked_shape(name, completed["shape"])
    if "hidden" in completed and not (is_count(completed["hidden"]) and completed["hidden"] <= LARGEST_OUTPUT):
        raise ValueError(
            f"head {name!r}: hidden is the width of a layer, 1 to {LARGEST_OUTPUT:,}, got {short(completed['hidden'])}"
        )
    if not isinstance(completed.get("dropout", 0.0), (int, float)) or not 0 <= completed.get("dropout", 0.0) < 1:
        raise ValueError(
            f"head {name!r}: dropout is a share of at least 0 and below 1, got {short(completed['dropout'])}"
        )
    if not isinstance(completed["auxiliary"], bool):
        raise ValueError(f"head {name!r}: auxiliary is true or false, got {short(completed['auxiliary'])}")
    if completed["labels"] is not None:
        if not isinstance(completed["labels"], (list, tuple)) or not all(map(is_plain, completed["labels"])):
            raise ValueError(f"head {name!r}: labels is a list of names, got {short(completed['labels'])}")
        completed["labels"] = _checked_labels(name, list(completed["labels"]), completed.get("shape"))
    if completed["kind"] == "regression":
        completed = checked_numbers(name, completed)
    if (completed["kind"], completed["labels"] is None) in (("multilabel", True), ("regression", False)):
        raise ValueError(
            f"head {name!r}: labels name the questions of a multilabel head, and a regression has names instead; got "
            f"kind {completed['kind']!r} and labels {completed['labels']!r}"
        )
    return completed


def _checked_shape(name: str, shape) -> list:
    shape = list(shape) if isinstance(shape, (list, tuple)) else shape
    sized = isinstance(shape, list) and 0 < len(shape) <= 8 and all(is_count(size) for size in shape)
    if not sized or math.prod(shape) > LARGEST_OUTPUT:
        raise ValueError(
            f"head {name!r}: shape lists the sizes of one row of its output, like [8] for 8 classes or [9, 9] for 9 "
            f"slots of 9 places, at most {LARGEST_OUTPUT:,} numbers, got {short(shape)}"
        )
    return shape


def _checked_labels(name: str, labels: list, shape) -> list:
    if shape is None or len(shape) != 1 or len(labels) != shape[0] or len(set(labels)) != len(labels) or shape[0] < 2:
        raise ValueError(
            f"head {name!r}: labels name the outputs of a classification one by one, so they are unique, at least two, "
            f"and as many as its one-dimensional shape; got {len(labels)} labels {short(labels)} for the shape {shape}"
        )
    return labels


def check_choice(what: str, given, allowed):
    """Raises ValueError for what is not among the allowed names, with the nearest of them."""
    if not is_plain(given) or given not in allowed:
        near = difflib.get_close_matches(str(given)[:100], list(allowed), n=1)
        raise ValueError(
            f"{short(given)} is not allowed as {what}. " + (f"Did you mean {near[0]!r}? " if near else "") + "Allowed: "
            f"{listed(allowed)}."
        )


def is_count(value) -> bool:
    """Whether it is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_number(value) -> bool:
    """Whether it is a finite number, of a size that floats have."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))
    except OverflowError:
        return False


def is_plain(value) -> bool:
    """Whether it is text or a whole number, as labels and names are, and not a list or dict."""
    return isinstance(value, (str, Integral))


def listed(names) -> str:
    """Names for a message, the first `MOST_LISTED` of them."""
    names = list(names)
    return ", ".join(map(short, names[:MOST_LISTED])) + ", ..." * (len(names) > MOST_LISTED) or "none"
