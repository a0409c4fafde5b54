"""Fixtures shared by all tests: offline, one core a worker, drawn faces and tiny timm models."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HMTL_TRACEBACK"] = "1"

import gc
import logging

import pytest
import torch

from hf_hmtl.data.drawn_faces.dataset import synthetic_faces


def pytest_configure():
    """Keep a test worker to a core of its own, and all processes that it starts: two workers of two threads each would
    wait for one another at every parallel loop, which takes twice as long."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})
        torch.set_num_threads(1)
    else:
        torch.set_num_threads(2)


def pytest_collection_finish():
    """What was imported lives to the end: the collections that every training asks for need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def every_message_is_heard():
    """A trainer sets how much the package logs, and would decide so for all tests behind it."""
    logging.getLogger("hf_hmtl").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def faces():
    """Drawn faces, 48 px: 96 train, 32 validation, 32 test."""
    return synthetic_faces(train=96, validation=32, test=32, size=48, seed=0)
