import asyncio
import threading

import torch

from hf_hmtl.serving.server.batches import Batches


class Network:
    """Doubles its rows; it answers the first batch only once `others` rows have been asked for beside it."""

    def __init__(self, wait_for=None):
        self.batches, self._wait_for = [], wait_for

    def __call__(self, rows):
        self.batches.append(len(rows))
        if self._wait_for:
            assert self._wait_for.wait(60)
        if (rows < 0).any():
            raise RuntimeError("a negative row")
        return rows * 2


def answered(batches, questions, started=None):
    """The answers to all questions, the first of which is on its way before the others come."""

    async def ask():
        async with batches.at_work():
            tasks = [asyncio.create_task(batches(questions[0]))]
            while started is not None and not started():
                await asyncio.sleep(0)
            tasks += [asyncio.create_task(batches(each)) for each in questions[1:]]
            await asyncio.sleep(0)  # all have been asked
            release.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    release = batches._compute._wait_for or threading.Event()
    return asyncio.run(ask())


def test_what_comes_during_a_batch_goes_together_in_the_next():
    network = Network(threading.Event())
    questions = [torch.full((rows, 2), float(number)) for number, rows in enumerate((1, 2, 3, 1))]
    found = answered(Batches(network, largest=16), questions, started=lambda: network.batches)
    assert network.batches == [1, 6]
    for question, answer in zip(questions, found, strict=True):
        assert torch.equal(answer, question * 2)


def test_a_batch_has_no_more_rows_than_are_allowed_and_a_question_may_have_more():
    network = Network(threading.Event())
    questions = [torch.arange(7.0).reshape(7, 1), torch.arange(5.0).reshape(5, 1)]
    found = answered(Batches(network, largest=4), questions, started=lambda: network.batches)
    assert network.batches == [4, 4, 4]
    assert torch.equal(found[0], questions[0] * 2) and torch.equal(found[1], questions[1] * 2)


def test_a_batch_that_fails_is_told_to_those_in_it_and_the_next_is_answered():
    network = Network(threading.Event())
    questions = [torch.full((1, 1), -1.0), torch.full((1, 1), 3.0)]
    failed, found = answered(Batches(network, largest=4), questions, started=lambda: network.batches)
    assert isinstance(failed, RuntimeError) and found.item() == 6


def test_a_question_that_was_given_up_is_not_computed():
    network = Network(threading.Event())
    batches = Batches(network, largest=1)

    async def ask():
        async with batches.at_work():
            first = asyncio.create_task(batches(torch.ones(1, 1)))
            while not network.batches:
                await asyncio.sleep(0)
            given_up, last = (asyncio.create_task(batches(torch.ones(1, 1))) for _ in range(2))
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            network._wait_for.set()
            await asyncio.gather(first, last)

    asyncio.run(ask())
    assert network.batches == [1, 1]
