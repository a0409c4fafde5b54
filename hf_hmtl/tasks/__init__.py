"""The folder is the registry: `get("puzzle")` imports `tasks/puzzle.py`, `available()` lists the files.

A task file defines one class named `TASK`. A class of your own, with the same interface, can be handed to the collator
and the trainer directly and needs no entry here.
"""

import difflib
import importlib
import pkgutil

from hf_hmtl.tasks.base import Pretext, Supervised, Task

__all__ = ["Pretext", "Supervised", "Task", "available", "get"]


def available() -> list[str]:
    """Names of the tasks of this package, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def get(name: str) -> type[Task]:
    """The task class of a file in this folder.

    Raises:
        ValueError: no file of that name; the message lists the files and the nearest name.
    """
    if name not in available():
        nearest = difflib.get_close_matches(name, available(), n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"unknown task {name!r}.{hint} Known tasks: {', '.join(available())}")
    return importlib.import_module(f"hf_hmtl.tasks.{name}").TASK
