import pytest
from face_detectors import write_network
from serving_models import save, serving_model
from starlette.testclient import TestClient
from transformers import pipeline

from hf_hmtl.model import face_detector_hmtl
from hf_hmtl.serving.server.application import application
from hf_hmtl.serving.server.limits import Limits

LIMITS = Limits(body=200_000, pixels=1_000_000)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A model with every kind of head, saved."""
    return str(save(serving_model(learned_from=["drawn"]).slim(), tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A detector's file of weights, which reads faces out of the picture's pixels (face_detectors.py)."""
    return write_network(tmp_path_factory.mktemp("weights") / "maps.onnx")


@pytest.fixture
def detector(weights, monkeypatch):
    """In place of the installed one."""
    monkeypatch.setattr(face_detector_hmtl, "installed_weights", lambda: weights)


@pytest.fixture
def analyse(folder, detector):
    return pipeline("face-analysis", model=folder, device="cpu")


@pytest.fixture
def client(analyse):
    with TestClient(application(analyse, "mine", LIMITS), raise_server_exceptions=False) as client:
        yield client
