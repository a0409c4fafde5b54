"""A network with CenterFace's outputs whose maps are written into the picture by hand."""

import functools

import cv2
import numpy as np

from hf_hmtl.model.face_detector_hmtl import FaceDetector

_STEPS = 64  # of a colour, to the next power of e
CELL = 4  # pixels from one place of the maps to the next
DOWN, RIGHT = 0.25, -0.5
POINTS = ((0.25, 0.25), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.75, 0.75))  # (x, y) as shares of the box


def write_network(path):
    """Write it as an ONNX file, whose messages (onnx.proto, Protocol Buffers) are few enough to be put together here.

    Of the first pixel of each cell: heat is red / 255, the logarithms of height and width in cells are green / 64 and
    blue / 64; offsets and landmarks are the same everywhere.
    """
    rest = np.zeros((10, 3))
    layers = {
        "537": ([[1 / 255, 0, 0]], [0]),
        "538": ([[0, 1 / _STEPS, 0], [0, 0, 1 / _STEPS]], [0, 0]),
        "539": (rest[:2], [DOWN, RIGHT]),
        "540": (rest, [share for x, y in POINTS for share in (y, x)]),
    }
    shapes = {b"kernel_shape": 1, b"strides": CELL}
    shapes = b"".join(_part(5, _part(1, name) + _part(8, side) * 2 + _part(20, 7)) for name, side in shapes.items())
    graph = _part(2, b"maps") + _part(11, _value(b"image", (1, 3, 32, 32)))
    for name, (weight, bias) in layers.items():
        output, parameters = name.encode(), (f"{name}.weight".encode(), f"{name}.bias".encode())
        inputs = b"".join(_part(1, each) for each in (b"image", *parameters))
        graph += _part(1, inputs + _part(2, output) + _part(4, b"Conv") + shapes)
        graph += _part(5, _tensor(parameters[0], np.reshape(weight, (-1, 3, 1, 1))))
        graph += _part(5, _tensor(parameters[1], np.array(bias)))
        graph += _part(12, _value(output, (1, len(bias), 8, 8)))
    path.write_bytes(_part(1, 8) + _part(8, _part(2, 13)) + _part(7, graph))
    return path


def _part(number, value):
    """A field of a message: a whole number, or bytes."""
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    return _number(number << 3 | 2) + _number(len(value)) + value


def _number(value):
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + _number(high) if high else bytes([low])


def _tensor(name, values):
    sides = b"".join(_part(1, side) for side in values.shape)
    return sides + _part(2, 1) + _part(8, name) + _part(9, values.astype("<f4").tobytes())


def _value(name, shape):
    sides = b"".join(_part(1, _part(1, side)) for side in shape)
    return _part(1, name) + _part(2, _part(1, _part(1, 1) + _part(2, sides)))


def picture_of(*faces, width=128, height=96):
    """A dark picture with faces (column, row, width, height, score): the first four in cells, the last of 255."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for column, row, wide, high, score in faces:
        image[row * CELL, column * CELL] = score, _step(high), _step(wide)
    return image


def _step(cells):
    return round(_STEPS * np.log(cells))


def box_of(column, row, wide, high):
    """The box of such a face in pixels, before it ends at the picture, by hand."""
    wide, high = (np.exp(_step(cells) / _STEPS) for cells in (wide, high))  # as far as 256 steps allow
    x, y = (column + RIGHT + 0.5) * CELL, (row + DOWN + 0.5) * CELL
    return x - wide * CELL / 2, y - high * CELL / 2, x + wide * CELL / 2, y + high * CELL / 2


@functools.cache
def weights_are_installed():
    """Whether CenterFace's weights are on this machine."""
    try:
        FaceDetector()
    except FileNotFoundError:
        return False
    return True


def enlarged(image, factor):
    """Every pixel so many times, so that reducing it gives the picture again."""
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
