import base64
import contextlib
import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from hf_hmtl import HMTLConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor, ImageError, ImageTooLarge, decode, to_pixels


def photo(width=60, height=40) -> np.ndarray:
    """A smooth picture whose four corners differ: (height, width, 3) uint8."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return np.rint(255 * np.stack([x, y, 0.5 + 0.5 * np.sin(6 * x * y)], axis=-1)).astype(np.uint8)


def encoded(image, format="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format, **options)
    return buffer.getvalue()


def test_bytes_paths_images_arrays_and_tensors_give_the_same_pixels(tmp_path):
    pixels = photo()
    content = encoded(pixels)
    (tmp_path / "face.png").write_bytes(content)
    sources = [content, bytearray(content), tmp_path / "face.png", str(tmp_path / "face.png"), Image.fromarray(pixels)]
    sources += [pixels, pixels.transpose(2, 0, 1), torch.from_numpy(pixels), torch.from_numpy(pixels).permute(2, 0, 1)]
    sources += [pixels / 255, torch.from_numpy(pixels) / 255, pixels.astype(np.uint16) * 257]
    sources += [{"bytes": content, "path": "gone.png"}, {"bytes": None, "path": str(tmp_path / "face.png")}]
    sources += ["data:image/png;base64," + base64.b64encode(content).decode()]
    for source in sources:
        image = decode(source)
        assert image.mode == "RGB" and np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation):
    upright = photo()
    # How each orientation is stored, from the EXIF standard: the inverse of what a viewer has to do.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(np.ascontiguousarray(stored), exif=exif)
    assert np.array_equal(np.asarray(decode(content)), upright)
    opened = Image.open(io.BytesIO(content))
    assert np.array_equal(np.asarray(decode(opened)), upright)
    assert opened.getexif()[0x0112] == orientation  # the caller's image stays as it was


def test_gray_palette_cmyk_alpha_and_animated_images_become_rgb():
    picture = Image.fromarray(photo())
    gray = np.asarray(picture.convert("L"))
    assert np.array_equal(np.asarray(decode(encoded(gray))), np.stack([gray] * 3, axis=-1))
    palette = picture.quantize(16)
    assert np.array_equal(np.asarray(decode(encoded(palette))), np.asarray(palette.convert("RGB")))
    cmyk = picture.convert("CMYK")
    assert np.array_equal(np.asarray(decode(encoded(cmyk, "TIFF"))), np.asarray(cmyk.convert("RGB")))
    transparent = picture.copy()
    transparent.putalpha(7)
    assert np.array_equal(np.asarray(decode(encoded(transparent))), photo())
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert set(np.asarray(decode(animated)).flatten().tolist()) == {10}


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(format):
    values = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    decoded = np.asarray(decode(encoded(values, format)))[..., 0]
    assert np.array_equal(decoded, np.rint(values / 257).astype(np.uint8)) and len(np.unique(decoded)) == 256


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "0 bytes"),
        (b"not an image at all", "UnidentifiedImageError"),
        (encoded(photo(300, 300), "JPEG")[:2000], "truncated"),
        (encoded(photo())[:-200], "damaged"),
        (np.zeros((3, 5, 3), np.uint8), "either the first or the last axis"),
        (np.zeros((5, 5, 5), np.uint8), "no axis can be the colours"),
        (np.zeros((0, 5), np.uint8), "holds no pixels"),
        (np.full((5, 5), 200.0), "from 200 to 200"),
        (np.full((5, 5), np.nan), "from nan to nan"),
        (np.full((5, 5), 200), "int64"),
        (torch.full((3, 5, 5), -1.0), "from -1 to -1"),
        (42, "not as int"),
    ],
)
def test_what_cannot_be_used_raises_with_the_reason(source, message):
    with pytest.raises(ImageError, match=message):
        decode(source)


def test_a_broken_file_is_named_and_a_missing_one_is_missing(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ImageError, match="broken.jpg"):
        decode(tmp_path / "broken.jpg")
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "absent.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_raise_nothing_but_image_errors():
    rng = np.random.default_rng(0)
    for format in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        content = np.frombuffer(encoded(photo(), format), np.uint8)
        for _ in range(60):
            damaged = content.copy()
            damaged[rng.integers(0, len(damaged), 8)] = rng.integers(0, 256, 8)
            try:
                assert decode(damaged.tobytes()).mode == "RGB"
            except ImageError:
                continue


def test_images_of_too_many_pixels_are_refused():
    with pytest.raises(ImageTooLarge, match="400000000 pixels|20000 x 20000"):
        decode(encoded(Image.new("1", (20_000, 20_000))))
    with pytest.raises(ImageTooLarge, match="more than the 178,956,970 that are allowed"):
        decode(np.broadcast_to(np.uint8(0), (20_000, 20_000)))
    for source in (encoded(photo()), photo(), Image.fromarray(photo())):
        assert decode(source, largest=60 * 40).size == (60, 40)
        with pytest.raises(ImageTooLarge, match="60 x 40 pixels are more than the 2,399 that are allowed"):
            decode(source, largest=60 * 40 - 1)


def test_a_long_thin_image_within_the_limit_is_used():
    assert to_pixels(encoded(Image.new("L", (20_000, 10), 9)), 16).shape == (16, 16, 3)


def test_without_a_crop_pixels_are_pillows_resize():
    expected = np.asarray(Image.fromarray(photo()).resize((24, 24), Image.Resampling.BILINEAR))
    assert np.array_equal(to_pixels(photo(), 24), expected)


def test_the_crop_is_the_central_fraction_of_both_sides():
    expected = np.asarray(Image.fromarray(photo()[4:36, 6:54]).resize((24, 24), Image.Resampling.BILINEAR))
    differences = np.abs(to_pixels(photo(), 24, crop_fraction=0.8).astype(int) - expected)
    # At the rim the filter may still see what lies outside of the crop.
    assert differences[1:-1, 1:-1].max() <= 1 and differences.max() <= 3
    assert to_pixels(photo(), 24, crop_fraction=0.8)[0, 0, 0] > to_pixels(photo(), 24)[0, 0, 0] + 15


def test_shrinking_averages_and_does_not_skip():
    stripes = np.zeros((200, 200), np.uint8)
    stripes[:, ::2] = 255
    small = to_pixels(stripes, 20)[5:-5, 5:-5]
    assert small.min() >= 120 and small.max() <= 135


def test_the_processor_gives_uint8_batches_with_colours_side_by_side():
    images = [photo(), encoded(photo(90, 20)), Image.fromarray(photo(10, 10))]
    processor = HMTLImageProcessor(size=32, crop_fraction=0.9)
    pixels = processor(images)["pixel_values"]
    assert pixels.shape == (3, 3, 32, 32) and pixels.dtype == torch.uint8
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    for row, image in zip(pixels, images, strict=True):
        assert np.array_equal(row.permute(1, 2, 0).numpy(), to_pixels(image, 32, 0.9))
    assert torch.equal(processor(images[1])["pixel_values"], pixels[1:2])
    assert np.array_equal(processor(images, return_tensors="np")["pixel_values"], pixels.numpy())
    batch = torch.stack([torch.from_numpy(photo())] * 2)
    assert torch.equal(processor(batch)["pixel_values"], pixels[:1].expand(2, -1, -1, -1))


def test_the_processor_is_saved_and_loaded_with_its_options(tmp_path):
    HMTLImageProcessor(size=40, crop_fraction=0.8, resample=3).save_pretrained(tmp_path)
    loaded = HMTLImageProcessor.from_pretrained(tmp_path)
    assert (loaded.size, loaded.crop_fraction, loaded.resample) == ({"height": 40, "width": 40}, 0.8, 3)
    assert (loaded.do_rescale, loaded.do_normalize) == (False, False)
    assert HMTLImageProcessor.from_pretrained(tmp_path, crop_fraction=0.5).crop_fraction == 0.5
    assert HMTLImageProcessor.from_pretrained(tmp_path, size=48).size == {"height": 48, "width": 48}
    assert (loaded.image_mean, loaded.image_std) == ([0, 0, 0], [1, 1, 1])
    alone = AutoImageProcessor.from_pretrained(tmp_path, config=HMTLConfig())  # no config.json lies beside it
    assert type(alone) is HMTLImageProcessor and alone.to_dict() == loaded.to_dict()


@pytest.mark.parametrize("size", [20, (20, 20), {"height": 20, "width": 20}, {"shortest_edge": 20}])
def test_options_may_be_given_for_one_call(size):
    processor = HMTLImageProcessor(size=32)
    pixels = processor(photo(), size=size, crop_fraction=0.5, resample=Image.Resampling.NEAREST)["pixel_values"]
    wanted = to_pixels(photo(), 20, 0.5, Image.Resampling.NEAREST)
    assert np.array_equal(pixels[0].permute(1, 2, 0).numpy(), wanted)
    assert processor(photo())["pixel_values"].shape == (1, 3, 32, 32)
    with pytest.raises(ValueError, match="in .0, 1."):
        processor(photo(), crop_fraction=2)
    with pytest.raises(ValueError, match="the model takes pixels"):
        processor(photo(), do_normalize=True)
    with pytest.raises(ValueError, match="no option 'sise'"):
        processor(photo(), sise=8)
    assert torch.equal(processor(photo(), do_rescale=False)["pixel_values"], processor(photo())["pixel_values"])


def test_the_result_lies_where_it_is_wanted():
    processor = HMTLImageProcessor(size=8)
    assert processor(photo(), device="meta")["pixel_values"].device.type == "meta"
    with pytest.raises(ValueError, match="an array has no device"):
        processor(photo(), device="cpu", return_tensors="np")


def test_without_a_type_of_tensors_every_image_is_one():
    rows = HMTLImageProcessor(size=8)([photo(), photo(9, 9)], return_tensors=None)["pixel_values"]
    assert isinstance(rows, list) and [row.shape for row in rows] == [(3, 8, 8)] * 2


def test_a_url_is_fetched(monkeypatch):
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return io.BytesIO(encoded(photo()))

    monkeypatch.setattr("hf_hmtl.model.image_processing_hmtl.urlopen", answer)
    assert np.array_equal(np.asarray(decode("https://example.org/face.png")), photo())
    assert asked == ["https://example.org/face.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "side of a square"),
        ({"size": {"height": 8, "width": 9}}, "side of a square"),
        ({"size": {"longest_edge": 8}}, "side of a square"),
        ({"size": {"shortest_edge": 8, "longest_edge": 9}}, "side of a square"),
        ({"size": (8, 9)}, "side of a square"),
        ({"size": True}, "side of a square"),
        ({"image_mean": [0.5, 0.5, 0.5]}, "the model takes pixels"),
        ({"crop_fraction": 0.0}, "in .0, 1."),
        ({"crop_fraction": 80}, "in .0, 1."),
        ({"resample": 99}, "99"),
        ({"crop_franction": 0.8}, "no option 'crop_franction'"),
        ({"do_normalize": True}, "the model takes pixels"),
    ],
)
def test_wrong_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        HMTLImageProcessor(**options)


def test_an_empty_list_and_an_unknown_format_raise():
    with pytest.raises(ValueError, match="the list is empty"):
        HMTLImageProcessor()([])
    with pytest.raises(ValueError, match='"pt", "np" or None'):
        HMTLImageProcessor()(photo(), return_tensors="tf")


def test_what_may_never_end_is_not_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    for place in (tmp_path / "pipe.jpg", "/dev/zero"):
        with pytest.raises(OSError, match="is a pipe or a device, and no file"):
            decode(place)
    with open(tmp_path / "large.jpg", "wb") as file:
        file.truncate(2**40)  # of which nothing is on the disk
    with pytest.raises(OSError, match="has 1,099,511,627,776 bytes, and an image at most 1,073,741,824"):
        decode(tmp_path / "large.jpg")
    monkeypatch.setattr("hf_hmtl.model.image_processing_hmtl.LARGEST_FILE", 5_000_000)
    read = []

    def endless(size):
        read.append(size)
        return b"x" * size

    answer = contextlib.nullcontext(SimpleNamespace(read=endless))
    monkeypatch.setattr("hf_hmtl.model.image_processing_hmtl.urlopen", lambda url, timeout: answer)
    with pytest.raises(OSError, match="more than 5,000,000 bytes"):
        decode("https://example.org/endless.jpg")
    assert sum(read) < 7_000_000


def test_an_answer_that_trickles_is_given_up(monkeypatch):
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr("hf_hmtl.model.image_processing_hmtl.time", SimpleNamespace(monotonic=lambda: next(clock)))
    answer = contextlib.nullcontext(SimpleNamespace(read=lambda size: b"x"))
    monkeypatch.setattr("hf_hmtl.model.image_processing_hmtl.urlopen", lambda url, timeout: answer)
    with pytest.raises(OSError, match="not there after 300 seconds"):
        decode("https://example.org/slow.jpg")
