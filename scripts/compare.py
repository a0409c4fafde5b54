"""Compare methods over several seeds: a table, a plot, and one result.json for each run.

    python scripts/compare.py --preset drawn
    python scripts/compare.py --preset fer2013-small --data_dir DIR
    python scripts/compare.py fer2013-small/puzzle-2x2 --sweep auxiliary.puzzle.weight=0.01,0.1,1 --data_dir DIR

It can be stopped at any moment; the same command goes on. Runs side by side write what they print into their train.log.
Options behind a lone -- go to every run, as train.py takes
them: ... -- --backbone resnet10t --cpu_threads 1
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from hf_hmtl.compare import rows as comparison
from hf_hmtl.compare import runs as comparison_runs


def parser() -> argparse.ArgumentParser:
    """The options of this script."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("recipe", nargs="?", help="recipe row of a sweep, such as fer2013-small/puzzle-2x2")
    options.add_argument("--preset", help=f"{', '.join(comparison.available())}, or the path of a .yaml file")
    options.add_argument("--sweep", metavar="ENTRY=A,B,...", help="values of one recipe entry to try one by one")
    options.add_argument("--data_dir", help="folder of the dataset; drawn faces need none")
    options.add_argument("--output_dir", type=Path, help="outputs/compare-NAME unless given")
    options.add_argument("--seeds", type=int, nargs="+", help="these seeds in place of the preset's")
    options.add_argument("--rows", nargs="+", help="these rows only")
    options.add_argument(
        "--at_a_time", type=int, metavar="N", help="runs trained side by side, each on its share of the cores"
    )
    options.add_argument("--report", action="store_true", help="train nothing; table and plot of what is finished")
    return options


def main() -> None:
    arguments = sys.argv[1:]
    own = arguments.index("--") if "--" in arguments else len(arguments)
    options, common = parser().parse_args(arguments[:own]), arguments[own + 1 :]
    common += ["--data_dir", options.data_dir] if options.data_dir else []
    try:
        if (options.preset is None) == (options.sweep is None) or bool(options.sweep) != bool(options.recipe):
            raise ValueError("give either --preset NAME, or a recipe row and --sweep ENTRY=A,B,...")
        if options.preset:
            whole = comparison.preset(options.preset)
        else:
            whole = comparison.sweep(options.recipe, options.sweep, comparison.seeds_of(3))
        chosen = whole.narrowed(options.rows, options.seeds)
        if options.at_a_time is not None:
            chosen = dataclasses.replace(chosen, at_a_time=options.at_a_time)
        folder = options.output_dir or Path(f"outputs/compare-{whole.name}")
        if not options.report:
            comparison_runs.run_all(chosen, folder, common)
        print(comparison.report(whole if options.seeds is None else chosen, folder))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
