"""Several columns of labels, each as its task wants it, with holes in all of them."""

import math

import datasets
import numpy as np
import pytest
from data_trees import encoded, labels, picture, write_images, write_text

from hf_hmtl.data.own_faces.label_columns import has_label
from hf_hmtl.data.sources import custom


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def root(tmp_path):
    """Forty images; expression, valence, a sex of numbers and an action unit of truth values, each with holes."""
    names = [f"{number}.jpg" for number in range(40)]
    (tmp_path / "faces").mkdir()
    rows = []
    for number, name in enumerate(names):
        picture(number).save(tmp_path / "faces" / name)
        expression = "" if number % 8 == 0 else "happy" if number % 2 else "sad"
        valence = "" if number % 10 == 0 else f"{number / 40:g}"
        sex = -1 if number % 5 == 0 else number % 2
        rows.append(f"{name},{expression},{valence},{sex},{['true', 'false', ''][number % 3]}")
    write_text(tmp_path / "faces" / "faces.csv", "file,expression,valence,sex,smile", *rows)
    return tmp_path / "faces"


ALL = {
    "label_column": "expression",
    "task": "emotion",
    "label_columns": {"valence": "valence", "gender": "sex", "au12": "smile"},
    "label_kinds": {"emotion": "classes", "valence": "numbers", "gender": "classes", "au12": "numbers"},
}


def rows_of(source, column):
    """{file: value} over all splits."""
    return {
        name: value
        for data in source.splits.values()
        for name, value in zip(data["_file"][:], data[column][:], strict=True)
    }


def test_every_column_is_read_as_its_task_wants_it(root):
    source = custom.load(root, **ALL)
    features = source.splits["train"].features
    assert features["gender"].names == ["0", "1"] and features["valence"].dtype == features["au12"].dtype == "float32"
    valence, gender, smile = (rows_of(source, name) for name in ("valence", "gender", "au12"))
    for number in range(40):
        name = f"{number}.jpg"
        assert math.isnan(valence[name]) if number % 10 == 0 else valence[name] == pytest.approx(number / 40)
        assert gender[name] == (-1 if number % 5 == 0 else number % 2)
        assert math.isnan(smile[name]) if number % 3 == 2 else smile[name] == (number % 3 == 0)
    assert "train: 4 of 40 rows have no number in 'valence'" in source.notes
    assert "train: 8 of 40 rows have no label in 'sex'" in source.notes


def test_numbers_alone_are_learned_and_carved_by_whether_there_is_one(root):
    source = custom.load(root, label_column="valence", task="valence", label_kinds={"valence": "numbers"})
    assert source.splits["train"].features["valence"].dtype == "float32"
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 28, "validation": 6, "test": 6}
    for data in source.splits.values():
        assert 1 <= int(np.isnan(data.with_format("numpy")["valence"][:]).sum()) <= 2  # 4 of 40


def test_rows_without_any_label_are_left_out_and_those_with_one_stay(root):
    source = custom.load(
        root,
        label_column="expression",
        task="emotion",
        label_columns={"valence": "valence"},
        missing_labels="leave_out",
    )
    kept = rows_of(source, "emotion")
    assert "8.jpg" in kept and "10.jpg" in kept and not {"0.jpg", "40.jpg"} & set(kept) and len(kept) == 39
    with pytest.raises(ValueError, match=r"1 of 40 rows of train have no label in 'expression' or 'valence' \(first 0"):
        custom.load(
            root, label_column="expression", task="emotion", label_columns={"v": "valence"}, missing_labels="raise"
        )


def test_a_test_split_with_some_other_label_is_reported_and_validation_needs_the_first(root):
    head, names = "file,expression,age,split", [f"{number}.jpg" for number in range(40)]
    rows = [f"{name},{'ab'[number % 2]},{number},train" for number, name in enumerate(names[:30])]
    rows += [f"{name},a,3,val" for name in names[30:35]] + [f"{name},,7,test" for name in names[35:]]
    write_text(root / "faces.csv", head, *rows)
    options = {"label_column": "expression", "task": "emotion", "label_columns": {"age": "age"}}
    source = custom.load(root, **options)
    assert source.report_split == "test" and labels(source, "test") == [None] * 5
    assert not has_label(source.splits["test"], ["emotion"]).any() and has_label(source.splits["test"], ["age"]).all()
    write_text(root / "faces.csv", head, *[row.replace(",a,3,val", ",,3,val") for row in rows])
    with pytest.raises(ValueError, match="none of the 5 validation rows has a label in 'expression'"):
        custom.load(root, **options)


def test_class_map_reaches_every_column_of_classes(root):
    source = custom.load(root, **ALL, class_map={"0": "male", "1": "female", "happy": "joy"})
    assert source.splits["train"].features["gender"].names == ["female", "male"]
    assert source.splits["train"].features["emotion"].names == ["joy", "sad"]
    with pytest.raises(ValueError, match="class_map names 'x', which no row of column 'expression' holds"):
        custom.load(root, **ALL, class_map={"x": "y", "0": "male"})


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ("sex", "words", r"column 'sex' holds numbers \(-1, 0, 1\), which may be classes or amounts. Say which: "
         "--label_columns x=sex:classification or x=sex:regression"),
        ("valence", "words", r"column 'valence' holds numbers \(0.025, 0.05, 0.075, 0.1, ...\)"),
        ("valence", "classes", "holds 0.025, so it is a measure and not a class. Type --label_columns valence="),
        ("expression", "numbers", r"column 'expression' holds text \('happy', 'sad'\), and its task learns numbers"),
        ("expression", "number", "label_kinds of 'x' is 'number', allowed are classes, numbers, words"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_what_its_task_learns_raises(root, column, kind, message):
    with pytest.raises(ValueError, match=message):
        custom.load(root, label_column=column, task="x", label_kinds={"x": kind})


def test_a_column_of_nothing_a_reserved_name_and_an_unknown_one_raise(root):
    write_text(root / "faces.csv", "file,expression,age", *[f"{n}.jpg,{'ab'[n % 2]}," for n in range(40)])
    options = {"label_column": "expression", "task": "emotion", "label_columns": {"age": "age"}}
    with pytest.raises(ValueError, match="no training row has a number in 'age'"):
        custom.load(root, **options, label_kinds={"age": "numbers"})
    with pytest.raises(ValueError, match="label_kinds names 'ages', which is no label. Did you mean 'age'?"):
        custom.load(root, **options, label_kinds={"ages": "numbers"})
    with pytest.raises(ValueError, match="a label cannot be called '_file'"):
        custom.load(root, label_column="expression", task="_file")


def test_a_learned_class_that_training_never_shows_raises_in_any_column(root):
    rows = [f"{n}.jpg,{'ab'[n % 2]},{'mf'[n % 2]},train" for n in range(30)]
    rows += [f"{n}.jpg,{'ab'[n % 2]},other,test" for n in range(30, 40)]
    write_text(root / "faces.csv", "file,expression,sex,split", *rows)
    options = {"label_column": "expression", "task": "emotion", "label_columns": {"gender": "sex"}}
    with pytest.raises(ValueError, match=r"the test split has classes that training never shows: 'other' \(10 rows\)"):
        custom.load(root, **options, label_kinds={"gender": "classes"})


def test_a_picture_under_two_classes_is_noted_for_every_column(root):
    content = (root / "1.jpg").read_bytes()
    (root / "2.jpg").write_bytes(content)  # happy and sad, 1 and 0
    notes = "\n".join(custom.load(root, **ALL).notes)
    assert "1 images have two labels in 'emotion'" in notes and "1 images have two labels in 'gender'" in notes


def test_infinite_numbers_are_refused_with_their_row(tmp_path):
    write_images(tmp_path, *[f"{number}.jpg" for number in range(20)])
    rows = [f"{number}.jpg,{'1e400' if number > 17 else number}" for number in range(20)]
    write_text(tmp_path / "labels.csv", "file_name,age", *rows)
    with pytest.raises(ValueError, match="column 'age' holds an infinite number in 2 rows, .* is row 19"):
        custom.load(tmp_path, label_column="age", task="age", label_kinds={"age": "numbers"})


def test_yes_and_no_are_numbers_where_numbers_are_learned(tmp_path):
    write_images(tmp_path, *[f"{number}.jpg" for number in range(20)])
    rows = [f"{number}.jpg,{('Yes', 'no', '')[number % 3]},{('TRUE', 'False')[number % 2]}" for number in range(20)]
    write_text(tmp_path / "labels.csv", "file_name,glasses,beard", *rows)
    options = {"label_column": "glasses", "task": "glasses", "label_columns": {"beard": "beard"}}
    source = custom.load(tmp_path, **options, label_kinds={"glasses": "numbers", "beard": "numbers"})
    for split in source.splits.values():
        for file, glasses, beard in zip(split["_file"], split["glasses"], split["beard"], strict=True):
            number = int(file.removesuffix(".jpg"))
            assert math.isnan(glasses) if number % 3 == 2 else glasses == 1 - number % 3
            assert beard == 1 - number % 2
    assert "column 'glasses': yes and true are 1, no and false are 0" in source.notes
    write_text(tmp_path / "labels.csv", "file_name,glasses", *[row.rsplit(",", 1)[0] for row in rows], "0.jpg,maybe")
    with pytest.raises(ValueError, match=r"column 'glasses' holds text \('Yes', 'no', 'maybe'\)"):
        custom.load(tmp_path, label_column="glasses", task="glasses", label_kinds={"glasses": "numbers"})


@pytest.mark.parametrize(
    ("cells", "seen"),
    [
        (["inf", "2", "3"], r"text \('inf'\)"),
        (["1_000", "2", "3"], r"numbers as text \('1_000', '2', '3'\)"),
        (["007", "010", "020"], r"numbers as text \('007', '010', '020'\)"),
    ],
)
def test_cells_that_are_no_numbers_are_shown(tmp_path, cells, seen):
    write_images(tmp_path, *[f"{number}.jpg" for number in range(21)])
    write_text(tmp_path / "labels.csv", "file_name,age", *[f"{number}.jpg,{cells[number % 3]}" for number in range(21)])
    with pytest.raises(ValueError, match=rf"column 'age' holds {seen}, and its task learns numbers"):
        custom.load(tmp_path, label_column="age", task="age", label_kinds={"age": "numbers"})


@pytest.mark.parametrize("kind", ["classes", "words"])
@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([[1], [2]], r"is List\(Value\('int64'\)\); classes are text, whole numbers or truth values"),
        ([{"mood": 1}, {"mood": 2}], "is .*; classes are text, whole numbers or truth values"),
        ([b"\xff", b"\xfe"], "holds values of the type binary, which are no text"),
        ([None, None], "no label"),
    ],
)
def test_columns_that_hold_no_classes_say_what_they_hold(tmp_path, kind, cells, message):
    rows = {"image": [encoded(number) for number in range(20)], "mood": cells * 10}
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "faces.parquet")
    with pytest.raises(ValueError, match=message):
        custom.load(tmp_path / "faces.parquet", label_column="mood", task="mood", label_kinds={"mood": kind})


def test_a_class_map_of_numbers_alone_is_refused(root):
    with pytest.raises(ValueError, match="class_map names 'a', and no label holds classes: valence are numbers"):
        custom.load(
            root, label_column="valence", task="valence", label_kinds={"valence": "numbers"}, class_map={"a": "b"}
        )
