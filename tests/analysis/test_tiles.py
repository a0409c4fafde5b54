"""Which tiles carry the label, asked of a network that is known to look at one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hf_hmtl.analysis.tiles import paint_over, tile_answers, tile_masks
from hf_hmtl.tasks.classification import Classification

TASK = Classification(name="emotion", labels=("dark", "bright"))


class LooksAtOneTile(nn.Module):
    """Bright where the tile in the second row and third column of 3 x 3 is brighter than a half."""

    device = torch.device("cpu")

    def forward(self, pixel_values, views):
        images = pixel_values.float() / (1 if pixel_values.is_floating_point() else 255)
        tile = images[:, :, 2:4, 4:6].mean((1, 2, 3))
        return SimpleNamespace(predictions={"emotion": torch.stack([torch.full_like(tile, 0.5), tile], dim=1)})


@pytest.fixture
def batch():
    """Pictures of 6 px, dark but for that tile, which is bright in half of them; the last has no label."""
    pixels = torch.full((5, 3, 6, 6), 25, dtype=torch.uint8)
    pixels[[1, 3], :, 2:4, 4:6] = 250
    return {"pixel_values": pixels, "targets": {"emotion": torch.tensor([0, 1, 0, 1, -100])}, "rows": torch.arange(5)}


def test_only_the_tile_that_is_looked_at_is_missed_and_enough(batch):
    model = LooksAtOneTile().train()
    found = tile_answers(model, TASK, [batch], 3)
    assert model.training and found.whole.all() and found.hidden.shape == found.alone.shape == (9, 4)
    lost = 1 - found.hidden.mean(1)
    np.testing.assert_array_equal(lost, np.where(np.arange(9) == 5, 0.5, 0.0))  # the bright ones are taken for dark
    np.testing.assert_array_equal(found.alone.mean(1), np.where(np.arange(9) == 5, 1.0, 0.5))


def test_what_is_hidden_has_the_mean_colour_of_its_picture():
    pixels = torch.randint(0, 256, (2, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    masks = tile_masks(3, 6)
    assert masks.sum(0).eq(1).all() and masks[5].nonzero().tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]
    painted = paint_over(pixels, masks[5])
    for row in range(2):
        for channel in range(3):
            image = pixels[row, channel].numpy() / 255
            expected = image.copy()
            expected[2:4, 4:6] = image.mean()
            np.testing.assert_allclose(painted[row, channel].numpy(), expected, atol=1e-6)


def test_mistakes_are_told(batch):
    with pytest.raises(ValueError, match="6 px cannot be cut into 4 x 4 equal tiles"):
        tile_answers(LooksAtOneTile(), TASK, [batch], 4)
    batch["targets"]["emotion"][:] = -100
    with pytest.raises(ValueError, match="no row has a label of 'emotion'"):
        tile_answers(LooksAtOneTile(), TASK, [batch], 3)
