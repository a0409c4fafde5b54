"""The folder is the registry: `get("puzzle")` imports `tasks/puzzle.py`, `available()` lists the files.

A task file defines one class named `TASK`. One of your own may lie anywhere: `get("path/to/mine.py")`.
"""

import difflib
import importlib
import pkgutil
import sys
from pathlib import Path

from hf_hmtl.tasks.base import Pretext, Supervised, Task

__all__ = ["Pretext", "Supervised", "Task", "available", "get"]


def available() -> list[str]:
    """Names of the tasks of this package, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def get(name: str) -> type[Task]:
    """The task class of a file in this folder, or of a .py file elsewhere.

    Raises:
        ValueError: no file of that name; the message lists the files and the nearest name. Or the file elsewhere has no
            TASK, or the name of another module.
    """
    if isinstance(name, str) and name.endswith(".py"):
        return _from_file(Path(name))
    if not isinstance(name, str) or name not in available():
        nearest = difflib.get_close_matches(str(name), available(), n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"unknown task {name!r}.{hint} Known tasks: {', '.join(available())}; or give the path of a .py file that "
            "defines TASK"
        )
    return importlib.import_module(f"hf_hmtl.tasks.{name}").TASK


def _from_file(path: Path) -> type[Task]:
    """By way of sys.path, so that loader workers find the class again wherever they are spawned and not forked."""
    path = path.resolve()
    if not path.is_file():
        raise ValueError(f"task file {path} does not exist")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.import_module(path.stem)
    if Path(module.__file__ or "").resolve() != path:
        raise ValueError(
            f"task file {path} has the name of another module, {module.__file__ or path.stem}; rename it, e.g. to "
            f"my_{path.name}"
        )
    if not isinstance(getattr(module, "TASK", None), type):
        raise ValueError(f"{path} defines no TASK; end it with TASK = YourPretext, a subclass of hf_hmtl.tasks.Pretext")
    return module.TASK
