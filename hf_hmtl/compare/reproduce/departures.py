"""Where the rows of a reproduction are trained otherwise than those of the paper for which they stand."""

from typing import Any

import yaml

from hf_hmtl import recipe as recipes
from hf_hmtl.compare.reproduce.blocks import Block, Heading, Paragraph, Table
from hf_hmtl.compare.reproduce.plan import Part, Reproduction
from hf_hmtl.compare.runs import decisive

ABSENT = "-"
NAMED = 6
"""A line names its rows up to so many, and counts more."""


def blocks_of_departures(reproduction: Reproduction) -> list[Block]:
    """A table of settings, the paper's beside those here; nothing where the rows are the paper's own."""
    rows = [["recipe file", "entry", "the paper's", "here", "rows"]]
    for part in reproduction.parts:
        rows += _of_part(part)
    if len(rows) == 1:
        return []
    words = (
        "What decides a result and differs from the recipe of the paper's own data, for the reasons that the recipe "
        "files give. Rows that stand for none of the paper's, among which validation chooses, are not in it."
    )
    return [Heading("Where the trainings differ from the paper's"), Paragraph(words), Table(rows, texts=tuple(rows[0]))]


def _of_part(part: Part) -> list[list[str]]:
    """An entry and its value here a line, beside those of the paper that it stands for, and the rows that have it."""
    if part.recipe == part.original:
        return []
    of_the_paper = recipes.available()[part.original]
    compared = [row for row in part.rows if row in of_the_paper]
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in compared:
        theirs, ours = (_settings(f"{file}/{row}") for file in (part.original, part.recipe))
        for entry in sorted(theirs.keys() | ours.keys()):
            if theirs.get(entry) != ours.get(entry):
                found.setdefault((entry, _text(ours.get(entry))), {})[row] = _text(theirs.get(entry))
    return [
        [part.recipe, entry, " or ".join(sorted(set(theirs.values()))), here, _named(list(theirs), len(compared))]
        for (entry, here), theirs in sorted(found.items(), key=lambda item: (item[0][0], -len(item[1])))
    ]


def _named(rows: list[str], of: int) -> str:
    if len(rows) == of:
        return "all"
    return ", ".join(rows) if len(rows) <= NAMED else f"{len(rows)} of {of}, {rows[0]} among them"


def _settings(recipe: str) -> dict[str, Any]:
    """{entry: value} of what decides a result, {training.argument: value} among it."""
    settings = decisive(recipes.load(recipe).to_dict())
    for option in ("pretrained", "teacher"):  # the row that stands for another is its like, whatever file it is in
        if isinstance(settings.get(option), dict):
            settings[option] = settings[option]["row"].rpartition("/")[2]
    return settings


def _text(value: Any) -> str:
    """As a recipe file has it, in one line."""
    if value is None or value == {}:
        return ABSENT
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).removesuffix("\n...\n").strip()
