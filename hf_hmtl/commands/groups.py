"""Scores of a finished run by group: by the values of a column, such as race, gender or age.

    hf-hmtl groups outputs/RUN race gender
    hf-hmtl groups outputs/RUN age --write

They are read off predictions.parquet, which holds what the training was told to keep (--report_groups,
--report_columns), the labels of all tasks, and `_source`. --write puts them into result.json and on the card.
"""

import argparse
import dataclasses
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Print a table for each task and column.

    Raises:
        ValueError, OSError: no finished run, no such column, or one with too many values.
    """
    options = _parser().parse_args(arguments)
    from hf_hmtl.results.card import FILES, write_card
    from hf_hmtl.results.groups import by_groups, group_table
    from hf_hmtl.results.predictions import of_split, read_predictions
    from hf_hmtl.results.result import read

    result = read(options.run / "result.json")
    rows = of_split(read_predictions(options.run), result.protocol["reported_on"])
    columns = [part for given in options.column for part in given.split(",") if part]
    found = by_groups(rows, columns, list(result.measures))
    print(f"{result.name}: {result.protocol['reported_on']}")
    print(group_table(found))
    if options.write:
        groups = {task: result.groups.get(task, {}) | of_columns for task, of_columns in found.items()}
        result = dataclasses.replace(result, groups=result.groups | groups)
        files = [name for name in FILES if (options.run / name).is_file()]
        write_card(result, options.run / "README.md", files=files)
        result.write(options.run / "result.json")


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl groups",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("run", type=Path, help="folder of a finished run")
    options.add_argument("column", nargs="+", help="columns of predictions.parquet, each by itself")
    options.add_argument("--write", action="store_true", help="put them into result.json and on the card")
    return options
