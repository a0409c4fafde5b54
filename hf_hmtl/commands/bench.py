"""Measure how fast everything is that a training passes, beside its limits and other libraries.

    hf-hmtl bench                              # all groups; nothing else should run meanwhile
    hf-hmtl bench images loaders               # some of them
    hf-hmtl bench --guard ratios.json          # quick rows; fails where a ratio is worse than there by a third
    hf-hmtl bench --write_guard ratios.json    # what these rows are now, for later

It writes --output after each row and prints a table. Other libraries are measured where they are installed: pip install
'hf_hmtl[bench]'.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Measure what was asked for.

    Raises:
        ValueError, OSError: a mistake of the user.
        SystemExit: 1, a ratio is worse than that of the guard's file.
    """
    options = _parser().parse_args(arguments)
    if options.rounds < 1:
        raise ValueError(f"--rounds is {options.rounds}, allowed is 1 or more")

    from hf_hmtl.benchmark import groups, guard
    from hf_hmtl.benchmark.rows import table
    from hf_hmtl.run import process

    process.set_up()
    process.keep_large_blocks()
    if options.write_guard:
        guard.write_expected(guard.quick_rows(options.rounds), Path(options.write_guard))
        print(f"written: {options.write_guard}")
    elif options.guard:
        expected = guard.read_expected(Path(options.guard))
        worse = guard.check(expected, options.rounds)
        print("\n".join(worse) or f"{len(expected)} ratios are no worse than those of {options.guard}")
        raise SystemExit(1 if worse else 0)
    else:
        rows = groups.measure(options.groups, options.rounds, Path(options.output))
        print(f"{table(rows)}\n\nwritten: {options.output}")


def _parser() -> argparse.ArgumentParser:
    from hf_hmtl.benchmark.groups import GROUPS

    known = "\n".join(f"  {name:12} {what}" for name, what in GROUPS.items())
    options = argparse.ArgumentParser(
        prog="hf-hmtl bench",
        description=f"{__doc__}\ngroups:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("groups", nargs="*", metavar="GROUP", help="groups of rows; all of them by default")
    options.add_argument("--rounds", type=int, default=3, metavar="N", help="measurements of each row; 3")
    options.add_argument("--output", default="outputs/benchmark.json", metavar="FILE", help="outputs/benchmark.json")
    options.add_argument("--guard", metavar="FILE", help="compare the quick rows with the ratios of a file")
    options.add_argument("--write_guard", metavar="FILE", help="write the ratios of the quick rows")
    return options
