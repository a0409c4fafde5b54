"""The fast path against a slow one that takes the steps of appendix A one by one, in floats, with the same draws."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hf_hmtl.data.augment import augment_batch, warp, warp_matrices, warp_turned
from hf_hmtl.data.augmentation import LEVELS, Augmentation
from hf_hmtl.data.colour import blur_kernel, colour, cutout
from hf_hmtl.draws import Draws

STILL = Augmentation(flip=0.0)


def draws_of(rows: int, seed: int = 3) -> Draws:
    return Draws(seed, np.full(rows, 2), np.arange(rows))


def picture(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """A picture with edges, flat parts and fine texture."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 255, (1, channels, 7, 6))
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), (height, width), mode="bicubic")[0]
    pixels = smooth.permute(1, 2, 0).numpy() + generator.normal(0, 6, (height, width, channels))
    pixels[height // 3 : height // 2, width // 4 : width // 2] += 60
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return pixels if channels == 3 else pixels[:, :, 0]


# ---- the slow path --------------------------------------------------------------------------------------------------


def seen_points(size, visible, angle, flipped, extra=0.0):
    """Where the source is seen at each output pixel, in [-1, 1]: walks backwards through the steps."""
    ys, xs = np.meshgrid(*[(np.arange(size) + 0.5) / size * 2 - 1] * 2, indexing="ij")
    for step in ("turn by the pretext", "zoom", "turn", "flip"):
        if step == "zoom":
            xs, ys = xs * visible, ys * visible
        elif step == "flip":
            xs = -xs if flipped else xs
        else:
            # On a screen (y down) a counter-clockwise turn by t moves the source point (x, y) to
            # (x cos t + y sin t, y cos t - x sin t); this is the way back.
            turn = math.radians(extra if step == "turn by the pretext" else angle)
            xs, ys = xs * math.cos(turn) - ys * math.sin(turn), xs * math.sin(turn) + ys * math.cos(turn)
    return np.stack([xs, ys], axis=-1)


def slow_warp(image, size, visible, angle, flipped):
    points = torch.from_numpy(seen_points(size, visible, angle, flipped))[None]
    source = torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None]
    sampled = torch.nn.functional.grid_sample(source, points, "bilinear", "zeros", align_corners=False)
    return sampled[0].permute(1, 2, 0).numpy()


def slow_colour(pixels, draws, row, augmentation, noise=None):
    contrast = draws.uniform("augment/contrast", *augmentation.contrast)[row]
    shift = draws.uniform("augment/brightness", -augmentation.brightness, augmentation.brightness)[row]
    mean = pixels.mean(axis=(0, 1))
    pixels = np.clip((pixels - mean) * contrast + mean, -np.inf, np.inf) + 255 * shift
    pixels = np.clip(pixels, 0, 255)
    if draws.chosen("augment/channel swap", augmentation.channel_swap)[row]:
        pixels = pixels[:, :, draws.permutations("augment/channel order", 3)[row]]
    if noise is not None:
        pixels = np.clip(pixels + noise, 0, 255)
    size = augmentation.blur[draws.integers("augment/blur", len(augmentation.blur))[row]]
    return slow_blur(pixels, size) if size > 1 else pixels


def slow_blur(pixels, size, sigma=1.5):
    offsets = np.arange(size) - size // 2
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = np.pad(pixels, ((size // 2,) * 2, (size // 2,) * 2, (0, 0)), mode="reflect")
    rows = sum(weight * padded[i : i + pixels.shape[0]] for i, weight in enumerate(kernel))
    return sum(weight * rows[:, i : i + pixels.shape[1]] for i, weight in enumerate(kernel))


def fast(images, draws, augmentation, size, **options):
    return augment_batch(images, draws, augmentation, size, **options).permute(0, 2, 3, 1).numpy().astype(float)


def warped(image, size, **options):
    """One picture through `warp` itself, neither flipped nor turned."""
    out = np.empty((size, size, 3), np.uint8)
    warp(image, warp_matrices(draws_of(1), STILL, **options)[0], out)
    return out.astype(float)


def seen_window(image, draws, size):
    """What a turned view shows of a picture before its turn: the drawn window, resized by Pillow."""
    visible = draws.uniform("turned/zoom", 0.90, 0.94)[0]
    centre = 0.5 + draws.uniform("turned/shift", -0.0125, 0.0125, count=2)[0]
    lengths = np.array([image.shape[1], image.shape[0]])
    box = tuple(np.concatenate([(centre - visible / 2) * lengths, (centre + visible / 2) * lengths]))
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=box))


# ---- options --------------------------------------------------------------------------------------------------------


def test_levels_have_the_values_of_table_1():
    none, weak, strong = (Augmentation.level(name) for name in ("none", "weak", "strong"))
    assert none == Augmentation() == Augmentation(flip=0.5)
    assert (weak.flip, weak.zoom, weak.contrast, weak.rotation) == (0.5, (0.69, 1.0), (0.6, 1.4), 15)
    assert (weak.brightness, weak.channel_swap, weak.blur, weak.noise, weak.cutout) == (0, 0, (1,), 0, 0)
    assert (strong.flip, strong.zoom, strong.contrast, strong.rotation) == (0.5, (0.69, 1.0), (0.6, 1.4), 20)
    assert (strong.brightness, strong.blur, strong.noise, strong.cutout * 224) == (0.05, (1, 3, 5), 0.05, 60)


def test_the_level_of_table_12_neither_flips_nor_turns():
    pose = Augmentation.level("pose")
    assert (pose.flip, pose.rotation, pose.contrast, pose.noise) == (0, 0, (1, 1), 0)
    assert (pose.zoom, pose.downsampling, pose.blur, pose.cutout * 224) == ((0.69, 1), (1, 6, 11, 16), (1, 3, 5), 60)


@pytest.mark.parametrize("size", [48, 224])
def test_downsampling_keeps_as_few_pixels_as_at_224(size):
    images, draws = [picture(90, 90, seed) for seed in range(12)], draws_of(12)
    plain = fast(images, draws, STILL, size)
    coarse = fast(images, draws, Augmentation(flip=0.0, downsampling=(1, 16)), size)
    chosen = draws.integers("augment/downsampling", 2)
    assert 0 < chosen.sum() < 12
    # Pixel i of n shows pixel floor(i * 14 / n) of the 14, which is pixel floor(that * n / 14) of the image.
    places = np.floor(np.floor(np.arange(size) * 14 / size + 1e-9) * size / 14 + 1e-9).astype(int)
    for before, after, shrunk in zip(plain, coarse, chosen, strict=True):
        assert (after == (before[places][:, places] if shrunk else before)).all()


@pytest.mark.parametrize("name", LEVELS)
def test_to_dict_is_json_and_comes_back(name):
    level = Augmentation.level(name, zoom=(0.8, 0.9))
    assert Augmentation(**json.loads(json.dumps(level.to_dict()))) == level


def test_unknown_names_raise_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'strong'"):
        Augmentation.level("stong")
    with pytest.raises(ValueError, match="'lvl': known are level, flip, .*did you mean 'level'"):
        Augmentation.of({"lvl": "strong"})
    with pytest.raises(ValueError, match="did you mean 'rotation'"):
        Augmentation.level("weak", rotations=3)


@pytest.mark.parametrize(
    "options",
    [
        {"zoom": (0.5, 1.1)},
        {"downsampling": (0,)},
        {"downsampling": 16},
        {"zoom": (0.0, 1.0)},
        {"zoom": (0.9, 0.8)},
        {"zoom": 0.9},
        {"contrast": (-0.1, 1.0)},
        {"contrast": (1.0, math.inf)},
        {"rotation": -5},
        {"rotation": 181},
        {"rotation": math.nan},
        {"flip": 1.5},
        {"flip": "often"},
        {"brightness": -0.1},
        {"channel_swap": 2},
        {"noise": -1},
        {"cutout": 1.2},
        {"blur": (2,)},
        {"blur": ()},
        {"blur": 3},
    ],
)
def test_bad_magnitudes_raise(options):
    with pytest.raises(ValueError, match=f"augmentation option {next(iter(options))} is .*allowed"):
        Augmentation.level("strong", **options)


# ---- the warp -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_warp_equals_the_slow_path(channels):
    rows, size = 24, 96
    weak, draws = Augmentation.level("weak", contrast=(1.0, 1.0)), draws_of(24)
    images = [picture(85 + 2 * row, 130 - 3 * row, row, channels) for row in range(rows)]  # steps below 1.25: no filter
    got = fast(images, draws, weak, size, crop_fraction=0.9)
    visible = 0.9 * draws.uniform("augment/zoom", 0.69, 1.0)
    angles = draws.uniform("augment/rotation", -15, 15)
    flips = draws.chosen("augment/flip", 0.5)
    assert 4 < flips.sum() < 20
    for row, image in enumerate(images):
        source = image if channels == 3 else np.stack([image] * 3, axis=-1)
        expected = slow_warp(source, size, visible[row], angles[row], flips[row])
        difference = np.abs(got[row] - expected)
        # OpenCV up to 4.x places samples on a grid of 1/32 pixel, later ones exactly.
        assert difference.mean() < 0.6 and np.percentile(difference, 99.9) < 4


def test_a_turned_view_composes_the_steps_and_moves_a_smaller_window():
    rows, size, weak, draws = 24, 12, Augmentation.level("weak"), draws_of(24)
    extra = 45.0 * (np.arange(rows) % 8)
    matrices = warp_matrices(draws, weak, 0.9, extra)
    visible = 0.9 * draws.uniform("augment/zoom", 0.69, 1.0) * draws.uniform("turned/zoom", 0.90, 0.94)
    angles, flips = draws.uniform("augment/rotation", -15, 15), draws.chosen("augment/flip", 0.5)
    shifts = draws.uniform("turned/shift", -0.0125, 0.0125, count=2)
    assert np.ptp(shifts) > 0.02
    ys, xs = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
    points = np.stack([xs, ys, np.ones_like(xs)], axis=-1)
    for row in range(rows):
        expected = (seen_points(size, visible[row], angles[row], flips[row], extra[row]) + 1) / 2 + shifts[row]
        np.testing.assert_allclose(points @ matrices[row].T, expected, atol=1e-12)


def test_the_angle_is_counter_clockwise_as_in_pillow():
    image = cv2.GaussianBlur(picture(100, 100), (0, 0), 3)
    got = fast([image], draws_of(1), STILL, 100, extra_angles=np.array([30.0]), inscribed_disc=True)[0]
    window = Image.fromarray(seen_window(image, draws_of(1), 100))
    disc = np.hypot(*np.mgrid[-49.5:50, -49.5:50]) < 48
    right, wrong = (np.asarray(window.rotate(angle, Image.Resampling.BILINEAR), dtype=float) for angle in (30, -30))
    assert np.abs(got - right)[disc].mean() < 2.2  # noise of 2 levels makes 1.6
    assert np.abs(got - wrong)[disc].mean() > 5


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("length", [64, 200])
def test_quarter_turns_show_the_flipped_window(length, quarter, flipped):
    image = cv2.GaussianBlur(picture(length, length), (0, 0), 1.5)
    level = Augmentation(flip=float(flipped))
    got = fast([image], draws_of(1), level, 64, extra_angles=np.array([90.0 * quarter]))[0]
    window = seen_window(image, draws_of(1), 64).astype(float)
    difference = np.abs(got - np.rot90(window[:, ::-1] if flipped else window, quarter))
    assert difference[2:-2, 2:-2].mean() < 2.4


def test_pixel_centres_are_exact_without_a_pretext():
    image = picture(64, 64)
    assert np.array_equal(warped(image, 64), image)


def test_a_turned_view_carries_noise_of_two_levels_at_every_angle():
    flat = [np.full((60, 60, 3), 128, np.uint8)] * 16
    noise = fast(flat, draws_of(16), STILL, 60, extra_angles=45.0 * (np.arange(16) % 8))[:, 20:40, 20:40] - 128
    measured = np.sqrt(noise.var(axis=(1, 2, 3)) - 1 / 12)
    assert np.abs(measured / 2 - 1).max() < 0.1
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize(("height", "width"), [(48, 48), (48, 96), (200, 150)])
def test_a_turned_view_blurs_alike_in_all_directions_of_the_output(height, width):
    """A bright source pixel becomes a round spot: its second moments in output pixels^2 are equal and as promised."""
    size, moments = 48, []
    for row in range(60):
        image = np.zeros((height, width, 3), np.uint8)
        image[height // 2, width // 2] = 255
        draws = Draws(row, [0], [0])
        spot = np.zeros((size, size, 3), np.uint8)
        warp_turned(image, warp_matrices(draws, STILL, 1.0, np.zeros(1))[0], spot)
        weights = spot[:, :, 0] / spot[:, :, 0].sum()
        ys, xs = np.mgrid[:size, :size]
        moments.append([(weights * (axis - (weights * axis).sum()) ** 2).sum() for axis in (xs, ys)])
    step = 0.92 * min(height, width) / size
    # Sampling of an enlarged source adds the variance of that enlargement, at most a fifth of a source pixel^2.
    promised = max(1 / 6, 0.47 / step**2)
    across, down = np.mean(moments, axis=0)
    assert promised * 0.8 < across < promised + 0.25 / step**2 and promised * 0.8 < down < promised + 0.25 / step**2


def test_outside_of_the_source_is_black_and_the_disc_hides_it():
    white, noise = np.full((80, 80, 3), 255, np.uint8), 12  # six standard deviations
    bare = fast([white], draws_of(1), STILL, 80, extra_angles=np.array([45.0]))[0]
    assert bare[0, 0].max() < noise and bare[40, 40].min() > 255 - noise
    inside = np.hypot(*np.mgrid[-39.5:40, -39.5:40]) <= 40
    for side in (30, 48, 80):
        for row in range(40):
            draws, angle = Draws(row, [0], [0]), np.array([45.0 * (row % 8)])
            masked = fast([white[:side, :side]], draws, STILL, 80, extra_angles=angle, inscribed_disc=True)[0]
            assert masked[~inside].max() == 0 and masked[inside].min() > 255 - noise


def test_flip_only_at_equal_size_copies_pixels():
    image = picture(48, 48)
    draws = draws_of(40)
    got = fast([image] * 40, draws, Augmentation(), 48)
    for row, flipped in enumerate(draws.chosen("augment/flip", 0.5)):
        assert np.array_equal(got[row], image[:, ::-1] if flipped else image)


def test_level_none_equals_crop_and_bilinear_resize():
    image = picture(120, 100)
    got = fast([image], draws_of(1), STILL, 96, crop_fraction=0.8)[0]
    crop = torch.from_numpy(image[12:108, 10:90].astype(np.float64)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(crop, (96, 96), mode="bilinear", align_corners=False)
    assert np.abs(got - expected[0].permute(1, 2, 0).numpy()).max() <= 1


def test_both_ways_to_place_a_picture_agree():
    image = picture(200, 160)
    resized = fast([image], draws_of(1), STILL, 128, crop_fraction=0.9)[0]
    assert np.abs(resized - warped(image, 128, crop_fraction=0.9))[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize("step", [1.3, 1.6, 2.0, 2.5, 4.0, 6.5])
@pytest.mark.parametrize("by_warp", [False, True])
def test_large_pictures_are_shrunk_as_in_evaluation(step, by_warp):
    """Against Pillow's antialiased bilinear filter, which `to_pixels` uses; white noise is the hardest picture."""
    length = round(96 * step)
    noise = np.random.default_rng(0).integers(0, 256, (length, length, 3)).astype(np.uint8)
    # Under 2 the shape of the filter, not only its width, matters to noise.
    for image, share in ((noise, 0.6), (picture(length, length), 0.75)):
        got = warped(image, 96) if by_warp else fast([image], draws_of(1), STILL, 96)[0]
        expected = np.asarray(Image.fromarray(image).resize((96, 96), Image.Resampling.BILINEAR), dtype=float)
        plain = cv2.resize(image, (96, 96), interpolation=cv2.INTER_LINEAR).astype(float)
        error, plain_error = (np.abs(other - expected)[2:-2, 2:-2].mean() for other in (got, plain))
        assert error < (share if step < 2 else 0.2) * plain_error


def test_the_finest_stripes_do_not_alias_when_turned():
    stripes = np.repeat((np.arange(240) % 2 * 255).astype(np.uint8)[None], 240, axis=0)
    got = fast([stripes], draws_of(1), STILL, 96, extra_angles=np.array([20.0]), inscribed_disc=True)[0]
    assert got[30:-30, 30:-30].std() < 10  # 127 in the source, 63 by bilinear sampling alone


def test_warp_writes_into_the_given_memory():
    batch = np.zeros((2, 32, 32, 3), np.uint8)
    warp(picture(50, 50), warp_matrices(draws_of(1), STILL)[0], batch[1])
    assert batch[0].max() == 0 and batch[1].mean() > 30


def test_the_batch_is_channels_last_and_its_order_does_not_matter():
    images = [picture(60, 70, 1), picture(90, 50, 2, channels=1), picture(30, 30, 3)]
    strong = Augmentation.level("strong")
    batch = augment_batch(images, Draws(0, [1, 1, 1], [5, 6, 7]), strong, 48)
    assert batch.dtype == torch.uint8 and batch.shape == (3, 3, 48, 48)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    again = augment_batch(images[::-1], Draws(0, [1, 1, 1], [7, 6, 5]), strong, 48)
    assert torch.equal(batch, again.flip(0))


def test_threads_give_the_same_batches():
    images, strong = [picture(60, 60, row) for row in range(8)], Augmentation.level("strong")

    def make(epoch):
        return augment_batch(images, Draws(0, [epoch] * 8, range(8)), strong, 64)

    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(make, range(12)))
    assert all(torch.equal(batch, make(epoch)) for epoch, batch in enumerate(threaded))
    assert not torch.equal(threaded[0], threaded[1])


def test_an_empty_batch_stays_empty():
    batch = augment_batch([], Draws(0, [], []), Augmentation.level("strong"), 48, inscribed_disc=True)
    assert batch.shape == (0, 3, 48, 48)


# ---- colour ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["weak", "strong"])
def test_the_colour_pass_equals_the_slow_path(level):
    options = Augmentation.level(level, noise=0.0, blur=(1,))
    draws = draws_of(16)
    batch = np.stack([picture(64, 64, row) for row in range(16)])
    got = batch.copy()
    colour(got, draws, options)
    for row in range(16):
        assert np.abs(got[row] - slow_colour(batch[row].astype(float), draws, row, options)).max() <= 1


def test_blur_equals_the_slow_path():
    options = Augmentation(blur=(1, 3, 5))
    draws = draws_of(12)
    batch = np.stack([picture(224, 224, row) for row in range(12)])
    got = batch.copy()
    colour(got, draws, options)
    sizes = np.array(options.blur)[draws.integers("augment/blur", 3)]
    assert set(sizes) == {1, 3, 5}
    for row in range(12):
        difference = np.abs(got[row] - slow_colour(batch[row].astype(float), draws, row, options))
        assert difference.max() <= 2 and difference.mean() < 0.6


@pytest.mark.parametrize(
    ("size", "side", "taps", "sigma"),
    [
        (5, 224, 5, 1.5),
        (3, 224, 3, 1.5),
        (1, 224, 1, 1.5),
        (5, 448, 9, 3.0),
        (5, 96, 3, 1.5 * 96 / 224),
        (5, 48, 1, 9 / 28),
    ],
)
def test_blur_follows_the_size_of_the_image(size, side, taps, sigma):
    assert blur_kernel(size, side) == (taps, pytest.approx(sigma))


def test_the_whole_strong_level_equals_the_slow_path():
    """Everything but the noise, whose own test is below, over a source that is warped."""
    strong, draws, rows = Augmentation.level("strong", noise=0.0), draws_of(8), 8
    images = [picture(280, 260, row) for row in range(rows)]
    got = fast(images, draws, strong, 224)
    zoom, angles = draws.uniform("augment/zoom", 0.69, 1.0), draws.uniform("augment/rotation", -20, 20)
    flips = draws.chosen("augment/flip", 0.5)
    differences = []
    for row, image in enumerate(images):
        warped = slow_warp(image, 224, zoom[row], angles[row], flips[row])
        differences.append(np.abs(got[row] - slow_colour(warped, draws, row, strong)))
    assert np.mean(differences) < 0.8 and np.percentile(differences, 99.9) < 5


def test_a_gray_picture_and_its_rgb_copy_come_out_equal():
    gray = [picture(100 + row, 90, row, channels=1) for row in range(12)]
    rgb = [np.stack([image] * 3, axis=-1) for image in gray]
    for level in LEVELS:
        options = Augmentation.level(level)
        assert torch.equal(
            augment_batch(gray, draws_of(12), options, 64), augment_batch(rgb, draws_of(12), options, 64)
        )


def test_channels_are_swapped_in_half_of_the_rows_to_every_order():
    rows = 600
    batch = np.empty((rows, 4, 4, 3), np.uint8)
    batch[:] = (10, 20, 30)
    colour(batch, draws_of(rows), Augmentation(channel_swap=0.5))
    orders, counts = np.unique(batch[:, 0, 0], axis=0, return_counts=True)
    assert len(orders) == 6
    kept = counts[[tuple(order) == (10, 20, 30) for order in orders]][0]
    assert abs(kept / rows - (0.5 + 0.5 / 6)) < 0.06


def test_noise_is_white_normal_and_of_the_drawn_strength():
    rows, side = 24, 128
    draws = draws_of(rows)
    batch = np.full((rows, side, side, 3), 128, np.uint8)
    colour(batch, draws, Augmentation(noise=0.05))
    noise = batch.astype(float) - 128
    drawn = draws.uniform("augment/noise", 0, 0.05) * 255
    assert drawn.min() < 3 and drawn.max() > 11
    measured = np.sqrt(np.maximum(noise.var(axis=(1, 2, 3)) - 1 / 12, 0))  # rounding to levels adds 1/12
    strong = drawn > 2
    assert np.abs(measured[strong] / drawn[strong] - 1).max() < 0.02
    assert np.abs(noise.mean(axis=(1, 2, 3)) / drawn).max() < 0.03
    for row in np.flatnonzero(strong):
        unit = noise[row] / noise[row].std()
        assert abs((unit**4).mean() - 3) < 0.15
        for shift in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 7, 1), (64, 64, 0)):
            assert abs((unit * np.roll(unit, shift, (0, 1, 2))).mean()) < 0.02
    for one, other in ((0, 1), (2, 3), (4, 5)):
        assert abs(np.corrcoef(noise[one].ravel(), noise[other].ravel())[0, 1]) < 0.05


def test_noise_never_repeats_within_a_large_image():
    batch = np.full((1, 640, 640, 3), 128, np.uint8)
    colour(batch, draws_of(1, seed=4), Augmentation(noise=0.2))
    signal = batch.ravel().astype(float) - 128
    spectrum = np.abs(np.fft.rfft(signal, 2 * signal.size)) ** 2
    correlation = np.fft.irfft(spectrum)[1 : signal.size] / (signal**2).sum()
    assert np.abs(correlation).max() < 0.01


# ---- cutout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torch_batch", [False, True])
def test_cutout_is_one_black_square_with_its_centre_anywhere(torch_batch):
    rows, side = 400, 112
    batch = np.full((rows, side, side, 3), 200, np.uint8)
    cutout(
        torch.from_numpy(batch).permute(0, 3, 1, 2) if torch_batch else batch,
        draws_of(rows),
        Augmentation(cutout=60 / 224),
    )
    areas, centres = [], []
    for image in batch:
        black_rows, black_columns = (
            np.flatnonzero((image == 0).any(axis=(1, 2))),
            np.flatnonzero((image == 0).any(axis=(0, 2))),
        )
        height, width = np.ptp(black_rows) + 1, np.ptp(black_columns) + 1
        assert (image == 0).sum() == 3 * height * width and max(height, width) <= 30
        areas.append(height * width)
        centres.append((black_rows.mean(), black_columns.mean()))
    # Along one axis the visible length is 30, less what sticks out: on average 30 - 2 * 15^2 / 2 / 112.
    assert np.mean(areas) == pytest.approx((30 - 225 / 112) ** 2, rel=0.03)
    assert np.mean(centres) == pytest.approx((side - 1) / 2, abs=3)
    assert len({tuple(centre) for centre in centres}) > 300


def test_cutout_of_zero_changes_nothing_and_any_torch_layout_is_cut():
    batch = torch.full((3, 3, 56, 56), 9, dtype=torch.uint8)
    cutout(batch, draws_of(3), Augmentation(cutout=0.0))
    assert batch.min() == 9
    assert not batch.is_contiguous(memory_format=torch.channels_last)
    other = batch.to(memory_format=torch.channels_last)
    cutout(batch, draws_of(3), Augmentation.level("strong"))
    cutout(other, draws_of(3), Augmentation.level("strong"))
    assert torch.equal(batch, other) and batch.min() == 0


# ---- errors and the picture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_images_of_another_kind_raise(image):
    with pytest.raises(ValueError, match="needed is uint8"):
        augment_batch([image], draws_of(1), STILL, 8)


def test_rows_that_do_not_match_raise():
    with pytest.raises(ValueError, match="2 images but draws of 3 rows"):
        augment_batch([picture(8, 8)] * 2, draws_of(3), STILL, 8)
    with pytest.raises(ValueError, match="2 images but draws of 3 rows"):
        colour(np.zeros((2, 8, 8, 3), np.uint8), draws_of(3), STILL)
    with pytest.raises(ValueError, match="one angle a row"):
        augment_batch([picture(8, 8)], draws_of(1), STILL, 8, extra_angles=np.zeros(2))


@pytest.mark.parametrize("fraction", [0.0, 1.2, -0.5, math.nan])
def test_crop_fraction_must_be_a_visible_part(fraction):
    with pytest.raises(ValueError, match="crop_fraction"):
        warp_matrices(draws_of(1), STILL, fraction)


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 8, 8, dtype=torch.uint8),
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((1, 8, 6, 3), np.uint8),
    ],
)
def test_batches_that_cannot_be_changed_in_place_raise(batch):
    with pytest.raises(ValueError, match="channels_last"):
        colour(batch, draws_of(1), Augmentation.level("weak"))
