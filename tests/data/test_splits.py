"""Shares, carving, fingerprints and duplicates, against counts worked by hand."""

import hashlib
import math
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest

from hf_hmtl.data.splits import (
    balanced,
    carve,
    class_counts,
    cross_split_duplicates,
    fingerprint,
    image_hashes,
    stratified_fraction,
)

NAMES = ["happy", "sad", "fear"]
REPOSITORY = Path(__file__).parents[2]


def dataset_of(labels, images=None, **columns):
    images = images or [{"bytes": f"image {row}".encode(), "path": None} for row in range(len(labels))]
    features = {"image": datasets.Image(decode=False), "emotion": datasets.ClassLabel(names=NAMES)}
    features |= {name: datasets.Value("string" if name.startswith("_") else "float32") for name in columns}
    return datasets.Dataset.from_dict(
        {"image": images, "emotion": labels, **columns}, features=datasets.Features(features)
    )


def contents(dataset):
    return [image["bytes"] for image in dataset["image"]]


def test_class_counts_have_every_class_and_leave_out_missing_labels():
    assert class_counts(dataset_of([1, 1, -1, 0]), "emotion") == {"happy": 1, "sad": 2, "fear": 0}


def test_class_counts_need_named_classes():
    with pytest.raises(ValueError, match="not a ClassLabel"):
        class_counts(dataset_of([0, 1], valence=[0.1, 0.2]), "valence")
    with pytest.raises(ValueError, match="no column 'label'; the columns are image, emotion"):
        class_counts(dataset_of([0, 1]), "label")


@pytest.mark.parametrize(
    ("rows", "fraction", "expected"),
    [
        ((50, 30, 20), 0.2, (10, 6, 4)),
        ((7, 2, 1), 0.2, (1, 1, 1)),  # 1.4, 0.4, 0.2: every class keeps a row, though a fifth of ten is two
        ((13, 13, 4), 0.5, (7, 6, 2)),  # 6.5, 6.5, 2 make 15: the tie goes to the first class
        ((26, 17, 7), 0.3, (8, 5, 2)),  # 7.8, 5.1, 2.1 make 15: the row over goes to the largest remainder
        ((3, 3, 3), 1.0, (3, 3, 3)),
    ],
)
def test_stratified_fraction_equals_largest_remainders_by_hand(rows, fraction, expected):
    labels = [number for number, count in enumerate(rows) for _ in range(count)]
    share = stratified_fraction(dataset_of(labels), "emotion", fraction)
    assert tuple(class_counts(share, "emotion").values()) == expected


def test_rows_without_labels_are_a_stratum_of_their_own():
    share = stratified_fraction(dataset_of([0] * 20 + [1] * 20 + [-1] * 40), "emotion", 0.25)
    assert share["emotion"][:] == [0] * 5 + [1] * 5 + [-1] * 10
    two_spellings = stratified_fraction(dataset_of([0] * 4 + [-1] * 2 + [None] * 2), "emotion", 0.25)
    assert len(two_spellings) == 2, "-1 and None are one stratum"
    numbers = dataset_of([0] * 40, valence=[0.5] * 20 + [math.nan] * 20)
    share = stratified_fraction(numbers, "valence", 0.25)
    assert [math.isnan(value) for value in share["valence"]] == [False] * 5 + [True] * 5


def test_stratified_fraction_is_fixed_by_its_seed_and_not_by_the_class_order():
    whole = dataset_of([0, 1, 2, 1] * 50)
    share = contents(stratified_fraction(whole, "emotion", 0.3))
    assert share == contents(stratified_fraction(whole, "emotion", 0.3))
    assert share != contents(stratified_fraction(whole, "emotion", 0.3, seed=1))
    assert share == [content for content in contents(whole) if content in set(share)], "rows keep their order"
    assert share != contents(whole)[: len(share)], "a share is no prefix"


def test_shares_are_nested():
    whole = dataset_of([0, 1, 2, 1] * 50)
    small, large = (contents(stratified_fraction(whole, "emotion", fraction)) for fraction in (0.1, 0.2))
    assert set(small) < set(large)


def test_plain_share_needs_no_column():
    assert len(stratified_fraction(dataset_of([0] * 33), None, 0.1)) == 3


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1])
def test_stratified_fraction_refuses_other_fractions(fraction):
    with pytest.raises(ValueError, match="0 < fraction <= 1"):
        stratified_fraction(dataset_of([0, 1]), "emotion", fraction)


def test_carve_divides_every_row_once_and_every_class_with_two_rows():
    whole = dataset_of([0] * 40 + [1] * 18 + [2] * 2)
    rest, part = carve(whole, "emotion", 0.2)
    assert class_counts(part, "emotion") == {"happy": 8, "sad": 3, "fear": 1}  # 8, 3.6, 0.4 make 12, at least one each
    assert sorted(contents(rest) + contents(part)) == sorted(contents(whole))


def test_carve_holds_few_numbers_a_row():
    rows, features = 200_000, datasets.Features(emotion=datasets.ClassLabel(names=list("abcdefgh")))
    whole = datasets.Dataset.from_dict({"emotion": np.arange(rows) % 8}, features=features)
    rest, _ = carve(whole, "emotion", 0.15)  # what a first call imports and keeps is not counted
    for data in (whole, rest):
        tracemalloc.start()
        carve(data, "emotion", 0.2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 20 * len(data)  # the stratum and the place of a row, 12 bytes, and what sorting them takes


def test_carve_leaves_a_lone_row_to_training():
    rest, part = carve(dataset_of([0] * 10 + [1] * 10 + [2]), "emotion", 0.5)
    assert class_counts(part, "emotion")["fear"] == 0
    assert class_counts(rest, "emotion")["fear"] == 1


def test_carve_takes_whole_groups():
    groups = [f"person {row // 4}" for row in range(120)]
    rest, part = carve(dataset_of([0, 1, 2, 1] * 30, _group=groups), "emotion", 0.2)
    assert set(rest["_group"]).isdisjoint(part["_group"])
    assert len(part) == 24


@pytest.mark.parametrize("order", ["as written", "shuffled"])
def test_one_picture_named_twice_leaves_the_classes_their_shares(order):
    labels, names = [0] * 61 + [1] * 60 + [2] * 6, ["0", *map(str, range(126))]
    rows = np.arange(127) if order == "as written" else np.random.default_rng(0).permutation(127)
    whole = dataset_of([labels[row] for row in rows], _group=[names[row] for row in rows])
    rest, test = carve(whole, "emotion", 0.15)
    assert class_counts(test, "emotion") == {"happy": 9, "sad": 9, "fear": 1}  # 9.15, 9 and 0.9 of 19.05
    train, validation = carve(rest, "emotion", 0.15 / 0.85)
    assert class_counts(validation, "emotion") == {"happy": 9, "sad": 9, "fear": 1}
    assert len({name for side in (train, validation, test) for name in set(side["_group"])}) == 126
    in_order, _ = carve(dataset_of(labels, _group=names), "emotion", 0.15)
    assert set(in_order["_group"]) == set(rest["_group"]), "the order of the rows decides nothing"


def test_rows_without_a_group_are_known_by_their_id_in_any_order():
    ids = [f"{row}.jpg" for row in range(60)]
    groups = ["one", "one", *[None] * 58]
    backwards = dataset_of([1, 0, 0] * 20, _group=groups[::-1], _id=ids[::-1])
    parts = [carve(data, "emotion", 0.2)[1] for data in (dataset_of([0, 0, 1] * 20, _group=groups, _id=ids), backwards)]
    assert sorted(parts[0]["_id"]) == sorted(parts[1]["_id"])
    assert class_counts(parts[0], "emotion") == {"happy": 8, "sad": 4, "fear": 0}


def test_persons_who_alone_show_a_class_are_on_both_sides_where_there_are_two():
    """Fear: two rows of 120 each, of persons whose other rows are like anybody's."""
    for pair in ((0, 1), (3, 17), (28, 29)):
        labels = [2 if row % 4 == 3 and row // 4 in pair else row % 2 for row in range(120)]
        sides = carve(dataset_of(labels, _group=[f"person {row // 4}" for row in range(120)]), "emotion", 0.2)
        assert [class_counts(side, "emotion")["fear"] for side in sides] == [1, 1]
        assert [len(side) for side in sides] == [96, 24]


def test_a_class_of_one_person_stays_in_training():
    labels = [0, 1] * 10 + [2] * 10
    rest, part = carve(dataset_of(labels, _group=[f"person {row // 5}" for row in range(30)]), "emotion", 0.5)
    assert class_counts(part, "emotion")["fear"] > 0 and class_counts(rest, "emotion")["fear"] > 0
    labels = [0, 1] * 10 + [2] * 10
    of_one = [f"person {row // 5}" for row in range(20)] + ["the only one"] * 10
    assert "the only one" in carve(dataset_of(labels, _group=of_one), "emotion", 0.5)[0]["_group"]
    with pytest.raises(ValueError, match="too few groups"):
        carve(dataset_of([0] * 10 + [1] * 10, _group=["a"] * 10 + ["b"] * 10), "emotion", 0.5)


def test_persons_of_unlike_faces_bring_every_class_near_its_share():
    """Twenty persons whose classes are dealt unevenly: no class is further from a fifth than the mean person has of
    it, and drawing persons by their number of rows alone misses that."""
    draw = np.random.default_rng(0)
    labels, groups = [], []
    for person in range(20):
        often = draw.dirichlet([0.5, 0.5, 0.5])
        labels += draw.choice(3, 30, p=often).tolist()
        groups += [f"person {person}"] * 30
    whole = dataset_of(labels, _group=groups)
    _, part = carve(whole, "emotion", 0.2)
    for name, count in class_counts(whole, "emotion").items():
        assert abs(class_counts(part, "emotion")[name] - 0.2 * count) < count / 20


def of_persons(count, seed):
    """(labels, groups) of so many persons with 4 to 9 rows of any class."""
    draw = np.random.default_rng(seed)
    rows = draw.integers(4, 10, count)
    return draw.integers(0, 3, rows.sum()), np.repeat([f"person {number}" for number in range(count)], rows)


def test_persons_are_chosen_by_seed_and_name_and_by_no_order_of_rows():
    labels, groups = of_persons(12, 25)  # where persons are equally near
    draw = np.random.default_rng(1)

    def taken(seed, order):
        return set(carve(dataset_of(labels[order], _group=groups[order]), "emotion", 0.3, seed)[1]["_group"])

    chosen = {
        seed: {frozenset(taken(seed, draw.permutation(len(labels)))) for _ in range(6)} for seed in (2106, 1, 2, 3)
    }
    assert {len(found) for found in chosen.values()} == {1}, "one choice, whatever the order"
    assert len(set.union(*chosen.values())) > 1, "another seed chooses others"


def test_one_more_row_leaves_the_others_where_they_are():
    labels, groups = [0, 0, *[0, 1] * 100], ["first", "first", *(f"{row}.jpg" for row in range(200))]
    parts = [
        set(carve(dataset_of(more + labels, _group=name + groups), "emotion", 0.2)[1]["_group"])
        for more, name in (([], []), ([1], ["0000.jpg"]))
    ]
    assert len(parts[0] ^ parts[1]) <= 2


def test_two_persons_with_far_too_many_rows_are_still_divided():
    sides = carve(dataset_of([0, 1] * 50, _group=["a"] * 48 + ["b"] * 52), "emotion", 0.15)
    assert [set(side["_group"]) for side in sides] == [{"b"}, {"a"}]


def test_groups_without_classes_are_those_that_were_always_taken():
    """Splits of 300W-LP and of clips, which people have trained on."""
    groups = [f"person {row // 4}" for row in range(60)]
    _, part = carve(dataset_of([0, 1, 2, 1] * 15, _group=groups), None, 0.2)
    assert set(part["_group"]) == {"person 1", "person 3", "person 5"}


def test_rows_without_a_group_stand_alone():
    rest, part = carve(dataset_of([0] * 10, _group=[None] * 9 + ["one"]), "emotion", 0.3)
    assert (len(rest), len(part)) == (7, 3)


@pytest.mark.parametrize(("fraction", "rows"), [(0.15, 3), (0.95, 7)])
def test_few_groups_leave_one_on_each_side(fraction, rows):
    """0.15 of ten rows is nearer to none than to any group, and 0.95 to all than to any two."""
    data = dataset_of([0, 1] * 5, _group=["a"] * 4 + ["b"] * 3 + ["c"] * 3)
    sides = carve(data, "emotion", fraction)
    assert set(sides[1]["_group"]).isdisjoint(sides[0]["_group"]) and [len(side) for side in sides] == [10 - rows, rows]


def test_carve_says_when_it_cannot():
    with pytest.raises(ValueError, match="too few rows of a class"):
        carve(dataset_of([0, 1]), "emotion", 0.5)
    with pytest.raises(ValueError, match="too few groups"):
        carve(dataset_of([0, 1] * 5, _group=["one"] * 10), "emotion", 0.2)
    with pytest.raises(ValueError, match="0 < fraction < 1"):
        carve(dataset_of([0, 1]), "emotion", 1.0)


def splits_of(*labels):
    return datasets.DatasetDict({"train": dataset_of(list(labels)), "test": dataset_of([0, 1])})


def test_fingerprint_sees_labels_images_names_splits_and_order():
    first = fingerprint(splits_of(0, 1, 2))
    image = dataset_of([0, 1, 2], images=[{"bytes": name, "path": None} for name in (b"image 0", b"image 1", b"other")])
    renamed = splits_of(0, 1, 2).cast_column("emotion", datasets.ClassLabel(names=["glad", *NAMES[1:]]))
    others = [
        fingerprint(splits_of(0, 1, 1)),
        fingerprint(splits_of(0, 1)),
        fingerprint(datasets.DatasetDict({**splits_of(0, 1, 2), "train": image})),
        fingerprint(renamed),
        fingerprint(datasets.DatasetDict({"train": dataset_of([0, 1, 2]), "validation": dataset_of([0, 1])})),
        fingerprint(datasets.DatasetDict({**splits_of(), "train": dataset_of([0, 1, 2]).select([0, 2, 1])})),
    ]
    assert len({first, *others}) == len(others) + 1
    assert first == fingerprint(splits_of(0, 1, 2))
    assert first.startswith("2:") and len(first) == 34


def test_fingerprint_does_not_depend_on_chunks_selections_or_the_order_of_splits():
    whole = dataset_of([0, 1, 2] * 500)
    parts = datasets.concatenate_datasets([whole.select(range(700)), whole.select(range(700, 1500))])
    shuffled = whole.select(list(reversed(range(1500)))).select(list(reversed(range(1500))))
    expected = fingerprint(datasets.DatasetDict({"train": whole, "test": whole}))
    assert fingerprint(datasets.DatasetDict({"test": shuffled, "train": parts})) == expected


def files_of(folder, names, contents, **columns):
    folder.mkdir(exist_ok=True, parents=True)
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(content)
    images = [{"bytes": None, "path": str(folder / name)} for name in names]
    return datasets.DatasetDict({"train": dataset_of([0] * len(names), images=images, _id=list(names), **columns)})


def test_fingerprint_survives_a_move_of_the_folder_and_follows_names(tmp_path):
    first = fingerprint(files_of(tmp_path / "a", ["x", "y"], [b"1", b"2"]))
    assert fingerprint(files_of(tmp_path / "b", ["x", "y"], [b"1", b"2"])) == first
    assert fingerprint(files_of(tmp_path / "c", ["x", "z"], [b"1", b"2"])) != first


def files_of_folder(folder, names):
    images = [{"bytes": None, "path": str(folder / name)} for name in names]
    return dataset_of([0] * len(names), images=images, _id=names)


def test_fingerprint_notices_files_overwritten_in_place(tmp_path):
    names, contents = [str(number) for number in range(1500)], [b"same size"] * 1500
    first = fingerprint(files_of(tmp_path, names, contents))
    (tmp_path / "1499").write_bytes(b"another size")  # not in the sample: every second file of 1,500 is
    assert fingerprint({"train": files_of_folder(tmp_path, names)}) != first
    (tmp_path / "1499").write_bytes(b"same size")
    assert fingerprint({"train": files_of_folder(tmp_path, names)}) == first
    (tmp_path / "750").write_bytes(b"size same")  # in the sample
    assert fingerprint({"train": files_of_folder(tmp_path, names)}) != first
    (tmp_path / "750").unlink()
    assert fingerprint({"train": files_of_folder(tmp_path, names)}) != first  # broken, and no reason to stop


def test_fingerprint_leaves_out_what_is_no_label():
    plain = dataset_of([0, 1], _id=["a", "b"])
    told = dataset_of([0, 1], _id=["a", "b"], _group=["x", "y"], _file=["f", "g"], _source=["s", "s"], yaw=[1.0, 2.0])
    assert fingerprint({"train": told}, ignored=["yaw"]) == fingerprint({"train": plain})
    assert fingerprint({"train": told}) != fingerprint({"train": plain})


MADE_ELSEWHERE = """
import datasets
from hf_hmtl.data.splits import fingerprint
features = datasets.Features({"image": datasets.Image(decode=False), "valence": datasets.Value("float32")})
rows = {"image": [{"bytes": b"a", "path": None}], "valence": [float("nan")]}
result = fingerprint(datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features=features)}))
"""


def test_fingerprint_is_the_same_in_another_interpreter():
    here: dict = {}
    exec(MADE_ELSEWHERE, here)
    elsewhere = subprocess.run(
        [sys.executable, "-c", MADE_ELSEWHERE + "print(result)"],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.strip() == here["result"]


def test_duplicates_are_counted_in_the_later_split(tmp_path):
    (tmp_path / "copy.jpg").write_bytes(b"twin")

    def split(*images):
        return dataset_of([0] * len(images), images=list(images))

    def content(value):
        return {"bytes": value, "path": None}

    splits = datasets.DatasetDict(
        {
            "train": split(content(b"twin"), content(b"a"), content(b"b")),
            "validation": split(content(b"c"), content(b"b")),
            "test": split({"bytes": None, "path": str(tmp_path / "copy.jpg")}, content(b"twin"), content(b"d")),
        }
    )
    assert cross_split_duplicates(splits) == {
        ("train", "validation"): 1,
        ("train", "test"): 2,
        ("validation", "test"): 0,
    }


def test_image_hashes_are_blake2b_of_the_bytes():
    assert image_hashes(dataset_of([0])) == [hashlib.blake2b(b"image 0", digest_size=16).digest()]


def test_balancing_down_cuts_every_class_to_the_smallest():
    dataset = dataset_of([0] * 50 + [1] * 30 + [2] * 7 + [-1] * 4)
    found = balanced(dataset, "emotion", "down")
    assert class_counts(found, "emotion") == {"happy": 7, "sad": 7, "fear": 7} and len(found) == 21 + 4
    assert len(set(contents(found))) == len(found)  # no row twice
    assert contents(found) == [image for image in contents(dataset) if image in set(contents(found))]  # in order
    assert contents(balanced(dataset, "emotion", "down", seed=1)) != contents(found)


def test_balancing_up_repeats_every_class_to_the_largest():
    dataset = dataset_of([0] * 50 + [1] * 30 + [2] * 7 + [-1] * 4)
    found = balanced(dataset, "emotion", "up")
    assert class_counts(found, "emotion") == {"happy": 50, "sad": 50, "fear": 50} and len(found) == 150 + 4
    times = Counter(contents(found))
    assert set(times) == set(contents(dataset))
    of_class = [
        {times[image] for image in contents(dataset)[first:end]} for first, end in ((0, 50), (50, 80), (80, 87))
    ]
    assert of_class == [{1}, {1, 2}, {7, 8}]  # whole copies, and one more of some


def test_balancing_needs_every_class():
    with pytest.raises(ValueError, match="no training row shows fear"):
        balanced(dataset_of([0, 0, 1]), "emotion", "up")
