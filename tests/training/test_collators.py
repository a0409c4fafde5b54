"""Collators of somebody else: their labels become targets, and looking at them disturbs nothing."""

import pytest
import torch
from trainers import SIDE

from hf_hmtl import Classification, Puzzle
from hf_hmtl.training.collators import AdoptedCollator, check_train_collator


def mood(name="mood"):
    return Classification(name=name, labels=("good", "bad", "mixed"))


def with_labels(labels, key="labels"):
    return lambda rows: {"pixel_values": torch.zeros(len(rows), 3, SIDE, SIDE), key: labels}


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_labels_of_any_integer_type_are_class_numbers(dtype):
    batch = AdoptedCollator(with_labels(torch.tensor([2, 0], dtype=dtype)), [mood(), mood("weather")])([{}, {}])
    assert batch["targets"]["mood"].dtype == torch.int64 and batch["targets"]["mood"].tolist() == [2, 0]
    assert batch["targets"]["weather"].tolist() == [-100, -100]


def test_a_number_beyond_the_classes_is_refused_with_their_names():
    with pytest.raises(
        ValueError, match="mood: a row has the number 7, which is no class: 0 to 2 are good, bad, mixed"
    ):
        AdoptedCollator(with_labels(torch.tensor([2, 7])), [mood()])([{}, {}])


def test_rows_that_a_collator_names_as_broken_are_counted():
    named = AdoptedCollator(with_labels(torch.tensor([3]), "broken_rows"), [])([{}])
    assert named["broken_rows"].tolist() == [3]
    assert AdoptedCollator(with_labels(None), [])([{}])["broken_rows"].tolist() == []


@pytest.mark.parametrize("key", ["labels", "targets"])
def test_several_tasks_have_their_labels_by_name_and_pictures_stay_fractions(key):
    made = {"weather": torch.tensor([1, 1]), "inpainting": torch.full((2, 3), 0.25)}
    targets = AdoptedCollator(with_labels(made, key), [mood(), mood("weather")])([{}, {}])["targets"]
    assert targets["weather"].tolist() == [1, 1] and targets["mood"].tolist() == [-100, -100]
    assert torch.equal(targets["inpainting"], torch.full((2, 3), 0.25))


def test_a_collator_is_tried_on_what_rows_there_are_and_draws_nothing_from_the_seed():
    seen = []

    def collate(rows):
        seen.append(len(rows))
        return with_labels(torch.randint(3, (len(rows),)))(rows)

    before = torch.get_rng_state()
    tasks = [mood(), Puzzle(weight=0.0)]  # what is not learned needs no target
    for rows in (1, 5):
        check_train_collator(AdoptedCollator(collate, tasks[:1]), tasks, [{"image": None}] * rows)
    assert seen == [1, 2] and torch.equal(torch.get_rng_state(), before)
