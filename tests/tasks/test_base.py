import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from hf_hmtl import tasks
from hf_hmtl.tasks.base import MISSING, cross_entropies, number_correct


@pytest.fixture
def logits_and_target():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 8, generator=generator), torch.randint(0, 8, (64,), generator=generator)


def test_plain_equals_torch(logits_and_target):
    logits, target = logits_and_target
    torch.testing.assert_close(cross_entropies(logits, target).mean(), F.cross_entropy(logits, target))


def test_smoothing_equals_torch(logits_and_target):
    logits, target = logits_and_target
    ours = cross_entropies(logits, target, label_smoothing=0.2).mean()
    torch.testing.assert_close(ours, F.cross_entropy(logits, target, label_smoothing=0.2))


def test_class_weights_are_averaged_over_rows_and_not_over_weights(logits_and_target):
    logits, target = logits_and_target
    weights = tuple(range(1, 9))
    w = torch.tensor(weights).float()[target]
    by_hand = (w * -logits.log_softmax(-1)[torch.arange(64), target]).mean()
    torch.testing.assert_close(cross_entropies(logits, target, weights).mean(), by_hand)
    torch_mean = F.cross_entropy(logits, target, torch.tensor(weights).float())
    torch.testing.assert_close(cross_entropies(logits, target, weights).sum() / w.sum(), torch_mean)


def test_focal_with_gamma_zero_is_cross_entropy_and_two_classes_are_torchvisions(logits_and_target):
    logits, target = logits_and_target
    torch.testing.assert_close(cross_entropies(logits, target, focal_gamma=0.0), cross_entropies(logits, target))
    one = torch.randn(50, generator=torch.Generator().manual_seed(1))
    truth = (torch.arange(50) % 2).long()
    expected = sigmoid_focal_loss(one, truth.float(), alpha=-1, gamma=2.0)
    ours = cross_entropies(torch.stack([torch.zeros(50), one], 1), truth, focal_gamma=2.0)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_missing_rows_cost_nothing_and_give_no_gradient(logits_and_target):
    logits, target = logits_and_target
    logits = logits.clone().requires_grad_()
    target = torch.where(torch.arange(64) < 32, MISSING, target)
    for gamma in (0.0, 2.0):
        losses = cross_entropies(logits, target, tuple([2.0] * 8), focal_gamma=gamma)
        assert (losses[:32] == 0).all() and (losses[32:] > 0).all()
        (gradient,) = torch.autograd.grad(losses.sum(), logits)
        assert (gradient[:32] == 0).all() and torch.isfinite(gradient).all()


def test_number_correct_ignores_missing():
    logits = torch.eye(4)
    correct, labelled = number_correct(logits, torch.tensor([0, 1, 0, MISSING]))
    assert (correct.item(), labelled.item()) == (2, 3)


def test_registry_lists_files_and_names_the_nearest():
    assert {"classification", "puzzle"} <= set(tasks.available())
    assert "base" not in tasks.available()
    assert tasks.get("puzzle").__name__ == "Puzzle"
    with pytest.raises(ValueError, match="Did you mean 'puzzle'"):
        tasks.get("puzle")
