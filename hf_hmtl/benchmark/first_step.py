"""A training that ends after its first step: `python -m hf_hmtl.benchmark.first_step ARGUMENTS OF TRAIN`.

It is what the benchmark measures from outside, the start of Python included, with its peak of memory.
"""

import os
import resource
import sys

from transformers import TrainerCallback
from transformers import trainer as transformers_trainer

from hf_hmtl.run import train
from hf_hmtl.run.command_line import parse


class EndAfterFirstStep(TrainerCallback):
    """Prints the peak of resident memory in MB, and ends the process."""

    def on_step_end(self, args, state, control, **kwargs):
        """After the first step."""
        unit = 1 if sys.platform == "darwin" else 1024  # bytes
        print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:.0f}", flush=True)
        os._exit(0)  # nothing of the run is to be written


if __name__ == "__main__":
    transformers_trainer.DEFAULT_CALLBACKS.append(EndAfterFirstStep)
    train.run(*parse(sys.argv[1:]))
