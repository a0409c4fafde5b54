import torch

from hf_hmtl.training.log_sums import LogSums


def alone(sums):
    return {name: float(value) for name, value in sums.items()}


def test_means_are_over_steps_or_over_what_was_counted():
    sums = LogSums(since=4)
    for loss, hits, rows in ((1.0, 3, 4), (2.0, 1, 4), (6.0, 0, 0)):
        sums.add("loss", torch.tensor(loss))
        sums.add("accuracy", torch.tensor(hits), torch.tensor(rows))
        sums.add("unlabelled", torch.tensor(0), torch.tensor(0))
    assert sums.means(7, alone) == {"loss": 3.0, "accuracy": 0.5}
    assert LogSums(since=4).means(7, alone) == {}


def test_half_of_the_steps_can_be_carried_over():
    whole, first = LogSums(since=0), LogSums(since=0)
    for value in (1.0, 2.0):
        for sums in (whole, first):
            sums.add("loss", value)
            sums.add("accuracy", value, 4)
    second = LogSums(first.since, first.over_processes(alone))
    for sums in (whole, second):
        sums.add("loss", 5.0)
        sums.add("accuracy", 1.0, 4)
    assert second.means(3, alone) == whole.means(3, alone) == {"loss": 8 / 3, "accuracy": 4 / 12}


def test_processes_are_summed():
    sums = LogSums(since=0)
    sums.add("loss", 1.5)
    sums.add("accuracy", 1, 4)
    assert sums.means(1, lambda sums: {name: 2 * value for name, value in sums.items()}) == {
        "loss": 3.0,
        "accuracy": 0.25,
    }
