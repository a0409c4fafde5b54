import numpy as np
import pytest
from accelerate.data_loader import skip_first_batches
from torch.utils.data import DataLoader

from hf_hmtl.data.rows import RowReader
from hf_hmtl.data.sampler import EpochRowSampler


def batches(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_an_epoch_holds_every_row_once_and_fills_the_last_batch_from_its_start():
    sampler = EpochRowSampler(rows=10, batch_size=4, seed=0)
    epoch = batches(sampler, 3)
    rows = [row for batch in epoch for _, row, _ in batch]
    assert len(sampler) == 3 and [len(batch) for batch in epoch] == [4, 4, 4]
    assert sorted(rows[:10]) == list(range(10))
    assert rows[10:] == rows[:2]
    assert {number for batch in epoch for number, _, _ in batch} == {3}


def test_drop_last_leaves_the_incomplete_batch_out():
    sampler = EpochRowSampler(rows=10, batch_size=4, seed=0, drop_last=True)
    assert len(sampler) == len(batches(sampler, 0)) == 2


def test_a_dataset_smaller_than_a_batch_is_repeated():
    (batch,) = batches(EpochRowSampler(rows=3, batch_size=8, seed=0), 0)
    counts = np.bincount([row for _, row, _ in batch])
    assert sorted(counts) == [2, 3, 3]


def test_epochs_and_seeds_differ():
    first = EpochRowSampler(100, 10, seed=0)
    assert batches(first, 0) != batches(first, 1)
    assert [row for batch in batches(first, 0) for _, row, _ in batch] != [
        row for batch in batches(EpochRowSampler(100, 10, seed=1), 0) for _, row, _ in batch
    ]


@pytest.mark.parametrize("rows", [96, 101])
def test_two_processes_cut_the_global_batches_of_one(rows):
    one = batches(EpochRowSampler(rows, 8, seed=5), 2)
    two = [batches(EpochRowSampler(rows, 4, seed=5, process_index=index, process_count=2), 2) for index in (0, 1)]
    assert len(two[0]) == len(two[1]) == len(one)
    for whole, *parts in zip(one, *two, strict=True):
        assert sorted(whole) == sorted(parts[0] + parts[1])
        assert len(parts[0]) == len(parts[1]) == 4


def test_accelerates_skipping_keeps_the_epoch():
    sampler = EpochRowSampler(24, 4, seed=0)
    loader = DataLoader(list(range(24)), batch_sampler=sampler, collate_fn=list)
    sampler.set_epoch(7)
    skipped = skip_first_batches(loader, 2).batch_sampler
    assert list(skipped) == batches(sampler, 7)[2:]


def test_too_few_rows_raise():
    with pytest.raises(ValueError, match="per_device_train_batch_size"):
        EpochRowSampler(rows=7, batch_size=8, seed=0, drop_last=True)


def test_rows_are_read_in_one_call_with_epoch_and_row(faces):
    rows = RowReader(faces["train"]).__getitems__([(4, 2), (4, 0)])
    assert rows["epoch"] == [4, 4] and rows["row"] == [2, 0]
    assert rows["image"] == [faces["train"][2]["image"], faces["train"][0]["image"]]
    assert np.isfinite(rows["yaw"]).all()
    assert RowReader(faces["train"]).__getitems__([5])["epoch"] == [0]


def test_the_progress_of_a_row_is_the_share_of_the_batches_that_come_before_its_batch():
    sampler = EpochRowSampler(rows=10, batch_size=4, seed=0)
    assert {progress for batch in batches(sampler, 5) for *_, progress in batch} == {0.0}  # nobody said how many
    sampler.planned = 8
    seen = [progress for epoch in (0, 1, 2) for batch in batches(sampler, epoch) for *_, progress in batch[:1]]
    assert seen == [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8, 1.0]
