"""Losses of the model itself, against torch and by hand."""

import pytest
import torch
from torch.nn import functional

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification

NAN = float("nan")


def model_with(**heads) -> HMTLForImageClassification:
    torch.manual_seed(0)
    return HMTLForImageClassification(HMTLConfig(backbone="test_resnet", image_size=64, heads=heads)).eval()


def test_labels_of_the_primary_head_give_torchs_cross_entropy(full, pixels):
    labels = torch.tensor([2, -100, 0, 1])
    outputs = full(pixels, labels=labels)
    torch.testing.assert_close(outputs.loss, functional.cross_entropy(outputs.logits, labels))
    kept = outputs.logits[[0, 2, 3]].log_softmax(dim=1)
    torch.testing.assert_close(outputs.loss, -(kept[0, 2] + kept[1, 0] + kept[2, 1]) / 3)
    torch.testing.assert_close(full(pixels, labels=labels, num_items_in_batch=6).loss, outputs.loss / 2)
    soft = torch.rand(4, 3).softmax(dim=1)
    wanted = functional.cross_entropy(outputs.logits, soft)
    torch.testing.assert_close(full(pixels, labels=soft).loss, wanted)


def test_rows_without_any_label_lose_nothing_and_their_gradient_is_zero(full, pixels):
    numbers = torch.full((4, 1), NAN)
    loss = full.train()(pixels, labels={"emotion": torch.full((4,), -100), "valence": numbers}).loss
    loss.backward()
    assert loss.item() == 0
    gradients = [parameter.grad for parameter in full.parameters() if parameter.grad is not None]
    assert gradients and not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_primary_head_of_one_number_has_torchs_squared_error(pixels, shape):
    model = model_with(valence={"kind": "linear", "shape": [1]})
    labels = torch.tensor([0.5, -0.25, 0.0, 1.0]).view(shape)
    outputs = model(pixels, labels=labels)
    torch.testing.assert_close(outputs.loss, functional.mse_loss(outputs.logits[:, 0], labels.flatten()))
    labels.view(-1)[1] = NAN
    wanted = (outputs.logits[:, 0] - labels.flatten())[[0, 2, 3]].square().mean()
    torch.testing.assert_close(model(pixels, labels=labels).loss, wanted)
    assert model(pixels, labels=torch.tensor([1, 0, 1, 0])).loss.isfinite()


def test_numbers_that_are_partly_known_count_by_row(pixels):
    model = model_with(pose={"kind": "linear", "shape": [3]})
    labels = torch.tensor([[1.0, NAN, 3.0], [NAN, NAN, NAN], [0.0, 0.0, 0.0], [1.0, 2.0, NAN]])
    outputs = model(pixels, labels=labels)
    error = (outputs.logits - labels).square()
    by_row = [(error[0, 0] + error[0, 2]) / 2, error[2].mean(), (error[3, 0] + error[3, 1]) / 2]
    torch.testing.assert_close(outputs.loss, sum(by_row) / 3)


def test_labels_of_several_heads_sum_their_losses(full, pixels):
    places = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0], [-100] * 4, [1, 0, 3, 2]])
    emotion, valence, picture = torch.tensor([2, -100, 0, 1]), torch.rand(4), torch.rand(4, 3, 64, 64)
    outputs = full(pixels, labels={"emotion": emotion, "puzzle": places, "valence": valence, "picture": picture})
    found = outputs.predictions
    puzzle = functional.cross_entropy(found["puzzle"].flatten(0, 1), places.flatten(), reduction="none").view(4, 4)
    wanted = (
        functional.cross_entropy(found["emotion"], emotion)
        + puzzle.sum() / 3
        + functional.mse_loss(found["valence"][:, 0], valence)
        + functional.mse_loss(found["picture"], picture)
    )
    torch.testing.assert_close(outputs.loss, wanted)


def test_labels_are_those_of_the_rows_that_a_head_sees(full, pixels):
    views = {"emotion": (0, 4), "puzzle": (2, 4)}
    places = torch.tensor([[3, 2, 1, 0], [1, 0, 3, 2]])
    outputs = full(pixels, views=views, labels={"puzzle": places})
    predictions = outputs.predictions["puzzle"].flatten(0, 1)
    torch.testing.assert_close(outputs.loss, functional.cross_entropy(predictions, places.flatten()) * 4)


def test_classes_that_do_not_exclude_each_other(pixels):
    config = HMTLConfig(
        backbone="test_resnet",
        heads={"traits": {"kind": "linear", "shape": [3], "labels": ["smile", "beard", "glasses"]}},
        problem_type="multi_label_classification",
    )
    model = HMTLForImageClassification(config).eval()
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    outputs = model(pixels, labels=labels)
    wanted = functional.binary_cross_entropy_with_logits(outputs.logits, labels)
    torch.testing.assert_close(outputs.loss, wanted)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(3).long(), r"shape \(4,\).*got \(3,\)"),
        ({"valence": torch.zeros(4, 2)}, r"'valence' have the shape \(4, 1\)"),
        ({"puzzle": torch.zeros(4).long()}, r"\(4, 4\)"),
        ({"twins": torch.zeros(4, 12)}, "projector"),
        ({"picture": torch.zeros(4, 3, 64, 64).long()}, "decoder"),
        ({"smile": torch.zeros(4)}, "labels are given for 'smile'"),
    ],
)
def test_labels_that_do_not_fit_raise(full, pixels, labels, message):
    with pytest.raises(ValueError, match=message):
        full(pixels, labels=labels)


def test_labels_of_a_head_that_is_not_computed_raise(full, pixels):
    with pytest.raises(ValueError, match="name them in views"):
        full(pixels, views={"puzzle": (0, 4)}, labels=torch.zeros(4).long())
