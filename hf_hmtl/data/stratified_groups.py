"""Whole groups, usually persons, chosen so that every class keeps its share of what is cut out."""

import hashlib
from collections.abc import Sequence

import numpy as np

from hf_hmtl.draws import Draws


def chosen_groups(groups: Sequence[str], strata: np.ndarray, wanted: Sequence[int], seed: int) -> np.ndarray:
    """(rows,) bool: the rows of the groups that are chosen.

    First each stratum, the rarest before the others, gets a random group unless it has rows already; then, one after
    the other, the group that brings all strata nearest to what is wanted, until none brings them nearer. The distance
    is the sum of (rows - wanted)^2 / wanted over the strata. A stratum's last group is never taken, so that all of them
    stay on the other side. The choice depends on the names of the groups and their rows, not on the order of the rows.

    Args:
        groups: name of the group of each row.
        strata: (rows,) number of the stratum of each row, which no order of the rows changes.
        wanted: rows of each stratum; 1 or more where it has two rows or more.
        seed: of the random order.
    """
    names, places = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    size = len(wanted)
    rows = np.bincount(places * size + strata, minlength=len(names) * size).reshape(-1, size)
    words = Draws(seed, 0, _numbers(names)).words("splits/stratified groups", 1)[:, 0]
    order = np.argsort(words, kind="stable")
    part = _Part(rows[order], np.asarray(wanted))
    for stratum in np.argsort(part.left, kind="stable"):
        part.cover(stratum)
    while part.improve():
        pass
    part.require_one()
    return np.isin(places, order[part.taken])


class _Part:
    """What is cut out so far.

    Attributes:
        rows: (groups, strata) of each group, in random order.
        wanted: (strata,) rows.
        present: (strata,) rows in it.
        left: (strata,) groups outside of it that hold rows of each.
        taken: (groups,) bool.
    """

    def __init__(self, rows: np.ndarray, wanted: np.ndarray):
        self.rows, self.wanted = rows, wanted
        self.present, self.left = np.zeros_like(wanted), (rows > 0).sum(axis=0)
        self.taken = np.zeros(len(rows), dtype=bool)
        # groups with the same rows are looked at once: of millions that stand alone, there are as many as classes
        self._kinds, kind_of = np.unique(rows, axis=0, return_inverse=True)
        by_kind = np.argsort(kind_of, kind="stable")
        self._waiting = [each[::-1].tolist() for each in np.split(by_kind, np.cumsum(np.bincount(kind_of))[:-1])]
        self._sizes = self._kinds.sum(axis=1)

    def cover(self, stratum: int) -> None:
        """Take the first group of a stratum that has no row yet, if that brings the part nearer to its size: one that
        brings the strata nearer, too, before others."""
        room = 2 * (self.wanted.sum() - self.present.sum())
        holders = np.flatnonzero(self._allowed() & (self._kinds[:, stratum] > 0) & (self._sizes < room))
        if self.present[stratum] == 0 and len(holders):
            farther = self._changes()[holders] >= 0
            self._take(min(zip(farther, (self._waiting[kind][-1] for kind in holders), holders, strict=True))[2])

    def improve(self) -> bool:
        """Take the group that brings all strata nearest to what is wanted; False where none does."""
        changes = np.where(self._allowed(), self._changes(), np.inf)
        best = int(changes.argmin())
        if changes[best] >= 0:
            return False
        self._take(best)
        return True

    def require_one(self) -> None:
        """Take the smallest group if none was near enough."""
        allowed = np.flatnonzero(self._allowed())
        if not self.taken.any() and len(allowed):
            self._take(allowed[self._sizes[allowed].argmin()])

    def _allowed(self) -> np.ndarray:
        waiting = np.fromiter(map(bool, self._waiting), dtype=bool)
        return waiting & ~((self._kinds > 0) & (self.left < 2)).any(axis=1)

    def _changes(self) -> np.ndarray:
        """(kinds,) how much farther from what is wanted a group of each would bring the part."""
        farther = self._kinds * (self._kinds + 2 * (self.present - self.wanted))
        return (farther / np.maximum(self.wanted, 1)).sum(axis=1)

    def _take(self, kind: int) -> None:
        self.taken[self._waiting[kind].pop()] = True
        self.present = self.present + self._kinds[kind]
        self.left = self.left - (self._kinds[kind] > 0)


def _numbers(names: Sequence[str]) -> np.ndarray:
    """(names,) int64: a number of each that other names do not change."""
    digests = b"".join(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<i8")
