"""The pictures of the benchmark: drawn faces, made on the spot, so that anybody measures the same."""

import io
from functools import lru_cache

import datasets
from PIL import Image

from hf_hmtl.data.drawn_faces.dataset import JPEG_QUALITY, synthetic_faces

FILE_SIDE = 350
"""Pixels: the side of many published face crops."""


@lru_cache(maxsize=4)
def jpeg_faces(count: int, side: int = FILE_SIDE, gray: bool = False) -> datasets.Dataset:
    """Rows with an image (JPEG bytes, about 0.17 a pixel, where photos of faces have 0.07 to 0.20) and all labels."""
    drawn = synthetic_faces(train=count, validation=0, test=0, size=side)["train"]
    return drawn.map(_as_gray_file, load_from_cache_file=False, features=drawn.features) if gray else drawn


def _as_gray_file(row: dict) -> dict:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(row["image"]["bytes"])).convert("L").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return {"image": {"bytes": buffer.getvalue(), "path": None}}
