"""Fast and careful decoding give the same picture and the same verdict; Pillow is the judge."""

import base64
import io
import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from hf_hmtl.data import decode as decode_module
from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.model.image_processing_hmtl import decode

SIDE = 224


@pytest.fixture(scope="module")
def face() -> Image.Image:
    coarse = np.random.default_rng(5).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    return Image.fromarray(cv2.resize(coarse, (93, 121), interpolation=cv2.INTER_CUBIC))


def file_of(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def upright(content: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))


def forbid_the_careful_way(monkeypatch):
    monkeypatch.setattr(decode_module, "_decode_any", lambda content: pytest.fail("took the careful way"))


def count_the_careful_way(monkeypatch) -> list:
    calls, careful = [], decode_module._decode_any
    monkeypatch.setattr(decode_module, "_decode_any", lambda content: calls.append(1) or careful(content))
    return calls


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_equals_pillow_in_every_orientation(face, mode, orientation, monkeypatch):
    forbid_the_careful_way(monkeypatch)
    content = file_of(face.convert(mode), "JPEG", quality=92, exif=with_orientation(orientation))
    got = decode_for_training(content, SIDE)
    assert got.dtype == np.uint8 and got.flags.c_contiguous
    assert got.ndim == (3 if mode == "RGB" else 2)
    assert got.shape == upright(content).shape
    # Two builds of libjpeg may round differently.
    assert np.abs(got.astype(int) - upright(content)).max() <= 2


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"quality": 30}])
def test_kinds_of_jpeg_equal_pillow(face, options, monkeypatch):
    forbid_the_careful_way(monkeypatch)
    content = file_of(face, "JPEG", **options)
    assert np.abs(decode_for_training(content, SIDE).astype(int) - upright(content)).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_png_is_exact_and_fast(face, mode, monkeypatch):
    forbid_the_careful_way(monkeypatch)
    image = face.convert(mode)
    assert np.array_equal(decode_for_training(file_of(image, "PNG"), SIDE), np.asarray(image))


def test_gray_becomes_three_channels_where_it_must(face):
    content = file_of(face.convert("L"), "JPEG")
    gray, rgb = decode_for_training(content, SIDE), decode_for_training(content, SIDE, gray_allowed=False)
    assert gray.ndim == 2 and np.array_equal(rgb, np.stack([gray] * 3, axis=-1))


def test_every_way_to_give_a_file(face, tmp_path):
    content = file_of(face, "JPEG")
    path = tmp_path / "face.jpg"
    path.write_bytes(content)
    expected = decode_for_training(content, SIDE)
    sources = [path, str(path), bytearray(content), memoryview(content), {"bytes": content, "path": "gone.jpg"}]
    for source in [*sources, {"bytes": None, "path": str(path)}]:
        assert np.array_equal(decode_for_training(source, SIDE), expected)
    url = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    for source in (url, {"bytes": None, "path": url}):
        assert np.array_equal(decode_for_training(source, SIDE), expected)
        assert np.array_equal(np.asarray(decode(source)), upright(content))


def sixteen_bits() -> tuple[bytes, np.ndarray]:
    gray = (np.arange(40 * 30).reshape(40, 30) * 54).astype(np.uint16)
    return file_of(Image.fromarray(gray), "PNG"), np.rint(gray / 257.0)


def test_sixteen_bits_are_scaled_not_clipped():
    content, expected = sixteen_bits()
    got = decode_for_training(content, SIDE)
    assert got.shape == (40, 30, 3) and np.abs(got - expected[:, :, None]).max() <= 1


def png_with_chunk(content: bytes, kind: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return content[:33] + chunk + content[33:]


def careful_files(face) -> dict[str, bytes]:
    palette = face.convert("P", palette=Image.Palette.ADAPTIVE)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    frames = [face, ImageOps.invert(face)]
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a face")
    return {
        "CMYK JPEG": file_of(face.convert("CMYK"), "JPEG"),
        "JPEG oriented by XMP": file_of(face, "JPEG", xmp=xmp),
        "palette PNG": file_of(palette, "PNG"),
        "transparent palette PNG": file_of(palette, "PNG", transparency=3),
        "PNG with alpha": file_of(face.convert("RGBA"), "PNG"),
        "PNG with a transparent colour": png_with_chunk(file_of(face, "PNG"), b"tRNS", bytes(6)),
        "PNG oriented": file_of(face, "PNG", exif=with_orientation(6)),
        "PNG with text": file_of(face, "PNG", pnginfo=text),
        "1-bit PNG": file_of(face.convert("1"), "PNG"),
        "animated GIF": file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated PNG": file_of(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "BMP": file_of(face, "BMP"),
        "TIFF": file_of(face, "TIFF"),
        "WebP": file_of(face, "WEBP"),
    }


def test_everything_else_is_decoded_as_serving_does(face):
    for name, content in careful_files(face).items():
        got = decode_for_training(content, SIDE)
        assert np.array_equal(got, np.asarray(decode(content))), name
        assert got.shape[2] == 3, name
    assert decode_for_training(careful_files(face)["PNG oriented"], SIDE).shape == (93, 121, 3)


def test_doubtful_files_never_reach_opencv(face, monkeypatch):
    """Its versions differ: some ignore transparency and orientation, or fill the missing part of a JPEG with gray."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("took the fast way"))
    for content in careful_files(face).values():
        decode_for_training(content, SIDE)
    for content in broken_files(face).values():
        with pytest.raises(BrokenImage):
            decode_for_training(content, SIDE)


@pytest.mark.parametrize(
    ("longer", "shorter", "side", "factor"),
    [
        (800, 600, 224, 1),
        (1200, 896, 224, 2),
        (1200, 894, 224, 1),
        (2400, 1800, 224, 4),
        (900, 800, 48, 8),
        (350, 350, 48, 2),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpeg_files_are_decoded_reduced(longer, shorter, side, factor, mode, orientation):
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    image = Image.fromarray(cv2.resize(coarse, (longer, shorter), interpolation=cv2.INTER_CUBIC)).convert(mode)
    got = decode_for_training(file_of(image, "JPEG", quality=95, exif=with_orientation(orientation)), side)
    width, height = (longer, shorter) if orientation == 1 else (shorter, longer)
    assert got.shape[:2] == (-(-height // factor), -(-width // factor))
    assert factor == 1 or min(got.shape[:2]) >= 2 * side
    expected = image if orientation == 1 else image.transpose(Image.Transpose.ROTATE_270)
    shrunk = np.asarray(expected.resize(got.shape[1::-1], Image.Resampling.BOX), dtype=int)
    assert np.abs(got - shrunk).mean() < 1.5


def broken_files(face) -> dict[str, bytes]:
    jpeg, png = file_of(face, "JPEG", quality=95), file_of(face, "PNG")
    thumbnail = file_of(face.resize((16, 16)), "JPEG")
    damaged = bytearray(png)
    damaged[len(png) // 2] ^= 0xFF
    header = png[:16] + struct.pack(">II", 20_000, 20_000) + png[24:29]
    huge_png = header + struct.pack(">I", zlib.crc32(header[12:])) + png[33:]
    frame = jpeg.index(b"\xff\xc0")
    return {
        "zero bytes": b"",
        "text": b"<html>not found</html>" * 20,
        "JPEG without end": jpeg[:-2],
        "half a JPEG": jpeg[: len(jpeg) // 2],
        "JPEG header": jpeg[:100],
        "three bytes of JPEG": jpeg[:3],
        "half a JPEG with a whole thumbnail": file_of(face, "JPEG", comment=thumbnail, quality=95)[:3000],
        "half a PNG": png[: len(png) // 2],
        "PNG signature": png[:8],
        "damaged PNG": bytes(damaged),
        "20,000 pixel PNG": huge_png,
        "20,000 pixel JPEG": jpeg[: frame + 5] + struct.pack(">HH", 20_000, 20_000) + jpeg[frame + 9 :],
    }


def test_broken_files_raise_with_a_reason_and_print_nothing(face, capfd):
    for name, content in broken_files(face).items():
        with pytest.raises(BrokenImage) as raised:
            decode_for_training({"bytes": content, "path": None}, SIDE)
        assert len(str(raised.value)) > 20, name
        with pytest.raises(ValueError):  # the same verdict as in evaluation
            decode(content)
    captured = capfd.readouterr()
    assert captured.err == "" and captured.out == ""


def test_reasons_name_what_is_wrong(face, tmp_path):
    broken = broken_files(face)
    for name, words in {
        "zero bytes": "zero bytes",
        "half a JPEG": "truncated",
        "20,000 pixel PNG": "20,?000 x|400,?000,?000",
    }.items():
        with pytest.raises(BrokenImage, match=words):
            decode_for_training(broken[name], SIDE)
    with pytest.raises(BrokenImage, match="gone.jpg"):
        decode_for_training(tmp_path / "gone.jpg", SIDE)
    for place, words in {
        "data:image/png;base64,wrong": "data:image/png",
        "http://a b": "http://a b",
        "a\0b.jpg": "null byte",
    }.items():
        with pytest.raises(BrokenImage, match=words):
            decode_for_training({"bytes": None, "path": place}, SIDE)
        with pytest.raises((OSError, ValueError), match=words):
            decode({"bytes": None, "path": place})
    with pytest.raises(BrokenImage, match="NoneType.*Image\\(decode=False\\)"):
        decode_for_training({"bytes": None, "path": None}, SIDE)


def test_a_file_that_opencv_cannot_read_after_all_is_read_carefully(face, monkeypatch):
    content = file_of(face, "JPEG")
    calls = count_the_careful_way(monkeypatch)

    def give_up(*_):
        raise cv2.error("too large")

    for number, imdecode in enumerate((lambda *_: None, give_up), start=1):
        monkeypatch.setattr(cv2, "imdecode", imdecode)
        assert np.array_equal(decode_for_training(content, SIDE), upright(content)) and calls == [1] * number


def test_the_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(BrokenImage("empty: row 7 has zero bytes")))
    assert isinstance(error, ValueError) and str(error) == "empty: row 7 has zero bytes"
