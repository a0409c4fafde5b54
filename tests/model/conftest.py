import copy
import os

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.model.registration import register

register()

LABELS = ["neutral", "happy", "sad"]  # deliberately not in alphabetical order


HEADS = {
    "emotion": {"kind": "linear", "shape": [3], "labels": LABELS, "dropout": 0.3},
    "valence": {"kind": "mlp", "shape": [1], "hidden": 16},
    "puzzle": {"kind": "linear", "shape": [4, 4], "dropout": 0.2, "auxiliary": True},
    "twins": {"kind": "projector", "shape": [12], "hidden": 20, "auxiliary": True},
    "picture": {"kind": "decoder", "auxiliary": True},
}


@pytest.fixture
def heads() -> dict:
    """One head of every kind."""
    return copy.deepcopy(HEADS)


@pytest.fixture(scope="session")
def untouched() -> HMTLForImageClassification:
    torch.manual_seed(0)
    config = HMTLConfig(backbone="test_efficientnet", image_size=64, heads=HEADS, loss_weighting="uncertainty")
    model = HMTLForImageClassification(config).train()
    with torch.no_grad():
        model(torch.rand(4, 3, 64, 64))
    return model.eval()


@pytest.fixture
def full(untouched) -> HMTLForImageClassification:
    """A model with every kind of head, in evaluation mode, whose batch norms have seen something."""
    return copy.deepcopy(untouched)


@pytest.fixture
def pixels() -> torch.Tensor:
    """(4, 3, 64, 64) uint8."""
    return torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
