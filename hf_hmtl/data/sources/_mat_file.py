"""Matrices of numbers in a MATLAB file, by "MAT-File Format" of MathWorks, chapter 1: level 5, which MATLAB writes
unless asked for another.

scipy reads such files and many more, but ends the interpreter on some that are damaged, and allocates what they claim
to hold. Here every size is compared with what is there.
"""

import math
import zlib
from collections.abc import Collection, Iterator

import numpy as np

_HEADER = 128
_ORDERS = {b"IM": "<", b"MI": ">"}
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMBERS = range(6, 16)  # classes of arrays: double, single, and whole numbers of 8 to 64 bits
_LARGEST = 1 << 26  # bytes of a matrix that was compressed


def matrices(content: bytes, names: Collection[str]) -> dict[str, np.ndarray]:
    """The real parts of the matrices with these names, as arrays of the numbers they are kept as.

    Args:
        content: of the file.
        names: of the matrices; what else stands in the file is passed over.

    Raises:
        ValueError: it is no such file, or cut off or damaged where it was looked at.
    """
    order = _ORDERS.get(content[126:128])
    if order is None:
        raise ValueError("no MATLAB file of level 5")
    found = {}
    for kind, part in _elements(memoryview(content)[_HEADER:], order):
        if kind == _COMPRESSED:
            part = _decompressed(part)
            kind, part = next(_elements(part, order), (0, part))
        if kind == _MATRIX:
            name, matrix = _matrix(part, order, names)
            if matrix is not None:
                found[name] = matrix
    return found


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, bytes) of each element (Table 1-1), of which small ones stand within their tag."""
    place = 0
    while place + 8 <= len(content):
        kind, size = np.frombuffer(content[place : place + 8], f"{order}u4").tolist()
        begin = place + 8
        if kind >> 16:
            kind, size, begin = kind & 0xFFFF, kind >> 16, place + 4
        part = content[begin : begin + size]
        if len(part) < size or (begin == place + 4 and size > 4):
            raise ValueError(f"an element of {size} bytes is cut off")
        yield kind, part
        padded = size if kind == _COMPRESSED else -(-size // 8) * 8
        place = begin + padded if begin == place + 8 else place + 8


def _decompressed(part: memoryview) -> memoryview:
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(part, _LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not reader.eof:
        raise ValueError("a compressed matrix is cut off or too large")
    return memoryview(content)


def _matrix(part: memoryview, order: str, names: Collection[str]) -> tuple[str, np.ndarray | None]:
    """Name and numbers of an array (Table 1-3); None where it has another name or holds no numbers."""
    elements = _elements(part, order)
    flags, sizes, name = (next(elements, (0, memoryview(b""))) for _ in range(3))
    text = bytes(name[1]).decode("ascii", "replace")
    if text not in names or len(flags[1]) < 8 or _numbers(flags, order).tolist()[0] & 0xFF not in _NUMBERS:
        return text, None
    shape = _numbers(sizes, order).tolist()
    values = _numbers(next(elements, (0, memoryview(b""))), order)
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) != len(values):
        raise ValueError(f"{text} is said to be {shape[:4]}, and has {len(values)} numbers")
    return text, values.reshape(shape, order="F")


def _numbers(element: tuple[int, memoryview], order: str) -> np.ndarray:
    kind, part = element
    if kind not in _TYPES or len(part) % np.dtype(_TYPES[kind]).itemsize:
        raise ValueError(f"{len(part)} bytes of the type {kind} are no numbers")
    return np.frombuffer(part, order + _TYPES[kind])
