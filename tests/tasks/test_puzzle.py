from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.puzzle import Puzzle, shuffle_tiles


def images(batch=5, side=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, generator=generator)
    return pixels.permute(0, 3, 1, 2)


def by_hand(pixels, sources, grid):
    """Tile by tile, as the definition says: slot k shows tile sources[k]."""
    result, tile = torch.empty_like(pixels), pixels.shape[-1] // grid
    for image in range(len(pixels)):
        for slot, source in enumerate(sources[image].tolist()):
            to_y, to_x, from_y, from_x = (tile * part for part in (*divmod(slot, grid), *divmod(source, grid)))
            result[image, :, to_y : to_y + tile, to_x : to_x + tile] = pixels[
                image, :, from_y : from_y + tile, from_x : from_x + tile
            ]
    return result


@pytest.mark.parametrize("grid", [1, 2, 3, 4])
@pytest.mark.parametrize("contiguous", [True, False])
def test_corruption_is_the_definition_and_its_inverse_is_bit_exact(grid, contiguous):
    pixels = images().contiguous() if contiguous else images()
    puzzled, target = Puzzle(grid=grid).corrupt(pixels, Draws(0, [2] * 5, range(5)))
    assert puzzled.dtype == torch.uint8
    assert torch.equal(puzzled, by_hand(pixels, target, grid))
    assert torch.equal(shuffle_tiles(puzzled, target.argsort(1)), pixels)


def test_memory_stays_channels_last():
    puzzled, _ = Puzzle(grid=3).corrupt(images(), Draws(0, [0] * 5, range(5)))
    assert puzzled.is_contiguous(memory_format=torch.channels_last)


def test_every_image_has_its_own_permutation_and_every_place_is_equally_likely():
    rows = 4000
    _, target = Puzzle(grid=2).corrupt(images(rows, side=2), Draws(3, [0] * rows, range(rows)))
    orders = Counter(map(tuple, target.tolist()))
    assert len(orders) == 24 and max(orders.values()) < 2.5 * min(orders.values())


def test_grid_one_leaves_images_whole():
    puzzled, target = Puzzle(grid=1).corrupt(images(), Draws(0, [0] * 5, range(5)))
    assert torch.equal(puzzled, images()) and target.tolist() == [[0]] * 5


def test_share_leaves_the_other_rows_whole_and_without_target():
    rows = 600
    pixels = images(rows, side=6)
    puzzled, target = Puzzle(grid=3, share=0.25).corrupt(pixels, Draws(0, [0] * rows, range(rows)))
    whole = (target == MISSING).all(1)
    assert abs((~whole).float().mean().item() - 0.25) < 0.06
    assert ((target == MISSING).any(1) == whole).all()
    assert torch.equal(puzzled[whole], pixels[whole])
    assert torch.equal(puzzled[~whole], by_hand(pixels[~whole], target[~whole], 3))


def test_loss_is_the_sum_of_one_cross_entropy_a_head():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 9, 9, generator=generator)
    target = torch.stack([torch.randperm(9, generator=generator) for _ in range(6)])
    heads = sum(F.cross_entropy(logits[:, head], target[:, head]) for head in range(9))  # Eq. 1
    torch.testing.assert_close(Puzzle(grid=3).losses(logits, target).mean(), heads)


def test_region_weights_belong_to_the_source_tile():
    # Eq. 5 by hand: lambda of the place the tile came from, whichever slot shows it.
    table = ((1.0, 2.0), (3.0, 4.0))
    logits, target = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(2)), torch.tensor([[2, 0, 3, 1]])
    losses = F.cross_entropy(logits[0], target[0], reduction="none")
    expected = losses[0] * 3 + losses[1] * 1 + losses[2] * 4 + losses[3] * 2
    torch.testing.assert_close(Puzzle(grid=2, region_weights=table).losses(logits, target)[0], expected)
    ones = Puzzle(grid=2, region_weights=((1.0, 1.0), (1.0, 1.0)))
    torch.testing.assert_close(ones.losses(logits, target), Puzzle(grid=2).losses(logits, target))


def test_scores_are_tiles_right_and_images_solved():
    target = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    logits = np.eye(4)[np.array([[0, 1, 2, 3], [3, 2, 0, 1]])]
    scores = Puzzle(grid=2).score(logits, target)
    assert scores["tile_accuracy"] == 6 / 8 and scores["exact_solve"] == 1 / 2


@pytest.mark.parametrize(("side", "grid"), [(224, 3), (50, 4)])
def test_uneven_tiles_raise_with_the_nearest_sides(side, grid):
    with pytest.raises(ValueError, match=f"--image_size {side - side % grid} or {side - side % grid + grid}"):
        Puzzle(grid=grid).check_side(side)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 0}, "1 to 8"),
        ({"grid": 2.5}, "1 to 8"),
        ({"loss": "mse"}, "cross_entropy, focal"),
        ({"view": "other"}, "'image' and 'own'"),
        ({"share": 0.0}, "share"),
        ({"grid": 3, "region_weights": ((1.0, 2.0), (3.0, 4.0))}, "region_weights"),
        ({"view": "own", "weight": 0.0}, "nothing"),
    ],
)
def test_bad_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        Puzzle(**options)
