"""What is measured of every picture, once: its perceptual hash, whether it is blank, why it cannot be read."""

from collections.abc import Callable, Iterable, Iterator

import cv2
import imagehash
import numpy as np
import pyarrow as pa
from PIL import Image

from hf_hmtl.analysis.doctor.reading import Examined
from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.data.sources._index import indexed
from hf_hmtl.data.splits import fingerprint, image_hashes

HASH_SIDE = 16
HASH_BITS = HASH_SIDE * HASH_SIDE
_SIDE = 64  # pixels that a picture is read at: the hash looks at this many on a side
_BLANK = 2.0  # standard deviation of the gray values, of 255; sensor noise alone has more
_VERSION = 1  # of what is measured, part of the name in the cache


class Pictures:
    """Measurements of all pictures, split by split in their order.

    Attributes:
        hashes: (pictures, 32) uint8, the 256 bits of the perceptual hash (DCT; zero where there is no picture).
        digests: a hash of each file, b"" where there is none.
        broken: {row: why}.
        seen: (pictures,) bool, whether there is a picture.
        blank: (pictures,) bool, of one colour.
    """

    def __init__(self, table: pa.Table):
        self.hashes = np.stack([np.frombuffer(value, np.uint8) for value in table["hash"].to_pylist()])
        self.digests = table["digest"].to_pylist()
        self.broken = {row: why for row, why in enumerate(table["broken"].to_pylist()) if why is not None}
        self.seen = table["broken"].is_null().to_numpy()
        self.blank = self.seen & (table["spread"].to_numpy() < _BLANK)


def measured(examined: Examined, watched: Callable[[Iterable], Iterable] = iter) -> Pictures:
    """The measurements of a data set, from the cache of datasets where the same pictures were measured before.

    Args:
        examined: the data set.
        watched: passes the rows on, and may show how far they are.
    """
    return Pictures(indexed(f"doctor-{_VERSION}", [fingerprint(examined.splits)], lambda: _measure(examined, watched)))


def _measure(examined: Examined, watched: Callable[[Iterable], Iterable]) -> pa.Table:
    digests = [value for data in examined.splits.values() for value in image_hashes(data)]
    facts = [_facts(image) for image in watched(images_of(examined))]
    columns = {name: [fact[name] for fact in facts] for name in ("hash", "spread", "broken")}
    table = pa.table({**columns, "digest": pa.array(digests, pa.binary())})
    return table.set_column(table.schema.get_field_index("broken"), "broken", pa.array(columns["broken"], pa.string()))


def images_of(examined: Examined) -> Iterator[dict]:
    """{bytes, path} of every picture of a data set."""
    for data in examined.splits.values():
        yield from data.select_columns("image")["image"]


def _facts(source: dict) -> dict:
    nothing = {"hash": bytes(HASH_BITS // 8), "spread": 0.0}
    try:
        image = decode_for_training(source, _SIDE)
    except BrokenImage as error:
        return {**nothing, "broken": str(error)}
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    bits = imagehash.phash(Image.fromarray(gray), hash_size=HASH_SIDE).hash
    return {
        "hash": np.packbits(bits).tobytes(),
        "spread": float(image.reshape(-1, image.shape[-1] if image.ndim == 3 else 1).std(0).max()),
        "broken": None,
    }
