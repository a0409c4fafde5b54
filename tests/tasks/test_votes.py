"""Learning from votes: against torch's cross-entropy with probabilities, and the equations by hand."""

import datasets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import log_softmax

from hf_hmtl.data.collator import TrainingCollator
from hf_hmtl.draws import Draws
from hf_hmtl.tasks.votes import Votes

SHARES = [[4.0, 0.0, 1.0], [0.2, 0.2, 0.6], [0.0, 1.0, 0.0]]
LOGITS = torch.tensor([[0.3, -1.2, 2.0], [0.0, 0.5, -0.5], [3.0, 0.0, 1.0]])


def make(**options):
    return Votes(name="emotion", labels=("angry", "happy", "sad"), **options)


def test_shares_add_up_to_one_and_rows_without_any_are_learned_by_their_class():
    target = make().target([0, 2, 1, 1, -1, None], [*SHARES[:2], None, [], [], [0, 0, 0]])
    expected = [[0.8, 0, 0.2], [0.2, 0.2, 0.6], [0, 1, 0], [0, 1, 0]]
    torch.testing.assert_close(target[:4], torch.tensor(expected))
    assert target[4:].isnan().all()
    assert make().labelled(target).tolist() == [True] * 4 + [False] * 2


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 0.5)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_minus_the_shares_times_the_log_probabilities(weights, smoothing):
    task = make(class_weights=weights, label_smoothing=smoothing)
    target = task.target([-1] * 3, SHARES)
    logs = log_softmax(LOGITS.double().numpy(), axis=-1)
    weighted = target.numpy() * np.array(weights or (1, 1, 1))
    by_hand = -(1 - smoothing) * (weighted * logs).sum(-1) - smoothing * weighted.sum(-1) * logs.mean(-1)
    np.testing.assert_allclose(task.losses(LOGITS, target).numpy(), by_hand, rtol=1e-5)
    if not (weights and smoothing):  # torch's own smooths first, see `cross_entropies`
        of_torch = F.cross_entropy(LOGITS, target, torch.tensor(weights or (1.0, 1.0, 1.0)), label_smoothing=smoothing)
        assert task.losses(LOGITS, target).mean().item() == pytest.approx(of_torch.item(), rel=1e-5)


def test_a_single_share_is_a_class():
    whole, target = make().target([1], [None]), torch.tensor([1])
    assert make().losses(LOGITS[:1], whole).item() == pytest.approx(F.cross_entropy(LOGITS[:1], target).item())


def test_multi_target_is_the_likeliest_class_that_has_a_share():
    task = make(way="multi_target")
    logs = log_softmax(LOGITS.double().numpy(), axis=-1)
    by_hand = [-max(logs[0, 0], logs[0, 2]), -max(logs[1]), -logs[2, 1]]
    np.testing.assert_allclose(task.losses(LOGITS, task.target([-1] * 3, SHARES)).numpy(), by_hand, rtol=1e-5)


@pytest.mark.parametrize("way", ["cross_entropy", "probability", "multi_target"])
def test_rows_without_a_label_cost_nothing_and_pull_at_nothing(way):
    task, logits = make(way=way), LOGITS.clone().requires_grad_()
    target = task.target([-1, -1, -1], [None, SHARES[1], None])
    losses = task.losses(logits, target)
    losses.sum().backward()
    assert losses[[0, 2]].tolist() == [0, 0] and losses[1] > 0
    assert logits.grad[[0, 2]].abs().max() == 0 and logits.grad[1].abs().max() > 0
    assert torch.isfinite(logits.grad).all()
    assert task.statistics(LOGITS, target)["rows"] == 1


def test_probability_draws_classes_by_their_shares_anew_in_every_epoch():
    task = make(way="probability")
    target = task.target([-1] * 6000, [[2.0, 0.0, 8.0]] * 6000)
    drawn = task.drawn(target, Draws(0, [1] * 6000, range(6000)))
    assert set(drawn.sum(1).tolist()) == {1.0} and set(drawn.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), [0.2, 0, 0.8], atol=0.02)  # four standard errors
    assert torch.equal(drawn, task.drawn(target, Draws(0, [1] * 6000, range(6000))))
    assert not torch.equal(drawn, task.drawn(target, Draws(0, [2] * 6000, range(6000))))
    missing = task.drawn(torch.full((2, 3), torch.nan), Draws(0, [0, 0], [0, 1]))
    assert missing.isnan().all()
    assert torch.equal(make().drawn(target, Draws(0, [1] * 6000, range(6000))), target)


def test_the_collator_draws_and_evaluation_does_not(faces):
    rows = faces["train"].select(range(8))
    shares = [[0.5, 0.5, *[0.0] * 6]] * 8
    rows = rows.add_column("emotion_shares", shares)
    task = Votes.of(rows, "emotion", way="probability")
    batch = TrainingCollator([task], image_size=16)({**rows[:], "row": list(range(8)), "epoch": [0] * 8})
    assert set(map(tuple, batch["targets"]["emotion"][:, :2].tolist())) == {(1.0, 0.0), (0.0, 1.0)}


def test_scores_are_against_the_largest_share():
    task = make()
    target = task.target([-1, -1, -1, -1], [*SHARES, None]).numpy()
    found = task.score(np.concatenate([np.eye(3), np.eye(3)[:1]]), target)
    assert found["count"] == 3 and found["accuracy"] == pytest.approx(1 / 3)
    assert task.labels_of(target) == {"label": ["angry", "sad", "happy", None]}
    correct, count = task.progress(torch.eye(3), torch.from_numpy(target[:3]))["accuracy"]
    assert (correct.item(), count.item()) == (1, 3)
    assert "accuracy" in task.measures


@pytest.mark.parametrize("given", [[1.0, 2.0], [1.0, -1.0, 0.0], [1.0, float("nan"), 0.0]])
def test_shares_that_are_none_are_named(given):
    with pytest.raises(ValueError, match="a row of 'emotion_shares' is .* needed are 3 numbers of 0 or more"):
        make().target([0], [given])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"way": "majority"}, "way is 'majority', allowed are cross_entropy, probability, multi_target"),
        ({"loss": "focal"}, "votes are learned by cross_entropy alone"),
        ({"way": "multi_target", "label_smoothing": 0.1}, "no one class to weight and nothing to smooth"),
        ({"way": "multi_target", "class_weights": (1.0, 1.0, 2.0)}, "no one class to weight"),
    ],
)
def test_options_that_would_do_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_columns_are_the_class_and_the_shares():
    assert make().columns == ("emotion", "emotion_shares")
    assert make(column="label", shares="counts").columns == ("label", "counts")
    feature = datasets.ClassLabel(names=["a", "b"])
    rows = datasets.Dataset.from_dict({"label": [0, 1]}, features=datasets.Features(label=feature))
    task = Votes.of(rows, "label")
    assert task.labels == ("a", "b") and task.columns == ("label", "label_shares")
    assert task.head()["labels"] == ["a", "b"]
