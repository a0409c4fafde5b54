"""Compare rows over several seeds: a table, a plot, and one result.json a run.

    hf-hmtl compare --preset drawn
    hf-hmtl compare --preset fer2013-small --data_dir DIR
    hf-hmtl compare fer2013-small/puzzle-2x2 --sweep auxiliary.puzzle.weight=0.01,0.1,1 --data_dir DIR
    hf-hmtl compare custom/supervised custom/label-augmentation --folds 10 --seeds 1 --data_dir DIR

It can be stopped at any moment; the same command goes on. Runs side by side write what they print into their train.log.
Options behind a lone -- go to every run, as the command train takes them:
    ... -- --backbone resnet10t --cpu_threads 1
"""

import argparse
import dataclasses
from pathlib import Path

from hf_hmtl.compare import rows


def run(arguments: list[str]) -> None:
    """Train what is missing of a comparison and report on it.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    own = arguments.index("--") if "--" in arguments else len(arguments)
    options, common = _parser().parse_args(arguments[:own]), arguments[own + 1 :]
    common = (["--data_dir", options.data_dir] if options.data_dir else []) + common
    whole = _comparison(options)
    if options.folds is not None and options.folds != whole.folds:
        whole = dataclasses.replace(whole, name=f"{whole.name}-{options.folds}-folds", folds=options.folds)
    chosen = whole.narrowed(options.rows, options.seeds)
    if options.at_a_time is not None:
        chosen = dataclasses.replace(chosen, at_a_time=options.at_a_time)
    folder = options.output_dir or Path(f"outputs/compare-{whole.name}")

    from hf_hmtl.compare import report, runs

    if not options.report:
        runs.run_all(chosen, folder, [*chosen.options, *common])
    print(report.report(whole if options.seeds is None else chosen, folder))


def _comparison(options: argparse.Namespace) -> rows.Comparison:
    if bool(options.preset) == bool(options.recipe) or (options.sweep and len(options.recipe) != 1):
        raise ValueError(
            "give either --preset NAME, or recipe rows to compare, the first of which the others are compared with, or "
            "one row and --sweep ENTRY=A,B,..."
        )
    if options.preset:
        return rows.preset(options.preset)
    if options.sweep:
        return rows.sweep(options.recipe[0], options.sweep, rows.seeds_of(3))
    rows.require_several(options.recipe, options.folds)
    return rows.of_rows(options.recipe, rows.seeds_of(3))


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument(
        "recipe", nargs="*", help="rows to compare, the baseline first, as drawn/supervised; of a sweep one"
    )
    options.add_argument("--preset", help=f"{', '.join(rows.available())}, or the path of a .yaml file")
    options.add_argument("--sweep", metavar="ENTRY=A,B,...", help="values of one recipe entry to try one by one")
    options.add_argument("--data_dir", help="folder of the data set; drawn faces need none")
    options.add_argument("--output_dir", type=Path, help="outputs/compare-NAME unless given")
    options.add_argument("--seeds", type=int, nargs="+", help="these seeds in place of the preset's, or of 1 2 3")
    options.add_argument("--folds", type=int, metavar="N", help="cross-validate: N folds by person, or else by class")
    options.add_argument("--rows", nargs="+", help="these rows only")
    options.add_argument(
        "--at_a_time", type=int, metavar="N", help="runs trained side by side, each on its share of the cores"
    )
    options.add_argument("--report", action="store_true", help="train nothing; table and plot of what is finished")
    return options
