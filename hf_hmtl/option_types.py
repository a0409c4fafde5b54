"""Whether a value that somebody typed or wrote into a YAML file is of the type that an option has."""

import math
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Union

from hf_hmtl.parsing import shown

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}


def require_types(owner: type | Callable, given: Mapping, what: str, besides: Collection[str] = ()) -> None:
    """Raise for the first value that does not fit the annotation of its option.

    Args:
        owner: a dataclass or a function, whose annotations say the types.
        given: {option: value}; options without an annotation are passed over.
        what: what the options are of, for the message: "option of the task 'puzzle'".
        besides: options that are checked elsewhere.

    Raises:
        ValueError: it names the option, the value, what is allowed, and what YAML makes of some words.
    """
    hints = typing.get_type_hints(owner)
    for option, value in given.items():
        if option in hints and option not in besides and not fits(value, hints[option]):
            raise ValueError(
                f"{what}: {option} is {shown(value)}, which is {_kind(value)}; allowed is {_allowed(hints[option])}."
                f"{_of_yaml(value)}"
            )


def require_mapping(given: Any, what: str) -> None:
    """Raise when something is no mapping with texts as keys.

    Raises:
        ValueError: it says what it is.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{what} is {shown(given)}, which is {_kind(given)}; allowed are names, each with its value")
    for key in given:
        if not isinstance(key, str):
            raise ValueError(
                f"{what} has the name {shown(key)}, which is {_kind(key)}.{_of_yaml(key)} Write it in 'quotes'"
            )


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation says; whole numbers are numbers, and NaN is none."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is None and hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    if origin is None and hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is None:
        return isinstance(value, hint) if isinstance(hint, type) else True
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            isinstance(key, str) and fits(each, parts[1]) for key, each in value.items()
        )
    if issubclass(origin, tuple) and parts and parts[-1] is not Ellipsis:
        return isinstance(value, list | tuple) and len(value) == len(parts) and all(map(fits, value, parts))
    if issubclass(origin, Sequence):
        return isinstance(value, list | tuple) and all(fits(each, parts[0]) for each in value)
    return True


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    return _WORDS.get(type(value), type(value).__name__)


def _allowed(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_allowed(part) for part in parts))
    if origin is not None and issubclass(origin, Mapping):
        return "a mapping of names"
    if origin is not None and issubclass(origin, tuple) and parts and parts[-1] is not Ellipsis:
        return f"a list of {len(parts)}"
    if origin is not None and issubclass(origin, Sequence):
        return f"a list, of {_allowed(parts[0])} each"
    return _WORDS.get(
        hint, "a path" if getattr(hint, "__name__", "") == "Path" else getattr(hint, "__name__", str(hint))
    )


def _of_yaml(value: Any) -> str:
    """What people mean by words that YAML takes for something else."""
    if isinstance(value, bool):
        return " YAML reads yes, no, on and off as true and false: write the word in 'quotes'."
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return ""
        return f" YAML reads {value[:40]} as text: write it as {float(value)!r}."
    return ""
