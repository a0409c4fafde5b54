"""Several sources laid together, and their shares of every batch, against pandas and counting by hand."""

from collections import Counter

import datasets
import numpy as np
import pandas as pd
import pytest

from hf_hmtl.data.mixed_sampler import MixedSampler, sampler_for
from hf_hmtl.data.mixture import (
    Mixture,
    laid_together,
    parts_of,
    reader_for,
    rows_of_batch,
    with_classes_called,
    without_labels,
)

IMAGE = datasets.Image(decode=False)


def faces(numbers, **columns):
    """Rows whose image is its own number, in bytes; {column: (feature, values)}."""
    features = datasets.Features({"image": IMAGE, **{name: feature for name, (feature, _) in columns.items()}})
    images = [{"bytes": str(number).encode(), "path": None} for number in numbers]
    return datasets.Dataset.from_dict(
        {"image": images, **{name: values for name, (_, values) in columns.items()}}, features=features
    )


def classes(*names):
    return datasets.ClassLabel(names=list(names))


@pytest.fixture
def labelled():
    rows = faces(
        range(6), mood=(classes("calm", "glad"), [0, 1, -1, 1, None, 0]), age=(datasets.Value("float32"), range(6))
    )
    return rows.select([5, 0, 3, 1])


def test_rows_stand_in_their_order_with_the_columns_of_all_as_pandas_lays_them(labelled):
    more = faces(range(10, 13), pose=(datasets.Value("float64"), [1.5, -2.0, None]))
    together = laid_together({"mine": labelled, "more": more})
    frames = [each.remove_columns("image").to_pandas() for each in (labelled, more)]
    expected = pd.concat(frames, ignore_index=True).fillna({"mood": -1})  # a class that is missing, by the contract
    found = together.remove_columns("image").to_pandas()
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False)
    images = [image["bytes"] for image in together["image"][:]]
    assert images == [b"5", b"0", b"3", b"1", b"10", b"11", b"12"]
    assert together.features["mood"].names == ["calm", "glad"]


def test_classes_are_joined_by_their_names(labelled):
    more = faces(range(4), mood=(classes("glad", "calm"), [0, 1, None, 0])).select([3, 2, 1])
    together = laid_together({"mine": labelled, "more": more})
    assert [together.features["mood"].int2str(number) if number >= 0 else None for number in together["mood"][4:]] == [
        "glad", None, "calm",
    ]  # fmt: skip


def test_what_does_not_fit_is_refused(labelled):
    with pytest.raises(ValueError, match="'mood' of more has the classes angry, which the first source does not know"):
        laid_together({"mine": labelled, "more": faces([0], mood=(classes("angry", "calm"), [0]))})
    with pytest.raises(ValueError, match="'age' of more holds string, and .* float32"):
        laid_together({"mine": labelled, "more": faces([0], age=(datasets.Value("string"), ["x"]))})
    with pytest.raises(ValueError, match="one above 0 for each source: mine, more"):
        Mixture.of({"mine": labelled, "more": labelled}, {"mine": 1.0})
    with pytest.raises(ValueError, match="one above 0"):
        Mixture.of({"mine": labelled, "more": labelled}, {"mine": 1.0, "more": 0.0})


def test_no_image_is_copied_when_columns_are_exchanged(labelled):
    more = faces(range(3), mood=(classes("glad", "calm"), [0, 1, 0]))
    together = laid_together({"mine": labelled, "more": more})
    before = {chunk.buffers()[-1].address for rows in (labelled, more) for chunk in rows.data.table["image"].chunks
              if chunk.buffers()[-1]}  # fmt: skip
    after = {chunk.buffers()[-1].address for chunk in together.data.table["image"].chunks if chunk.buffers()[-1]}
    assert after <= before


@pytest.mark.parametrize("shares", [(1, 1), (0.5, 0.25, 0.25), (9, 1), (1, 1, 1), (0.97, 0.01, 0.02), (2.0, 5.0, 3.5)])
@pytest.mark.parametrize("batch", [3, 8, 32, 37])
def test_a_batch_holds_whole_numbers_of_rows_as_near_to_the_shares_as_can_be(shares, batch):
    counts = rows_of_batch(shares, batch)
    assert sum(counts) == batch and min(counts) >= 1
    exact = np.array(shares) / sum(shares) * batch
    assert all(
        abs(count - wanted) < 1 for count, wanted in zip(counts, exact, strict=True) if wanted >= 1 and min(exact) >= 1
    )


def mixture(*rows, shares):
    names = [f"source {number}" for number in range(len(rows))]
    return parts_of(dict(zip(names, rows, strict=True)), dict(zip(names, shares, strict=True)))


def batches(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_batch_holds_the_shares_and_every_source_goes_around_at_its_own_pace():
    parts = mixture(24, 9, 50, shares=(2, 1, 1))
    sampler = MixedSampler(parts, 8, seed=3)
    keys = [batch for epoch in range(6) for batch in batches(sampler, epoch)]
    assert len(sampler) == 6 and len(keys) == 36
    bounds = [(0, 24), (24, 33), (33, 83)]
    for batch in keys:
        rows = [row for _, row, _ in batch]
        assert [sum(low <= row < high for row in rows) for low, high in bounds] == [4, 2, 2]
    for (low, high), passes in zip(bounds, (6, 8, 1), strict=True):
        counted = Counter((around, row) for batch in keys for around, row, _ in batch if low <= row < high)
        for around in range(passes):  # whole passes: every row once
            assert [counted[around, row] for row in range(low, high)] == [1] * (high - low)
        orders = [
            [row for batch in keys for each, row, _ in batch if each == around and low <= row < high]
            for around in (0, 1)
        ]
        assert orders[0] != sorted(orders[0]) and orders[0] != orders[1][: len(orders[0])]


def test_the_first_source_comes_as_it_comes_alone():
    alone = sampler_for(list(range(20)), 6, seed=1)
    with_others = MixedSampler(mixture(20, 7, shares=(3, 1)), 8, seed=1)
    ours = [[key for key in batch if key[1] < 20] for batch in batches(with_others, 2)]
    assert ours == batches(alone, 2)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_cut_the_same_batches_and_each_has_every_source(processes):
    parts = mixture(40, 11, shares=(3, 1))
    one = batches(MixedSampler(parts, 16, seed=5), 1)
    several = [batches(MixedSampler(parts, 16 // processes, 5, index, processes), 1) for index in range(processes)]
    for whole, *shares in zip(one, *several, strict=True):
        assert sorted(whole) == sorted(key for share in shares for key in share)
        assert all(sum(row >= 40 for _, row, _ in share) == 4 // processes for share in shares)
    with pytest.raises(ValueError, match="source 1 gives 1 of the 16 rows of a batch, fewer than the 4 processes"):
        MixedSampler(mixture(40, 11, shares=(30, 1)), 4, 5, 0, 4)


def test_a_batch_is_a_function_of_its_epoch_and_number():
    parts = mixture(30, 13, shares=(1, 1))
    whole = [batch for epoch in range(4) for batch in batches(MixedSampler(parts, 10, seed=2), epoch)]
    again = MixedSampler(parts, 10, seed=2)
    assert batches(again, 3) == whole[3 * len(again) :]
    assert batches(again, 1) == whole[len(again) : 2 * len(again)]


def test_a_broken_image_is_replaced_by_one_of_the_same_source():
    rows = faces(range(12))
    reader = reader_for(Mixture(rows, mixture(5, 7, shares=(1, 1))))
    assert [each.tolist() for each in reader.of_the_same_source([0, 4, 5, 11])] == [[0, 0, 5, 5], [5, 5, 7, 7]]
    assert [each.tolist() for each in reader_for(rows).of_the_same_source([0, 11])] == [[0, 0], [12, 12]]


def test_hidden_labels_leave_the_rows_and_the_other_columns_alone(labelled):
    some = labelled.select([0, 2])
    hidden = without_labels(labelled, some, ["mood"])
    assert hidden["mood"][:] == [labelled["mood"][0], -1, labelled["mood"][2], -1]
    assert np.isnan(without_labels(labelled, some, ["age"])["age"][1])
    assert hidden["image"][:] == labelled["image"][:] and hidden["age"][:] == labelled["age"][:]
    assert labelled["mood"][:] == [0, 0, 1, 1] and hidden.features == labelled.features


def test_classes_are_called_otherwise(labelled):
    called = with_classes_called(labelled, {"glad": "happy"})
    assert called.features["mood"].names == ["calm", "happy"] and called["mood"][:] == labelled["mood"][:]
    with pytest.raises(ValueError, match="'sad' is no class; the classes are calm, glad"):
        with_classes_called(labelled, {"sad": "happy"})
    with pytest.raises(ValueError, match="two classes of 'mood' would be called 'calm'"):
        with_classes_called(labelled, {"glad": "calm"})
