"""Shared by sources of videos: the frames that `hf-hmtl prepare` has written, a file a video."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow.parquet

from hf_hmtl.data.faces.record import RECORD, record_of
from hf_hmtl.data.faces.shards import facts_of
from hf_hmtl.data.identity import CLIP, OF_CLIPS, RESERVED
from hf_hmtl.data.own_faces.prepared import left_out_of, require_whole
from hf_hmtl.data.parquet_rows import rows_of
from hf_hmtl.data.sources._building import IMAGE
from hf_hmtl.parquet import read_table, told
from hf_hmtl.parsing import shown


@dataclass(frozen=True)
class PreparedFrames:
    """Faces of videos.

    Attributes:
        rows: `image`, the reserved columns with clip and frame, and what is known of each face.
        decoded: {clip: frames that its video has, those without a face included}.
        face_margin: what an image shows beside the face, as a share of its longer side.
        notes: on frames that are not there, and why.
    """

    rows: datasets.Dataset
    decoded: dict[str, int]
    face_margin: float
    notes: tuple[str, ...] = ()


def prepared_frames(source: str, folder: Path, command: str, allowed: Collection[str] = ()) -> PreparedFrames:
    """The frames in a folder that `hf-hmtl prepare` has written.

    Args:
        source: name of the source, for messages.
        folder: where.
        command: what makes the folder.
        allowed: reasons that may leave something out.

    Raises:
        FileNotFoundError: it is not there, or not finished.
        ValueError: it was made of pictures, is not finished, or something in it is damaged or missing.
    """
    if not (folder / RECORD).is_file():
        unfinished = folder.with_name(f"{folder.name}.unfinished").exists()
        state = "is not finished" if unfinished else "is not there"
        raise FileNotFoundError(
            f"{source}: the faces of its videos are cut out once, and {folder} {state}. Type {command}"
        )
    paths = sorted(folder.glob("train-*.parquet"))
    with told(folder):
        schemas = [pyarrow.parquet.read_schema(path).names for path in paths]
    if not paths or CLIP not in schemas[0]:
        raise ValueError(f"{source}: {folder} was made of pictures, not of videos. Type {command}")
    for path, names in zip(paths, schemas, strict=True):
        if absent := {"image", *RESERVED, *OF_CLIPS} - {*names}:
            raise ValueError(f"{source}: {path} lacks the columns {', '.join(sorted(absent))}. Type {command}")
    record = record_of(folder)
    require_whole(source, folder, record, allowed)
    margin = record["plan"].get("margin")
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < math.inf:
        raise ValueError(f"{source}: {folder / RECORD} says that the margin is {shown(margin)}. Type {command}")
    rows = rows_of(paths, source)
    decoded: dict[str, int] = {}
    for path in paths:
        if clips := read_table(path, [CLIP])[CLIP].slice(0, 1).to_pylist():
            decoded[clips[0]] = facts_of(path)[1]
    return PreparedFrames(rows.cast_column("image", IMAGE), decoded, margin, tuple(left_out_of(record)))
