"""Localizable rotation against numpy's own turns, and what nobody can know."""

import numpy as np
import pytest
import torch

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.localizable_rotation import LocalizableRotation, turn_patches

ROWS, SIDE = 400, 12


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (ROWS, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    return pixels.contiguous(memory_format=torch.channels_last)


def draws(rows=ROWS):
    return Draws(3, [1] * rows, range(rows))


def quadrant_of(image, number):
    half = SIDE // 2
    top, left = divmod(number, 2)
    return image[..., top * half : (top + 1) * half, left * half : (left + 1) * half]


def test_the_named_quadrant_is_turned_so_far_and_the_others_stay(pixels):
    before = pixels.clone()
    turned, labels = LocalizableRotation().corrupt(pixels, draws())
    assert torch.equal(pixels, before) and turned.is_contiguous(memory_format=torch.channels_last)
    for image, original, label in zip(turned.numpy(), pixels.numpy(), labels.tolist(), strict=True):
        quadrant, quarters = divmod(label, 4)
        for number in range(4):
            expected = np.rot90(quadrant_of(original, number), quarters * (number == quadrant), (1, 2))
            assert np.array_equal(quadrant_of(image, number), expected)


def test_all_labels_come_equally_often(pixels):
    counts = torch.bincount(LocalizableRotation().corrupt(pixels, draws())[1], minlength=16)
    assert len(counts) == 16 and counts.min() >= 10 and counts.max() <= 45  # 25 expected, standard deviation 4.8


def test_implicitly_one_square_is_turned_and_its_label_is_how_far(pixels):
    turned, labels = LocalizableRotation(variant="implicit").corrupt(pixels, draws())
    sides = set()
    for image, original, label in zip(turned.numpy(), pixels.numpy(), labels.tolist(), strict=True):
        rows, columns = np.nonzero((image != original).any(0))
        if label == 0:
            assert len(rows) == 0
            continue
        side = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 1 < side <= SIDE // 2
        sides.add(int(side))
        # Some square of the image, turned so far, gives what is seen.
        assert any(
            np.array_equal(
                turn_patches(
                    torch.from_numpy(original.copy())[None],
                    np.array([[top, left]]),
                    np.array([size]),
                    np.array([label]),
                )[0].numpy(),
                image,
            )
            for size in range(int(side), SIDE // 2 + 1)
            for top in range(max(rows.max() - size + 1, 0), min(rows.min(), SIDE - size) + 1)
            for left in range(max(columns.max() - size + 1, 0), min(columns.min(), SIDE - size) + 1)
        )
    assert sides >= {2, 3, 4, 5, 6} and set(labels.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("variant", ["explicit", "implicit"])
def test_rows_that_are_not_chosen_stay_whole_and_have_no_label(pixels, variant):
    turned, labels = LocalizableRotation(variant=variant, share=0.4).corrupt(pixels, draws())
    whole = labels == MISSING
    assert 0.5 < whole.float().mean() < 0.7
    assert torch.equal(turned[whole], pixels[whole]) and not torch.equal(turned[~whole], pixels[~whole])


@pytest.mark.parametrize("variant", ["explicit", "implicit"])
def test_a_row_is_turned_alike_whatever_batch_it_is_in(pixels, variant):
    task = LocalizableRotation(variant=variant)
    turned, labels = task.corrupt(pixels, draws())
    some = [7, 300, 12]
    alone, of_some = task.corrupt(pixels[some], draws().of(np.array(some)))
    assert torch.equal(alone, turned[some]) and torch.equal(of_some, labels[some])


def test_its_loss_is_the_cross_entropy_of_the_labelled_rows():
    task, logits = LocalizableRotation(), torch.randn(6, 16, generator=torch.Generator().manual_seed(1))
    target = torch.tensor([3, MISSING, 15, 0, MISSING, 7])
    known = target != MISSING
    expected = torch.nn.functional.cross_entropy(logits[known], target[known])
    torch.testing.assert_close(task.loss_of(task.statistics(logits, target)), expected)
    hits = (logits.argmax(1) == target)[known].float().mean().item()
    assert task.score(logits.numpy(), target.numpy()) == {"accuracy": pytest.approx(hits)}


def test_what_cannot_be_turned_is_refused():
    assert LocalizableRotation().head()["shape"] == [16] and LocalizableRotation(variant="implicit").head()[
        "shape"
    ] == [4]
    with pytest.raises(ValueError, match="explicit, implicit"):
        LocalizableRotation(variant="both")
    with pytest.raises(ValueError, match="--image_size 48 or 50, or variant: implicit"):
        LocalizableRotation().check_side(49)
    with pytest.raises(ValueError, match="too small"):
        LocalizableRotation(variant="implicit").check_side(3)
    LocalizableRotation(variant="implicit").check_side(49)
