"""How classes are written, what a missing label is, and who a row is of."""

import re

import datasets
import pytest
from data_trees import all_labels, encoded, labels, write_classes, write_images, write_text

from hf_hmtl.data.sources import custom


def noted(source, part):
    return any(part in note for note in source.notes)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "faces"
    write_images(folder, *[f"{number}.jpg" for number in range(40)])
    return folder


def write_column(root, values, header="file_name,label", name="labels.csv"):
    write_text(root / name, header, *[f"{number}.jpg,{value}" for number, value in enumerate(values)])


def test_every_pair_that_differs_in_case_or_by_synonym_is_listed(root):
    write_column(root, ["happy", "Happy", "anger", "angry", "neutral"] * 8)
    with pytest.raises(ValueError, match=r"'Happy' and 'happy'; 'anger' and 'angry'") as caught:
        custom.load(root)
    assert "--class_map happy=Happy angry=anger, or --merge_case" in str(caught.value)
    source = custom.load(root, class_map={"happy": "Happy", "angry": "anger"})
    assert set(all_labels(source).values()) == {"Happy", "anger", "neutral"}
    assert noted(source, "class_map: 8 rows of 'happy' are 'Happy'")
    kept = {"anger": "anger", "angry": "angry"}
    source = custom.load(root, class_map=kept, merge_case=True)
    assert set(all_labels(source).values()) == {"Happy", "anger", "angry", "neutral"}


def test_merged_case_takes_the_usual_spelling(root):
    write_column(root, ["sad"] * 20 + ["Happy"] * 5 + ["happy"] * 15)
    source = custom.load(root, merge_case=True)
    assert set(all_labels(source).values()) == {"happy", "sad"}
    assert noted(source, "merge_case: Happy, happy are the class 'happy'")


def test_a_class_map_of_what_is_not_there_raises(root):
    write_column(root, ["a", "b"] * 20)
    with pytest.raises(ValueError, match="class_map names 'c', which no row of column 'label' holds; it holds a, b"):
        custom.load(root, class_map={"c": "a"})


def test_words_that_mean_nothing_elsewhere_are_classes_here(root):
    write_column(root, ["NA", "none", "null", ""] * 10)
    source = custom.load(root)
    assert set(all_labels(source).values()) == {"NA", "none", "null", None}
    assert noted(source, "only an empty cell is a missing label")


def test_missing_numbers_among_numbers(root):
    write_column(root, ["1", "2", "nan", "NA"] * 10)
    source = custom.load(root)
    assert set(all_labels(source).values()) == {"1", "2", None}
    assert noted(source, "20 cells of 'label' (") and noted(source, "have no label in 'label'")


def test_true_and_false_of_a_table_keep_their_case(root):
    write_column(root, ["True", "False"] * 20)
    assert set(all_labels(custom.load(root)).values()) == {"True", "False"}
    named = custom.load(root, class_map={"True": "yes", "False": "no"})
    assert set(all_labels(named).values()) == {"yes", "no"}


def test_whole_numbers_that_may_be_amounts_are_told_how_they_are_learned_as_such(root):
    hint = "where they are amounts, type --label_columns age=age:regression"
    write_column(root, [20 + number % 12 for number in range(40)], "file_name,age")
    assert noted(custom.load(root, label_column="age"), hint)
    write_column(root, [number % 7 for number in range(40)], "file_name,age")
    assert not noted(custom.load(root, label_column="age"), "amounts")


def test_dates_and_padded_numbers_stay_text(root):
    write_column(root, ["2020-01-01", "2021-01-01"] * 20)
    assert set(all_labels(custom.load(root)).values()) == {"2020-01-01", "2021-01-01"}
    write_column(root, ["01", "02"] * 20)
    assert set(all_labels(custom.load(root)).values()) == {"01", "02"}


def test_numbers_in_one_split_and_words_in_another(root):
    write_column(root, ["0", "1"] * 10, name="train.csv")
    write_column(root, ["happy", "sad"] * 10, name="test.csv")
    with pytest.raises(ValueError, match=r"numbers in train \(0, 1\) and words in test \(happy, sad\)"):
        custom.load(root, allow_left_out=["not_in_table"])


def test_missing_labels_are_kept_left_out_or_refused(root):
    write_column(root, ["a", "b", "", "a"] * 10)
    assert list(all_labels(custom.load(root)).values()).count(None) == 10
    source = custom.load(root, missing_labels="leave_out")
    assert None not in all_labels(source).values() and source.ledger.to_dict()["train"]["no_label"]["count"] == 10
    with pytest.raises(ValueError, match=r"10 of 40 rows of train have no label in 'label' \(first 2.jpg\)"):
        custom.load(root, missing_labels="raise")
    with pytest.raises(ValueError, match="missing_labels is 'drop', allowed are keep, leave_out, raise"):
        custom.load(root, missing_labels="drop")


def test_a_test_split_without_labels_is_left_out_and_validation_reported(root):
    write_column(root, ["a", "b"] * 20, name="train.csv")
    write_column(root, [""] * 4, name="test.csv")
    source = custom.load(root)
    assert source.report_split == "validation"
    assert noted(source, "the test split has no labels and is left out: validation is both selected on and reported")
    assert source.ledger.to_dict()["test"]["unlabelled_split"]["count"] == 4


def test_a_test_table_without_the_label_column_is_left_out_too(root):
    write_column(root, ["a", "b"] * 18, name="train.csv")
    write_text(root / "test.csv", "file_name", *[f"{number}.jpg" for number in range(36, 40)])
    source = custom.load(root)
    assert source.report_split == "validation" and source.ledger.count() == 4
    assert source.ledger.to_dict()["test"]["unlabelled_split"]["names"][0] == "test.csv, row 1"
    (root / "test.csv").rename(root / "val.csv")
    with pytest.raises(ValueError, match="val.csv has no column 'label', nor any other .* custom/pretrain-puzzle-3x3"):
        custom.load(root)


def test_a_validation_split_without_labels_raises(root):
    write_column(root, ["a", "b"] * 20, name="train.csv")
    write_column(root, [""] * 4, name="val.csv")
    with pytest.raises(ValueError, match="none of the 4 validation rows has a label in 'label'"):
        custom.load(root)


# Persons


def people(source):
    return [set(data["_group"][:]) - {None} for data in source.splits.values()]


def assert_apart(source, count):
    sets = people(source)
    assert len(set.union(*sets)) == sum(map(len, sets)) == count


@pytest.mark.parametrize("name", ["subject", "Subject_ID", "person-id", "_group"])
def test_columns_of_persons_are_recognised(root, name):
    write_column(root, [f"{'ab'[n % 2]},S{n // 4}" for n in range(40)], f"file_name,label,{name}")
    source = custom.load(root)
    assert_apart(source, 10)
    assert name == "_group" or noted(source, f"10 groups by the column '{name}'")


def test_other_columns_are_offered_and_taken_when_named(root):
    write_column(root, [f"{'ab'[n % 2]},U{n // 4}" for n in range(40)], "file_name,label,user.id")
    source = custom.load(root)
    assert people(source) == [set()] * 3
    assert noted(source, "type --group_column NAME (user.id?) or --group_pattern")
    assert_apart(custom.load(root, group_column="user.id"), 10)
    with pytest.raises(ValueError, match=r"no column 'user'. Did you mean 'user.id'\?.*--group_column NAME"):
        custom.load(root, group_column="user")


def test_a_column_that_tells_rows_is_refused(root):
    write_column(root, [f"{'ab'[n % 2]},{n}" for n in range(40)], "file_name,label,subject")
    assert noted(custom.load(root), "column 'subject' has 40 values in 40 rows: it tells rows, not persons")
    with pytest.raises(ValueError, match="it tells rows, not persons; choose another --group_column"):
        custom.load(root, group_column="subject")


def test_persons_in_the_paths(tmp_path):
    folder = tmp_path / "faces"
    write_images(folder, *[f"{label}/S{n // 4}_{n}.jpg" for label in ("happy", "sad") for n in range(40)])
    write_images(folder, "happy/unknown.jpg")
    source = custom.load(folder, group_pattern=r"S(\d+)_")
    assert_apart(source, 10)
    assert noted(source, r"10 groups by the pattern 'S(\d+)_'") and noted(source, "1 rows belong to no group")
    assert_apart(custom.load(folder, group_pattern=r"S\d+"), 10)
    with pytest.raises(ValueError, match="fits no path; the first is 'happy/S0_0.jpg'"):
        custom.load(folder, group_pattern=r"T(\d+)")
    with pytest.raises(ValueError, match="is no regular expression"):
        custom.load(folder, group_pattern="(")
    with pytest.raises(ValueError, match="give --group_column or --group_pattern, not both"):
        custom.load(folder, group_pattern="S", group_column="a")


def write_people(root, name, *columns, rows=40):
    """A table of classes and further columns, each {name: person of a row}."""
    people = {column: value for each in columns for column, value in each.items()}
    lines = [f"{n}.jpg,{'ab'[n % 2]}," + ",".join(str(value(n)) for value in people.values()) for n in range(rows)]
    write_text(root / name, ",".join(["file_name", "label", *people]), *lines)


def test_a_column_that_tells_no_persons_makes_way_for_one_that_does(root):
    write_people(root, "labels.csv", {"subject": lambda n: n}, {"person": lambda n: f"P{n // 4}"})
    source = custom.load(root)
    assert_apart(source, 10) and noted(source, "10 groups by the column 'person'")
    write_people(root, "labels.csv", {"subject": lambda n: ""}, {"person": lambda n: f"P{n // 4}"})
    source = custom.load(root)
    assert_apart(source, 10)
    assert noted(source, "the column 'subject' is empty in every row: it was not taken for groups")
    with pytest.raises(ValueError, match="the column 'subject' is empty in every row; choose another --group_column"):
        custom.load(root, group_column="subject")


def test_persons_that_training_alone_tells_are_kept_together_there(root):
    write_people(root, "train.csv", {"subject": lambda n: f"S{n // 4}"}, rows=32)
    write_text(root / "test.csv", "file_name,label", *[f"{n}.jpg,{'ab'[n % 2]}" for n in range(32, 40)])
    source = custom.load(root, validation_fraction=0.3)
    assert_apart(source, 8)
    assert noted(source, "8 groups by the column 'subject'") and noted(source, "8 rows belong to no group")


def test_a_pattern_that_tells_rows_is_refused(tmp_path):
    write_images(tmp_path, *[f"{label}/{number}.jpg" for label in ("happy", "sad") for number in range(20)])
    message = (
        r"the pattern 'd/(\d+)' has 20 values in 20 rows: it tells rows, not persons; choose another --group_pattern"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        custom.load(tmp_path, group_pattern=r"d/(\d+)")


def test_folders_around_the_classes_are_offered_as_persons_by_a_pattern_that_finds_them(tmp_path):
    write_images(tmp_path, *[f"S{n}/{label}/{k}.jpg" for n in range(8) for label in ("happy", "sad") for k in range(3)])
    note = next(note for note in custom.load(tmp_path).notes if "--group_pattern '([^/]+)/" in note)
    source = custom.load(tmp_path, group_pattern=note.split("--group_pattern '")[1].split("'")[0])
    assert_apart(source, 8)
    assert set.union(*people(source)) == {f"S{n}" for n in range(8)}


def test_names_that_may_be_nobody_or_one_person_twice_are_noted(root):
    write_people(root, "labels.csv", {"subject": lambda n: "unknown" if n > 35 else f"{'sS'[n % 2]}{n // 8}"})
    source = custom.load(root)
    assert noted(source, "column 'subject': 'unknown' is a group like any other; only an empty cell is a person nobody")
    assert noted(source, "column 'subject': 's0' and 'S0', 's1' and 'S1', 's2' and 'S2', ... differ in case alone")


def test_groups_that_are_no_text_or_too_few_are_told_by_name(tmp_path, root):
    write_faces(tmp_path / "parquet", ("pair", lambda number: [number, number]))
    with pytest.raises(ValueError, match="column 'pair' is .*; groups are text or numbers"):
        custom.load(tmp_path / "parquet", group_column="pair")
    write_people(root, "labels.csv", {"subject": lambda n: "one"})
    with pytest.raises(
        ValueError, match=r"^custom: cannot cut .* too few groups .*\(1 groups by the column 'subject'\)"
    ):
        custom.load(root)


def photographs(source):
    """The photographs of each split, by the part of a row's name that stands before its face."""
    return [{name.split("/face-")[0].split("#")[0] for name in data["_id"]} for data in source.splits.values()]


def write_faces(folder, *columns, faces=3, count=20, **features):
    """A parquet file of so many faces of each photograph, and columns (name, value of a photograph)."""
    rows = [(number, face) for number in range(count) for face in range(faces)]
    content = {
        "image": [{"bytes": encoded(row), "path": None} for row in range(len(rows))],
        "_id": [f"{number}" + f"/face-{face + 1}" * (face > 0) for number, face in rows],
        "label": ["ab"[number % 2] for number, _ in rows],
        **{name: [value(number) for number, _ in rows] for name, value in columns},
    }
    data = datasets.Dataset.from_dict(content)
    for name, feature in {"image": datasets.Image(), **features}.items():
        data = data.cast_column(name, feature)
    folder.mkdir(exist_ok=True)
    data.to_parquet(folder / "train.parquet")
    return folder


PICTURE = ("_picture", str)


def test_faces_of_one_photograph_stay_together_where_no_person_is_known(tmp_path):
    source = custom.load(write_faces(tmp_path / "faces", PICTURE))
    assert_apart(source, 20)
    assert sum(map(len, photographs(source))) == len(set.union(*photographs(source))) == 20
    assert noted(source, "no groups are known, so one person may be on both sides")
    assert noted(source, "20 photographs have several rows, which stay in one split")


def test_one_face_of_each_photograph_is_divided_by_class(tmp_path):
    source = custom.load(write_faces(tmp_path / "faces", PICTURE, faces=1, count=40))
    assert people(source) == [set()] * 3 and noted(source, "stratified by class")


@pytest.mark.parametrize(
    ("unknown", "features"),
    [
        (None, {}),
        ("", {}),
        (float("nan"), {}),
        (-1, {"subject": datasets.ClassLabel(names=[f"S{number}" for number in range(20)])}),
    ],
)
def test_persons_come_first_and_photographs_are_of_those_whose_person_nobody_knows(tmp_path, unknown, features):
    def person(number):
        known = number // 4 if unknown in (-1, None) or unknown != unknown else f"S{number // 4}"
        return known if number < 12 else unknown

    source = custom.load(write_faces(tmp_path / "faces", ("subject", person), PICTURE, **features))
    assert_apart(source, 3 + 8)
    assert noted(source, "3 groups by the column 'subject'")
    assert noted(source, "8 photographs have several rows, which stay in one split")
    assert not noted(source, "belong to no group")
    without = custom.load(write_faces(tmp_path / "faces", ("subject", person), **features))
    assert_apart(without, 3) and noted(without, "24 rows belong to no group: each of them is one")


def test_a_file_that_several_rows_name_is_in_one_split(root):
    rows = [f"{n % 40}.jpg,{'ab'[n % 2]}" for n in range(120)]
    write_text(root / "labels.csv", "file_name,label", *rows)
    source = custom.load(root)
    assert sum(map(len, photographs(source))) == len(set.union(*photographs(source))) == 40
    assert noted(source, "40 photographs have several rows, which stay in one split")


def test_splits_by_group_are_stratified_and_a_class_that_one_lacks_is_told(root):
    rows = [f"{n}.jpg,{'ab'[n % 2] if n < 37 else 'c'}" for n in range(40)]
    write_text(root / "labels.csv", "file_name,label", *rows, rows[0])
    source = custom.load(root)
    assert noted(source, "1 photograph has several rows, which stay in one split")
    assert noted(source, "test: 6 rows carved from train (by group, stratified by class as far as groups allow, split")
    assert [labels(source, split).count("c") for split in ("train", "validation", "test")] == [1, 1, 1]
    assert not noted(source, "scores tell nothing")
    rows[37] = rows[37].replace("c", "a")
    write_text(root / "labels.csv", "file_name,label", *rows, rows[0])
    source = custom.load(root)
    assert noted(source, "validation: no row shows 'c' of 'emotion', so its scores tell nothing of it")
    assert not noted(source, "test: no row shows")


def test_a_file_of_two_given_splits_is_a_leak_and_no_group(root):
    write_column(root, ["a", "b"] * 20, name="train.csv")
    write_column(root, ["a", "b"] * 5, name="test.csv")
    source = custom.load(root)
    assert people(source) == [set()] * 3 and noted(source, "stratified by class")
    assert noted(source, "test images also occur, byte for byte, in train")


def test_groups_that_differ_in_every_row_are_no_mistake_of_who_did_not_name_them(tmp_path):
    source = custom.load(write_faces(tmp_path / "faces", ("_group", str), faces=1, count=40))
    assert noted(source, "column '_group' has 40 values in 40 rows: it tells rows, not persons: it was not taken")


def test_the_label_is_no_group(root):
    write_column(root, [f"{'ab'[n % 2]}" for n in range(40)], "file_name,subject")
    source = custom.load(root, label_column="subject")
    assert people(source) == [set()] * 3 and set(all_labels(source).values()) == {"a", "b"}


def test_persons_on_both_sides_of_given_splits_are_noted(root):
    write_column(root, [f"{'ab'[n % 2]},S{n // 4}" for n in range(40)], "file_name,label,subject", "train.csv")
    write_column(root, [f"{'ab'[n % 2]},S{n // 4}" for n in range(8)], "file_name,label,subject", "test.csv")
    source = custom.load(root, validation_fraction=0.2)
    assert noted(source, "2 groups are in train and in test") or noted(source, "groups are in train and in test")


def test_one_image_under_two_labels_is_named(root):
    (root / "1.jpg").write_bytes((root / "0.jpg").read_bytes())
    write_column(root, ["a", "b"] * 20)
    source = custom.load(root)
    told = next(note for note in source.notes if "two labels" in note)
    assert "1 images have two labels" in told and "0.jpg as 'a'" in told and "1.jpg as 'b'" in told


def test_labels_stay_with_their_rows(root):
    write_column(root, ["a", "b", ""] * 13 + ["a"])
    source = custom.load(root)
    for name, label in all_labels(source).items():
        number = int(name[:-4])
        assert label == (("a", "b", None)[number % 3] if number < 39 else "a")
    assert len(labels(source)) == len(source.splits["train"])


def test_options_for_labels_and_persons_that_do_nothing_without_labels_are_told(tmp_path):
    write_classes(tmp_path)
    given = {"group_pattern": r"(\d+)", "class_map": {"happy": "glad"}, "merge_case": True}
    notes = custom.load(tmp_path, label_column=None, **given).notes
    assert "--group_pattern and --class_map and --merge_case did nothing: no label was read" in notes[-1]
    assert not any("did nothing" in note for note in custom.load(tmp_path, label_column=None).notes)
