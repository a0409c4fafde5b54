"""What `hf-hmtl prepare` has left among the files of one's own: its records, which are read and are no stray files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet

from hf_hmtl.data.faces.record import LARGEST_MARGIN, RECORD, record_of
from hf_hmtl.data.ledger import lines_of
from hf_hmtl.data.own_faces.tree import PARQUET, Tree
from hf_hmtl.parquet import told


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


def take_records(tree: Tree) -> PreparedFaces:
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
        require_whole("custom", tree.root / place, record)
        margins.append(record["plan"].get("margin"))
        named = f"{place}: " * bool(place)
        found.notes += [f"{named}{note}" for note in left_out_of(record)]
    margin = margins[0] if margins and len(set(map(str, margins))) == 1 else None
    if isinstance(margin, int | float) and not isinstance(margin, bool) and 0 <= margin <= LARGEST_MARGIN:
        found.face_margin = margin
    return found


def left_out_of(record: dict[str, Any]) -> list[str]:
    """Notes on what a pass has found and not written."""
    return [f"prepared without {line}" for line in lines_of(record.get("left_out", {}))]


def _record(folder: Path) -> dict[str, Any] | None:
    """The record in a folder; None where the file of its name is somebody else's."""
    try:
        return record_of(folder)
    except ValueError:
        return None


def require_whole(source: str, folder: Path, record: dict[str, Any]) -> None:
    """Check that a pass has ended, and that what it wrote is there.

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
        if there < count:
            raise ValueError(
                f"{source}: hf-hmtl prepare wrote {count:,} faces of {split} into {folder}, and {there:,} are there: "
                f"files are missing. Copy them, prepare again, or remove its {RECORD} to go on without them"
            )
