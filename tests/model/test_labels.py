"""Labels that are asked for in the words of transformers, and what becomes of the saved head."""

import itertools
import logging

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForImageClassification

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification

OTHERS = ["tired", "awake"]
ASKED = {
    "num_labels": {"num_labels": 2},
    "int keys": {"id2label": {0: "tired", 1: "awake"}},
    "string keys": {"id2label": {"0": "tired", "1": "awake"}},
    "label2id": {"label2id": {"tired": 0, "awake": 1}},
    "string ids": {"label2id": {"awake": "1", "tired": "0"}},
    "all": {"num_labels": 2, "label2id": {"tired": "0", "awake": "1"}, "id2label": {"0": "tired", "1": "awake"}},
}


@pytest.fixture
def folder(full, tmp_path):
    full.save_pretrained(tmp_path)
    return tmp_path


def state_of_others(model) -> dict:
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("heads.emotion")}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("way", ["model", "config"])
def test_other_labels_give_a_fresh_head_and_leave_all_else(full, folder, pixels, asked, way):
    names = ["LABEL_0", "LABEL_1"] if asked == {"num_labels": 2} else OTHERS
    if way == "config":
        asked = {"config": AutoConfig.from_pretrained(folder, **asked)}
    model = AutoModelForImageClassification.from_pretrained(folder, ignore_mismatched_sizes=True, **asked)
    assert model.config.id2label == dict(enumerate(names))
    assert model.config.label2id == {name: number for number, name in enumerate(names)}
    assert model.config.heads["emotion"]["labels"] == names and model.num_labels == 2
    layer = model.heads["emotion"].layers[1]
    assert layer.weight.shape[0] == 2 and not layer.bias.any()
    bound = (6 / sum(layer.weight.shape)) ** 0.5
    assert 0.5 * bound < layer.weight.abs().max() <= bound  # a Glorot start, not memory
    before, after = state_of_others(full), state_of_others(model)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert model(pixels).logits.shape == (4, 2)


def test_the_labels_are_saved_and_loaded_again(folder, tmp_path, pixels):
    model = AutoModelForImageClassification.from_pretrained(folder, ignore_mismatched_sizes=True, **ASKED["all"])
    model.save_pretrained(tmp_path / "again")
    again = AutoModelForImageClassification.from_pretrained(tmp_path / "again")
    assert list(again.config.id2label.values()) == OTHERS and torch.equal(again(pixels).logits, model(pixels).logits)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_another_number_of_labels_raises_without_the_permission(folder, asked):
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        AutoModelForImageClassification.from_pretrained(folder, **asked)


def test_as_many_labels_as_there_are_change_nothing(full, folder, pixels):
    for asked in ({"num_labels": 3}, {"id2label": full.config.id2label}, {"label2id": full.config.label2id}):
        model = AutoModelForImageClassification.from_pretrained(folder, **asked)
        assert model.config.id2label == full.config.id2label and torch.equal(model(pixels).logits, full(pixels).logits)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("fresh_allowed", [False, True])
def test_the_same_names_in_another_order_take_their_rows_with_them(full, folder, pixels, order, fresh_allowed):
    names = [full.config.id2label[number] for number in order]
    asked = {"id2label": dict(enumerate(names)), "ignore_mismatched_sizes": fresh_allowed}
    model = AutoModelForImageClassification.from_pretrained(folder, **asked)
    assert torch.equal(model(pixels).logits, full(pixels).logits[:, list(order)])
    assert [model.config.id2label[number] for number in range(3)] == names


def test_other_names_of_the_same_number_raise_with_both_lists_or_start_afresh(full, folder, caplog):
    asked = {"id2label": {0: "tired", 1: "awake", 2: "sad"}}
    with pytest.raises(ValueError, match=r"'neutral', 'happy', 'sad'.*'tired', 'awake', 'sad'.*rename_labels"):
        AutoModelForImageClassification.from_pretrained(folder, **asked)
    logging.getLogger("transformers").propagate = True
    with caplog.at_level("WARNING"):
        model = AutoModelForImageClassification.from_pretrained(folder, ignore_mismatched_sizes=True, **asked)
    assert not torch.equal(model.heads["emotion"].layers[1].weight, full.heads["emotion"].layers[1].weight)
    before, after = state_of_others(full), state_of_others(model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert model.config.id2label == asked["id2label"]


def test_a_fresh_head_with_a_hidden_layer_is_fresh_as_a_whole(tmp_path):
    head = {"kind": "mlp", "shape": [3], "hidden": 8, "labels": ["a", "b", "c"]}
    model = HMTLForImageClassification(HMTLConfig(backbone="test_resnet", image_size=32, heads={"emotion": head}))
    model.save_pretrained(tmp_path)
    for count in (3, 4):
        asked = {"id2label": {number: f"new {number}" for number in range(count)}}
        loaded = HMTLForImageClassification.from_pretrained(tmp_path, ignore_mismatched_sizes=True, **asked)
        hidden = loaded.heads["emotion"].layers[0].weight
        assert loaded.heads["emotion"].layers[3].weight.shape == (count, 8)
        assert not torch.equal(hidden, model.heads["emotion"].layers[0].weight) and hidden.isfinite().all()


def test_heads_that_are_not_primary_follow_their_labels_too(tmp_path, pixels):
    heads = {
        "emotion": {"kind": "linear", "shape": [3], "labels": ["a", "b", "c"]},
        "age": {"kind": "linear", "shape": [2], "labels": ["young", "old"]},
    }
    model = HMTLForImageClassification(HMTLConfig(backbone="test_resnet", heads=heads, primary="emotion")).eval()
    model.save_pretrained(tmp_path)
    turned = {**heads, "age": {"kind": "linear", "shape": [2], "labels": ["old", "young"]}}
    loaded = HMTLForImageClassification.from_pretrained(tmp_path, heads=turned)
    before, after = model(pixels).predictions, loaded(pixels).predictions
    assert torch.equal(before["age"].flip(1), after["age"]) and torch.equal(before["emotion"], after["emotion"])
    other = {**heads, "age": {"kind": "linear", "shape": [2], "labels": ["child", "adult"]}}
    with pytest.raises(ValueError, match="The saved head 'age'"):
        HMTLForImageClassification.from_pretrained(tmp_path, heads=other)


def test_a_network_of_pretext_heads_is_given_a_head_for_its_labels(tmp_path, pixels):
    heads = {"puzzle": {"kind": "linear", "shape": [4, 4], "auxiliary": True}}
    model = HMTLForImageClassification(HMTLConfig(backbone="test_resnet", heads=heads)).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path, id2label={0: "tired", 1: "awake"})
    assert loaded.config.primary == "label" and loaded.config.id2label == {0: "tired", 1: "awake"}
    assert loaded(pixels).logits.isfinite().all()
    before = model(pixels, views={"puzzle": (0, 4)}).predictions["puzzle"]
    assert torch.equal(loaded(pixels).predictions["puzzle"], before)


def test_labels_may_be_set_on_a_finished_config_in_any_order():
    settings = {"num_labels": 2, "id2label": {"0": "tired", "1": "awake"}, "label2id": {"tired": "0", "awake": "1"}}
    settings |= {"problem_type": "single_label_classification"}
    for order in itertools.permutations(settings):
        for head in ({"kind": "linear", "shape": [1]}, {"kind": "linear", "shape": [3], "labels": ["a", "b", "c"]}):
            config = HMTLConfig(heads={"emotion": head})
            for name in order:
                setattr(config, name, settings[name])
            config.resolve()
            assert config.id2label == {0: "tired", 1: "awake"} and config.label2id == {"tired": 0, "awake": 1}
            assert config.heads["emotion"]["labels"] == OTHERS and config.heads["emotion"]["shape"] == [2]
            assert config.problem_type == "single_label_classification" and config.num_labels == 2


def test_heads_and_primary_may_be_set_on_a_finished_config_in_any_order():
    heads = {"age": {"kind": "linear", "shape": [2], "labels": ["young", "old"]}}
    for order in itertools.permutations(["heads", "primary"]):
        config = HMTLConfig(heads={"emotion": {"kind": "linear", "shape": [1]}})
        for name in order:
            setattr(config, name, {"heads": heads, "primary": "age"}[name])
        config.resolve()
        assert config.id2label == {0: "young", 1: "old"} and set(config.heads) == {"age"}
    config.primary = "emotion"
    with pytest.raises(ValueError, match="Such heads are: 'age'"):
        config.resolve()


def test_one_label_is_a_number():
    config = HMTLConfig(heads={"emotion": {"kind": "linear", "shape": [2], "labels": OTHERS}})
    config.num_labels = 1
    assert config.problem_type == "regression" and config.heads["emotion"]["labels"] is None
    assert config.id2label == {0: "emotion"}
    with pytest.raises(ValueError, match="one label"):
        config.id2label = {0: "awake"}
    config.id2label = {0: "emotion"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_labels": 2.0}, "whole number"),
        ({"num_labels": 0}, "whole number"),
        ({"id2label": {1: "a", 2: "b"}}, "0 to 1 for 2 labels"),
        ({"id2label": {0: "a", "0": "b"}}, "number of its own"),
        ({"id2label": {"a": 0, "b": 1}}, "number of its own"),
        ({"label2id": {"a": 0, "b": 0}}, "number of its own"),
        ({"id2label": {0: "a", 1: "a"}}, "unique"),
        ({"id2label": {0: "a", 1: "b"}, "num_labels": 3}, "num_labels=3 disagrees"),
        ({"id2label": {0: "a", 1: "b"}, "label2id": {"b": 0, "a": 1}}, "disagree"),
        ({"problem_type": "regression"}, "does not fit the primary head"),
        ({"heads": {"emotion": {"kind": "linear", "shape": [3]}}, "problem_type": "multi_label_classification"}, "fit"),
    ],
)
def test_labels_that_cannot_be_raise_and_change_nothing(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        AutoModelForImageClassification.from_pretrained(folder, ignore_mismatched_sizes=True, **settings)


def test_a_label_that_is_refused_leaves_the_config_as_it_was(full):
    before = full.config.to_dict()
    with pytest.raises(ValueError, match="unique"):
        full.config.id2label = {0: "a", 1: "a"}
    assert full.config.to_dict() == before


def test_renamed_labels_keep_their_rows_through_config_and_folder(full, folder, pixels, tmp_path):
    wanted = full(pixels).logits
    full.config.rename_labels({"neutral": "calm"})
    assert full.config.id2label == {0: "calm", 1: "happy", 2: "sad"} and full.config.label2id["calm"] == 0
    full.save_pretrained(tmp_path / "renamed")
    renamed = AutoModelForImageClassification.from_pretrained(tmp_path / "renamed")
    assert renamed.config.id2label[0] == "calm" and torch.equal(renamed(pixels).logits, wanted)
    config = AutoConfig.from_pretrained(folder)
    config.rename_labels({"neutral": "calm", "happy": "neutral"})
    config.rename_labels({"calm": "still"})
    loaded = AutoModelForImageClassification.from_pretrained(folder, config=config)
    assert list(loaded.config.id2label.values()) == ["still", "neutral", "sad"]
    assert torch.equal(loaded(pixels).logits, wanted)
    assert "_renamed" not in (tmp_path / "renamed" / "config.json").read_text()


@pytest.mark.parametrize(
    ("names", "head", "message"),
    [
        ({"hapy": "glad"}, None, "Did you mean 'happy'"),
        ({"happy": "sad"}, None, "unique"),
        ({"happy": "glad"}, "valence", "heads with labels: 'emotion'"),
        ({"happy": "glad"}, "absent", "heads with labels: 'emotion'"),
    ],
)
def test_names_that_cannot_be_renamed_raise(full, names, head, message):
    with pytest.raises(ValueError, match=message):
        full.config.rename_labels(names, head)
    assert list(full.config.id2label.values()) == ["neutral", "happy", "sad"]


def test_numbers_of_numpy_are_numbers_of_labels():
    names = {np.int64(0): "a", np.int64(1): "b"}
    assert HMTLConfig(backbone="test_resnet", id2label=names).labels == ["a", "b"]
    mean = [np.float32(0.5)] * 3
    assert HMTLConfig(backbone="test_resnet", pixel_mean=mean).pixel_mean == [0.5] * 3
