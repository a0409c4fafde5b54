import numpy as np
import pytest
import torch

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.inpainting import InPainting, perceptual_losses, root_mean_square


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


def features(seed, rows=3, size=1280, scale=1.0):
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed)) * scale


def test_perceptual_losses_are_equation_3_with_its_typos_mended():
    painted, original = features(0), features(1)
    for row in range(3):
        first = np.exp(painted[row].double().numpy())
        second = np.exp(original[row].double().numpy())
        by_hand = np.sqrt(np.mean((first / first.sum() - second / second.sum()) ** 2))
        found = InPainting(loss="perceptual").losses(painted, original)[row].item()
        assert found == pytest.approx(by_hand, rel=1e-2)  # 1e-12 under the root of some 1e-7
    assert by_hand < 2e-3  # why lambda is large


def test_the_gradient_reaches_the_painted_image_only():
    painted, original = features(0).requires_grad_(), features(1).requires_grad_()
    InPainting(loss="perceptual").losses(painted, original).sum().backward()
    assert painted.grad.abs().sum() > 0 and original.grad is None


def test_without_its_softmax_equation_3_compares_the_features_themselves():
    generator = torch.Generator().manual_seed(1)
    painted, original = torch.randn(2, 3, 7, generator=generator).unbind()
    found = InPainting(loss="perceptual", softmax=False).losses(painted, original)
    expected = torch.stack([torch.dist(*pair) / 7**0.5 for pair in zip(painted, original, strict=True)])
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match="softmax is of the perceptual loss; leave it out of loss 'rmse'"):
        InPainting(loss="rmse", softmax=False)


def test_perceptual_losses_are_float32_under_bfloat16():
    painted, original = features(0).bfloat16(), features(1).bfloat16()
    found = perceptual_losses(painted, original)
    assert found.dtype == torch.float32
    # No absolute tolerance: the losses themselves are of the order of 1e-3.
    torch.testing.assert_close(found, perceptual_losses(painted.float(), original.float()), rtol=1e-5, atol=0)


def test_without_the_softmax_the_loss_follows_the_scale_of_the_features():
    """Why section 4.4.1 needs it: features ten times as large make a raw distance ten times as large, without a bound,
    while the distance of two distributions stays below sqrt(2 / n)."""
    bound = (2 / 1280) ** 0.5
    raw = [root_mean_square(features(0, scale=s), features(1, scale=s)).mean().item() for s in (1, 10, 100)]
    soft = [perceptual_losses(features(0, scale=s), features(1, scale=s)).mean().item() for s in (1, 10, 100)]
    assert raw[1] == pytest.approx(10 * raw[0], rel=1e-4) and raw[2] == pytest.approx(100 * raw[0], rel=1e-4)
    assert all(value <= bound for value in soft)

    def gradient(loss, gain):  # with respect to an image behind a teacher whose features are `gain` times as large
        image = features(2).requires_grad_()
        loss(gain * image, gain * features(1)).sum().backward()
        return image.grad.norm().item()

    # A raw distance pulls as hard as the teacher's scale says, however near the images are; the softmax keeps it small.
    assert gradient(root_mean_square, 100) == pytest.approx(100 * gradient(root_mean_square, 1), rel=1e-3)
    assert gradient(root_mean_square, 1) > 10 * gradient(perceptual_losses, 1)
    assert gradient(perceptual_losses, 100) < 1 < gradient(root_mean_square, 100)
