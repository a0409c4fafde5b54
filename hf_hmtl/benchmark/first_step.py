"""A training that ends after its first step: `python -m hf_hmtl.benchmark.first_step PROCESS ARGUMENTS OF TRAIN`.

It is what the benchmark measures from outside, the start of Python included, with its peak of memory.
"""

import os
import re
import resource
import sys
import threading
from pathlib import Path

from transformers import TrainerCallback
from transformers import trainer as transformers_trainer

from hf_hmtl.ending import end_with
from hf_hmtl.run import train
from hf_hmtl.run.command_line import parse

STATUS = Path("/proc/self/status")
SECONDS_BETWEEN_LOOKS = 0.02


class PeakOfMemory(threading.Thread):
    """Looks again and again at how much memory is the process's own, in MB.

    Pages of files that are mapped are not counted, for the system takes them back when it needs them. Where it does not
    tell the two apart (macOS), `megabytes` is all that was resident.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self._largest, self._ended = 0.0, threading.Event()

    def run(self):
        """Until the peak is asked for."""
        while STATUS.exists() and not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            self._look()

    def _look(self) -> None:
        own = re.search(r"RssAnon:\s+(\d+) kB", STATUS.read_text())
        self._largest = max(self._largest, int(own[1]) * 1024 / 1e6 if own else 0.0)

    def megabytes(self) -> float:
        """The largest so far."""
        self._ended.set()
        unit = 1 if sys.platform == "darwin" else 1024  # bytes
        return self._largest or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class EndAfterFirstStep(TrainerCallback):
    """Prints the peak of memory in MB, and ends the process."""

    def __init__(self, peak: PeakOfMemory):
        self.peak = peak

    def on_step_end(self, args, state, control, **kwargs):
        """After the first step."""
        print(f"peak {self.peak.megabytes():.0f}", flush=True)
        os._exit(0)  # nothing of the run is to be written


if __name__ == "__main__":
    end_with(int(sys.argv.pop(1)))
    looking = PeakOfMemory()
    looking.start()
    transformers_trainer.DEFAULT_CALLBACKS.append(EndAfterFirstStep(looking))
    train.run(*parse(sys.argv[1:]))
