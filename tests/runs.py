"""Options of runs that end in seconds, and what those print that end otherwise."""

import re

SMALL = ["--backbone", "test_efficientnet", "--image_size", "48", "--use_cpu", "--disable_tqdm", "true",
         "--per_device_train_batch_size", "32", "--logging_steps", "2"]  # fmt: skip


def tiny(*changes):
    """Options for drawn faces that train in seconds: 6 steps an epoch."""
    return [*SMALL, "--set", "source.train=192", "source.validation=32", "source.test=32", "source.size=48", *changes]


TINY = tiny()


def tells_of_a_lost_worker(printed):
    """Whether a traceback says that a loader's worker is gone: torch raises that where it waits for a batch, and where
    the worker was about to hand one over, Python says that the connection to it ended."""
    lost_connection = r"^(\[rank\d+\]: )?(EOFError|ConnectionResetError|ConnectionRefusedError)"
    return "DataLoader worker" in printed or re.search(lost_connection, printed, re.MULTILINE) is not None
