"""Heads that answer with numbers: what their description says, and that a folder alone decodes them."""

import json

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageClassification, pipeline

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.tasks.head_pose import HeadPose
from hf_hmtl.tasks.regression import Regression


def network(*tasks, **heads):
    torch.manual_seed(0)
    described = {task.name: task.head() for task in tasks} | heads
    return HMTLForImageClassification(HMTLConfig(backbone="test_resnet", image_size=48, heads=described)).eval()


def test_predictions_are_the_numbers_that_the_logits_stand_for(pixels):
    tasks = HeadPose(), Regression("valence", range=(-1, 1), bins=20, bin_values="nodes"), Regression("age")
    outputs = network(*tasks)(pixels)
    for task in tasks[:2]:
        logits = outputs.bin_logits[task.name]
        assert logits.shape == (4, len(task.columns), task.bins)
        torch.testing.assert_close(outputs.predictions[task.name], task.numbers_of(logits))
    assert set(outputs.bin_logits) == {"pose", "valence"} and outputs.predictions["age"].shape == (4, 1)
    assert set(outputs.learned_from) == {"pose", "valence", "age"}
    assert outputs.learned_from["pose"] is outputs.bin_logits["pose"]
    assert network(Regression("age"))(pixels).bin_logits is None


def test_a_folder_decodes_and_shows_its_angles_in_a_pipeline(tmp_path, pixels):
    model = network(HeadPose())
    model.save_pretrained(tmp_path)
    HMTLImageProcessor(size=48).save_pretrained(tmp_path)
    head = json.loads((tmp_path / "config.json").read_text())["heads"]["pose"]
    assert head["bins"] == {"first": -99.0, "step": 3.0, "count": 66} and head["unit"] == "degrees"
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert torch.equal(loaded(pixels).logits, model(pixels).logits)
    assert loaded.config.problem_type == "regression" and list(loaded.config.id2label.values()) == head["names"]
    image = Image.fromarray(pixels[0, :, :48, :48].permute(1, 2, 0).numpy())
    found = pipeline("image-classification", model=str(tmp_path))(image)
    shown = {each["label"]: each["score"] for each in found}
    with torch.no_grad():
        expected = model(pixels[:1, :, :48, :48]).predictions["pose"][0].tolist()
    assert [shown[angle] for angle in ("yaw", "pitch", "roll")] == pytest.approx(expected, abs=1e-3)


def test_tanh_bends_into_the_range_and_nothing_else_does(pixels):
    bent, free = (Regression("age", range=(0, 100), tanh=tanh) for tanh in (True, False))
    model, plain = network(bent), network(free)
    for each in (model, plain):
        each.head("age").layers[-1].bias.data += 1000
    assert (model(pixels).logits <= 100).all() and (plain(pixels).logits > 500).all()
    model.head("age").layers[-1].bias.data.zero_()
    plain.head("age").layers[-1].bias.data.zero_()
    torch.testing.assert_close(model(pixels).logits, 50 + 50 * plain(pixels).logits.tanh())


def test_several_questions_are_a_multi_label_classification(pixels):
    model = network(units={"kind": "multilabel", "shape": [2], "labels": ["au1", "au12"]})
    assert model.config.problem_type == "multi_label_classification"
    labels = torch.tensor([[1.0, 0.0]] * 4)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(model(pixels).logits, labels)
    torch.testing.assert_close(model(pixels, labels=labels).loss, expected)


def test_other_labels_make_a_classification_of_it(tmp_path, pixels):
    network(HeadPose()).save_pretrained(tmp_path)
    loaded = HMTLForImageClassification.from_pretrained(tmp_path, num_labels=4, ignore_mismatched_sizes=True)
    assert loaded.config.heads["pose"]["kind"] == "linear" and loaded(pixels).logits.shape == (4, 4)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"shape": [1], "bins": 20}, "bins are like"),
        ({"shape": [1], "bins": {"first": 0, "step": 0, "count": 4}}, "step above 0"),
        ({"shape": [1], "range": [1, 0]}, "lowest and the highest"),
        ({"shape": [1], "tanh": True}, "needs a range"),
        ({"shape": [2], "names": ["yaw"]}, "2 numbers by different words"),
        ({"shape": [2, 2]}, "one number or several"),
        ({"shape": [2], "labels": ["a", "b"]}, "a regression has names instead"),
    ],
)
def test_what_is_not_allowed_is_named(head, message):
    with pytest.raises(ValueError, match=message):
        HMTLConfig(backbone="test_resnet", heads={"age": {"kind": "regression", **head}})
