"""Write one page of comparisons and runs from their results: model_cards/README.md.

    hf-hmtl cards outputs/compare-drawn-tasks outputs/quickstart
    hf-hmtl cards outputs/compare-drawn --keep model_cards/results    # also copy the results, small enough to commit
    hf-hmtl cards model_cards/results/*                               # the page again, of what was kept

A folder is a run, or a comparison that is called as its preset or holds a comparison.yaml. What stands in its notes.md
follows its tables.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Write the page.

    Raises:
        ValueError, OSError: a folder is neither a run nor a comparison, or nothing in it is finished.
    """
    options = _parser().parse_args(arguments)
    from hf_hmtl.compare.cards import keep, write_page

    folders = options.folder
    if options.keep:
        folders = [keep(folder, options.keep) for folder in folders]
    write_page(folders, options.output)
    print(options.output)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl cards",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("folder", type=Path, nargs="+", help="folders of comparisons and of runs, in this order")
    options.add_argument("--output", type=Path, default=Path("model_cards/README.md"), help="model_cards/README.md")
    options.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="copy the results there, of their logs no more than losses"
    )
    return options
