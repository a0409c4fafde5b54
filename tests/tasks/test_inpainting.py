import pytest
import torch

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.inpainting import InPainting


def corrupted(**options):
    rows = 200
    pixels = torch.full((rows, 3, 60, 60), 7, dtype=torch.uint8)
    return InPainting(**options).corrupt(pixels, Draws(0, [0] * rows, range(rows))), pixels


def test_one_square_of_the_given_side_inside_the_region_and_the_target_is_the_image_before():
    (cut, target), pixels = corrupted(square=0.25, region=(0.2, 0.9, 0.15, 0.85))
    assert torch.equal(target, pixels)
    tops, lefts = set(), set()
    for hole in (cut == 0).all(1):
        where = hole.nonzero()
        (top, left), (bottom, right) = where.min(0).values.tolist(), where.max(0).values.tolist()
        assert (bottom - top + 1, right - left + 1) == (15, 15) and hole.sum() == 225
        assert top >= 12 and bottom < 54 and left >= 9 and right < 51
        tops.add(top)
        lefts.add(left)
    assert {min(tops), max(tops)} == {12, 39} and {min(lefts), max(lefts)} == {9, 36}  # every place is reached


def test_share_leaves_the_other_rows_whole():
    (cut, _), pixels = corrupted(share=0.4)
    whole = (cut == pixels).flatten(1).all(1)
    assert 90 < whole.sum() < 150


def test_losses_are_torchs():
    generator = torch.Generator().manual_seed(0)
    painted = torch.rand(4, 3, 8, 8, generator=generator)
    target = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=generator)
    for row in range(4):
        mse = torch.nn.functional.mse_loss(painted[row], target[row] / 255)
        torch.testing.assert_close(InPainting().losses(painted, target)[row], mse)
        torch.testing.assert_close(InPainting(loss="rmse").losses(painted, target)[row], mse.sqrt())


def test_a_perfect_painting_has_a_finite_gradient():
    target = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    painted = torch.zeros(1, 3, 4, 4, requires_grad=True)
    InPainting(loss="rmse").losses(painted, target).sum().backward()
    assert torch.isfinite(painted.grad).all()


@pytest.mark.parametrize("options", [{"region": (0.9, 0.2, 0, 1)}, {"square": 0.8}, {"loss": "l1"}])
def test_bad_options_raise(options):
    with pytest.raises(ValueError, match=next(iter(options)) if "square" not in options else "does not fit"):
        InPainting(**options)
