"""Classes that are left out: rows, numbers and names, each followed by hand."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_hmtl.data.classes import without_classes
from hf_hmtl.data.ledger import Ledger
from hf_hmtl.recipe import Recipe

NAMES = ["neutral", "happy", "contempt", "sad"]


def rows(numbers):
    features = Features({"_id": Value("string"), "emotion": ClassLabel(names=NAMES), "age": Value("int64")})
    ids = [f"{place}" for place in range(len(numbers))]
    return Dataset.from_dict({"_id": ids, "emotion": numbers, "age": list(range(len(numbers)))}, features=features)


def test_rows_of_a_class_go_and_the_others_are_numbered_anew():
    ledger = Ledger()
    splits = DatasetDict({"train": rows([0, 2, 3, None, 1, -1, 2]), "test": rows([3, 1])})
    found = without_classes(splits, "emotion", ["contempt"], ledger)
    assert found["train"].features["emotion"].names == ["neutral", "happy", "sad"]
    assert found["train"]["_id"][:] == ["0", "2", "3", "4", "5"] and found["train"]["age"][:] == [0, 2, 3, 4, 5]
    assert found["train"]["emotion"][:] == [0, 2, None, 1, -1] and found["test"]["emotion"][:] == [2, 1]
    assert ledger.lines() == ["train: 2 rows of classes that are left out (without_classes) (1, 6)"]
    ledger.check({"train": {"neutral": 1}}, {"train": 5, "test": 2}, "these")


def test_mistakes_say_what_there_is():
    splits = DatasetDict({"train": rows([0, 1])})
    for column, left_out, message in (
        ("emotion", ["contemt"], "emotion has no class 'contemt'; it has neutral, happy, contempt, sad"),
        ("age", ["1"], "'age' is no column of classes"),
        ("emotion", NAMES[:3], "one class or none would be left"),
    ):
        with pytest.raises(ValueError, match=message):
            without_classes(splits, column, left_out, Ledger())
    with pytest.raises(ValueError, match="without_classes is of one source"):
        Recipe("mine", supervised={"emotion": {}}, without_classes={"emotion": ["sad"]}, mixed_with=[{"name": "drawn"}])
