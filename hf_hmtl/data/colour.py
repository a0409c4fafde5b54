"""The colour pass of the augmentation, cutout and the inscribed disc: all in place on a uint8 batch.

Every function takes a batch as numpy (rows, side, side, 3) or torch (rows, 3, side, side) in channels_last memory,
which are the same bytes; cutout takes any memory layout. Numbers are drawn for the whole batch at once; what is left
per image are single OpenCV calls.
"""

from functools import lru_cache

import cv2
import numpy as np
import torch

from hf_hmtl.data.augmentation import REFERENCE_SIDE, Augmentation
from hf_hmtl.draws import Draws

_BLUR_SIGMA = 1.5  # the authors' value, in pixels at REFERENCE_SIDE
_POOL_LEVELS = 32.0  # levels of the noise pool per standard deviation: uint8 then holds 4 of them on both sides
_POOL_SMALLEST = 2**20


def colour(batch, draws: Draws, augmentation: Augmentation) -> None:
    """Change the colours of a uint8 batch in place: contrast, brightness, channel order; noise; blur.

    The order is that of the authors' strong level, with a clip to 0..255 after each of the three steps. Contrast scales
    about the mean of each channel and image, as `tf.image.adjust_contrast` does. The paper does not say where channels
    are swapped; it is done together with contrast and brightness, where it costs nothing, and since the noise of the
    three channels is independent, any other place has the same distribution. Appendix A, table 1.

    Args:
        batch: uint8, (rows, side, side, 3) numpy or (rows, 3, side, side) channels_last torch; three channels also for
            gray photos, so that a gray file and the same picture in RGB come out equal.
        draws: random numbers of these rows.
        augmentation: magnitudes; a transformation whose magnitude is neutral is skipped.

    Raises:
        ValueError: the batch has another type, shape or memory layout, or another number of rows than the draws.
    """
    pixels = _pixel_view(batch, draws)
    if augmentation.contrast != (1.0, 1.0) or augmentation.brightness > 0 or augmentation.channel_swap > 0:
        _mix_channels(pixels, draws, augmentation)
    if augmentation.noise > 0:
        add_noise(pixels, draws, 255.0 * draws.uniform("augment/noise", 0.0, augmentation.noise))
    if max(augmentation.blur) > 1:
        _blur(pixels, draws, augmentation.blur)


def cutout(batch, draws: Draws, augmentation: Augmentation) -> None:
    """Put one black square into each image of a uint8 batch, in place.

    The centre is uniform over the image, so near the border a part of the square falls outside. Its side is the
    `cutout` fraction of the image's (60 of 224 pixels in appendix A). Call it last: the authors cut after the puzzle.

    Args:
        batch, draws: as for `colour`.
        augmentation: its `cutout`; nothing is done at 0.
    """
    pixels = _pixel_view(batch, draws, any_layout=True)
    side = pixels.shape[1]
    square = round(augmentation.cutout * side)
    if square == 0:
        return
    starts = np.rint(draws.uniform("augment/cutout", 0.0, side, count=2) - square / 2).astype(int)
    ends = starts + square
    for image, (top, left), (bottom, right) in zip(pixels, np.maximum(starts, 0), ends, strict=True):
        image[top:bottom, left:right] = 0


def mask_to_inscribed_disc(batch, draws: Draws) -> None:
    """Make everything outside the inscribed disc of each image of a uint8 batch black, in place.

    A pixel belongs to the disc when its centre does. Inside the disc an image turned by any angle shows no corner.
    """
    pixels = _pixel_view(batch, draws)
    mask = _disc_mask(pixels.shape[1])
    for image in pixels:
        cv2.bitwise_and(image, mask, dst=image)


def _pixel_view(batch, draws: Draws, any_layout: bool = False) -> np.ndarray:
    pixels = batch
    if isinstance(batch, torch.Tensor):
        pixels = batch.permute(0, 2, 3, 1).numpy() if batch.ndim == 4 else batch.numpy()
    square = pixels.ndim == 4 and pixels.shape[1] == pixels.shape[2] and pixels.shape[3] == 3
    if pixels.dtype != np.uint8 or not square or not (any_layout or pixels.flags.c_contiguous):
        raise ValueError(
            f"got {type(batch).__name__} {tuple(batch.shape)} of {batch.dtype}; needed is a uint8 batch of square RGB "
            "images that can be changed in place: numpy (rows, side, side, 3), or torch (rows, 3, side, side) in "
            "channels_last memory (batch.contiguous(memory_format=torch.channels_last))"
        )
    if len(pixels) != len(draws):
        raise ValueError(f"got {len(pixels)} images but draws of {len(draws)} rows: make Draws from the rows shown")
    return pixels


def _mix_channels(pixels: np.ndarray, draws: Draws, augmentation: Augmentation) -> None:
    """Contrast about the channel means, brightness and channel order: one affine map of (R, G, B) for each image."""
    contrast = draws.uniform("augment/contrast", *augmentation.contrast)
    shift = 255.0 * draws.uniform("augment/brightness", -augmentation.brightness, augmentation.brightness)
    order = np.tile(np.arange(3), (len(pixels), 1))
    swapped = draws.chosen("augment/channel swap", augmentation.channel_swap)
    order[swapped] = draws.permutations("augment/channel order", 3)[swapped]
    means = np.array([cv2.mean(image)[:3] for image in pixels]).reshape(-1, 3)
    maps = np.zeros((len(pixels), 3, 4))
    maps[:, :, :3] = contrast[:, None, None] * np.eye(3)[order]
    maps[:, :, 3] = np.take_along_axis(means, order, axis=1) * (1.0 - contrast[:, None]) + shift[:, None]
    for image, channel_map in zip(pixels, maps, strict=True):
        cv2.transform(image, channel_map, dst=image)


def add_noise(pixels: np.ndarray, draws: Draws, deviations: np.ndarray) -> None:
    """Add white normal noise to each image of a uint8 batch, in place.

    Each image reads one unbroken window of a pool of numbers, so nothing repeats within it; offset and sign are drawn.
    Fresh normal numbers would cost more than the rest of the colour pass.

    Args:
        pixels: uint8 (rows, side, side, 3), C-contiguous.
        draws: random numbers of these rows.
        deviations: (rows,) standard deviation for each image, in levels of 255.
    """
    length = pixels[0].size if len(pixels) else 0
    pool = _noise_pool(max(_POOL_SMALLEST, 4 * 2 ** (length - 1).bit_length()))
    offsets = draws.integers("augment/noise offset", len(pool) - length + 1)
    signs = np.where(draws.chosen("augment/noise sign", 0.5), 1.0, -1.0)
    scales = signs * deviations / _POOL_LEVELS
    for image, offset, scale in zip(pixels, offsets.tolist(), scales.tolist(), strict=True):
        noise = pool[offset : offset + length].reshape(image.shape)
        cv2.addWeighted(image, 1.0, noise, scale, -128.0 * scale, dst=image)


def _blur(pixels: np.ndarray, draws: Draws, sizes: tuple[int, ...]) -> None:
    chosen = np.array(sizes)[draws.integers("augment/blur", len(sizes))]
    for image, size in zip(pixels, chosen.tolist(), strict=True):
        taps, sigma = blur_kernel(size, image.shape[0])
        if taps > 1:
            cv2.GaussianBlur(image, (taps, taps), sigma, dst=image)


def blur_kernel(size: int, side: int) -> tuple[int, float]:
    """Taps and standard deviation in pixels of the Gaussian filter that is to a `side` what `size` is to 224 pixels.

    The filter's radius and its sigma (1.5 at 224) are scaled by side / 224, the radius then rounded: at 48 pixels all
    of the paper's sizes round to one tap, which is no blur, for 1.5 / 224 of that image is a third of a pixel.
    """
    scale = side / REFERENCE_SIDE
    return 2 * round((size - 1) / 2 * scale) + 1, _BLUR_SIGMA * scale


@lru_cache(maxsize=4)
def _noise_pool(length: int) -> np.ndarray:
    """(length,) uint8: 128 + 32 * standard normal numbers (Box-Muller), the same in every process and machine."""
    pairs = Draws(0, [0], [0]).uniform("augment/noise pool", count=length).reshape(2, -1)
    radius, angle = np.sqrt(-2.0 * np.log1p(-pairs[0])), 2.0 * np.pi * pairs[1]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return np.clip(np.rint(128.0 + _POOL_LEVELS * normal), 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def _disc_mask(side: int) -> np.ndarray:
    centred = np.arange(side) + 0.5 - side / 2
    inside = np.hypot(centred[:, None], centred) <= side / 2
    return np.repeat(np.where(inside, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)
