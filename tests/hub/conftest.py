"""A Hub in memory that the client of this process speaks to; without it, tests stay offline."""

import json
import platform
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from hub_names import MACHINE, PERSON, SECRET
from hub_server import TOKEN, running_hub
from huggingface_hub import constants
from huggingface_hub.utils import _http
from runs import tiny

from hf_hmtl.commands.train import run as train


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The running server; the client knows its token, waits for nothing between attempts and has an empty cache."""
    with running_hub() as running:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", running.url)
        monkeypatch.setattr("transformers.utils.hub._hf_api", None)
        monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run that was started in a secret place, from weights in it, with a token; four steps, a checkpoint each."""
    place = tmp_path_factory.mktemp(SECRET)
    steps = ["--max_steps", "4", "--eval_strategy", "steps", "--eval_steps", "2", "--save_strategy", "steps"]
    steps += ["--save_steps", "2", "--hub_token", TOKEN, "--save_total_limit", "5"]
    with pytest.MonkeyPatch.context() as machine:
        for name in ("USER", "LOGNAME", "USERNAME"):
            machine.setenv(name, PERSON)
        for owner, name in ((platform, "node"), (socket, "gethostname")):
            machine.setattr(owner, name, lambda: MACHINE)
        train(["quickstart", *tiny(), *steps, "--output_dir", str(place / "first")])
        train(["quickstart", *tiny(), *steps, "--output_dir", str(place / "run"), "--pretrained", str(place / "first")])
    return place / "run"


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of that run, to be changed."""
    return shutil.copytree(trained, tmp_path / SECRET / "run")


@pytest.fixture
def relative(folder, monkeypatch):
    """The same run as one whose folder, and whose first weights, were given relatively to the folder one works in."""
    monkeypatch.chdir(folder.parent)
    place = Path("..") / SECRET / folder.name
    (folder.parent / "weights" / "first").mkdir(parents=True)
    for path in folder.glob("checkpoint-*/trainer_state.json"):
        state = json.loads(path.read_text())
        best = str(place / Path(state["best_model_checkpoint"]).name)
        path.write_text(json.dumps(state | {"best_model_checkpoint": best}))
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"recipe.pretrained": "weights/first"}))
    return place
