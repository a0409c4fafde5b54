"""Folds beside scikit-learn's, and pinned, so that no later version tests other rows."""

import datasets
import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, StratifiedKFold

import hf_hmtl.data
from hf_hmtl.data.folds import checked_fold, cut_fold, fold_numbers
from hf_hmtl.data.identity import identity
from hf_hmtl.data.sources._building import images_of_bytes, make_dataset

EMOTION = datasets.ClassLabel(names=["happy", "sad", "tired"])


def rows(labels, groups=None, first=0):
    who = identity("mine", [str(first + row) for row in range(len(labels))], groups=groups)
    return make_dataset(images_of_bytes([b"image"] * len(labels)), {"emotion": (EMOTION, list(labels))}, who)


def persons(counts):
    """A row after the other of persons who have so many each, their rows not beside one another."""
    names = [f"p{number}" for number, count in enumerate(counts) for _ in range(count)]
    return [names[place] for place in np.random.default_rng(0).permutation(len(names))]


def test_a_person_is_in_one_fold_and_the_folds_are_as_even_as_scikit_learns():
    groups = persons(np.random.default_rng(1).integers(1, 30, 37))
    data = rows(np.arange(len(groups)) % 3, groups)
    numbers = fold_numbers(data, 5, "emotion")
    for name in set(groups):
        assert len(set(numbers[np.array(groups) == name])) == 1
    theirs = [len(test) for _, test in GroupKFold(5).split(groups, groups=groups)]
    assert sorted(np.bincount(numbers)) == sorted(theirs)


def test_as_many_folds_as_persons_leave_one_person_out_each():
    groups = persons([23, 21, 22, 20, 20])
    numbers = fold_numbers(rows([0] * len(groups), groups), 5, None)
    assert {len({groups[row] for row in np.flatnonzero(numbers == fold)}) for fold in range(5)} == {1}


def test_classes_are_dealt_out_evenly_where_no_person_is_known():
    labels = np.random.default_rng(2).choice([-1, 0, 1, 2], 101, p=[0.1, 0.6, 0.2, 0.1])
    numbers = fold_numbers(rows(labels), 4, "emotion")
    counts = np.array([[np.sum(labels[numbers == fold] == label) for label in (-1, 0, 1, 2)] for fold in range(4)])
    assert np.ptp(counts, axis=0).max() <= 1 and np.ptp(counts.sum(1)) <= 1
    theirs = StratifiedKFold(4).split(labels, labels)
    assert sorted(map(sorted, counts.T.tolist())) == sorted(
        sorted(column) for column in zip(*[[int(np.sum(labels[test] == each)) for each in (-1, 0, 1, 2)]
                                           for _, test in theirs], strict=True)
    )  # fmt: skip


def test_the_assignment_is_pinned_and_knows_no_order_of_the_persons_rows():
    groups = ["ann", "bob", "cem", "dee", "eve", "fay"] * 2
    first = fold_numbers(rows([0] * 12, groups), 3, None)
    assert dict(zip(groups, first.tolist(), strict=True)) == PINNED
    shuffled = [groups[place] for place in np.random.default_rng(3).permutation(12)]
    again = fold_numbers(rows([0] * 12, shuffled), 3, None)
    assert dict(zip(shuffled, again.tolist(), strict=True)) == PINNED
    assert fold_numbers(rows([0, 1, 2] * 4), 3, "emotion").tolist() == PINNED_ROWS


PINNED = {"ann": 2, "bob": 2, "cem": 1, "dee": 1, "eve": 0, "fay": 0}
PINNED_ROWS = [1, 0, 2, 0, 1, 1, 2, 2, 0, 0, 1, 2]


def given(groups=None):
    labels = np.arange(60) % 3
    parts = {"train": slice(0, 40), "validation": slice(40, 50), "test": slice(50, 60)}
    return datasets.DatasetDict(
        {
            split: rows(labels[part], groups and groups[part], first=part.start)
            for split, part in parts.items()
        }
    )  # fmt: skip


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("folds", [2, 3, 10])
def test_every_row_is_tested_once_and_nobody_is_on_two_sides(grouped, folds):
    splits = given(persons([5] * 12) if grouped else None)
    tested, validated = [], set()
    for number in range(1, folds + 1):
        cut, note = cut_fold(splits, (number, folds), "emotion")
        ids = {split: set(data["_id"]) for split, data in cut.items()}
        assert sum(map(len, ids.values())) == 60 and len(set.union(*ids.values())) == 60 and all(ids.values())
        if grouped:
            people = [set(data["_group"]) for data in cut.values()]
            assert sum(map(len, people)) == len(set.union(*people)) == 12
            assert f"test {len(cut['test'])} rows of {len(people[2])} group" in note
        assert note.startswith(f"fold {number} of {folds}, cut by {'group' if grouped else 'class'}")
        tested += ids["test"]
        validated |= {tuple(sorted(ids["validation"]))}
    assert sorted(tested, key=int) == [str(row) for row in range(60)]
    assert len(validated) > 1  # not the same persons select the weights of every fold


def test_rows_without_a_group_are_a_group_each():
    groups = ["ann"] * 4 + [None] * 4
    numbers = fold_numbers(rows([0] * 8, groups), 2, None)
    assert set(numbers[:4]) != set(numbers[4:]) and np.bincount(numbers).tolist() == [4, 4]


def test_what_cannot_be_cut_is_said():
    with pytest.raises(ValueError, match="2 groups, which no fold may tear apart, do not go into 3 folds; .* 2 to 2"):
        fold_numbers(rows([0] * 6, ["a", "b"] * 3), 3, None)
    with pytest.raises(ValueError, match="2 rows do not go into 3 folds"):
        fold_numbers(rows([0, 1]), 3, "emotion")
    splits = datasets.DatasetDict(train=rows([0] * 4, ["a"] * 4), test=rows([0], ["b"], first=4))
    with pytest.raises(ValueError, match="fold 1 of 2 leaves 1 group, and two are needed"):
        cut_fold(splits, (1, 2), None)
    assert checked_fold([3, 10]) == (3, 10)
    for wrong in (3, [0, 10], [11, 10], [1, 1], [1.0, 10], "3/10", [1, 2, 3], None):
        with pytest.raises(ValueError, match=r"fold is .*, allowed is \[k, n\]"):
            checked_fold(wrong)


def test_a_plain_data_set_has_folds_too():
    options = {"train": 24, "validation": 8, "test": 8, "size": 32}
    cut = [hf_hmtl.data.load("drawn", fold=(number, 5), **options) for number in (1, 2)]
    assert set(cut[0]["test"]["_group"]).isdisjoint(cut[1]["test"]["_group"])
    assert "fold 1 of 5, cut by group" in cut[0]["train"].info.description
