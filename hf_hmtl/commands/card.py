"""Write the model card of a run again; of several runs with mean and deviation over seeds.

    hf-hmtl card outputs/quickstart
    hf-hmtl card outputs/seed-1 outputs/seed-2 outputs/seed-3 --repo_id user/my-faces

The card is of the first run, and is written into its folder. What `hf-hmtl push FOLDER NAME --runs ...` publishes is
such a card too.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Write README.md.

    Raises:
        ValueError, OSError: no result, or the runs differ in more than their seed.
    """
    options = _parser().parse_args(arguments)
    from hf_hmtl.results.card import FILES, write_card
    from hf_hmtl.results.result import read

    folder = options.run[0]
    first, *others = [read(each / "result.json") for each in options.run]
    files = [name for name in FILES if (folder / name).is_file()]
    write_card(first, folder / "README.md", repo_id=options.repo_id, files=files, others=others)
    print(folder / "README.md")


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("run", type=Path, nargs="+", help="folder of a run; further ones of the same recipe")
    options.add_argument("--repo_id", metavar="REPO_ID", help="repository of the Hub that the card names")
    return options
