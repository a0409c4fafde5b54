"""Clips of faces drawn by code, a row a frame: expressions rise and fade; no download, every label known."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from hf_hmtl.data.sources import Source, check_options
from hf_hmtl.data.sources._building import require_no_folder

LICENCE = "apache-2.0"  # of the code that draws them
CITATION = "None needed: hf_hmtl.data.drawn_faces.clips draws them"
HOMEPAGE = ""


def load(data_dir: str | Path | None = None, **options) -> Source:
    """Draw the clips; no person is in two splits.

    Args:
        data_dir: must be None: nothing is read.
        options: those of `hf_hmtl.data.drawn_faces.clips.synthetic_clips` (train, validation, test, frames, ...).

    Raises:
        ValueError: a folder was given, or an option is unknown or out of its range.
    """
    require_no_folder("drawn_clips", "clips", "clips", data_dir)
    check_options("drawn_clips", drawing(), options)
    return _drawn(**options)


def drawing() -> Callable:
    """What draws, and knows the options."""
    from hf_hmtl.data.drawn_faces.clips import (
        synthetic_clips,  # here: listing and reading other sources needs no drawing code
    )

    return synthetic_clips


@lru_cache(maxsize=1)  # the runs of a comparison share their clips
def _drawn(**options) -> Source:
    return Source(
        name="drawn_clips",
        splits=drawing()(**options),
        licence=LICENCE,
        citation=CITATION,
        homepage=HOMEPAGE,
        notes=("clips drawn by code: scores say how well the method works on drawings, not on people",),
    )
