"""The colour pass of the augmentation, cutout and the inscribed disc: all in place on a uint8 batch.

Numbers are drawn for the whole batch at once. What is left per image are single OpenCV calls: a `Step` changes the
image of a row in place, so that all steps can be done while an image is in the cache of the processor.

`colour` and `cutout` take a batch as numpy (rows, side, side, 3) or torch (rows, 3, side, side) in channels_last
memory, which are the same bytes; cutout takes any memory layout.
"""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import torch

from hf_hmtl.data.augmentation import REFERENCE_SIDE, Augmentation
from hf_hmtl.draws import Draws

Step = Callable[[int, np.ndarray], object]
"""Changes the image of a row, uint8 (side, side, 3), in place."""

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
    steps = [mixing(draws, augmentation), *noise_and_blur(draws, augmentation, pixels.shape[1])]
    for row, image in enumerate(pixels):
        for step in steps:
            step(row, image)


def mixing(draws: Draws, augmentation: Augmentation) -> Step:
    """Contrast about the channel means, brightness and channel order: one affine map of (R, G, B) for each image.

    The step also takes a gray image of one channel, (side, side), and gives it the values that all three would get
    where channels keep their order (OpenCV rounds a map that swaps channels in another way).
    """
    if augmentation.contrast == (1.0, 1.0) and augmentation.brightness == 0 and augmentation.channel_swap == 0:
        return _unchanged
    contrast = draws.uniform("augment/contrast", *augmentation.contrast)
    shift = 255.0 * draws.uniform("augment/brightness", -augmentation.brightness, augmentation.brightness)
    order = np.tile(np.arange(3), (len(draws), 1))
    swapped = draws.chosen("augment/channel swap", augmentation.channel_swap)
    order[swapped] = draws.permutations("augment/channel order", 3)[swapped]
    maps = np.zeros((len(draws), 3, 4))
    maps[:, :, :3] = contrast[:, None, None] * np.eye(3)[order]

    def mix(row: int, image: np.ndarray) -> None:
        """Contrast, brightness and channel order of one image, in its place."""
        means = np.array(cv2.mean(image)[:3])
        if image.ndim == 2:
            cv2.transform(image, np.array([[contrast[row], means[0] * (1.0 - contrast[row]) + shift[row]]]), dst=image)
        else:
            maps[row, :, 3] = means[order[row]] * (1.0 - contrast[row]) + shift[row]
            cv2.transform(image, maps[row], dst=image)

    return mix


def noise_and_blur(draws: Draws, augmentation: Augmentation, side: int) -> list[Step]:
    """What follows the mixing of the channels, for images of three channels."""
    steps = []
    if max(augmentation.downsampling) > 1:
        steps.append(_downsampling(draws, augmentation.downsampling, side))
    if augmentation.noise > 0:
        steps.append(white_noise(draws, 255.0 * draws.uniform("augment/noise", 0.0, augmentation.noise), side))
    if max(augmentation.blur) > 1:
        steps.append(_blurring(draws, augmentation.blur, side))
    return steps


def white_noise(draws: Draws, deviations: np.ndarray, side: int) -> Step:
    """White normal noise of each image.

    Each image reads one unbroken window of a pool of numbers, so nothing repeats within it; offset and sign are drawn.
    Fresh normal numbers would cost more than the rest of the colour pass.

    Args:
        draws: random numbers of the rows.
        deviations: (rows,) standard deviation for each image, in levels of 255.
        side: of the images of three channels, in pixels.
    """
    length = 3 * side * side
    pool = _noise_pool(max(_POOL_SMALLEST, 4 * 2 ** (length - 1).bit_length()))
    offsets = draws.integers("augment/noise offset", len(pool) - length + 1)
    scales = np.where(draws.chosen("augment/noise sign", 0.5), 1.0, -1.0) * deviations / _POOL_LEVELS

    def add(row: int, image: np.ndarray) -> None:
        noise = pool[offsets[row] : offsets[row] + length].reshape(image.shape)
        cv2.addWeighted(image, 1.0, noise, scales[row], -128.0 * scales[row], dst=image)

    return add


def _blurring(draws: Draws, sizes: tuple[int, ...], side: int) -> Step:
    chosen = np.array(sizes)[draws.integers("augment/blur", len(sizes))].tolist()

    def blur(row: int, image: np.ndarray) -> None:
        taps, sigma = blur_kernel(chosen[row], side)
        if taps > 1:
            cv2.GaussianBlur(image, (taps, taps), sigma, dst=image)

    return blur


def _downsampling(draws: Draws, factors: tuple[int, ...], side: int) -> Step:
    chosen = np.array(factors)[draws.integers("augment/downsampling", len(factors))].tolist()

    def downsample(row: int, image: np.ndarray) -> None:
        """Fewer pixels and back, of one image, in its place."""
        kept = round(REFERENCE_SIDE / chosen[row])
        if chosen[row] > 1 and kept < side:
            few = cv2.resize(image, (kept, kept), interpolation=cv2.INTER_NEAREST)
            cv2.resize(few, (side, side), dst=image, interpolation=cv2.INTER_NEAREST)

    return downsample


def disc_mask(side: int) -> Step:
    """Black outside the inscribed disc of an image, to which a pixel belongs when its centre does.

    Inside the disc an image turned by any angle shows no corner.
    """
    mask = _disc_mask(side)
    return lambda row, image: cv2.bitwise_and(image, mask, dst=image)


def _unchanged(row: int, image: np.ndarray) -> None:
    pass


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
