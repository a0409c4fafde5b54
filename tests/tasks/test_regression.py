import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_hmtl.metrics.regression import scores
from hf_hmtl.tasks.base import Task
from hf_hmtl.tasks.regression import LOSSES, Regression


def loss_of(task: Task, prediction, target):
    return task.loss_of(task.statistics(prediction, target))


@pytest.fixture
def numbers():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(64, 1, generator=generator) * 2 - 1
    return (0.5 * truth + 0.3 * torch.randn(64, 1, generator=generator)).requires_grad_(), truth


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", F.mse_loss),
        ("rmse", lambda answer, truth: F.mse_loss(answer, truth).sqrt()),
        ("mae", F.l1_loss),
        ("huber", lambda answer, truth: F.huber_loss(answer, truth, delta=0.2)),
    ],
)
def test_losses_are_torchs(numbers, loss, expected):
    answer, truth = numbers
    ours = loss_of(Regression("valence", loss=loss, delta=0.2), answer, truth)
    torch.testing.assert_close(ours, expected(answer, truth))
    gradients = [torch.autograd.grad(each, answer, retain_graph=True)[0] for each in (ours, expected(answer, truth))]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("limits", "scale", "middle"), [(None, 1, 0), ((-1, 1), 1, 0), ((0, 100), 20, 40)])
def test_the_concordance_that_is_learned_is_the_one_that_is_reported(numbers, limits, scale, middle):
    answer, truth = (scale * each + middle for each in numbers)
    ours = loss_of(Regression("valence", loss="ccc", range=limits), answer, truth).item()
    assert 1 - ours == pytest.approx(scores(answer.detach()[:, 0], truth[:, 0])["ccc"], abs=1e-5)


def test_the_gradient_of_the_concordance_is_that_of_its_definition(numbers):
    answer, truth = numbers
    (ours,) = torch.autograd.grad(loss_of(Regression("valence", loss="ccc"), answer, truth), answer)
    x, y = answer[:, 0], truth[:, 0]
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    ccc = 2 * covariance / (x.var(correction=0) + y.var(correction=0) + (x.mean() - y.mean()) ** 2)
    torch.testing.assert_close(ours, torch.autograd.grad(1 - ccc, answer)[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_concordance_below_zero_pushes_answers_away_and_one_above_it_pulls(numbers, sign):
    truth = numbers[1]
    answer = (sign * truth + 5).requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(Regression("valence", loss="ccc", range=(-1, 1)), answer, truth), answer)
    assert sign * gradient.mean() > 0  # descent lowers answers that are too high, or raises them further


@pytest.mark.parametrize("bins", [None, 20])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_label_costs_nothing_and_gives_a_gradient_of_zero(loss, bins):
    task = Regression("valence", loss=loss, range=(-1, 1), bins=bins)
    prediction = torch.randn(4, 1, *([bins] if bins else [])).requires_grad_()
    cost = loss_of(task, prediction, torch.full((4, 1), math.nan))
    (gradient,) = torch.autograd.grad(cost, prediction)
    assert cost.item() == 0 and (gradient == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_perfect_answer_has_a_finite_gradient(loss):
    answer = torch.full((4, 1), 0.3).requires_grad_()
    cost = loss_of(Regression("valence", loss=loss), answer, torch.full((4, 1), 0.3))
    assert torch.isfinite(cost) and torch.isfinite(torch.autograd.grad(cost, answer)[0]).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_each_column_counts_over_the_rows_that_have_its_number(loss):
    generator = torch.Generator().manual_seed(1)
    answer, truth = torch.randn(30, 2, generator=generator), torch.randn(30, 2, generator=generator)
    truth[:10, 0], truth[25:, 1] = math.nan, math.nan
    both = loss_of(Regression("both", column=("first", "second"), loss=loss), answer, truth)
    first = loss_of(Regression("first", loss=loss), answer[10:, :1], truth[10:, :1])
    second = loss_of(Regression("second", loss=loss), answer[:25, 1:], truth[:25, 1:])
    torch.testing.assert_close(both, first + second)


# Regression by classification


def test_equation_4_by_hand():
    # alpha * (CE_v + CE_a) + RMSE(v, E_v) + RMSE(a, E_a), with the mended second term.
    task = Regression("affect", column=("valence", "arousal"), range=(-1, 1), bins=20, alpha=0.7)
    generator = torch.Generator().manual_seed(2)
    logits, truth = torch.randn(16, 2, 20, generator=generator), torch.rand(16, 2, generator=generator) * 2 - 1
    expected, centres = 0.0, [-0.95 + 0.1 * k for k in range(20)]
    for column in range(2):
        squares, entropy = 0.0, 0.0
        for row in range(16):
            p = logits[row, column].double().softmax(0).tolist()
            place = min(math.floor((truth[row, column].item() + 1) / 0.1), 19)
            entropy -= math.log(p[place]) / 16
            squares += (sum(a * b for a, b in zip(p, centres, strict=True)) - truth[row, column].item()) ** 2 / 16
        expected += 0.7 * entropy + math.sqrt(squares)
    assert loss_of(task, logits, truth).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("bin_values", "values", "places"),
    [
        ("centres", np.linspace(-0.95, 0.95, 20), [0, 0, 9, 10, 19, 19]),
        ("left_edges", np.linspace(-1.0, 0.9, 20), [0, 0, 9, 10, 19, 19]),
        ("nodes", np.linspace(-1.0, 1.0, 20), [0, 1, 9, 10, 18, 19]),
    ],
)
def test_the_three_readings_of_bins(bin_values, values, places):
    task = Regression("valence", range=(-1, 1), bins=20, bin_values=bin_values)
    assert task.bin_of(torch.tensor([-1.0, -0.93, -0.01, 0.01, 0.94, 1.0])).tolist() == places
    certain = torch.eye(20)[:, None] * 100  # row k is sure of bin k
    torch.testing.assert_close(task.numbers_of(certain)[:, 0], torch.tensor(values).float(), rtol=0, atol=1e-6)
    bins = task.head()["bins"]
    assert bins == {"first": pytest.approx(values[0]), "step": pytest.approx(values[1] - values[0]), "count": 20}


def test_missing_labels_by_declaration_and_by_themselves():
    column = [None, math.nan, -2.0, 0.5]
    assert Regression("valence").target(column)[:, 0].isnan().tolist() == [True, True, False, False]
    target = Regression("valence", missing=-2).target(column)
    assert target[:, 0].isnan().tolist() == [True, True, True, False] and target.shape == (4, 1)
    assert Regression("valence", missing=-2).labelled(target).tolist() == [False, False, False, True]


def test_scores_and_answers_of_one_column_and_of_several(numbers):
    answer, truth = (each.detach().numpy() for each in numbers)
    task = Regression("valence", unit="points")
    assert task.score(answer, truth) == scores(answer[:, 0], truth[:, 0]) and set(task.measures) == set(
        task.score(answer, truth)
    )
    assert task.headline.name == "ccc" and (task.beside[0].name, task.beside[0].unit) == ("rmse", "points")
    assert list(task.answers(answer)) == ["answer"]
    both = Regression("affect", column=["valence", "arousal"])
    found = both.score(np.hstack([answer, truth]), np.hstack([truth, truth]))
    assert (found["ccc_arousal"], found["count"]) == (pytest.approx(1), 64)
    assert found["ccc"] == pytest.approx((found["ccc_valence"] + 1) / 2)
    assert both.labels_of(np.array([[0.5, math.nan]])) == {"label_valence": [0.5], "label_arousal": [None]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "l2"}, "allowed are rmse, mse"),
        ({"bins": 20}, "bins divide or bend a range"),
        ({"tanh": True}, "tanh divide or bend a range"),
        ({"range": (1, -1)}, "lowest < highest"),
        ({"range": (-1, 1), "bins": 1}, "2 or more"),
        ({"range": (-1, 1), "bins": 20, "tanh": True}, "leave tanh out"),
        ({"range": (-1, 1), "bins": 20, "bin_values": "middle"}, "allowed are centres"),
        ({"alpha": -1.0}, "alpha is -1.0, allowed is a finite number of 0 or more"),
    ],
)
def test_bad_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        Regression("valence", **options)
