"""Random numbers as a pure function of (seed, epoch, row, purpose), drawn for a whole batch at once.

Nothing here has a state, so a batch is the same with any number of loader workers or processes, in any order of
evaluation, and after a resume in mid-epoch. Every number comes from hashing its full address with the SplitMix64
finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), which passes BigCrush
when it is fed a counter.
"""

import hashlib

import numpy as np

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_ROWS_AT_ONCE = 1 << 16  # what a step of the arithmetic needs stays in the cache, and small beside millions of rows


def _mix(value: np.ndarray) -> np.ndarray:
    """SplitMix64 finaliser: a bijection of 64-bit words (uint64 arrays wrap silently, which is what it needs)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _key(text: str) -> np.uint64:
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=8).digest(), dtype="<u8")[0]


class Draws:
    """The random numbers of one batch of rows.

    Args:
        seed: seed of the run.
        epochs: (batch,) epoch of each row, or one for all.
        rows: (batch,) stable number of each row in its dataset.
        stream: name put before every purpose; `view` uses it to make independent numbers for another view of the rows.
        progress: (batch,) share of the training that is done when each row comes, or one for all; no number depends on
            it, but a share of the rows that moves over the training does.
    """

    def __init__(self, seed: int, epochs, rows, stream: str = "", progress=0.0):
        self.seed = int(seed)
        self.rows = np.atleast_1d(np.asarray(rows, dtype=np.int64))
        self.epochs = np.asarray(epochs, dtype=np.int64)
        if self.epochs.ndim == 0:
            self.epochs = np.broadcast_to(self.epochs, self.rows.shape)
        if self.epochs.shape != self.rows.shape or self.rows.ndim != 1:
            raise ValueError(
                f"epochs and rows must be two vectors of one length, got {self.epochs.shape} and {self.rows.shape}"
            )
        self.stream = stream
        self.progress = np.broadcast_to(np.asarray(progress, dtype=np.float64), self.rows.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, places: np.ndarray) -> "Draws":
        """The numbers of some of the rows: those at these places of the batch."""
        return Draws(self.seed, self.epochs[places], self.rows[places], self.stream, self.progress[places])

    def view(self, name: str) -> "Draws":
        """Independent numbers for another view of the same rows (Barlow Twins: two views of one image)."""
        return Draws(self.seed, self.epochs, self.rows, f"{self.stream}{name}/", self.progress)

    def words(self, purpose: str, count: int) -> np.ndarray:
        """(batch, count) independent uniform 64-bit words."""
        key = _mix(np.full(1, _key(f"{self.seed}:{self.stream}{purpose}"), dtype=np.uint64))
        counter = np.arange(1, count + 1, dtype=np.uint64)
        words = np.empty((len(self), count), dtype=np.uint64)
        for first in range(0, len(self), _ROWS_AT_ONCE):
            block, address = slice(first, first + _ROWS_AT_ONCE), key
            for part in (self.epochs[block], self.rows[block]):
                address = _mix(address + _GOLDEN_GAMMA * (part.astype(np.uint64) + np.uint64(1)))
            words[block] = _mix(address[:, None] + _GOLDEN_GAMMA * counter)
        return words

    def uniform(self, purpose: str, low: float = 0.0, high: float = 1.0, count: int | None = None) -> np.ndarray:
        """Uniform floats in [low, high): (batch,), or (batch, count) when a count is given."""
        unit = (self.words(purpose, count or 1) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        values = low + (high - low) * unit
        return values if count is not None else values[:, 0]

    def integers(self, purpose: str, high: int, count: int | None = None) -> np.ndarray:
        """Uniform integers in 0 .. high - 1: (batch,), or (batch, count) when a count is given."""
        return np.floor(self.uniform(purpose, 0.0, high, count)).astype(np.int64)

    def chosen(self, purpose: str, share: float | np.ndarray) -> np.ndarray:
        """(batch,) bool: True with probability `share`, of each row its own where there are several; exactly all at 1
        and none at 0."""
        return self.uniform(purpose) < share

    def permutations(self, purpose: str, size: int) -> np.ndarray:
        """(batch, size) int64: one uniform permutation of 0 .. size - 1 for each row, the identity included."""
        return np.argsort(self.words(purpose, size), axis=1, kind="stable")
