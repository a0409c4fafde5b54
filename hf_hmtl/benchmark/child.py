"""A command that ends with the process that measures it: `python -m hf_hmtl.benchmark.child PROCESS COMMAND ...`."""

import runpy
import sys

from hf_hmtl.ending import end_with

if __name__ == "__main__":
    end_with(int(sys.argv.pop(1)))
    runpy.run_module("hf_hmtl", run_name="__main__")
