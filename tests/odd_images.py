"""Files of images that are not plain: those that look as in a viewer, and those that can be read in two ways."""

import io

import numpy as np
from PIL import Image

SIDE = 8
RAMP = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
GRAY = np.rint(RAMP * 255).astype(np.uint8)
WHOLE = np.rint(RAMP * 65535).astype(np.uint16)
TWELVE = np.rint(RAMP * 4095).astype(np.uint16)


def saved(array, kind, **options):
    file = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(file, kind, **options)
    return file.getvalue()


def pgm(values, largest):
    return f"P5 {SIDE} {SIDE} {largest}\n".encode() + values.astype(">u2").tobytes()


def pfm(values):
    return f"Pf\n{SIDE} {SIDE}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes()


LOOKS_RIGHT = {
    "8 bits": lambda: saved(GRAY, "PNG"),
    "16 bits, PNG": lambda: saved(WHOLE, "PNG"),
    "16 bits, TIFF": lambda: saved(WHOLE, "TIFF"),
    "16 bits, PGM": lambda: pgm(WHOLE, 65535),
    "12 bits, PGM that says so": lambda: pgm(TWELVE, 4095),
    "32 bits of which 16 are used": lambda: saved(WHOLE.astype(np.int32), "TIFF"),
    "floats from 0 to 1, TIFF": lambda: saved(RAMP.astype(np.float32), "TIFF"),
    "floats from 0 to 1, PFM": lambda: pfm(RAMP),
    "gray and alpha": lambda: saved(Image.fromarray(GRAY).convert("LA"), "PNG"),
    "palette": lambda: saved(Image.fromarray(GRAY).convert("P"), "PNG"),
    "CMYK": lambda: saved(Image.fromarray(GRAY).convert("CMYK"), "TIFF"),
}
REFUSED = {
    "12 bits in 16, PNG": lambda: saved(TWELVE, "PNG"),
    "12 bits in 16, TIFF": lambda: saved(TWELVE, "TIFF"),
    "8 bits in 16": lambda: saved(GRAY.astype(np.uint16), "PNG"),
    "32 bits from 0 to 255": lambda: saved(GRAY.astype(np.int32), "TIFF"),
    "32 bits from 0 to 2,000,000,000": lambda: saved((RAMP * 2e9).astype(np.int32), "TIFF"),
    "floats from 0 to 255": lambda: saved((RAMP * 255).astype(np.float32), "TIFF"),
}
