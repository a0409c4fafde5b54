"""Cross-validation: each of n folds is tested once, while weights learn from the others and are selected among them.

Which fold a row is in depends on the groups of the rows, or on their labels where there are none, and on a seed of its
own, never on the seed of a training run: two methods, and two seeds, are compared on the same folds.
"""

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from hf_hmtl.data.arrow_columns import column_array, selected
from hf_hmtl.data.identity import GROUP, ID, has_groups
from hf_hmtl.data.mixture import laid_together
from hf_hmtl.data.splits import SPLIT_SEED, strata_of
from hf_hmtl.draws import Draws

VALIDATION_PARTS = 9
"""Validation is one of so many parts of what is not tested: a tenth of all rows where there are ten folds."""


def checked_fold(fold: Any) -> tuple[int, int]:
    """(k, n) of what a recipe or a user gives.

    Raises:
        ValueError: it is no pair of whole numbers, 1 <= k <= n and n from 2.
    """
    whole = isinstance(fold, Sequence) and len(fold) == 2 and all(type(number) is int for number in fold)
    if not whole or not 1 <= fold[0] <= fold[1] or fold[1] < 2:
        raise ValueError(
            f"fold is {fold!r}, allowed is [k, n], the k-th of n folds: whole numbers, 1 <= k <= n, n from 2, as in "
            "--set source.fold=[3,10]"
        )
    return fold[0], fold[1]


def fold_numbers(dataset: datasets.Dataset, folds: int, column: str | None, seed: int = SPLIT_SEED) -> np.ndarray:
    """(rows,) int64: the fold of each row, 0 .. folds - 1.

    Where rows have a `_group`, a group is in one fold: the largest first, each into the fold that has the fewest rows
    so far; equally large ones in a random order. Rows without one are a group each. Without groups, every class is
    dealt out evenly: no two folds differ by more than a row, in any class and in all.

    Args:
        column: of the labels that are dealt out evenly, or None.

    Raises:
        ValueError: there are fewer groups or rows than folds, or the column is absent.
    """
    grouped = has_groups(dataset)
    names = _names_of_groups(dataset) if grouped else []
    units = len(set(names)) if grouped else len(dataset)
    if units < folds:
        raise ValueError(
            f"{units} {'groups, which no fold may tear apart,' if grouped else 'rows'} do not go into {folds} folds; "
            f"allowed are 2 to {units}"
        )
    if grouped:
        fold_of = _dealt_groups(Counter(names), folds, seed)
        return np.array([fold_of[name] for name in names], dtype=np.int64)
    classes, _ = strata_of(dataset, column)
    words = Draws(seed, 0, np.arange(len(dataset))).words("folds/rows", 1)[:, 0]
    numbers = np.empty(len(dataset), dtype=np.int64)
    numbers[np.lexsort((words, classes))] = np.arange(len(dataset)) % folds
    return numbers


def _names_of_groups(dataset: datasets.Dataset) -> list[str]:
    """The group of each row; of rows that have none, a name that no other row has."""
    groups, ids = (column_array(dataset, name).to_pylist() for name in (GROUP, ID))
    return [f"\0{own}" if group is None else group for group, own in zip(groups, ids, strict=True)]


def _dealt_groups(sizes: Counter, folds: int, seed: int) -> dict[str, int]:
    names = sorted(sizes)
    words = Draws(seed, 0, np.arange(len(names))).words("folds/groups", 1)[:, 0].tolist()
    fold_of, lightest = {}, [(0, number) for number in range(folds)]
    for _, _, name in sorted((-sizes[name], word, name) for name, word in zip(names, words, strict=True)):
        rows, number = heapq.heappop(lightest)
        fold_of[name] = number
        heapq.heappush(lightest, (rows + sizes[name], number))
    return fold_of


def cut_fold(
    splits: datasets.DatasetDict, fold: tuple[int, int], column: str | None, seed: int = SPLIT_SEED
) -> tuple[datasets.DatasetDict, str]:
    """Train, validation and test of one fold, from all rows of all splits, and a note on how they were cut.

    Test is the fold. Validation is one of `VALIDATION_PARTS` parts of the others, cut likewise: the first part for the
    first fold, and so on. The rows keep their order.

    Args:
        splits: as a source gives them, which have no meaning here.
        fold: (k, n), k from 1.
        column: as `fold_numbers` takes it.

    Raises:
        ValueError: as `fold_numbers`, or nothing would be left to train on.
    """
    (number, folds), together = fold, laid_together(splits)
    tested = fold_numbers(together, folds, column, seed) == number - 1
    rest = selected(together, np.flatnonzero(~tested))
    grouped = has_groups(together)
    units = len(set(_names_of_groups(rest))) if grouped else len(rest)
    if units < 2:
        raise ValueError(
            f"fold {number} of {folds} leaves {units} {'group' if grouped else 'row'}, and two are needed: one to "
            "train on, one to select weights by. Give more of them"
        )
    parts = min(VALIDATION_PARTS, units)
    held_out = fold_numbers(rest, parts, column, seed) == (number - 1) % parts
    cut = datasets.DatasetDict(
        train=selected(rest, np.flatnonzero(~held_out)),
        validation=selected(rest, np.flatnonzero(held_out)),
        test=selected(together, np.flatnonzero(tested)),
    )
    return cut, _note(splits, cut, fold, grouped, seed)


def _note(
    given: datasets.DatasetDict, cut: datasets.DatasetDict, fold: tuple[int, int], grouped: bool, seed: int
) -> str:
    def counted(rows: datasets.Dataset) -> str:
        count = len(set(_names_of_groups(rows))) if grouped else 0
        return f"{len(rows):,} rows" + f" of {count} group{'s' * (count > 1)}" * grouped

    division = f" of {', '.join(given)}, whose own division is not used" * (len(given) > 1)
    how = "by group" if grouped else "by class, as no row belongs to a known group"
    shares = ", ".join(f"{split} {counted(rows)}" for split, rows in cut.items())
    return f"fold {fold[0]} of {fold[1]}, cut {how} (split seed {seed}) out of all rows{division}: {shares}"
