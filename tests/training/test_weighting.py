import math

import pytest
import torch

from hf_hmtl.training import weighting


def test_static_is_the_weighted_sum():
    losses = {"emotion": torch.tensor(2.0), "puzzle": torch.tensor(5.0)}
    assert weighting.static(losses, {"emotion": 1.0, "puzzle": 0.25}).item() == 3.25


def test_uncertainty_by_hand():
    losses = {"emotion": torch.tensor(2.0), "puzzle": torch.tensor(5.0)}
    log_variances = {"emotion": torch.tensor(0.5), "puzzle": torch.tensor(-1.0)}
    total = weighting.uncertainty(losses, {"emotion": 1.0, "puzzle": 0.25}, log_variances, dict.fromkeys(losses, 1.0))
    assert total.item() == pytest.approx(math.exp(-0.5) * 2 + 0.25 + math.exp(1) * 0.25 * 5 - 0.5)


def test_uncertainty_starts_as_the_static_sum_and_settles_where_kendall_says():
    losses, weights = {"emotion": torch.tensor(3.0)}, {"emotion": 0.5}
    log_variances = {"emotion": torch.zeros((), requires_grad=True)}
    start = weighting.uncertainty(losses, weights, log_variances, {"emotion": 1.0})
    assert start.item() == weighting.static(losses, weights).item()
    optimizer = torch.optim.SGD(log_variances.values(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        weighting.uncertainty(losses, weights, log_variances, {"emotion": 1.0}).backward()
        optimizer.step()
    assert log_variances["emotion"].item() == pytest.approx(math.log(2 * 0.5 * 3), abs=1e-3)


def test_a_task_without_labels_does_not_gain_weight():
    log_variance = torch.zeros((), requires_grad=True)
    absent = {"emotion": 0.0}
    weighting.uncertainty(
        {"emotion": torch.tensor(0.0)}, {"emotion": 1.0}, {"emotion": log_variance}, absent
    ).backward()
    assert log_variance.grad.item() == 0


def test_dynamic_weights_by_hand():
    past = weighting.PastLosses(2, {}, {"emotion": 1.9, "puzzle": 6.0}, {"emotion": 2.0, "puzzle": 12.0})
    first, second = math.exp(0.95 / 2), math.exp(0.5 / 2)
    found = weighting.dynamic(past, ["emotion", "puzzle"])
    assert found["emotion"] == pytest.approx(2 * first / (first + second))  # it falls slower, so it gains
    assert found["puzzle"] == pytest.approx(2 * second / (first + second))


def test_dynamic_weights_are_one_for_two_epochs_and_stand_still_without_a_loss():
    tasks = ["emotion", "puzzle", "rotation"]
    first = weighting.PastLosses()
    second = first.followed_by(1, {"emotion": 2.0, "puzzle": 12.0, "rotation": 0.0})
    assert weighting.dynamic(first, tasks) == weighting.dynamic(second, tasks) == dict.fromkeys(tasks, 1.0)
    third = second.followed_by(2, {"emotion": 2.0, "puzzle": 12.0, "rotation": 3.0})
    assert (third.epoch, third.last["rotation"], third.before_last["rotation"]) == (2, 3.0, 0.0)
    assert weighting.dynamic(third, tasks) == pytest.approx(dict.fromkeys(tasks, 1.0))


def test_dynamic_weights_know_no_units():
    """A loss in radians squared gives the factors that the same loss in degrees squared gives."""
    degrees = weighting.PastLosses(2, {}, {"pose": 40.0, "emotion": 1.7}, {"pose": 90.0, "emotion": 2.0})
    scale = (math.pi / 180) ** 2
    radians = weighting.PastLosses(
        2, {}, {"pose": 40.0 * scale, "emotion": 1.7}, {"pose": 90.0 * scale, "emotion": 2.0}
    )
    found = weighting.dynamic(degrees, ["pose", "emotion"])
    assert found == pytest.approx(weighting.dynamic(radians, ["pose", "emotion"])) and found["pose"] != 1


def test_learned_weights_forget_the_units_where_they_settle():
    """At the minimum over s the network's gradient is that of half the logarithm of the loss, whatever its unit."""
    gradients = []
    for scale in (1.0, (math.pi / 180) ** 2, 1000.0):
        angle = torch.tensor(7.0, requires_grad=True)
        loss = scale * (angle - 2) ** 2
        settled = torch.tensor(math.log(2 * loss.item()))
        weighting.uncertainty({"pose": loss}, {"pose": 1.0}, {"pose": settled}, {"pose": 1.0}).backward()
        gradients.append(angle.grad.item())
    half_log = torch.tensor(7.0, requires_grad=True)
    (0.5 * ((half_log - 2) ** 2).log()).backward()
    assert gradients == pytest.approx([half_log.grad.item()] * 3, rel=1e-5)


def test_effective_weights():
    weights = {"emotion": 1.0, "puzzle": 0.5}
    assert weighting.effective(weights, None) == weights
    found = weighting.effective(weights, {"emotion": torch.tensor(0.0), "puzzle": torch.tensor(math.log(4.0))})
    assert float(found["emotion"]) == 1 and float(found["puzzle"]) == pytest.approx(0.125)
