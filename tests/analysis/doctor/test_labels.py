"""What is wrong with labels, planted on purpose."""

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_trees import encoded, write_classes, write_images
from doctor_trees import examined_of, kinds

from hf_hmtl.analysis.doctor import labels as module
from hf_hmtl.analysis.doctor.labels import known_set, labels
from hf_hmtl.analysis.doctor.reading import of_folder
from hf_hmtl.data import sources


def table(folder, **columns):
    """A table with an image a row."""
    count = len(next(iter(columns.values())))
    write_images(folder, *[f"images/{number}.jpg" for number in range(count)])
    pd.DataFrame({"file": [f"images/{number}.jpg" for number in range(count)], **columns}).to_csv(
        folder / "labels.csv", index=False
    )
    return folder


def test_classes_that_are_few_missing_or_out_of_balance_are_told(tmp_path):
    rows = [("happy", "train")] * 60 + [("sad", "train")] * 11 + [("angry", "train")] * 3 + [("happy", "test")] * 20
    emotions, splits = zip(*rows, strict=True)
    examined = examined_of(table(tmp_path, emotion=[*emotions, ""], split=[*splits, "test"]))
    assert examined.primary == "emotion" and examined.classes == ["emotion"] and not examined.numbers
    found = labels(examined)
    assert kinds(found) == {"few_rows": 1, "imbalance": 3, "no_rows": 2, "no_label": 1}
    texts = {finding.kind: finding for finding in found}
    assert texts["imbalance"].text.startswith("emotion: happy has 80 rows and angry 3, 1 to 27")
    assert texts["no_rows"].rows == ("angry", "sad") and "test" in texts["no_rows"].text
    assert texts["few_rows"].rows == ("angry 3",)


def test_a_split_without_any_label_is_one_finding(tmp_path):
    rows = [("a", "train"), ("b", "train")] * 10 + [("", "validation")] * 4 + [("", "test")] * 4
    marks, splits = zip(*rows, strict=True)
    found = labels(examined_of(table(tmp_path, label=marks, split=splits)))
    assert kinds(found) == {"unlabelled_split": 0, "no_label": 8}
    assert [(each.severity, each.text) for each in found[:2]] == [
        ("problem", "label: validation has no labels"),
        ("note", "label: test has no labels"),
    ]


def test_balanced_classes_have_nothing(tmp_path):
    write_classes(tmp_path, count=10)
    assert labels(examined_of(tmp_path)) == []


def test_numbers_out_of_range_missing_or_all_the_same_are_told(tmp_path):
    valence = [-0.5, -1, -2, -2, 1, None, 0.5, 0.125]
    folder = table(tmp_path, valence=valence, pose=[1.5] * 8, yaw=[*range(-90, 70, 24), 500])
    examined = examined_of(folder)
    assert examined.numbers == ["valence", "pose", "yaw"] and not examined.classes and examined.primary is None
    found = labels(examined)
    texts = [finding.text for finding in found]
    assert "valence: 1 rows have no number" in texts
    assert "valence: 2 rows are outside of [-1, 1]; if -2 means missing, --set supervised.valence.missing=-2" in texts
    assert "pose: every row has 1.5" in texts and any(text.startswith("yaw: 1 rows are outside") for text in texts)
    outside = next(finding for finding in found if finding.text.startswith("valence: 2"))
    assert outside.rows == ("images/2.jpg -2", "images/3.jpg -2") and len(found) == 4


PUBLISHED = {
    "fer2013": {"train": {"angry": 30, "happy": 90, "neutral": 60}, "test": {"angry": 5, "happy": 9, "neutral": 7}}
}


def of_counts(folder, train, test):
    """Rows with so many of each name."""
    names = [(name, split) for split, counts in (("train", train), ("test", test)) for name, count in counts.items()
             for _ in range(count)]  # fmt: skip
    return table(folder, label=[name for name, _ in names], split=[split for _, split in names])


def test_names_that_are_permuted_are_known_by_the_rows_of_each_class(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PUBLISHED", PUBLISHED)
    right = of_counts(
        tmp_path / "right", {"anger": 30, "happiness": 89, "neutral": 60}, {"anger": 5, "happiness": 9, "neutral": 7}
    )
    examined = examined_of(right)
    assert known_set(examined) == "fer2013" and "permuted" not in kinds(labels(examined))
    wrong = of_counts(
        tmp_path / "wrong", {"angry": 90, "happy": 30, "neutral": 60}, {"angry": 9, "happy": 5, "neutral": 7}
    )
    examined = examined_of(wrong)
    (finding,) = [finding for finding in labels(examined) if finding.kind == "permuted"]
    assert finding.severity == "problem" and finding.rows == ("angry is happy", "happy is angry")
    assert known_set(examined) is None
    unnamed = of_counts(tmp_path / "unnamed", {"0": 30, "3": 90, "6": 60}, {"0": 5, "3": 9, "6": 7})
    (finding,) = [finding for finding in labels(examined_of(unnamed)) if finding.kind == "unnamed"]
    assert finding.rows == ("0 is angry", "3 is happy", "6 is neutral")
    others = of_counts(
        tmp_path / "others", {"angry": 40, "happy": 40, "neutral": 40}, {"angry": 9, "happy": 5, "neutral": 7}
    )
    assert not {"permuted", "unnamed"} & set(kinds(labels(examined_of(others))))


def test_persons_in_two_splits_are_named(tmp_path):
    folder = table(tmp_path, label=["a", "b"] * 10, subject=[f"p{number // 2}" for number in range(20)],
                   split=["train"] * 11 + ["test"] * 9)  # fmt: skip
    (finding,) = [finding for finding in labels(examined_of(folder)) if finding.kind.startswith("persons")]
    assert (finding.kind, finding.count, finding.rows) == ("persons_train_test", 1, ("p5",))


def test_a_column_that_cannot_be_learned_is_a_finding_and_not_the_end(tmp_path):
    folder = table(tmp_path, label=["happy", "Happy", "sad", "sad"] * 5, gender=["m", "f"] * 10)
    examined = of_folder(folder)
    (finding,) = examined.findings
    assert finding.kind == "labels" and "writes one class in two ways" in finding.text
    assert examined.classes == ["gender"]


def test_numbers_of_no_class_are_told_and_the_rest_is_looked_at(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [{"bytes": encoded(number), "path": None} for number in range(24)],
            "label": [number % 2 for number in range(22)] + [7, -1]}  # fmt: skip
    pq.write_table(pa.table(rows).cast(features.arrow_schema), tmp_path / "train.parquet")
    examined = examined_of(tmp_path)
    (finding,) = examined.findings
    assert (finding.kind, finding.rows) == ("out_of_range", ("train/22: 7",)) and examined.primary == "label"
    assert kinds(labels(examined)) == {"no_label": 2}
    with pytest.raises(ValueError, match="1 rows have the number 7 .* no class: 0 to 1 are a, b. Mend the rows"):
        sources.load("custom", tmp_path)


def test_columns_that_tell_rows_apart_are_no_labels(tmp_path):
    folder = table(tmp_path, id=range(20), name=[f"n{number}" for number in range(20)], smiles=[True, False] * 10)
    assert examined_of(folder).classes == ["smiles"] and not examined_of(folder).numbers
    with pytest.raises(ValueError, match="no column 'nothing'"):
        of_folder(folder, "nothing")


def test_a_folder_of_test_images_alone_is_looked_at(tmp_path):
    folder = table(tmp_path, label=["a", "b"] * 10, split=["test"] * 20)
    assert list(examined_of(folder).splits) == ["test"]
    assert examined_of(folder, group_pattern=r"(\d)\.jpg").column("_group")[:3] == ["0", "1", "2"]
