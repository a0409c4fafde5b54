"""What the paper prints of a row: `paper` of a recipe, of which each result keeps a copy.

    {table: "Tables 5 and 6", row: its name there, metric: emotion_accuracy, value: 0.5876}

Where the paper prints more, the mapping may hold

    also: {affect_rmse: 0.43}, further measures that its tables print;
    plus_minus: 0.0002, what stands behind ± of the value;
    in_table: {"Table 6": {row: another name, value: another value}}, where one of its tables differs.

Measures are those of result.json without their split, and values are in the unit of the measure: an accuracy, an F1 and
what stands behind its ± are shares from 0 to 1, not percent.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from hf_hmtl.option_types import fits, require_mapping
from hf_hmtl.parsing import shown

KEYS = ("table", "row", "metric", "value")
FURTHER_KEYS = ("also", "plus_minus", "in_table")
KEYS_IN_TABLE = ("row", "value")


def tables_named(text: str) -> set[str]:
    """The tables that a text names: {"1", "5"} for "Tables 1 and 5", {"B"} for "Appendix B, Table 2"."""
    return {"B"} if text.startswith("Appendix B") else set(re.findall(r"\d+", text))


def figures(paper: Mapping[str, Any]) -> dict[str, float]:
    """{measure: the paper's figure}, that of `metric` first."""
    return {paper["metric"]: paper["value"], **paper.get("also", {})}


def in_table(paper: Mapping[str, Any], table: str) -> dict[str, Any]:
    """`paper` with the name and the value that one table, such as "6", prints."""
    others = [other for where, other in paper.get("in_table", {}).items() if table in tables_named(where)]
    return {**paper, **(others[0] if others else {})}


def require_paper(paper: Mapping[str, Any], tasks: Collection[str], what: str) -> None:
    """Raise for what is no figure of the paper; unknown keys of `paper` itself are looked for by the recipe.

    Args:
        tasks: the supervised tasks of the row, whose measures can be printed.
        what: what this is of, for the message: "`paper` of recipe affectnet/supervised-weak".

    Raises:
        ValueError: a key is lacking, a measure is of no task, a value is no number or a share in percent, or a table
            that differs is none of the row's tables.
    """
    if lacking := [key for key in KEYS if key not in paper]:
        raise ValueError(f"{what} lacks {', '.join(lacking)}; it needs {', '.join(KEYS)}")
    for key in ("row", "metric"):
        _require_text(paper[key], f"`{key}` of {what}")
    require_mapping(paper.get("also", {}), f"`also` of {what}")
    require_mapping(paper.get("in_table", {}), f"`in_table` of {what}")
    if paper["metric"] in paper.get("also", {}):
        raise ValueError(f"{what} gives {paper['metric']} as `metric` and under `also`; give it once")
    for measure, value in figures(paper).items():
        if not measure.startswith(tuple(f"{task}_" for task in tasks)):
            raise ValueError(
                f"{what} has a figure of {shown(measure)}, which is no measure of {', '.join(tasks) or 'a task'}; "
                "write it as result.json does, without its split: emotion_macro_f1"
            )
        _require_figure(measure, value, what)
    if "plus_minus" in paper:
        _require_figure(paper["metric"], paper["plus_minus"], f"`plus_minus` of {what}")
    for where, other in paper.get("in_table", {}).items():
        _require_other(where, other, paper, what)


def _require_text(value: Any, what: str) -> None:
    if not fits(value, str):
        raise ValueError(f"{what} is {shown(value)}; allowed is text, in 'quotes' where YAML takes it for a number")


def _require_figure(measure: str, value: Any, what: str) -> None:
    share = measure.endswith(("accuracy", "f1"))
    if not fits(value, float) or (share and not 0 <= value <= 1):
        raise ValueError(
            f"{what} says that {measure} is {shown(value)}; allowed are numbers in the unit of the measure, and an "
            "accuracy or F1 is a share from 0 to 1, not percent"
        )


def _require_other(where: str, other: Any, paper: Mapping[str, Any], what: str) -> None:
    named, own = tables_named(where), tables_named(str(paper["table"]))
    if not named or named - own:
        raise ValueError(f"`in_table` of {what} names {shown(where)}, and the row stands in {shown(paper['table'])}")
    require_mapping(other, f"{where} in `in_table` of {what}")
    if not other or set(other) - set(KEYS_IN_TABLE):
        raise ValueError(
            f"{where} in `in_table` of {what} is {shown(other)}; it says what differs: {' or '.join(KEYS_IN_TABLE)}"
        )
    if "row" in other:
        _require_text(other["row"], f"`row` of {where} in `in_table` of {what}")
    if "value" in other:
        _require_figure(paper["metric"], other["value"], f"{where} in `in_table` of {what}")
