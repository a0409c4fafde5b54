"""Nearly right files for everything that reads others', in processes of bounded memory and time: `make fuzz`.

Each reader has a process of its own, so that one that ends the interpreter, takes too much memory or never comes back
is seen and named. The same files are tried each time; `--first` begins elsewhere, as a report of what failed says.
"""

import argparse
import logging
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

SECONDS = 20  # of one file
MEMORY = 3 << 30  # bytes beyond what the process has when it begins
KEPT = 5  # failures of a reader that are shown


def files_of(name, first, count, said):
    """In a process of its own: try files, and say which is tried and what failed."""
    import datasets
    import torch
    from readers import READERS, attempt

    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    reader = READERS[name]
    files = reader.files()
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = cache
        for number in range(first, first + count):
            draw = random.Random(f"{name} {number}")
            content = reader.change(draw.choice(files), draw)
            said.send((number, None))
            try:
                attempt(reader, content, Path(folder))
            except BaseException:  # whatever it is, it is none of the documented ones
                said.send((number, traceback.format_exc(limit=-4)))
    said.send((None, None))


def failures_of(name, first, count):
    """[(number of the file, what happened)] of a reader; it goes on behind a file that ends the process."""
    failures, end = [], first + count
    context = multiprocessing.get_context("spawn")
    while first < end:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=files_of, args=(name, first, end - first, there))
        process.start()
        there.close()
        number = None
        try:
            while here.poll(SECONDS if number is not None else 120):
                number, failure = here.recv()
                if failure is not None:
                    failures.append((number, failure))
                if number is None:
                    break
            else:
                failures.append((number, f"no answer within {SECONDS} seconds"))
                process.kill()
        except EOFError:
            process.join()
            code = process.exitcode
            reason = signal.Signals(-code).name if code < 0 else f"exit {code}"
            failures.append((number, f"the process ended: {reason}"))
            if number is None:  # before the first file
                break
        process.join()
        first = end if number is None else number + 1
    return failures


def main():
    """Try every reader, and end with status 1 where a file did anything else than to be read or refused."""
    from readers import READERS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000, help="files for each reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS), metavar="READER")
    options = parser.parse_args()
    failed = 0
    for name in options.readers:
        began = time.monotonic()
        failures = failures_of(name, options.first, options.count)
        failed += len(failures)
        print(
            f"{name}: {options.count:,} files, {len(failures)} failures, {time.monotonic() - began:.0f} s", flush=True
        )
        for number, failure in failures[:KEPT]:
            print(f"--readers {name!r} --first {number} --count 1\n{failure}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
