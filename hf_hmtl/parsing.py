"""JSON and YAML that others wrote: a plain value, or a ValueError of one line, whatever stands there.

Nothing is executed and no class of Python is made. What is read is small in depth, in digits and, of YAML, in what its
aliases come to, so that whoever walks over the value or copies it neither hangs nor runs out of memory or stack.
"""

import json
import reprlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

DEEPEST = 100
"""Levels of lists and mappings in each other."""
_MOST_VALUES = 200_000  # of a YAML file; an alias counts as often as what it stands for
_MOST_CHARACTERS = 2_000  # of a text in a YAML file
_MOST_DIGITS = 100  # of a whole number, which is then a float too
# What PyYAML's own constructors raise for `!!timestamp x`, `!!bool x`, `!!int ''` and dates that are none.
_NO_SUCH_VALUE = (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError)

_short = reprlib.Repr()
_short.maxlevel, _short.maxdict, _short.maxlist, _short.maxtuple = 3, 6, 8, 8
_short.maxstring = _short.maxother = 120
_short.maxlong = 60


def shown(value: Any) -> str:
    """A value for a message: what `repr` says, in some hundred characters at most."""
    return _short.repr(value)


def text_of(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        ValueError: it is not UTF-8.
        OSError: it cannot be read.
    """
    return _decoded(path.read_bytes(), path)


def read_json(path: Path) -> Any:
    """`json_of` the content of a file; raises OSError, too."""
    return json_of(path.read_bytes(), path)


def json_of(content: bytes | str, where: object) -> Any:
    """The value of a JSON text.

    Args:
        content: UTF-8, or text.
        where: what it is, for the message.

    Raises:
        ValueError: it is no UTF-8 or no JSON, nested deeper than `DEEPEST`, names a key twice, or has a whole number of
            more than 100 digits.
    """
    text = content if isinstance(content, str) else _decoded(content, where)
    try:
        value = json.loads(text, object_pairs_hook=_once_each, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not JSON (line {error.lineno}: {error.msg})") from error
    except ValueError as error:
        raise ValueError(f"{where} is not JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(_too_deep(where)) from error
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for each in level if isinstance(each, list | dict)
                 for inner in (each.values() if isinstance(each, dict) else each)]  # fmt: skip
    if any(isinstance(each, list | dict) for each in level):
        raise ValueError(_too_deep(where))
    return value


def yaml_of(text: str, where: object, hint: str = "") -> Any:
    """The value of a YAML text, by the safe loader: text, numbers, truth values, dates, lists and mappings.

    Args:
        text: of the file.
        where: what it is, for the message.
        hint: what to do about an error, for the message.

    Raises:
        ValueError: it is no YAML, nested deeper than `DEEPEST`, names a key twice, holds itself or a text of more than
            2,000 characters, or comes to more than 200,000 values with its aliases written out.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _Measured(where).of(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ValueError(f"{place}: {problem}{hint}") from error
    except RecursionError as error:
        raise ValueError(_too_deep(where)) from error
    except _Refused:
        raise
    except _NO_SUCH_VALUE as error:
        raise ValueError(f"{where}: a value is none of its type ({shown(str(error))}){hint}") from error


class _Refused(ValueError):
    """A YAML text that could be read and is not."""


class _Measured:
    """How many values a YAML text comes to, and how deep they lie; each node is looked at once."""

    def __init__(self, where: object):
        self.where = where
        self.known: dict[int, tuple[int, int] | None] = {}

    def of(self, node: yaml.Node) -> tuple[int, int]:
        """Values and levels below a node, itself included."""
        if id(node) in self.known:
            measured = self.known[id(node)]
            if measured is None:
                raise _Refused(f"{self._place(node)}: an alias stands within what it stands for")
            return measured
        self.known[id(node)] = None
        children = self._children(node)
        values, levels = 1, 0
        for child in children:
            below = self.of(child)
            values, levels = values + below[0], max(levels, below[1])
        if values > _MOST_VALUES:
            raise _Refused(f"{self.where}: with its aliases written out it has more than {_MOST_VALUES:,} values")
        if levels >= DEEPEST:
            raise _Refused(_too_deep(self.where))
        self.known[id(node)] = values, levels + 1
        return values, levels + 1

    def _children(self, node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
            if len(set(keys)) < len(keys):
                twice = next(key for place, key in enumerate(keys) if key in keys[:place])
                raise _Refused(f"{self._place(node)}: a mapping names {shown(twice)} twice; leave one out")
            return [each for pair in node.value for each in pair]
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if node.tag == "tag:yaml.org,2002:int" and len(node.value) > _MOST_DIGITS:
            raise _Refused(f"{self._place(node)}: a whole number of {len(node.value):,} digits")
        if len(node.value) > _MOST_CHARACTERS:  # it may be quoted in a message, whatever it stands for
            raise _Refused(f"{self._place(node)}: a text of {len(node.value):,} characters; at most 2,000 are read")
        return []

    def _place(self, node: yaml.Node) -> str:
        return f"{self.where}, line {node.start_mark.line + 1}"


def _decoded(content: bytes, where: object) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 ({error.reason} at byte {error.start}); save it so") from error


def _too_deep(where: object) -> str:
    return f"{where}: lists and mappings lie in each other more than {DEEPEST} levels deep"


def _once_each(pairs: list[tuple[Hashable, Any]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {shown(next(name for name in names if names.count(name) > 1))} stands twice")
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a whole number of {len(digits):,} digits")
    return int(digits)
