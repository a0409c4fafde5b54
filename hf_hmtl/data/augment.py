"""The three augmentation levels of the paper's appendix A: one affine warp, then one colour pass.

Flip, zoom, crop, rotation and resize compose into one map, so a picture is resampled once, straight into the uint8
batch. Every number is drawn from `Draws` for the whole batch, never from a global generator.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.colour import disc_mask, mixing, noise_and_blur, white_noise
from hf_hmtl.draws import Draws

_LARGEST_PLAIN_STEP = 1.25  # source pixels per output pixel that are sampled without a filter

# How a picture that a pretext turns is sampled, whatever its angle; `warp_turned` says why and what it achieves.
_TURNED_VISIBLE = (0.90, 0.94)  # of the side
_TURNED_SHIFT = 0.0125  # of the side; the disc then stays half a pixel inside of a source of 30 pixels or more
_TURNED_STEP = 1.8  # source pixels per output pixel; sources with fewer are enlarged first,
_TURNED_ENLARGEMENT = 3  # but by no more than this, which costs less and changes nothing that could be measured
_TURNED_VARIANCE = 0.47  # of the blur, at least, in source pixels^2: a standard deviation of 0.69 pixels
_TURNED_NOISE = 2.0  # standard deviation in levels of 255


def augment_batch(
    images: Sequence[np.ndarray],
    draws: Draws,
    augmentation: Augmentation,
    size: int,
    crop_fraction: float = 1.0,
    extra_angles: np.ndarray | None = None,
    inscribed_disc: bool = False,
) -> torch.Tensor:
    """Decoded images of any sizes -> one augmented uint8 batch; everything but cutout, which follows the pretexts.

    Where the level has no rotation and no pretext turns the image, the central crop is rounded to whole source pixels
    and resized, which is cheaper than a warp. Otherwise it is one warp: `warp`, or `warp_turned` and a faint noise for
    every row, turned or not, of a view that a pretext turns.

    Args:
        images: uint8, (height, width, 3) RGB or (height, width) gray; the aspect ratio is not kept, as in the paper.
        draws: random numbers of these rows.
        augmentation: magnitudes.
        size: side of the output in pixels.
        crop_fraction: central fraction of the side that is visible at zoom 1.
        extra_angles: (rows,) degrees, counter-clockwise: a pretext's rotation of the finished picture.
        inscribed_disc: make everything outside the inscribed disc black, in every row, after the colour pass.

    Returns:
        torch.uint8 (rows, 3, size, size) in channels_last memory.

    Raises:
        ValueError: an image is not uint8 of one or three channels, or numbers of rows differ.
    """
    if len(images) != len(draws):
        raise ValueError(f"got {len(images)} images but draws of {len(draws)} rows: make Draws from the rows shown")
    matrices = warp_matrices(draws, augmentation, crop_fraction, extra_angles)
    place = _crop_and_resize if augmentation.rotation == 0 else warp
    if extra_angles is not None:
        place = warp_turned
    steps = [mixing(draws, augmentation), *noise_and_blur(draws, augmentation, size)]
    # What gives the three channels of a gray picture the same values is done with one of them.
    steps_of_one = steps[:1] if augmentation.channel_swap == 0 and extra_angles is None else []
    if extra_angles is not None:
        steps.insert(0, white_noise(draws.view("turned"), np.full(len(images), _TURNED_NOISE), size))
    if inscribed_disc:
        steps.append(disc_mask(size))
    pixels = np.empty((len(images), size, size, 3), dtype=np.uint8)
    gray = np.empty((size, size), dtype=np.uint8)
    for row, (image, matrix, target) in enumerate(zip(images, matrices, pixels, strict=True)):
        _require_image(image)
        if image.ndim == 3:
            place(image, matrix, target)
            done = 0
        else:
            place(image, matrix, gray)
            for step in steps_of_one:
                step(row, gray)
            cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB, dst=target)
            done = len(steps_of_one)
        for step in steps[done:]:
            step(row, target)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def mirrored(draws: Draws, augmentation: Augmentation) -> np.ndarray:
    """(rows,) bool: whose pictures are mirrored."""
    return draws.chosen("augment/flip", augmentation.flip)


def warp_matrices(
    draws: Draws, augmentation: Augmentation, crop_fraction: float = 1.0, extra_angles: np.ndarray | None = None
) -> np.ndarray:
    """One affine map per row: from a point of the output to the point of the source that is seen there.

    Both pictures are the unit square, (0, 0) their upper left and (1, 1) their lower right corner, so sources of any
    size work, and pixel i of n has its centre at (i + 0.5) / n. The source is flipped, turned by the augmentation's
    angle, cropped to crop_fraction * zoom about the centre, and last turned by the pretext's own angle. Positive angles
    turn the picture counter-clockwise, as `PIL.Image.rotate` does. With extra_angles every row, at 0 degrees too, sees
    0.90 to 0.94 of that crop, its centre moved by up to 0.0125 of the source's sides (`warp_turned` says why).

    Args:
        draws: random numbers of the rows.
        augmentation: its flip, zoom and rotation.
        crop_fraction: central fraction of the side that is visible at zoom 1, in (0, 1].
        extra_angles: (rows,) degrees.

    Returns:
        (rows, 2, 3) float64: source x, y = matrix @ (output x, output y, 1).

    Raises:
        ValueError: crop_fraction is outside (0, 1], or extra_angles is not one angle for each row.
    """
    if not 0 < crop_fraction <= 1:
        raise ValueError(f"crop_fraction is {crop_fraction}; it is the visible part of the side, above 0 and at most 1")
    visible = crop_fraction * draws.uniform("augment/zoom", *augmentation.zoom)
    angles = draws.uniform("augment/rotation", -augmentation.rotation, augmentation.rotation)
    if extra_angles is not None:
        if np.shape(extra_angles) != (len(draws),):
            raise ValueError(
                f"extra_angles has shape {np.shape(extra_angles)}; needed is one angle a row: {len(draws)}"
            )
        angles = angles + np.asarray(extra_angles, dtype=np.float64)
        visible = visible * draws.uniform("turned/zoom", *_TURNED_VISIBLE)
    mirror = np.where(mirrored(draws, augmentation), -1.0, 1.0)
    cosine, sine = visible * np.cos(np.deg2rad(angles)), visible * np.sin(np.deg2rad(angles))
    matrices = np.empty((len(draws), 2, 3))
    matrices[:, 0, :2] = np.stack([mirror * cosine, -mirror * sine], axis=1)
    matrices[:, 1, :2] = np.stack([sine, cosine], axis=1)
    matrices[:, :, 2] = 0.5 - matrices[:, :, :2].sum(axis=2) / 2  # the centre stays where it is
    if extra_angles is not None:
        matrices[:, :, 2] += draws.uniform("turned/shift", -_TURNED_SHIFT, _TURNED_SHIFT, count=2)
    return matrices


def warp(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Sample a picture through one affine map straight into its place in the batch: bilinear, black outside.

    Args:
        image: uint8, (height, width) or (height, width, 3).
        matrix: (2, 3), output to source in unit squares, a row of `warp_matrices`.
        out: uint8, (side, side) or (side, side, 3), C-contiguous, overwritten.
    """
    step_x, step_y = _steps(image, matrix, out.shape[0])
    _sample(_prefilter(image, step_x, step_y), matrix, out)


def warp_turned(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """`warp` for a picture that a pretext turns: every multiple of 45 degrees leaves nearly the same traces.

    At one source pixel per output pixel, turns by 90 degrees would copy pixels and turns by 45 degrees blur them, and
    only the latter would fold the corners of the source's square spectrum back. So a source with fewer than 1.8 pixels
    per output pixel is enlarged bilinearly, and then, not before, blurred by a Gaussian that is round in the output and
    covers the source's own pixel grid. The random zoom and shift of `warp_matrices` spread the samples alike between
    the pixels for every angle, and noise of 2 levels (`augment_batch`) covers what is left.

    Cross-validated AUC of odd against even multiples at 48 output pixels, within the disc (2,500 pictures, standard
    error 0.012): a logistic regression on the radial log spectrum and Laplacian / on energies by direction.

        source pixels a side       30           48           64           96
        1/f noise, `warp`      1.00 / 1.00  1.00 / 1.00  0.89 / 0.96  0.89 / 0.87
        1/f noise, this        0.50 / 0.54  0.53 / 0.50  0.53 / 0.56  0.51 / 0.54
        faces, `warp`          1.00 / 0.99  0.99 / 0.98  0.78 / 0.65  0.71 / 0.69
        faces, this            0.47 / 0.51  0.51 / 0.50  0.53 / 0.50  0.50 / 0.51
        white noise, `warp`    0.98 / 0.94  1.00 / 1.00  0.99 / 0.99  1.00 / 1.00
        white noise, this      0.48 / 0.55  0.52 / 0.59  0.50 / 0.56  0.56 / 0.56

    The faces are drawn ones turned by any angle beforehand, so that only artefacts tell. White noise, and a little of
    1/f noise, stays readable. `tests/tasks/test_rotation_leak.py` keeps watch.

    Args:
        image, matrix, out: as for `warp`.
    """
    side = out.shape[0]
    steps = _steps(image, matrix, side)
    enlargement = min(math.ceil(_TURNED_STEP / min(steps)), _TURNED_ENLARGEMENT)
    if enlargement > 1:
        image = cv2.resize(image, None, fx=enlargement, fy=enlargement, interpolation=cv2.INTER_LINEAR)
    # In output pixels^2, equal on both axes; a sixth is Pillow's triangle, of which `_sample` is one enlarged pixel's.
    variance = max(1 / 6, _TURNED_VARIANCE / min(steps) ** 2)
    _sample(_blurred(image, *(variance * (enlargement * step) ** 2 - 1 / 6 for step in steps)), matrix, out)


def _steps(image: np.ndarray, matrix: np.ndarray, side: int) -> tuple[float, float]:
    """Source pixels between two neighbours of the output, along the source's x and y."""
    height, width = image.shape[:2]
    return width / side * math.hypot(*matrix[0, :2]), height / side * math.hypot(*matrix[1, :2])


def _sample(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Bilinear samples of a picture at the points of an affine map between unit squares, black outside."""
    side = out.shape[0]
    rows = []
    for length, (along_x, along_y, start) in zip((image.shape[1], image.shape[0]), matrix.tolist(), strict=True):
        scale = length / side
        # Pixel centres: (i + 0.5) / side in the output, (j + 0.5) / length in the source.
        rows.append((along_x * scale, along_y * scale, start * length + (along_x + along_y) * scale / 2 - 0.5))
    options = {"M": np.array(rows), "dsize": (side, side), "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP}
    if image.ndim == 2:
        cv2.warpAffine(image, dst=out, **options)
    else:  # OpenCV warps four channels in under half the time of three, and to the same values
        padded = cv2.warpAffine(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), **options)
        cv2.cvtColor(padded, cv2.COLOR_RGBA2RGB, dst=out)


def _crop_and_resize(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """`warp` for a map without rotation; the crop is rounded to whole source pixels."""
    visible, side = matrix[1, 1], out.shape[0]
    height, width = (max(1, round(visible * length)) for length in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    piece = _prefilter(image[top : top + height, left : left + width], width / side, height / side)
    cv2.resize(piece, (side, side), dst=out, interpolation=cv2.INTER_LINEAR)
    if matrix[0, 0] < 0:
        cv2.flip(out, 1, dst=out)


def _prefilter(image: np.ndarray, step_x: float, step_y: float) -> np.ndarray:
    """Blur a picture that is sampled every `step` pixels by what bilinear sampling lacks of an antialiased resize.

    Evaluation and serving resize with Pillow's bilinear filter, a triangle that grows with the step: its variance is
    step^2 / 6. Bilinear sampling is that triangle at step 1, so a Gaussian blur of variance (step^2 - 1) / 6 adds the
    rest. It costs a seventh of INTER_AREA and, unlike a shrunk picture, leaves no second pixel grid that would tell a
    turn by 90 degrees from one by 45. Up to a step of 1.25 (a blur of 0.3 pixels) nothing is done.
    """
    if max(step_x, step_y) <= _LARGEST_PLAIN_STEP:
        return image
    return _blurred(image, *((step * step - 1.0) / 6.0 for step in (step_x, step_y)))


def _blurred(image: np.ndarray, variance_x: float, variance_y: float) -> np.ndarray:
    """The picture after a Gaussian filter of these variances in pixels^2, its edge pixels repeated."""
    taps, sigmas = zip(*(_gaussian(variance) for variance in (variance_x, variance_y)), strict=True)
    return cv2.GaussianBlur(image, taps, sigmas[0], sigmaY=sigmas[1], borderType=cv2.BORDER_REPLICATE)


def _gaussian(variance: float) -> tuple[int, float]:
    """Taps and sigma of the sampled Gaussian of a variance in pixels^2 (a narrow one has less than sigma^2)."""
    if variance < 0.01:
        return 1, 1.0
    if variance <= 0.5:  # three taps e, 1, e over 1 + 2e: variance 2e / (1 + 2e)
        neighbour = variance / 2 / (1 - variance)
        return 3, math.sqrt(-0.5 / math.log(neighbour))
    return 2 * math.ceil(3 * math.sqrt(variance)) + 1, math.sqrt(variance)


def _require_image(image: np.ndarray) -> None:
    gray_or_rgb = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not gray_or_rgb or image.size == 0:
        raise ValueError(
            f"got an image of {image.dtype} {image.shape}; needed is uint8 (height, width) or (height, width, 3), "
            "as hf_hmtl.data.decode.decode_for_training gives"
        )
