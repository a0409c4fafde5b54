"""The order of the rows: the only place that knows epochs, processes and where a resumed epoch begins.

The sampler yields (epoch, row, progress), so that everything drawn for a row later on, in any worker, is a function of
the first two, and what moves over the training of the third.
"""

import math
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from hf_hmtl.draws import Draws


def shuffled(seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
    """(rows,) places of rows in their order of an epoch."""
    return np.argsort(Draws(seed, epoch, rows).words("order", 1)[:, 0])


class EpochRowSampler(Sampler[list[tuple[int, int, float]]]):
    """Batches of (epoch, row, progress) for one process, shuffled anew in every epoch.

    All processes cut the same global batches; process p takes every world-size-th row of each. A run with two
    processes of batch 16 therefore sees the batches of one process of batch 32. The last batch of an epoch is filled
    up with the first rows of that epoch, so that every batch is full (batch norm cannot train on one row), or left out
    if `drop_last`.

    Args:
        rows: number of rows of the dataset.
        batch_size: rows of one batch of one process.
        seed: seed of the run.
        process_index, process_count: this process among all.
        drop_last: leave an incomplete last batch out.

    Attributes:
        planned: batches of the whole training, of which the progress of a row is a share; endless if nobody says.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        seed: int,
        process_index: int = 0,
        process_count: int = 1,
        drop_last: bool = False,
    ):
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.process_index, self.process_count = process_index, process_count
        self.batches = rows // self.taken if drop_last else -(-rows // self.taken)
        if self.batches < 1:
            raise ValueError(
                f"{rows} training rows make no batch of {batch_size} x {process_count} process(es)"
                f"{' with drop_last' if drop_last else ''}; use a smaller --per_device_train_batch_size"
            )
        self.epoch, self.planned = 0, math.inf

    @property
    def taken(self) -> int:
        """Rows that a batch takes from the order of an epoch: all those of all processes."""
        return self.batch_size * self.process_count

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches

    def order(self, epoch: int) -> np.ndarray:
        """(batches * taken,) row numbers of an epoch, in order."""
        order, wanted = shuffled(self.seed, epoch, np.arange(self.rows)), self.batches * self.taken
        return order[:wanted] if wanted <= len(order) else np.resize(order, wanted)

    def progress(self, epoch: int, batch: int) -> float:
        """Share of the training that is done before a batch of an epoch, 0..1."""
        return min((epoch * self.batches + batch) / self.planned, 1.0)

    def __iter__(self) -> Iterator[list[tuple[int, int, float]]]:
        epoch = self.epoch
        batches = self.order(epoch).reshape(self.batches, self.taken)
        for number, batch in enumerate(batches[:, self.process_index :: self.process_count]):
            progress = self.progress(epoch, number)
            yield [(epoch, int(row), progress) for row in batch]
