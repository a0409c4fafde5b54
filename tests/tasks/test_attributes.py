import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_hmtl.tasks.attributes import Attributes


@pytest.fixture
def units():
    return Attributes("units", column=("au1", "au12"))


def test_the_loss_is_torchs_where_every_label_is_known(units):
    logits, truth = torch.randn(32, 2), (torch.rand(32, 2) < 0.3).float()
    ours = units.loss_of(units.statistics(logits, truth))
    torch.testing.assert_close(ours, F.binary_cross_entropy_with_logits(logits, truth))


def test_unknown_labels_cost_nothing(units):
    logits = torch.randn(4, 2).requires_grad_()
    truth = torch.tensor([[1.0, math.nan], [0.0, math.nan], [math.nan, 1.0], [math.nan, math.nan]])
    ours = units.loss_of(units.statistics(logits, truth))
    first = F.binary_cross_entropy_with_logits(logits[:2, 0], truth[:2, 0])
    second = F.binary_cross_entropy_with_logits(logits[2, 1], truth[2, 1])
    torch.testing.assert_close(ours, (first + second) / 2)
    (gradient,) = torch.autograd.grad(ours, logits)
    assert (gradient[truth.isnan()] == 0).all()
    nothing = units.loss_of(units.statistics(logits, torch.full((4, 2), math.nan)))
    assert nothing.item() == 0 and (torch.autograd.grad(nothing, logits)[0] == 0).all()


def test_labels_are_yes_no_or_missing(units):
    target = units.target([1, 0, -1, None], [True, False, math.nan, 1.0])
    assert target[:2].tolist() == [[1, 1], [0, 0]] and target[2].isnan().all() and target[3, 0].isnan()
    with pytest.raises(ValueError, match="units: a label is 1 .* a row has 0.7.*threshold: 0.5"):
        units.target([0.7], [0])
    strong = Attributes("units", column=("au1", "au12"), threshold=0.5)
    assert strong.target([0.7, 0.2], [None, 0.6])[:, 0].tolist() == [1, 0]
    with pytest.raises(ValueError, match="classification of two classes"):
        Attributes("au1")


def test_answers_and_scores(units):
    logits = np.array([[2.0, -1.0], [-3.0, 4.0]])
    found = units.answers(logits)
    assert found["answer_au1"].tolist() == [True, False]
    assert found["probability_au12"].tolist() == pytest.approx(torch.tensor([-1.0, 4.0]).sigmoid().tolist())
    assert units.score(logits, np.array([[1.0, 0.0], [0.0, 1.0]]))["mean_average_precision"] == 1.0
    assert units.head()["kind"] == "multilabel" and units.labels_of(np.array([[1.0, math.nan]])) == {
        "label_au1": [True],
        "label_au12": [None],
    }
