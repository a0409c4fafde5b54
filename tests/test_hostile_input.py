"""Whatever a file holds, it is read or refused in one sentence: nearly right files, for everything that reads others'.

Each reader (`readers.py`) gets files with a few changes (`mutations.py`); a thousand where reading one takes a few
milliseconds at most, and as many as fit where it takes longer. `make fuzz` tries 20,000 each in processes of bounded
memory and time.
"""

import io
import logging
import random
import resource
import sys
import warnings
import zlib

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from data_trees import encoded
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import READERS, attempt, told
from safetensors.torch import save as safetensors

from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.data.sources import custom
from hf_hmtl.data.sources._affectnet_npy import _label
from hf_hmtl.data.sources._mat_file import matrices
from hf_hmtl.model.backbone_hmtl import new_backbone, weights_from_file

MILLISECONDS = 1500  # of a reader in `make test`


def examples(reader):
    return int(min(1000, MILLISECONDS / reader.cost))


@pytest.fixture(autouse=True)
def quietly(tmp_path_factory, monkeypatch):
    """What is logged of broken labels, and what Pillow and torch warn of damaged files, is expected here; what is kept
    of them by `datasets` goes with the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", module="torch")
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", READERS)
def test_nearly_right_files_are_read_or_refused_in_one_sentence(name, tmp_path):
    reader = READERS[name]
    files = reader.files()

    @settings(max_examples=examples(reader), deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**32))
    def check(seed):
        draw = random.Random(seed)
        attempt(reader, reader.change(draw.choice(files), draw), tmp_path)

    for content in files:
        attempt(reader, content, tmp_path)
    check()


@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if reader.cost <= 2])
def test_bytes_of_any_kind_are_refused_in_one_sentence(name, tmp_path):
    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(st.binary(max_size=300))
    def check(content):
        attempt(READERS[name], content, tmp_path)

    check()


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@given(st.text(max_size=300).filter(lambda text: not text.startswith(("http", "data:"))))
def test_a_path_of_any_kind_is_no_image(text):
    with pytest.raises(BrokenImage) as caught:
        decode_for_training(text, 32)
    told(caught.value)


# Sizes that are said to be there


def header_of_npy(shape):
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue().replace(b"(3,)", shape.encode()).replace(b" " * (len(shape) - 4) + b"\n", b"\n")


@pytest.fixture
def grows_by():
    """How many bytes the process has taken at most since the test began, beyond what it had taken before."""
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return lambda: (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit


def big_picture(kind):
    """A file that says it has 60,000 x 60,000 pixels, which would be 10.8 GB."""
    content = bytearray(encoded(0, kind))
    if kind == "PNG":
        content[16:24] = (60_000).to_bytes(4) * 2
    elif kind == "BMP":
        content[18:26] = (60_000).to_bytes(4, "little") * 2
    elif kind == "GIF":
        content[6:10] = (60_000).to_bytes(2, "little") * 2
    else:
        place = content.index(b"\xff\xc0") + 5
        content[place : place + 4] = (60_000).to_bytes(2) * 2
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF"])
def test_pixels_that_are_only_said_to_be_there_are_not_allocated(kind, grows_by):
    with pytest.raises(BrokenImage):
        decode_for_training(big_picture(kind), 32)
    assert grows_by() < 100e6


def test_a_picture_of_few_bytes_and_too_many_pixels_is_refused(grows_by):
    head = (20_000).to_bytes(4) + (10_000).to_bytes(4) + bytes([1, 0, 0, 0, 0])  # one bit a pixel, gray
    packer = zlib.compressobj()
    rows = b"".join(packer.compress(bytes(1 + 20_000 // 8)) for _ in range(10_000)) + packer.flush()
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    parts = [len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in chunks]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    assert len(content) < 50_000
    with pytest.raises(BrokenImage, match="pixels are more than|exceeds limit"):
        decode_for_training(content, 32)
    assert grows_by() < 100e6


@pytest.mark.parametrize("shape", ["(10000000000,)", "(100000,100000)", "(-1,)", "(2,)"])
def test_an_array_that_is_only_said_to_be_there_is_not_allocated(shape, tmp_path, grows_by):
    (tmp_path / "a.npy").write_bytes(header_of_npy(shape))
    number = _label(tmp_path / "a.npy")
    assert number == 0 if shape == "(2,)" else np.isnan(number)
    assert grows_by() < 100e6


def test_tensors_that_are_only_said_to_be_there_are_not_allocated(tmp_path, grows_by):
    content = safetensors({"a": torch.zeros(3)}).replace(b"[3]", b"[9999999999]"[:3]).replace(b"[0,12]", b"[0,99]")
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="a.safetensors holds no tensors of a backbone"):
        weights_from_file(tmp_path / "a.safetensors", new_backbone("test_resnet", 32))
    length = (2**62).to_bytes(8, "little")
    (tmp_path / "a.safetensors").write_bytes(length + content[8:])
    with pytest.raises(ValueError, match="a.safetensors holds no tensors of a backbone"):
        weights_from_file(tmp_path / "a.safetensors", new_backbone("test_resnet", 32))
    assert grows_by() < 100e6


def test_a_column_that_is_only_said_to_be_there_is_not_allocated(tmp_path, grows_by):
    table = pa.table({"image": [b"x" * 100] * 10, "label": ["a"] * 10})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet", compression=None)
    content = (tmp_path / "train.parquet").read_bytes()
    for size in (100, 2**31 - 1):
        changed = content.replace((100).to_bytes(4, "little"), size.to_bytes(4, "little"), 1)
        (tmp_path / "train.parquet").write_bytes(changed)
        with pytest.raises((ValueError, OSError)):
            custom.load(tmp_path)
    assert grows_by() < 200e6


def test_a_matrix_that_is_only_said_to_be_there_is_not_allocated(grows_by):
    header = b"MATLAB 5.0".ljust(124) + b"\x00\x01" + b"IM"
    with pytest.raises(ValueError, match="cut off"):
        matrices(header + np.array([14, 2**31], "<u4").tobytes() + b"x" * 100, ("a",))
    assert grows_by() < 100e6
