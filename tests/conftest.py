"""Fixtures shared by all tests: offline, one thread a process, drawn faces and tiny timm models."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HMTL_TRACEBACK"] = "1"

import pytest
import torch

from hf_hmtl.data.drawn_faces.dataset import synthetic_faces


@pytest.fixture(scope="session", autouse=True)
def few_threads():
    """Two cores are shared with loader workers and subprocesses."""
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def faces():
    """Drawn faces, 48 px: 96 train, 32 validation, 32 test."""
    return synthetic_faces(train=96, validation=32, test=32, size=48, seed=0)
