"""Several tasks from the command line: --label_columns emotion=expression:classification valence=val:regression."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_hmtl import tasks
from hf_hmtl.data.own_faces.label_columns import WORDS
from hf_hmtl.recipe import Recipe, nearest
from hf_hmtl.tasks import Supervised
from hf_hmtl.tasks.base import head_name
from hf_hmtl.tasks.classification import Classification

EXAMPLE = "--label_columns emotion=expression:classification valence=val:regression pose=yaw,pitch,roll:head_pose"


@dataclass(frozen=True)
class Entry:
    """One task of `--label_columns`.

    Attributes:
        name: of the task.
        columns: of the table.
        kind: file of the task; None where it is not said, which is a classification of words.
    """

    name: str
    columns: tuple[str, ...]
    kind: str | None

    @property
    def labels(self) -> dict[str, str]:
        """{name in the dataset: column of the table}; a task of several columns keeps their names."""
        return {self.name: self.columns[0]} if len(self.columns) == 1 else {name: name for name in self.columns}

    @property
    def settings(self) -> dict[str, Any]:
        """The entry of a recipe's `supervised`."""
        several = {"column": list(self.columns)} if len(self.columns) > 1 else {}
        return {"task": self.kind or "classification", **several}


def label_changes(given: Sequence[str], row: Recipe) -> dict[str, Any]:
    """What `--label_columns` changes in a row of `custom`: its source, and its supervised tasks, which these replace.

    Raises:
        ValueError: an entry is not of the form TASK=COLUMNS:KIND, its task is unknown or does not learn so many
            columns, or two entries want one name.
    """
    entries = [_entry(text, row) for text in given]
    twice = [name for name, count in Counter(entry.name for entry in entries).items() if count > 1]
    if twice:
        raise ValueError(f"--label_columns names the task {twice[0]!r} twice; give each a name of its own")
    labels: dict[str, str] = {}
    owners: dict[str, Entry] = {}
    for entry in entries:
        for name, column in entry.labels.items():
            other = owners.setdefault(name, entry)
            if other is not entry and not (labels[name] == column and _are_numbers(entry) == _are_numbers(other)):
                raise ValueError(
                    f"--label_columns: {other.name} and {entry.name} both want a label called {name!r}; call one of "
                    "the tasks otherwise, or rename the column"
                )
            labels[name] = column
    first = next(iter(labels))
    source = {
        "task": first,
        "label_column": labels[first],
        "label_columns": {name: column for name, column in labels.items() if name != first},
        "label_kinds": {entry.name: WORDS for entry in entries if entry.kind is None},
    }
    return {
        "source": {key: value for key, value in source.items() if value},
        "supervised": {**dict.fromkeys(row.supervised), **{entry.name: entry.settings for entry in entries}},
    }


def _entry(text: str, row: Recipe) -> Entry:
    name, separator, columns_and_kind = text.partition("=")
    columns, colon, kind = columns_and_kind.rpartition(":")
    if not colon:
        columns, kind = kind, ""
    parts = tuple(column.strip() for column in columns.split(","))
    if not (separator and name and all(parts)) or (colon and not kind):
        raise ValueError(f"--label_columns {text!r} must read TASK=COLUMN:KIND, as in {EXAMPLE}")
    entry = Entry(name, parts, kind or None)
    _check_name(entry, text, row)
    if len(set(parts)) < len(parts):
        raise ValueError(f"--label_columns {text!r} names a column twice")
    _check_kind(entry, text)
    return entry


def _check_name(entry: Entry, text: str, row: Recipe) -> None:
    wanted = head_name(entry.name, avoided=row.auxiliary)
    if entry.name != wanted:
        raise ValueError(
            f"--label_columns {text!r}: a task cannot be called {entry.name!r}, because its name becomes part of "
            f"others (small letters, digits and underscores). Type {wanted}={text.partition('=')[2]}"
        )
    if entry.name in row.supervised and entry.kind not in (None, "classification"):
        raise ValueError(
            f"--label_columns {text!r}: {entry.name!r} is the name of the recipe's own classification; call the task "
            "as what it learns, such as age=age:regression"
        )


def _check_kind(entry: Entry, text: str) -> None:
    if entry.kind is None:
        task: type = Classification
    elif entry.kind.endswith(".py") or entry.kind in tasks.available():
        task = tasks.get(entry.kind)
    else:
        task = object
    if not issubclass(task, Supervised):
        known = [name for name in tasks.available() if issubclass(tasks.get(name), Supervised)]
        raise ValueError(
            f"--label_columns {text!r}: {entry.kind!r} is no task with labels.{nearest(entry.kind or '', known)} "
            f"Known: {', '.join(known)}; or give the path of a .py file. A column whose name holds a colon needs a kind"
        )
    if issubclass(task, Classification):
        if len(entry.columns) > 1:
            raise ValueError(
                f"--label_columns {text!r}: {'a classification learns one column' if entry.kind else 'say the kind'}; "
                f"several are learned by regression, head_pose (yaw, pitch, roll) or attributes (yes or no), as in "
                f"{entry.name}={','.join(entry.columns)}:attributes"
            )
        return
    try:
        task(name=entry.name, column=entry.columns if len(entry.columns) > 1 else entry.name)
    except ValueError as error:
        raise ValueError(f"--label_columns {text!r}: {error}") from error


def _are_numbers(entry: Entry) -> bool:
    return entry.kind is not None and not issubclass(tasks.get(entry.kind), Classification)
