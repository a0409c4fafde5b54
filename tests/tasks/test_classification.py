import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from sklearn.utils.class_weight import compute_class_weight

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.classification import Classification, balanced_class_weights


def make(**options):
    return Classification(name="emotion", labels=("angry", "happy", "sad"), **options)


def test_balanced_weights_are_proportional_to_sklearns_and_one_for_the_largest_class():
    counts = [50, 10, 40]
    ours = np.array(balanced_class_weights(counts))
    truth = compute_class_weight("balanced", classes=np.arange(3), y=np.repeat([0, 1, 2], counts))
    np.testing.assert_allclose(ours, truth / truth.min())
    assert ours.min() == 1


def test_balanced_weights_of_affectnet_are_the_authors():
    # Protocols page, section 11: the authors' literals, which they took after leaving the .tif and .bmp files out.
    counts = [74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750]
    authors = [1.8, 1.0, 5.28, 9.54, 21.08, 35.34, 5.4, 35.85]
    np.testing.assert_allclose(balanced_class_weights(counts), authors, atol=0.011)


def test_an_empty_class_has_no_weight():
    with pytest.raises(ValueError, match="class_weights: none"):
        balanced_class_weights([3, 0])


def test_target_marks_missing():
    assert make().target([0, 2, -1, None]).tolist() == [0, 2, MISSING, MISSING]


def test_head_is_described_and_not_built():
    assert make().head() == {
        "kind": "linear",
        "shape": [3],
        "dropout": 0.3,
        "auxiliary": False,
        "labels": ["angry", "happy", "sad"],
    }


def test_labelled_rows_and_score():
    task = make()
    assert task.labelled(torch.tensor([0, MISSING, 2])).tolist() == [True, False, True]
    scores = task.score(np.eye(3), np.array([0, 1, 0]))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["recall_angry"] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, "cross_entropy, focal"),
        ({"class_weights": (1.0, 2.0)}, "2 class weights for 3 classes"),
        ({"class_weights": (1.0, 2.0, -3.0)}, r"class_weights is -3.0, allowed is a finite number of 0 or more"),
        ({"class_weights": (1.0, float("nan"), 1.0)}, "class_weights is nan"),
        ({"class_weights": (0.0, 0.0, 1.0)}, "2 or more of them must be above 0"),
        ({"class_weights": (1.0, "2", 1.0)}, "class_weights is '2'"),
        ({"class_weights": "balancd"}, r"class_weights is 'balancd', allowed are None or one number a class"),
        ({"class_weights": 2.0}, "class_weights is 2.0"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"loss": "focal", "label_smoothing": 0.1}, "focal"),
        ({"weight": -1.0}, "weight"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_bad_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_a_number_beyond_the_classes_is_refused_with_their_names():
    assert make().target([2, None, -1, -100, 0]).tolist() == [2, MISSING, MISSING, MISSING, 0]
    with pytest.raises(ValueError, match="number 7, which is no class: 0 to 2 are angry, happy, sad. Mend the rows"):
        make().target([0, 7, 2])


def test_one_class_raises():
    with pytest.raises(ValueError, match="two or more"):
        Classification(name="emotion", labels=("happy",))


# Of a dataset's column


def rows(feature, values=(0, 1, 1, 1)):
    return Dataset.from_dict({"label": list(values)}, features=Features(label=feature))


def test_a_task_of_a_column_takes_its_class_names():
    task = Classification.of(rows(ClassLabel(names=["awake", "tired"])), "label", label_smoothing=0.1)
    assert (task.name, task.column, task.labels, task.label_smoothing) == ("label", "label", ("awake", "tired"), 0.1)
    assert Classification.of(rows(ClassLabel(names=["awake", "tired"])), "label", name="state").name == "state"


def test_balanced_weights_of_a_column():
    task = Classification.of(
        rows(ClassLabel(names=["awake", "tired"]), (0, 1, 1, 1, -1, None)), "label", class_weights="balanced"
    )
    assert task.class_weights == (3.0, 1.0)


@pytest.mark.parametrize(
    "column, name", [("Expression", "expression"), ("head.pose-x", "head_pose_x"), ("8", "label_8")]
)
def test_a_column_becomes_the_name_of_a_head(column, name):
    task = Classification.of(rows(ClassLabel(names=["a", "b"])).rename_column("label", column), column)
    assert (task.name, task.column) == (name, column)
    HMTLConfig(heads={task.name: task.head()})


def test_a_column_without_class_names_says_how_to_get_them():
    with pytest.raises(ValueError, match=r"string values.*faces.class_encode_column\('label'\)"):
        Classification.of(rows(Value("string"), ["a"] * 4), "label")
    encoded = rows(Value("string"), ["a", "b", "b", "a"]).class_encode_column("label")
    assert Classification.of(encoded, "label").labels == ("a", "b")
    with pytest.raises(ValueError, match="no column 'mood'; the columns are: label"):
        Classification.of(rows(Value("int64")), "mood")
    with pytest.raises(ValueError, match=r"splits train, test.*Classification.of\(faces\['train'\], 'label'\)"):
        Classification.of(DatasetDict(train=rows(Value("int64")), test=rows(Value("int64"))), "label")
    with pytest.raises(ValueError, match="list does not know the names.*labels="):
        Classification.of([{"label": 1}], "label")


def test_measures_are_the_names_of_the_scores():
    logits, truth = np.random.default_rng(0).normal(size=(9, 3)), np.arange(9) % 3
    assert make().measures == tuple(make().score(logits, truth))
