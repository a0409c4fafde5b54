"""The commands of `hf-hmtl`, of `python -m hf_hmtl` and of `scripts/`, which are the same.

The folder is the registry: a file is a command, the first line of its docstring is what the list says of it, and
`run(arguments)` does it. A command imports what it needs when it runs, so that lists and help come at once.
"""

import difflib
import importlib
import os
import pkgutil
import sys
from types import ModuleType

from hf_hmtl.ending import ToldToEnd, reason, status, told, with_the_launcher

ABOUT = """\
usage: hf-hmtl COMMAND [--help] ...

Hybrid Multi-Task Learning for faces (arXiv 2105.06421).

{commands}

Also: python -m hf_hmtl COMMAND, accelerate launch --quiet -m hf_hmtl COMMAND.
HF_HMTL_TRACEBACK=1 shows where an error came from.
Exit status: 0 done, 2 a mistake, 130 after Ctrl-C, 143 after SIGTERM (behind a launcher, the launcher's own)."""
GOES_ON = {"train": ". --resume_from_checkpoint last goes on"} | dict.fromkeys(
    ("advise", "compare", "predict", "prepare", "push", "reproduce"), ". The same command goes on"
)


def available() -> list[str]:
    """Names of the commands, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The module of a command.

    Raises:
        ValueError: there is none of that name; the message has the nearest.
    """
    if name not in available():
        close = difflib.get_close_matches(name, available(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown command {name!r}.{hint} Commands: {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def main(name: str | None = None) -> None:
    """Run the command line of this process.

    A mistake of the user ends in one line on stderr and exit status 2, Ctrl-C in one and 130, SIGTERM in one and 143.

    Args:
        name: the command; the first word of the command line unless given.
    """
    arguments = sys.argv[1:]
    if name is None:
        if not arguments or arguments[0] in ("--help", "-h"):
            lines = [f"  {each:20} {(get(each).__doc__ or '').splitlines()[0]}" for each in available()]
            print(ABOUT.format(commands="\n".join(lines)))
            return
        name, *arguments = arguments
    try:
        with told(), with_the_launcher():
            get(name).run(arguments)
    except (KeyboardInterrupt, ToldToEnd) as end:
        print(f"hf-hmtl {name}: {reason(end)}{GOES_ON.get(name, '')}", file=sys.stderr)
        sys.exit(status(end))
    except (ValueError, OSError) as error:
        if os.environ.get("HF_HMTL_TRACEBACK"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)  # also what libraries say on several lines
        sys.exit(2)
