"""From the bytes of an image file to an array, as fast as the file allows.

OpenCV reads the two kinds of file that nearly every face dataset consists of, plain 8-bit JPEG and PNG, when their
structure is complete; there it gives the same pixels as Pillow. Everything else, and every file about which there is
the least doubt, goes to the one definition of decoding in `model/image_processing_hmtl.py`, so that both ways give the
same picture and the same verdict on a broken file (OpenCV versions differ in what they make of a truncated one).
"""

import os
import struct
import zlib
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from hf_hmtl.data.crops import Box, cut
from hf_hmtl.model.image_processing_hmtl import LARGEST_IMAGE, content_of, decode

# OpenCV reports a file that it cannot read on stderr before it gives up; the verdict here is an exception instead.
# OpenCV 5 moved the function.
_set_log_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
_set_log_level(0)  # silent

# A reduced picture keeps at least this many pixels per output pixel along its shorter side: the smallest visible part
# is a crop of 0.69 at zoom 0.69, so 0.48 of a side, and must not be enlarged.
_KEPT_PER_OUTPUT_PIXEL = 2

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: Huffman coded
_JPEG_SCAN = 0xDA
_PNG_COLOURS = {0: 1, 2: 3}  # colour type -> channels, for the two without palette or transparency


class BrokenImage(ValueError):
    """A file that holds no usable picture; the message says why: empty, truncated, no image, too large, unreadable."""


@dataclass(frozen=True)
class _Header:
    """What the fast way needs to know about a complete file that it can read."""

    height: int
    width: int
    channels: int
    can_reduce: bool


def decode_for_training(source, side: int, gray_allowed: bool = True) -> np.ndarray:
    """Decode one image file for an output of `side` pixels; the EXIF orientation is applied.

    JPEG files much larger than needed are decoded at 1/2, 1/4 or 1/8 of their size by the inverse cosine transform,
    which averages, so that the shorter side keeps at least 2 * side pixels.

    Args:
        source: a dictionary {"bytes": ..., "path": ...} as in a `datasets.Image(decode=False)` column, whose bytes win;
            or the bytes of a file; or a path or URL; or anything else that `decode` takes, as a PIL image or an array.
        side: side of the picture that the network will see, in pixels.
        gray_allowed: leave the picture of a gray file at one channel.

    Returns:
        uint8 (height, width, 3) RGB, or (height, width) of a gray 8-bit JPEG or PNG file where this is allowed.

    Raises:
        BrokenImage: the file is missing, empty, truncated, not an image, or larger than 178,956,970 pixels.
    """
    if not isinstance(source, dict | bytes | bytearray | memoryview | str | os.PathLike):
        return _decode_any(source)
    content = _content(source)
    header = _header(content)
    image = None if header is None else _decode_fast(content, header, side)
    if image is None:
        image = _decode_any(content)
    if image.ndim == 2 and not gray_allowed:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return image


def decode_face(source, side: int, face: Box | None) -> np.ndarray:
    """`decode_for_training`, cut to a box of the whole image's pixels where there is one.

    Raises:
        BrokenImage: as there, or the box has no area.
    """
    if face is None:
        return decode_for_training(source, side)
    image = decode_for_training(source, LARGEST_IMAGE)  # in full: the box is in pixels of the whole image
    try:
        return cut(image, face)
    except ValueError as error:
        raise BrokenImage(str(error)) from error


def _content(source) -> bytes:
    path = None
    if isinstance(source, dict):
        source, path = source.get("bytes"), source.get("path")
        source = path if source is None else source
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
    elif isinstance(source, str | os.PathLike):
        path = source
        content = _read(source)
    else:
        raise BrokenImage(
            f"no image: got {type(source).__name__}; a row holds {{'bytes': ..., 'path': ...}} with one of them filled "
            "(cast the column to datasets.Image(decode=False)), or the bytes of a file, or a path"
        )
    if not content:
        raise BrokenImage(f"empty: {path or 'the file'} has zero bytes")
    return content


def _read(path: str | os.PathLike) -> bytes:
    try:
        return content_of(path)
    except (OSError, ValueError) as error:  # ValueError: a file name with a zero byte
        raise BrokenImage(f"unreadable: {error}") from error


def _decode_any(source) -> np.ndarray:
    try:
        return np.asarray(decode(source))
    except ValueError as error:
        raise BrokenImage(str(error)) from error


def _decode_fast(content: bytes, header: _Header, side: int) -> np.ndarray | None:
    """The picture, or None when OpenCV cannot read the file after all."""
    factor = _reduction(header, side)
    gray = header.channels == 1
    if factor == 1:
        flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    else:
        # IMREAD_REDUCED_COLOR_n is the gray flag plus IMREAD_COLOR, which here is IMREAD_COLOR_RGB instead.
        flags = getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{factor}") | (0 if gray else cv2.IMREAD_COLOR_RGB)
    try:
        return cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except cv2.error:  # the careful way then finds the reason
        return None


def _reduction(header: _Header, side: int) -> int:
    if not header.can_reduce:
        return 1
    shorter = min(header.height, header.width)
    return max(factor for factor in (1, 2, 4, 8) if factor == 1 or shorter >= factor * _KEPT_PER_OUTPUT_PIXEL * side)


def _header(content: bytes) -> _Header | None:
    """Facts about a file that the fast way can read, or None."""
    try:
        if content.startswith(_JPEG_START):
            header = _jpeg_header(content)
        elif content.startswith(_PNG_SIGNATURE):
            header = _png_header(content)
        else:
            return None
    except struct.error:  # the file ends within its header
        return None
    return header if header and header.height * header.width <= LARGEST_IMAGE else None


def _jpeg_header(content: bytes) -> _Header | None:
    """Walk over the segments up to the first scan (ITU-T T.81, annex B)."""
    frame, position = None, len(_JPEG_START)
    while True:
        start, marker, length = struct.unpack_from(">BBH", content, position)
        segment = content[position + 4 : position + 2 + length]
        if start != 0xFF:
            return None
        if marker in _JPEG_FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", segment)
            if bits != 8 or channels not in (1, 3) or height * width == 0:
                return None
            frame = _Header(height, width, channels, can_reduce=True)
        elif marker == 0xE1 and b"tiff:Orientation" in segment:
            return None  # Pillow also obeys an orientation in XMP, OpenCV does not
        elif marker == _JPEG_SCAN:
            # Within a scan 0xFF is always followed by 0x00 or a restart marker: the end marker there is the real one.
            complete = content.rfind(_JPEG_END, position) > 0
            return frame if complete else None
        position += 2 + length


def _png_header(content: bytes) -> _Header | None:
    """Walk over all chunks and check their sums (PNG specification, 5.3), for libpng complains on stderr."""
    header, position, read = None, len(_PNG_SIGNATURE), partial(struct.unpack_from, ">I", content)
    while True:
        (length,) = read(position)
        kind = content[position + 4 : position + 8]
        end = position + 8 + length
        if zlib.crc32(memoryview(content)[position + 4 : end]) != read(end)[0]:
            return None
        if kind == b"IHDR":
            width, height, bits, colour_type = struct.unpack_from(">IIBB", content, position + 8)
            if bits != 8 or colour_type not in _PNG_COLOURS:
                return None
            header = _Header(height, width, _PNG_COLOURS[colour_type], can_reduce=False)
        elif kind in (b"tRNS", b"eXIf", b"acTL", b"iTXt", b"tEXt", b"zTXt"):
            return None  # transparency, orientation (also as text), animation: the careful way knows what to do
        elif kind == b"IEND":
            return header
        position = end + 4
