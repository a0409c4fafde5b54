import json

import pytest

from hf_hmtl.model.configuration_hmtl import HMTLConfig

LINEAR = {"kind": "linear", "shape": [3], "labels": ["neutral", "happy", "sad"]}


def test_defaults_are_filled_in_and_the_given_dicts_stay_as_they_are():
    given = {"emotion": {"kind": "linear", "shape": (3,)}, "branch": {"kind": "mlp", "shape": [2]}}
    config = HMTLConfig(heads=given)
    assert config.heads["emotion"] == {
        "kind": "linear",
        "shape": [3],
        "dropout": 0.0,
        "auxiliary": False,
        "labels": None,
    }
    assert config.heads["branch"]["hidden"] == 512
    assert given["emotion"] == {"kind": "linear", "shape": (3,)}
    assert config.pixel_mean == [0.485, 0.456, 0.406] and config.pixel_std == [0.229, 0.224, 0.225]


def test_the_primary_head_is_the_first_supervised_one_given_and_its_labels_keep_their_order():
    config = HMTLConfig(
        heads={"puzzle": {"kind": "linear", "shape": [4, 4], "auxiliary": True}, "zeal": LINEAR, "emotion": LINEAR}
    )
    assert config.primary == "zeal"
    assert config.id2label == {0: "neutral", 1: "happy", 2: "sad"}
    assert config.label2id == {"neutral": 0, "happy": 1, "sad": 2}
    assert config.num_labels == 3 and config.problem_type == "single_label_classification"


def test_a_primary_head_of_numbers_is_a_regression_with_outputs_named_after_it():
    config = HMTLConfig(heads={"valence": {"kind": "linear", "shape": [1]}, "pose": {"kind": "linear", "shape": [3]}})
    assert (config.problem_type, config.id2label) == ("regression", {0: "valence"})
    assert HMTLConfig(heads=config.heads, primary="pose").id2label == {0: "pose_0", 1: "pose_1", 2: "pose_2"}


def test_without_supervised_heads_there_are_no_labels():
    config = HMTLConfig(heads={"puzzle": {"kind": "linear", "shape": [4, 4], "auxiliary": True}})
    assert config.primary is None and config.num_labels == 0 and config.id2label == {}


def test_the_primary_head_is_one_that_the_pipeline_can_show():
    config = HMTLConfig(
        heads={"picture": {"kind": "decoder"}, "grid": {"kind": "linear", "shape": [2, 2]}, "e": LINEAR}
    )
    assert config.primary == "e"


def test_saving_and_loading_gives_the_same_config_with_the_heads_in_the_same_order(tmp_path, heads):
    config = HMTLConfig(backbone="test_resnet", image_size=48, heads=heads, loss_weighting="uncertainty")
    config.save_pretrained(tmp_path)
    loaded = HMTLConfig.from_pretrained(tmp_path)
    ignored = ("transformers_version", "auto_map")
    first, second = ({k: v for k, v in c.to_dict().items() if k not in ignored} for c in (config, loaded))
    assert first == second
    assert list(loaded.heads) == list(config.heads)
    assert json.loads((tmp_path / "config.json").read_text())["heads"]["emotion"]["labels"][0] == "neutral"


def test_without_auxiliary_keeps_supervised_heads_only_and_leaves_the_config_alone(heads):
    config = HMTLConfig(heads=heads, loss_weighting="uncertainty")
    slim = config.without_auxiliary()
    assert set(slim.heads) == set(config.supervised_heads) == {"emotion", "valence"}
    assert set(config.auxiliary_heads) == {"puzzle", "twins", "picture"} and set(config.heads) == set(heads)
    assert (slim.loss_weighting, config.loss_weighting) == ("static", "uncertainty")
    assert slim.primary == "emotion" and slim.id2label == config.id2label


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"kind": "liner", "shape": [3]}, "Did you mean 'linear'"),
        ({"kind": "linear", "shape": [3], "droput": 0.1}, "Did you mean 'dropout'"),
        ({"kind": "linear", "shape": [3], "hidden": 9}, "'hidden' is not allowed"),
        ({"kind": "decoder", "shape": [3]}, "'shape' is not allowed"),
        ({"kind": "linear"}, "shape lists the sizes"),
        ({"kind": "linear", "shape": 8}, "shape lists the sizes"),
        ({"kind": "linear", "shape": [0]}, "shape lists the sizes"),
        ({"kind": "linear", "shape": [3], "dropout": 1.0}, "dropout is a share"),
        ({"kind": "mlp", "shape": [3], "hidden": 0.5}, "hidden is the width"),
        ({"kind": "linear", "shape": [3], "labels": ["a", "b"]}, "as many as its one-dimensional shape"),
        ({"kind": "linear", "shape": [2], "labels": ["a", "a"]}, "unique"),
        ({"kind": "linear", "shape": [2, 2], "labels": ["a", "b"]}, "one-dimensional"),
        ({"shape": [3]}, "says its kind"),
        ([3], "must be a dict"),
    ],
)
def test_a_wrong_head_raises_and_says_what_is_allowed(head, message):
    with pytest.raises(ValueError, match=message):
        HMTLConfig(heads={"emotion": head})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": {"head.pose": LINEAR}}, "cannot be the name of a head"),
        ({"heads": {"loss_weights": LINEAR}}, "cannot be the name of a head"),
        ({"heads": {"emotion": LINEAR}, "primary": "valence"}, "Such heads are: 'emotion'"),
        ({"heads": {"emotion": LINEAR}, "id2label": {0: "sad", 1: "happy", 2: "neutral"}}, "disagrees with the labels"),
        ({"heads": {"emotion": LINEAR}, "num_labels": 4}, "num_labels=4 disagrees"),
        ({"backbon": "resnet18"}, "Did you mean 'backbone'"),
        ({"backbone": ""}, "name of a timm model"),
        ({"image_size": 224.5}, "side of the square"),
        ({"pixel_mean": [0.5, 0.5]}, "three numbers"),
        ({"pixel_std": [58.4, 57.1, 57.4]}, "three numbers"),
        ({"loss_weighting": "uncertain"}, "Did you mean 'uncertainty'"),
    ],
)
def test_a_wrong_argument_raises_and_says_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        HMTLConfig(**arguments)
