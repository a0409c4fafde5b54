"""Shared part of FER+: what ten people's votes mean for training, in the four ways of Barsoum et al. 2016.

Arguments are (rows, 10) numbers of votes: for eight emotions, for "unknown" and for "no face"; an emotion with a single
vote counts as one with none. Results are (rows, 10) shares; a row that belongs to no emotion has all of its share at
`UNKNOWN` or `NO_FACE`. The rules are those of the authors' code (FERPlus, `ferplus.py`), which section 3 of the paper,
arXiv:1608.01041, describes.
"""

import numpy as np

UNKNOWN, NO_FACE = 8, 9


def without_single_votes(votes: np.ndarray) -> np.ndarray:
    """The votes of emotions that got two or more."""
    return np.where(votes > 1, votes, 0)


def majority(votes: np.ndarray) -> np.ndarray:
    """The one with more than half of the votes; without such a one, unknown."""
    votes = without_single_votes(votes)
    has_one = 2 * votes.max(1) > votes.sum(1)
    return np.eye(votes.shape[1])[np.where(has_one, votes.argmax(1), UNKNOWN)]


def distribution(votes: np.ndarray) -> np.ndarray:
    """Shares of the leading emotions: as many as it takes for three quarters of the votes, three at most.

    Emotions of equal votes are taken together. Nothing behind "unknown" or "no face" is taken, and these themselves
    only where they lead. Unknown is a row whose taken emotions have no more than half of the votes, or are more than
    three.
    """
    return np.array([_leading(row) for row in without_single_votes(votes)]).reshape(-1, votes.shape[1])


def _leading(votes: np.ndarray) -> np.ndarray:
    taken, total = np.zeros(len(votes)), votes.sum()
    for level in sorted(set(votes[votes > 0].tolist()), reverse=True):
        if taken.sum() >= 0.75 * total or np.count_nonzero(taken) >= 3 or taken[UNKNOWN:].any():
            break
        of_level = np.flatnonzero(votes == level)
        taken[of_level[of_level < UNKNOWN]] = level
        if of_level[-1] >= UNKNOWN:
            if not taken.any():
                taken[of_level[0]] = level
            break
    if 2 * taken.sum() <= total or np.count_nonzero(taken) > 3:
        return np.eye(len(votes))[UNKNOWN]
    return taken / taken.sum()


def several(votes: np.ndarray) -> np.ndarray:
    """Equal shares of all that have at least 30 % of the votes; unknown if these have no more than half together.

    A row whose most votes are for "unknown" or "no face" is theirs; otherwise the two get no share.
    """
    votes = without_single_votes(votes)
    total = votes.sum(1, keepdims=True)
    chosen = np.where((votes >= 0.3 * total) & (votes > 0), votes, 0)
    leader = chosen.argmax(1)
    leader[2 * chosen.sum(1) <= total[:, 0]] = UNKNOWN
    emotions = (chosen > 0) & (np.arange(votes.shape[1]) < UNKNOWN)
    shares = emotions / np.maximum(emotions.sum(1, keepdims=True), 1)
    return np.where((leader >= UNKNOWN)[:, None], np.eye(votes.shape[1])[leader], shares)
