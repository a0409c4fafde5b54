"""One table of files that are not plain: each looks as in a viewer, or is refused, wherever an image is read.

The same in training, in evaluation, through `datasets` and, but for what transformers' loader clips first, in
`pipeline(path)`.
"""

import io

import datasets
import numpy as np
import pytest
from PIL import Image
from transformers.image_utils import load_image

from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.model.image_processing_hmtl import ImageError, decode

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
CLIPPED_BY_TRANSFORMERS = ("16 bits", "12 bits", "32 bits", "floats")


def readings(content, path):
    """{who reads: how} of every way into the package."""
    path.write_bytes(content)
    column = datasets.Features({"image": datasets.Image()})
    through_datasets = datasets.Dataset.from_dict({"image": [{"bytes": content, "path": None}]}, features=column)
    evaluation = EvaluationCollator([], SIDE, on_broken_image="raise")

    def evaluated():
        batch = evaluation([{"image": {"bytes": content, "path": None}}])
        return batch["pixel_values"][0].permute(1, 2, 0).numpy()

    return {
        "bytes": lambda: decode(content),
        "path": lambda: decode(str(path)),
        "training": lambda: decode_for_training(content, SIDE),
        "evaluation": evaluated,
        "PIL": lambda: decode(Image.open(io.BytesIO(content))),
        "datasets": lambda: decode(through_datasets[0]["image"]),
    }


@pytest.mark.parametrize("name", LOOKS_RIGHT)
def test_a_file_looks_as_in_a_viewer_wherever_it_is_read(name, tmp_path):
    content = LOOKS_RIGHT[name]()
    if name.endswith("PFM") and ".pfm" not in Image.registered_extensions():
        pytest.skip("this version of Pillow does not read PFM files")
    for who, read in readings(content, tmp_path / "file").items():
        pixels = np.asarray(read()).reshape(SIDE, SIDE, -1).astype(int)
        assert np.abs(pixels - GRAY[:, :, None]).max() <= 2, who
    if not name.startswith(CLIPPED_BY_TRANSFORMERS):
        pixels = np.asarray(load_image(str(tmp_path / "file"))).astype(int)
        assert np.abs(pixels - GRAY[:, :, None]).max() <= 2, "pipeline(path)"


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_can_be_read_in_two_ways_is_refused_wherever_it_is_read(name, tmp_path):
    content = REFUSED[name]()
    for who, read in readings(content, tmp_path / "file").items():
        with pytest.raises((ImageError, BrokenImage), match=r"brightest value|without guessing"):
            pytest.fail(f"{who} read {np.asarray(read()).mean()}")


def test_a_black_picture_of_16_bits_is_black():
    assert np.asarray(decode(saved(np.zeros((SIDE, SIDE), np.uint16), "PNG"))).max() == 0
