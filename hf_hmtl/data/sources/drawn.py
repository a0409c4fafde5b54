"""Faces drawn by code: the embedded default, no download, every label known."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from hf_hmtl.data.sources import Source, check_options
from hf_hmtl.data.sources._building import require_no_folder

LICENCE = "apache-2.0"  # of the code that draws them
CITATION = "None needed: hf_hmtl.data.drawn_faces.dataset draws the faces"
HOMEPAGE = ""


def load(data_dir: str | Path | None = None, **options) -> Source:
    """Draw the faces; no person is in two splits.

    Args:
        data_dir: must be None: nothing is read.
        options: those of `hf_hmtl.data.drawn_faces.dataset.synthetic_faces` (train, validation, test, size, seed, ...).

    Raises:
        ValueError: a folder was given, or an option is unknown or out of its range.
    """
    require_no_folder("drawn", "faces", "custom", data_dir)
    check_options("drawn", drawing(), options)
    return _drawn(**options)


def drawing() -> Callable:
    """What draws, and knows the options."""
    from hf_hmtl.data.drawn_faces.dataset import (
        synthetic_faces,  # here: listing and reading other sources needs no drawing code
    )

    return synthetic_faces


@lru_cache(maxsize=1)  # the runs of a comparison share their faces
def _drawn(**options) -> Source:
    return Source(
        name="drawn",
        splits=drawing()(**options),
        licence=LICENCE,
        citation=CITATION,
        homepage=HOMEPAGE,
        notes=("faces drawn by code: scores say how well the method works on drawings, not on people",),
    )
