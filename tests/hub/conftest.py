"""A Hub in memory that the client of this process speaks to; without it, tests stay offline."""

from types import SimpleNamespace

import huggingface_hub
import pytest
from hub_server import TOKEN, running_hub
from huggingface_hub import constants
from huggingface_hub.utils import _http


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
        monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running
