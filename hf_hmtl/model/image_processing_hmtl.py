"""What an image becomes before the network sees it: the one definition, for evaluation in training and for serving."""

import contextlib
import io
import os
import re
import stat
import time
from http.client import HTTPException
from numbers import Integral
from urllib.request import urlopen

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.processing_utils import ImagesKwargs

from .strangers_hmtl import LARGEST_SIDE, one_sentence, short

LARGEST_IMAGE = 178_956_970  # pixels; where Pillow refuses an image as a possible decompression bomb
LARGEST_FILE = 1 << 30  # bytes, which is more than so many pixels of three bytes
_CHANNELS = (1, 3, 4)
_PROGRAMS = ("EPS",)  # formats whose reader starts another program on what the file says
_LOWEST_WHITE = 4096  # of 65536: what 12 bits reach
_URL_SCHEMES = ("http://", "https://", "data:")
_URL_SECONDS = 30
_DOWNLOAD_SECONDS = 300
_PIECE = 1 << 20  # bytes
_WRITTEN_BY_OTHERS = ("auto_map", "image_processor_type")


class ImageError(ValueError):
    """An image that cannot be used; the message says which and why."""


class ImageTooLarge(ImageError):
    """An image of more pixels than are allowed."""


def decode(source, largest: int = LARGEST_IMAGE) -> Image.Image:
    """Turns whatever holds an image into an upright RGB image of 8 bits.

    The EXIF orientation is applied. Gray, palette and CMYK images are converted and an alpha channel is dropped, all as
    Pillow's `convert("RGB")` does, because `pipeline()` has done so before it calls an image processor. 16-bit gray
    images are scaled by 1/257, not clipped; those that use less than a sixteenth of their range (12 bits in 16, 8 in
    32) are refused, because nobody can know what is white in them. Of an animation the first frame is used.

    Args:
        source: the bytes of an image file; a path or URL; a row {"bytes": ..., "path": ...} of `datasets`; a PIL
            image; or an array or tensor of shape (height, width), (height, width, 1, 3 or 4) or
            (1, 3 or 4, height, width): uint8, uint16, or floats in [0, 1].
        largest: pixels that it may have, of which files of more are not decoded.

    Raises:
        ImageError: empty, truncated or not an image, an array whose layout or range can be read in two ways, or a
            program (EPS), which Pillow would have Ghostscript run. ImageTooLarge: more than `largest` pixels.
        OSError: a path or a URL cannot be read.
    """
    if isinstance(source, dict) and ("bytes" in source or "path" in source):
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    if isinstance(source, (np.ndarray, torch.Tensor)):
        return _from_array(source, "an array", largest)
    if isinstance(source, Image.Image):
        with _damage_reported("a PIL image"):
            return _upright_rgb(source, "a PIL image", largest, in_place=False)
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        return _from_bytes(content_of(source), name[:200] if name.startswith("data:") else name, largest)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), "the given bytes", largest)
    raise ImageError(
        f"An image is given as the bytes of a file, a path, a URL, a PIL image, an array or a tensor, not as "
        f"{type(source).__name__}."
    )


def content_of(place: str | os.PathLike) -> bytes:
    """The bytes of an image file, from its path or its URL (http, https or data).

    Raises:
        OSError: it cannot be read, has more than a gibibyte, or is a pipe or a device, which may never end; a server
            that does not answer counts so after 30 seconds, and one that has not sent all of it after five minutes.
    """
    if isinstance(place, str) and place.startswith(_URL_SCHEMES):
        try:
            with urlopen(place, timeout=_URL_SECONDS) as response:
                return _downloaded(response)
        except (HTTPException, ValueError) as error:  # an answer that stops in the middle, a URL that is none
            raise OSError(f"{place[:200]}: {error}") from error
    status = os.stat(place)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(f"{os.fspath(place)!r} is a pipe or a device, and no file")
    if status.st_size > LARGEST_FILE:
        raise OSError(f"{os.fspath(place)!r} has {status.st_size:,} bytes, and an image at most {LARGEST_FILE:,}")
    with open(place, "rb") as file:
        return file.read()


def _downloaded(response) -> bytes:
    """The body of an answer, of which never more than what an image may have is kept."""
    content, end = bytearray(), time.monotonic() + _DOWNLOAD_SECONDS
    while piece := response.read(_PIECE):
        content += piece
        if len(content) > LARGEST_FILE or time.monotonic() > end:
            raise OSError(f"more than {LARGEST_FILE:,} bytes, or not there after {_DOWNLOAD_SECONDS} seconds")
    return bytes(content)


def to_pixels(source, size: int, crop_fraction: float = 1.0, resample: int = Image.Resampling.BILINEAR) -> np.ndarray:
    """The pixels of one image as the network sees them in evaluation and serving: (size, size, 3) uint8.

    The central `crop_fraction` of each side is resized to a square with antialiasing, in one step. The aspect ratio is
    ignored, as the paper's authors do (protocols, section 11); they crop 0.8 in evaluation.

    Args:
        source: anything that `decode` takes.
        size: side of the result in pixels.
        crop_fraction: share of the width and of the height that is kept; 1.0 keeps everything.
        resample: a filter of Pillow.
    """
    image = decode(source)
    width, height = image.size
    left, top = width * (1 - crop_fraction) / 2, height * (1 - crop_fraction) / 2
    box = (left, top, width - left, height - top)
    return np.array(image.resize((size, size), resample=resample, box=box))


class HMTLImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """The options that `from_pretrained` may override, beside the usual ones."""

    crop_fraction: float


class HMTLImageProcessor(BaseImageProcessor):
    """Makes `pixel_values`, uint8 of shape (images, 3, size, size), of images; see `to_pixels`.

    It neither rescales nor normalises, since the model takes pixels (0..255) and does both itself. `image_mean` and
    `image_std` are therefore those that change nothing: code that normalises by them gives the model what it wants.

    Its class is named by the `config.json` of the model. From a folder without one, `AutoImageProcessor` reads it with
    `config=model.config` only, and its own `from_pretrained` as it is.

    Args:
        size: side of the result in pixels, or {"height": side, "width": side}, or {"shortest_edge": side}.
        crop_fraction: share of each side that is kept, from the centre; 1.0 keeps everything.
        resample: a filter of Pillow, bilinear by default as the authors resize.

    Raises:
        ValueError: an option is unknown or out of range.
    """

    _auto_class = "AutoImageProcessor"  # saved folders carry the code
    model_input_names = ["pixel_values"]
    valid_kwargs = HMTLImageProcessorKwargs

    def __init__(self, size=224, crop_fraction: float = 1.0, resample: int = Image.Resampling.BILINEAR, **recorded):
        super().__init__()
        side = _checked_side(size)
        self.size = {"height": side, "width": side}
        self.crop_fraction = _checked_crop(crop_fraction)
        self.resample = _checked_filter(resample)
        self.do_resize, self.do_rescale, self.do_normalize = True, False, False
        self.image_mean, self.image_std = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
        self._accept_recorded(recorded)

    @classmethod
    def get_image_processor_dict(cls, *arguments, **options):
        """As the base class's; raises ValueError where the file holds no object of JSON."""
        with one_sentence("image processor"):
            return super().get_image_processor_dict(*arguments, **options)

    @classmethod
    def from_dict(cls, *arguments, **options):
        """As the base class's; raises ValueError where an entry is not what it has to be."""
        with one_sentence("image processor"):
            return super().from_dict(*arguments, **options)

    def _accept_recorded(self, recorded: dict):
        """Accepts what a saved preprocessor_config.json says beside the options, and nothing else."""
        for name, value in recorded.items():
            if name in _WRITTEN_BY_OTHERS:
                continue
            if name not in ("do_resize", "do_rescale", "do_normalize", "image_mean", "image_std"):
                raise ValueError(
                    f"HMTLImageProcessor has no option {short(name)}; it has size, crop_fraction and resample."
                )
            if (list(value) if isinstance(value, tuple) else value) != getattr(self, name):
                raise ValueError(
                    f"{name}={short(value)} is not possible: images are always resized, and never rescaled or "
                    f"normalised here, because the model takes pixels from 0 to 255 and does that itself. "
                    f"Leave {name} out."
                )

    def to_dict(self) -> dict:
        """The options alone; the class stands in the config of the model, whose `save_pretrained` says why."""
        return {name: value for name, value in super().to_dict().items() if name not in _WRITTEN_BY_OTHERS}

    def preprocess(
        self,
        images,
        return_tensors: str | None = "pt",
        size=None,
        crop_fraction: float | None = None,
        resample: int | None = None,
        device: str | torch.device | None = None,
        **recorded,
    ) -> BatchFeature:
        """Preprocesses one image or several.

        Args:
            images: one image in any form that `decode` takes, a list of them, or a four-dimensional array or tensor.
            return_tensors: "pt", "np", or None for a list of tensors, one an image.
            size, crop_fraction, resample: for this call, instead of the processor's own.
            device: where to put the result ("pt" and None).
            recorded: options that cannot be changed, with the values that they have.

        Returns:
            {"pixel_values": (images, 3, size, size) uint8}; its memory holds the colours of a pixel side by side.
        """
        if return_tensors not in ("pt", "np", None):
            raise ValueError(f'return_tensors is "pt", "np" or None, got {return_tensors!r}')
        if device is not None and return_tensors == "np":
            raise ValueError(f'an array has no device: leave device={device!r} out, or pass return_tensors="pt"')
        self._accept_recorded(recorded)
        several = isinstance(images, (list, tuple)) or getattr(images, "ndim", None) == 4
        images = images if several else [images]
        if len(images) == 0:
            raise ValueError("No images were given: the list is empty.")
        side = self.size["height"] if size is None else _checked_side(size)
        crop = self.crop_fraction if crop_fraction is None else _checked_crop(crop_fraction)
        resample = self.resample if resample is None else _checked_filter(resample)
        pixels = np.stack([to_pixels(image, side, crop, resample) for image in images]).transpose(0, 3, 1, 2)
        if return_tensors == "np":
            return BatchFeature({"pixel_values": pixels})
        tensor = torch.from_numpy(pixels).to(device) if device is not None else torch.from_numpy(pixels)
        return BatchFeature({"pixel_values": tensor if return_tensors == "pt" else list(tensor)})


def _checked_side(size) -> int:
    """The side of a square, from any of the forms in which transformers knows a size."""
    side = size
    if hasattr(size, "items"):
        given = {name: value for name, value in dict(size).items() if value is not None}
        sides = list(given.values())
        known = given.keys() in ({"height", "width"}, {"shortest_edge"})
        side = sides[0] if known and all(each == sides[0] for each in sides) else None
    elif isinstance(size, (list, tuple)) and len(size) == 2 and size[0] == size[1]:
        side = size[0]
    if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= LARGEST_SIDE:
        raise ValueError(f"size is the side of a square, 1 to {LARGEST_SIDE:,} pixels, like 224, got {short(size)}")
    return side


def _checked_filter(resample) -> int:
    if not isinstance(resample, Integral) or resample not in list(Image.Resampling):
        raise ValueError(f"resample is the number of a filter of Pillow, 2 for bilinear, got {short(resample)}")
    return int(resample)


def _checked_crop(crop_fraction) -> float:
    if not isinstance(crop_fraction, (int, float)) or not 0 < crop_fraction <= 1:
        raise ValueError(f"crop_fraction is the share of each side that is kept, in (0, 1], got {short(crop_fraction)}")
    return float(crop_fraction)


@contextlib.contextmanager
def _damage_reported(name: str):
    """Turns whatever Pillow raises into an ImageError that names the image.

    On damaged files its readers raise OSError, SyntaxError, struct.error, IndexError, zlib.error and others; to the
    caller they all mean that this image cannot be used.
    """
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{name}: {error}") from error
    except Exception as error:
        # Pillow names the object in memory that it read, which says nothing to anybody.
        reason = re.sub(r" ?<_io\.\w+ object at 0x[0-9a-f]+>", "", f"{type(error).__name__}: {error}")
        raise ImageError(f"{name}: not an image that Pillow reads, or a damaged one ({reason}).") from error


def _from_bytes(content: bytes, name: str, largest: int) -> Image.Image:
    if not content:
        raise ImageError(f"{name}: the image is empty (0 bytes).")
    with _damage_reported(f"{name} ({len(content)} bytes)"), Image.open(io.BytesIO(content)) as image:
        return _upright_rgb(image, name, largest, in_place=True)


def _upright_rgb(image: Image.Image, name: str, largest: int, in_place: bool) -> Image.Image:
    _check_pixels(image.size, name, largest)
    if image.format in _PROGRAMS:
        raise ImageError(f"{name}: {image.format} is a program that draws, and is not run. Save it as PNG.")
    image.load()
    if in_place:
        ImageOps.exif_transpose(image, in_place=True)
    else:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if values.dtype == np.int32 and values.min() >= 0 and values.max() <= 65535:
            values = values.astype(np.uint16)  # how Pillow opens PGM files of 16 bits, and older versions others too
        return _from_array(values, name, largest)
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_pixels(size: tuple, name: str, largest: int):
    width, height = size
    if width * height > largest:
        raise ImageTooLarge(f"{name}: {width} x {height} pixels are more than the {largest:,} that are allowed.")


def _from_array(array, name: str, largest: int) -> Image.Image:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    pixels = _colours_last(array, name)
    _check_pixels(pixels.shape[1::-1], name, largest)
    return Image.fromarray(_eight_bits(pixels, name)).convert("RGB")


def _colours_last(array: np.ndarray, name: str) -> np.ndarray:
    """(height, width) or (height, width, 3 or 4), from either layout."""
    if array.size == 0:
        raise ImageError(f"{name}: the shape {array.shape} holds no pixels.")
    if array.ndim == 2:
        return array
    first = array.ndim == 3 and array.shape[0] in _CHANNELS
    last = array.ndim == 3 and array.shape[2] in _CHANNELS
    if first == last:
        reason = "either the first or the last axis could be the colours" if first else "no axis can be the colours"
        raise ImageError(
            f"{name}: of the shape {array.shape}, {reason}. Allowed are (height, width), (height, width, colours) and "
            f"(colours, height, width) with 1, 3 or 4 colours."
        )
    array = array.transpose(1, 2, 0) if first else array
    return np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)


def _eight_bits(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(array * 255.0).astype(np.uint8)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        if 0 < high < _LOWEST_WHITE:
            raise ImageError(
                f"{name}: its brightest value is {high:g} of 65535: nearly black, or fewer than 16 bits in 16, which "
                f"cannot be told apart. Save it so that white is 65535, or with 8 bits."
            )
        return np.rint(array / 257.0).astype(np.uint8)
    raise ImageError(
        f"{name}: values of type {array.dtype} from {low:g} to {high:g} cannot be read as an image without guessing. "
        f"Allowed are uint8 (0 to 255), uint16 (0 to 65535) and floats from 0 to 1."
    )
