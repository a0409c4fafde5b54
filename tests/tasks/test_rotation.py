import numpy as np
import pytest
import torch

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.rotation import Rotation, turn_tiles


def draws(rows=400):
    return Draws(0, [0] * rows, range(rows))


def test_angles_are_the_target_times_45_degrees_and_uniform():
    angles, target = Rotation().affine(draws(4000))
    np.testing.assert_array_equal(angles, 45.0 * target.numpy())
    counts = np.bincount(target, minlength=8)
    assert len(counts) == 8 and counts.min() > 400


def test_rows_that_are_not_chosen_stay_upright_without_target():
    angles, target = Rotation(share=0.5).affine(draws())
    still = target.numpy() == MISSING
    assert 150 < still.sum() < 250 and (angles[still] == 0).all()


def test_tiles_turn_in_place_and_back():
    pixels = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    turned, quarters = Rotation(tiles=3).corrupt(pixels, draws(5))
    for image in range(5):
        for tile in range(9):
            y, x = (4 * part for part in divmod(tile, 3))
            expected = torch.rot90(pixels[image, :, y : y + 4, x : x + 4], int(quarters[image, tile]), (1, 2))
            assert torch.equal(turned[image, :, y : y + 4, x : x + 4], expected)
    assert torch.equal(turn_tiles(turned, (4 - quarters) % 4), pixels)


def test_the_authors_variant_has_one_head_of_four_a_tile_and_follows_the_puzzle():
    assert Rotation(tiles=3).head()["shape"] == [9, 4] and Rotation().head()["shape"] == [8]
    assert Rotation().head()["kind"] == "linear" and Rotation(hidden=512).head()["hidden"] == 512
    assert Rotation(tiles=3).affine(draws(2)) is None and Rotation().corrupt(torch.zeros(2, 3, 8, 8), draws(2)) is None
    assert Rotation(tiles=3).order > 1 > Rotation().order
    assert Rotation().inscribed_disc and not Rotation(tiles=3).inscribed_disc


def test_loss_sums_the_heads_and_score_counts_directions():
    logits, target = torch.randn(6, 9, 4), torch.randint(0, 4, (6, 9))
    expected = sum(torch.nn.functional.cross_entropy(logits[:, head], target[:, head]) for head in range(9))
    torch.testing.assert_close(Rotation(tiles=3).losses(logits, target).mean(), expected)
    assert Rotation().score(np.eye(8)[[1, 2, 3, 0]], np.array([1, 2, 0, MISSING]))["accuracy"] == pytest.approx(2 / 3)


def test_bad_options_raise():
    with pytest.raises(ValueError, match="tiles"):
        Rotation(tiles=0)
    with pytest.raises(ValueError, match="--image_size 48 or 51"):
        Rotation(tiles=3).check_side(50)
