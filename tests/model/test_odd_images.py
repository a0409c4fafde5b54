"""One table of files that are not plain: each looks as in a viewer, or is refused, wherever an image is read.

The same in training, in evaluation, through `datasets` and, but for what transformers' loader clips first, in
`pipeline(path)`.
"""

import io

import datasets
import numpy as np
import pytest
from odd_images import GRAY, LOOKS_RIGHT, REFUSED, SIDE, saved
from PIL import EpsImagePlugin, Image
from transformers.image_utils import load_image

from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.model.image_processing_hmtl import ImageError, decode

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


def test_a_picture_that_is_a_program_is_not_run_by_anybody(tmp_path, monkeypatch):
    """Pillow would have Ghostscript run an EPS file. What `datasets` decodes itself is not ours to refuse."""
    run = []

    def ghostscript(*arguments, **options):
        run.append(arguments)
        return Image.new("RGB", (SIDE, SIDE)).im

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    content = saved(Image.fromarray(GRAY), "EPS")
    readers = readings(content, tmp_path / "face.jpg")
    del readers["datasets"]
    for who, read in readers.items():
        with pytest.raises((ImageError, BrokenImage), match="EPS is a program that draws, and is not run"):
            pytest.fail(f"{who} read {read()}")
    assert not run
    Image.open(io.BytesIO(content)).load()
    assert run  # what is guarded against


def test_a_black_picture_of_16_bits_is_black():
    assert np.asarray(decode(saved(np.zeros((SIDE, SIDE), np.uint16), "PNG"))).max() == 0
