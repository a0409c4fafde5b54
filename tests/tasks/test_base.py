import dataclasses
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from hf_hmtl import tasks
from hf_hmtl.tasks.attributes import Attributes
from hf_hmtl.tasks.base import MISSING, cross_entropies, number_correct
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.head_pose import HeadPose
from hf_hmtl.tasks.regression import Regression


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


def test_a_weight_is_that_of_the_own_class_also_of_what_is_smoothed(logits_and_target):
    """Keras weighs elements; what is best for a certain one is its class, however rare the others are."""
    logits, target = logits_and_target
    weights = torch.tensor([0.1, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0])
    smoothed = 0.8 * F.one_hot(target, 8) + 0.2 / 8
    by_hand = weights[target] * -(smoothed * logits.log_softmax(-1)).sum(-1)
    ours = cross_entropies(logits, target, tuple(weights.tolist()), label_smoothing=0.2)
    torch.testing.assert_close(ours, by_hand)
    best = torch.full((1, 8), 0.2 / 8).log()
    best[0, 0] = math.log(0.8 + 0.2 / 8)
    best.requires_grad_()
    cross_entropies(best, torch.tensor([0]), tuple(weights.tolist()), label_smoothing=0.2).sum().backward()
    torch.testing.assert_close(best.grad, torch.zeros(1, 8), atol=1e-6, rtol=0)


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


@pytest.mark.parametrize(
    "task",
    [
        Classification(name="emotion", labels=("happy", "sad", "tired")),
        Regression(name="valence"),
        Regression(name="affect", column=("valence", "arousal")),
        HeadPose(name="pose"),
        Attributes(name="units", column=("au1", "au2")),
    ],
    ids=lambda task: task.name,
)
def test_what_is_told_of_rows_scores_as_the_predictions_do(task):
    random = np.random.default_rng(0)
    predictions = random.normal(size=(40, len(task.labels) if hasattr(task, "labels") else len(task.columns)))
    if isinstance(task, Classification):
        targets = random.integers(0, 3, 40)
        targets[:4] = MISSING
    else:
        targets = (predictions + random.normal(size=predictions.shape) > 0).astype(float)
        targets[:4] = np.nan
        targets[4, 0] = np.nan
        targets = targets[:, 0] if len(task.columns) == 1 else targets
    rows = task.answers(predictions.astype(np.float32)) | task.labels_of(targets)
    expected = task.score(predictions, targets)
    assert task.score_of_rows(rows) == pytest.approx(expected, rel=1e-5, nan_ok=True)
    broken = {name: [None, *list(values)[1:]] if "label" not in name else values for name, values in rows.items()}
    assert task.score_of_rows(broken) == pytest.approx(expected, rel=1e-5, nan_ok=True)  # the first row has no label
    broken = {name: [*list(values)[:-1], None] if "label" not in name else values for name, values in rows.items()}
    assert task.score_of_rows(broken)["count"] == expected["count"] - 1


NEEDED = {
    "classification": {"name": "emotion", "labels": ("happy", "sad")},
    "votes": {"name": "emotion", "labels": ("happy", "sad")},
    "regression": {"name": "valence"},
    "attributes": {"name": "units", "column": ("au1", "au2")},
}
NUMBERS = {
    task: [
        field.name
        for field in dataclasses.fields(tasks.get(task))
        if field.name not in ("column", "columns", "missing", "range", "region", "classes", "class_weights")
        and re.search(r"float|int|Scheduled", str(field.type))
    ]
    for task in tasks.available()
}


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, "many"])
@pytest.mark.parametrize(
    ("task", "option"), [(task, option) for task, options in NUMBERS.items() for option in options]
)
def test_no_option_takes_what_is_no_finite_number(task, option, given):
    with pytest.raises(ValueError, match=rf"\b{option}\b"):
        tasks.get(task)(**NEEDED.get(task, {}), **{option: given})


@pytest.mark.parametrize(
    ("task", "option"),
    [(task, option) for task, options in NUMBERS.items() for option in options if option != "threshold"],
)
def test_no_option_but_a_threshold_is_negative(task, option):
    with pytest.raises(ValueError, match=rf"\b{option}\b"):
        tasks.get(task)(**NEEDED.get(task, {}), **{option: -3})


@pytest.mark.parametrize("weights", [((1.0, -1.0), (1.0, 1.0)), ((math.nan, 1.0), (1.0, 1.0)), ((0, 0), (0, 0))])
def test_region_weights_are_finite_and_not_all_0(weights):
    with pytest.raises(ValueError, match="region_weights"):
        tasks.get("puzzle")(grid=2, region_weights=weights)


def test_a_moving_weight_is_finite_at_every_point():
    for points in ([[0, math.nan], [1, 1]], [[0, 1], [math.nan, 1], [1, 2]], [[0, math.inf], [1, 1]], [[0, 1, 2]], 3j):
        with pytest.raises(ValueError, match="weight"):
            tasks.get("rotation")(weight=points)
