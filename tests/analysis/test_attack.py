"""FGSM and PGD against torch by hand: the budget, the bounds, and a network that comes back as it was."""

import numpy as np
import pytest
import torch

from hf_hmtl import HMTLConfig, HMTLForImageClassification
from hf_hmtl.analysis.attack import attacked_answers, fgsm, pgd
from hf_hmtl.analysis.evaluation_mode import evaluating
from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.rows import RowReader
from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.classification import Classification

RADII = (0.0, 2 / 255, 8 / 255)


def cross_entropy(logits, target):
    return torch.nn.functional.cross_entropy(logits, target, reduction="none", ignore_index=MISSING)


@pytest.fixture(scope="module")
def emotion(faces):
    return Classification(name="emotion", labels=tuple(faces["validation"].features["emotion"].names))


@pytest.fixture
def model(emotion):
    torch.manual_seed(0)
    config = HMTLConfig(backbone="test_resnet", image_size=48, heads={"emotion": emotion.head()})
    made = HMTLForImageClassification(config)
    with torch.no_grad():  # so that the network has answers, and statistics of its own
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
    return made.train()


@pytest.fixture(scope="module")
def batch(faces, emotion):
    return EvaluationCollator([emotion], 48)(RowReader(faces["validation"]).__getitems__(list(range(16))))


def test_fgsm_is_equation_6_by_hand(model, batch):
    pixels, target = batch["pixel_values"], batch["targets"]["emotion"]
    found = list(fgsm(model, "emotion", pixels, target, RADII, cross_entropy))

    model.eval()
    by_hand = (pixels.float() / 255).requires_grad_()
    torch.nn.functional.cross_entropy(model(by_hand).logits, target).backward()
    for radius, attacked in zip(RADII, found, strict=True):
        expected = torch.clip(by_hand.detach() + radius * torch.sign(by_hand.grad), 0, 1)
        torch.testing.assert_close(attacked, expected, atol=0, rtol=0)
    assert not torch.equal(found[1], found[0])


def test_pgd_is_its_steps_by_hand(model, batch):
    pixels, target, radius = batch["pixel_values"][:4], batch["targets"]["emotion"][:4], 4 / 255
    found = pgd(model, "emotion", pixels, target, radius, cross_entropy, Draws(0, 0, range(4)), steps=3)

    model.eval()
    clean = pixels.float() / 255
    start = torch.from_numpy(Draws(0, 0, range(4)).uniform("pgd/start", -1, 1, count=3 * 48 * 48)).float()
    image = (clean + radius * start.view(clean.shape)).clamp(0, 1)
    for _ in range(3):
        image = image.detach().requires_grad_()
        torch.nn.functional.cross_entropy(model(image).logits, target, reduction="sum").backward()
        moved = image + 2.5 * radius / 3 * image.grad.sign()
        image = torch.minimum(torch.maximum(moved, clean - radius), clean + radius).clamp(0, 1)
    torch.testing.assert_close(found, image.detach(), atol=1e-6, rtol=0)


def test_both_stay_within_the_budget_and_are_pictures(model, batch):
    pixels, target = batch["pixel_values"], batch["targets"]["emotion"]
    (one_step,) = fgsm(model, "emotion", pixels, target, [8 / 255], cross_entropy)
    many_steps = pgd(model, "emotion", pixels, target, 8 / 255, cross_entropy, Draws(0, 0, range(16)))
    for attacked in (one_step, many_steps):
        assert (attacked - pixels.float() / 255).abs().max() <= 8 / 255 + 1e-6
        assert attacked.min() >= 0 and attacked.max() <= 1
    with torch.no_grad(), evaluating(model):
        clean, first, last = (cross_entropy(model(x).logits, target).mean() for x in (pixels, one_step, many_steps))
    assert clean < first < last


def test_the_network_comes_back_as_it_was(model, batch):
    model.hmtl.backbone.eval()  # one part was frozen
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    task = Classification(name="emotion", labels=tuple("abcdefgh"))
    attacked_answers(model, task, [batch], RADII, steps=1)
    assert [module.training for module in model.modules()] == modes and True in modes and False in modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_rows_are_attacked_alike_in_any_batch_and_order(model, emotion, faces):
    collator, reader = EvaluationCollator([emotion], 48), RowReader(faces["validation"])
    together = attacked_answers(model, emotion, [collator(reader.__getitems__(list(range(16))))], RADII, steps=2)
    parts = [collator(reader.__getitems__(rows)) for rows in (list(range(5)), list(range(5, 16)))]
    apart = attacked_answers(model, emotion, parts, RADII, steps=2)
    for attack, right in together.right.items():
        assert right.shape == (3, 16) and right.dtype == bool
        np.testing.assert_array_equal(right, apart.right[attack])


def test_without_attack_the_answers_are_those_of_an_evaluation(model, batch, emotion):
    found = attacked_answers(model, emotion, [batch], (0.0,))
    with torch.no_grad():
        expected = model.eval()(batch["pixel_values"]).logits.argmax(-1) == batch["targets"]["emotion"]
    for right in found.right.values():
        np.testing.assert_array_equal(right[0], expected.numpy())


def test_a_row_without_label_is_neither_attacked_nor_counted(model, batch, emotion):
    target = batch["targets"]["emotion"].clone()
    target[3] = MISSING
    clean = batch["pixel_values"].float() / 255
    (one_step,) = fgsm(model, "emotion", clean, target, [0.1], cross_entropy)
    many_steps = pgd(model, "emotion", clean, target, 0.1, cross_entropy, Draws(0, 0, range(16)), steps=1)
    for attacked in (one_step, many_steps):
        assert torch.equal(attacked[3], clean[3]) and not torch.equal(attacked[2], clean[2])
    found = attacked_answers(model, emotion, [{**batch, "targets": {"emotion": target}}], (0.0,), steps=1)
    assert found.right["fgsm"].shape == (1, 15)


@pytest.mark.parametrize("radii, labels, message", [((-0.1,), True, "0 .no attack. to 1"), ((0.1,), False, "no row")])
def test_nothing_to_attack_and_radii_that_are_none_are_told(model, batch, emotion, radii, labels, message):
    target = batch["targets"]["emotion"] if labels else torch.full((16,), MISSING)
    with pytest.raises(ValueError, match=message):
        attacked_answers(model, emotion, [{**batch, "targets": {"emotion": target}}], radii)


def test_a_network_that_has_diverged_is_told(model, batch, emotion):
    with torch.no_grad():
        next(model.heads["emotion"].parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="diverged"):
        attacked_answers(model, emotion, [batch], (0.1,))
