"""Parquet files of one's own: whether all of them are there, and what `hf-hmtl prepare` has written beside its own."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet

from hf_hmtl.data.faces.record import EMPTIED, LARGEST_MARGIN, RECORD, record_of
from hf_hmtl.data.ledger import FOLDER, MISSING_SHARD, Ledger, lines_of
from hf_hmtl.data.own_faces.tree import PARQUET, Tree, shortened
from hf_hmtl.parquet import told

_SHARD = re.compile(r"^(.*?)(\d{5,})-of-(\d{5,})([^/]*)$")
_MOST_SHARDS = 100_000


@dataclass
class PreparedFaces:
    """What the records of a tree say.

    Attributes:
        notes: what was left out when the faces were cut out.
        face_margin: what an image shows beside its face, as a share of the face's longer side; None where it is not the
            same everywhere.
    """

    notes: list[str] = field(default_factory=list)
    face_margin: float | None = None


def take_records(tree: Tree, ledger: Ledger) -> PreparedFaces:
    """Read the records that lie beside parquet files, and take them out of the tree.

    Raises:
        ValueError: a pass is not finished, or files that it wrote are not there.
    """
    folders = {path.rpartition("/")[0] for path in tree.tables if path.lower().endswith(PARQUET)}
    found, margins = PreparedFaces(), []
    for place in sorted(folders):
        path = f"{place}/{RECORD}".lstrip("/")
        record = _record(tree.root / place) if path in tree.tables else None
        if record is None:
            margins.append(None)
            continue
        tree.tables.remove(path)
        require_whole("custom", tree.root / place, record, ledger.allowed)
        margins.append(record["plan"].get("margin"))
        named = f"{place}: " * bool(place)
        found.notes += [f"{named}{note}" for note in left_out_of(record)]
    margin = margins[0] if margins and len(set(map(str, margins))) == 1 else None
    if isinstance(margin, int | float) and not isinstance(margin, bool) and 0 <= margin <= LARGEST_MARGIN:
        found.face_margin = margin
    return found


def left_out_of(record: dict[str, Any]) -> list[str]:
    """Notes on what a pass has found and not written."""
    emptied = [note for note in record.get("notes", ()) if EMPTIED in note]
    return [f"prepared without {line}" for line in lines_of(record.get("left_out", {}))] + emptied


def _record(folder: Path) -> dict[str, Any] | None:
    """The record in a folder; None where the file of its name is somebody else's."""
    try:
        return record_of(folder)
    except ValueError:
        return None


def require_whole(source: str, folder: Path, record: dict[str, Any], allowed: Collection[str]) -> None:
    """Check that a pass has ended, and that what it wrote is there, unless the reason `missing_shard` is allowed.

    Raises:
        ValueError: it has not, or files are missing.
    """
    if "faces" not in record:
        raise ValueError(
            f"{source}: {folder} is an unfinished pass of hf-hmtl prepare, with more pictures to come. Type the same "
            f"command again to finish it, or remove its {RECORD} to use the faces that are there"
        )
    for split, count in record["faces"].items():
        there = 0
        for path in sorted(folder.glob(f"{split}-*{PARQUET}")):
            with told(path):
                there += pyarrow.parquet.read_metadata(path).num_rows
        if there < count and MISSING_SHARD.name not in allowed:
            raise ValueError(
                f"{source}: hf-hmtl prepare wrote {count:,} faces of {split} into {folder}, and {there:,} are there: "
                f"files are missing. Copy them, prepare again, or type --allow_left_out {MISSING_SHARD.name}"
            )


def leave_out_missing(paths: Sequence[str], ledger: Ledger) -> None:
    """Enter the parquet files that are not there and that the names of others count: "train-00001-of-00003.parquet".

    Raises:
        ValueError: there are any, and that is not allowed.
    """
    numbers: dict[tuple[str, str, str], set[int]] = {}
    for path in paths:
        if match := _SHARD.search(path):
            start, number, count, end = match.groups()
            numbers.setdefault((start, count, end), set()).add(int(number))
    missing = [
        f"{start}{number:0{len(count)}d}-of-{count}{end}"
        for (start, count, end), there in numbers.items()
        if int(count) <= _MOST_SHARDS
        for number in range(int(count))
        if number not in there
    ]
    ledger.leave_out(FOLDER, MISSING_SHARD, missing)
    if missing and MISSING_SHARD.name not in ledger.allowed:
        raise ValueError(
            f"custom: {len(missing):,} parquet files are missing that others count ({shortened(missing)}). "
            f"Fetch them, or type --allow_left_out {MISSING_SHARD.name} to go on without them"
        )
