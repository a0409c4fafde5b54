"""Fixtures shared by all tests: offline, one core a worker, drawn faces and tiny timm models."""

import gc
import logging
import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HMTL_TRACEBACK"] = "1"

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
ONE_CORE = bool(WORKER) and hasattr(os, "sched_setaffinity")
if ONE_CORE:
    # A test worker keeps to a core of its own, and so do all processes that it starts: two workers of two threads each
    # would wait for one another at every parallel loop, which takes twice as long. It comes before NumPy, whose BLAS
    # counts the cores when it is imported.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(WORKER.removeprefix("gw")) % len(cores)]})

import pytest  # noqa: E402
import torch  # noqa: E402

from hf_hmtl.data.drawn_faces.dataset import synthetic_faces  # noqa: E402


def pytest_configure():
    """As many threads as the test process has cores."""
    torch.set_num_threads(1 if ONE_CORE else 2)


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
