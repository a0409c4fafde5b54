"""What a pass of `hf-hmtl prepare` writes down beside its faces: how it was asked for, and what came out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_hmtl.files import replacing
from hf_hmtl.option_types import require_types
from hf_hmtl.parsing import read_json, shown

RECORD = "prepared.json"
EMPTIED = "no face is left of"
"""What a note says of a class that a pass has left without a face."""
LARGEST_MARGIN = 2
"""What a network can be told of the margin of its faces, at most."""


@dataclass
class _Record:
    """The types of what a pass writes down; `plan` decides the result."""

    plan: dict[str, Any]
    faces: dict[str, int]
    pictures: dict[str, int]
    left_out: dict[str, dict[str, dict[str, Any]]]
    names: dict[str, dict[str, list[str]]]
    notes: list[str]
    columns: list[str]


@dataclass
class _Entry:
    """The types of what stands in `left_out` of a split and reason."""

    count: int
    names: list[str]
    what: str


def record_of(folder: Path) -> dict[str, Any]:
    """What is known of a pass, from its folder; of an unfinished one, its plan alone.

    Raises:
        ValueError: it is not what a pass writes.
    """
    record = read_json(folder / RECORD)
    if not isinstance(record, dict):
        raise ValueError(f"{folder / RECORD} is {shown(record)}; a pass writes what it did, by names")
    require_types(_Record, record, str(folder / RECORD))
    for reasons in record.get("left_out", {}).values():
        for reason, entry in reasons.items():
            require_types(_Entry, entry, f"{folder / RECORD}, left_out, {reason}")
            if absent := {"count", "names", "what"} - {*entry}:
                raise ValueError(f"{folder / RECORD}, left_out, {reason} lacks {', '.join(sorted(absent))}")
    if "plan" not in record:
        raise ValueError(f"{folder / RECORD} has no plan, so it is not known how the faces were cut out")
    return record


def write_record(folder: Path, content: dict[str, Any]) -> None:
    """Write what is known of a pass into its folder."""
    with replacing(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
