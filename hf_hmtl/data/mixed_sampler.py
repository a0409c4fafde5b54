"""The order of the rows of several sources, of which every batch of every process holds the same shares."""

from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np

from hf_hmtl.data.mixture import Mixture, Part, rows_of_batch
from hf_hmtl.data.sampler import EpochRowSampler, shuffled


class MixedSampler(EpochRowSampler):
    """Batches of (pass of this source, row, progress) for one process.

    An epoch is a pass of the first source, which is in every other way as in `EpochRowSampler`. The others go on from
    batch to batch and from epoch to epoch, and are shuffled anew at each of their passes, so that what batch b of epoch
    e holds is a function of the two.

    Args:
        parts: the sources, in the order of their rows.
        batch_size, seed, process_index, process_count, drop_last: as of `EpochRowSampler`.

    Raises:
        ValueError: a source has fewer rows in a batch than there are processes, or as `EpochRowSampler`.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        batch_size: int,
        seed: int,
        process_index: int = 0,
        process_count: int = 1,
        drop_last: bool = False,
    ):
        self.parts = tuple(parts)
        self.counts = rows_of_batch([part.share for part in parts], batch_size * process_count)
        for part, count in zip(parts, self.counts, strict=True):
            if count < process_count:
                raise ValueError(
                    f"{part.name} gives {count} of the {batch_size * process_count} rows of a batch, fewer than the "
                    f"{process_count} processes. Give it a larger share, or use a larger --per_device_train_batch_size"
                )
        super().__init__(parts[0].rows, batch_size, seed, process_index, process_count, drop_last)

    @property
    def taken(self) -> int:
        return self.counts[0]

    def __iter__(self) -> Iterator[list[tuple[int, int, float]]]:
        epoch, orders = self.epoch, _Orders(self.seed, self.parts)
        first = self.order(epoch).reshape(self.batches, self.counts[0])
        for number in range(self.batches):
            progress = self.progress(epoch, number)
            keys = [(epoch, int(row), progress) for row in first[number]]
            for part, count in list(enumerate(self.counts))[1:]:
                begin = (epoch * self.batches + number) * count
                keys += [(*orders.at(part, place), progress) for place in range(begin, begin + count)]
            yield keys[self.process_index :: self.process_count]


def sampler_for(rows: Sized, *arguments: Any, **options: Any) -> EpochRowSampler:
    """The sampler of some training rows, a `Mixture` or any dataset of known length; arguments as of the samplers."""
    if isinstance(rows, Mixture):
        return MixedSampler(rows.parts, *arguments, **options)
    return EpochRowSampler(len(rows), *arguments, **options)


class _Orders:
    """Shuffled rows of parts, of the pass that was asked for last."""

    def __init__(self, seed: int, parts: Sequence[Part]):
        self.seed, self.parts = seed, parts
        self._known: dict[int, tuple[int, np.ndarray]] = {}

    def at(self, number: int, place: int) -> tuple[int, int]:
        """(pass, row) at a place of the endless row of passes of a part."""
        part = self.parts[number]
        around, within = divmod(place, part.rows)
        if self._known.get(number, (-1, None))[0] != around:
            rows = np.arange(part.first, part.first + part.rows)
            self._known[number] = around, rows[shuffled(self.seed, around, rows)]
        return around, int(self._known[number][1][within])
