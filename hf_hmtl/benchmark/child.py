"""A command that ends with the process that measures it: `python -m hf_hmtl.benchmark.child PROCESS COMMAND ...`."""

import sys

from hf_hmtl.commands import main
from hf_hmtl.workers import end_with

if __name__ == "__main__":
    end_with(int(sys.argv.pop(1)))
    main()
