import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from data_trees import write_images
from model_kinds import DECODER
from PIL import Image
from serving_models import ANSWERING, AUXILIARY, CROP, RAW, save, serving_model

from hf_hmtl import HMTLImageProcessor
from hf_hmtl.commands import export as command
from hf_hmtl.hub.contents import OF_AN_EXPORT
from hf_hmtl.model.answers_hmtl import answers_of
from hf_hmtl.serving import export, onnx_file, program, quantization
from hf_hmtl.serving.export import Choices
from hf_hmtl.serving.network import ExportedNetwork, description

FAMILIES = ("test_resnet", "test_efficientnet", "test_vit", "test_convnext")


def expected(model, given):
    """What the heads answer, by torch's own words for it."""
    with torch.no_grad():
        outputs = model.eval()(given)
    said = {}
    for name, prediction in outputs.predictions.items():
        if name == "emotion":
            said |= {"emotion_probabilities": torch.softmax(prediction, 1), "emotion_logits": prediction}
        elif name == "units":
            said |= {"units_probabilities": torch.sigmoid(prediction), "units_logits": prediction}
        elif name == "pose":
            degrees = torch.arange(-99.0, 99.0, 3.0)
            said["pose"] = (torch.softmax(outputs.bin_logits["pose"], 2) * degrees).sum(2)
        elif name not in AUXILIARY:
            said[name] = prediction
    return said


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A hybrid model in training mode, and both its exports."""
    pyramid = {} if request.param == "test_vit" else {"picture": DECODER | {"auxiliary": False}, **AUXILIARY}
    model = serving_model(ANSWERING | RAW | pyramid, backbone=request.param).train()
    network, folder = ExportedNetwork(model), tmp_path_factory.mktemp(request.param)
    assert model.training, "the caller's model is left as it is"
    described = description(network, HMTLImageProcessor(size=32), "mine", "1")
    onnx_file.write(network, described, folder / "model.onnx")
    program.write(network, folder / "model.pt2")
    return model, folder, onnx_file.session(folder / "model.onnx"), program.module(folder / "model.pt2")


def test_outputs_that_would_have_one_name_are_told_and_each_head_is_exported_alone():
    heads = {"emotion": ANSWERING["emotion"], "emotion_logits": ANSWERING["age"]}
    with pytest.raises(ValueError, match="2 outputs would be called 'emotion_logits'; .*--heads"):
        ExportedNetwork(serving_model(heads))
    assert [output.name for output in ExportedNetwork(serving_model(heads), ["emotion_logits"]).outputs] == [
        "emotion_logits"
    ]


@pytest.mark.parametrize("rows", onnx_file.BATCHES)
def test_every_head_of_every_family_answers_as_the_model_in_batches_of_any_size(family, rows):
    model, _, opened, loaded = family
    names = [output.name for output in ExportedNetwork(model).outputs]
    given = torch.randint(256, (rows, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(rows))
    said = expected(model, given)
    found = onnx_file.run(opened, given.numpy())
    assert list(found) == names and set(found) == set(said)
    for name, value in zip(names, loaded(given), strict=True):
        for other in (torch.from_numpy(found[name]), value):
            torch.testing.assert_close(other, said[name], rtol=1e-3, atol=1e-4 * max(1, said[name].abs().max().item()))


def test_the_file_takes_uint8_of_any_number_of_rows_and_holds_no_auxiliary_head(family):
    _, folder, *_ = family
    graph = onnx.load(str(folder / "model.onnx")).graph
    (given,) = graph.input
    assert given.name == "pixel_values" and given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    sizes = [dimension.dim_value or None for dimension in given.type.tensor_type.shape.dim]
    assert sizes == [None, 3, 32, 32]
    assert not [each.name for each in graph.initializer if "auxiliary" in each.name or "puzzle" in each.name]
    assert not any(node.op_type == "Dropout" for node in graph.node)
    assert not (folder / "model.onnx.data").exists()


def test_a_part_in_training_mode_is_not_exported(tmp_path):
    network = ExportedNetwork(serving_model())
    network.network.heads["emotion"].layers[0].train()
    for write in (lambda: onnx_file.write(network, {}, tmp_path / "a"), lambda: program.write(network, tmp_path / "b")):
        with pytest.raises(RuntimeError, match="training mode"):
            write()
    assert not list(tmp_path.iterdir())


def test_the_comparison_sees_a_head_in_training_mode():
    network, other = (ExportedNetwork(serving_model()) for _ in range(2))
    torch.manual_seed(0)
    other.network.heads["emotion"].layers[0].train()
    with torch.no_grad():
        difference = onnx_file.largest_difference(network, other, (5,))
        same = onnx_file.largest_difference(network, ExportedNetwork(serving_model()), (1, 5))
    onnx_file.require_equal("same", same)
    with pytest.raises(RuntimeError, match="other differs"):
        onnx_file.require_equal("other", difference)
    with pytest.raises(RuntimeError, match="nan"):
        onnx_file.require_equal("nan", float("nan"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A saved model that learned from drawings, and its folder of exports made by the command."""
    folder = save(serving_model(learned_from=["drawn"]).slim(), tmp_path_factory.mktemp("model"))
    command.run([str(folder), "--formats", "onnx", "program"])
    return folder, folder / "onnx"


def test_the_command_writes_files_that_say_what_they_are(exported):
    folder, target = exported
    assert sorted(path.name for path in target.iterdir()) == ["example.py", "export.json", "model.onnx", "model.pt2"]
    (kept,) = [each.value for each in onnx.load(str(target / "model.onnx")).metadata_props if each.key == "hf_hmtl"]
    said = json.loads(kept)
    outputs = {each["name"]: each for each in said["outputs"]}
    assert outputs["emotion_probabilities"]["keys"] == ["happy", "sad", "angry"]
    assert outputs["pose"]["keys"] == ["yaw", "pitch", "roll"] and outputs["pose"]["unit"] == "degrees"
    assert outputs["affect"]["range"] == [-1, 1] and outputs["units_probabilities"]["kind"] == "yes_no"
    assert said["preprocessing"]["size"] == 32 and said["preprocessing"]["crop_fraction"] == CROP
    assert said["preprocessing"]["resample"] == "bilinear" and "drawn by code" in said["note"]
    record = json.loads((target / "export.json").read_text())
    assert record["made_of"] == said and set(record["differences"]) == {"model.onnx", "model.pt2"}
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert record["weights"] == {"model.safetensors": digest}  # a push compares it
    assert set(export._OURS) == set(OF_AN_EXPORT)  # and sends these files alone
    assert all(difference <= onnx_file.TOLERANCE for difference in record["differences"].values())


WITHOUT = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "transformers", "timm", "hf_hmtl", "datasets", "cv2"):
            raise ModuleNotFoundError(f"{name} is not to be had here")
sys.meta_path.insert(0, Refused())
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_example_answers_the_same_where_neither_torch_nor_transformers_can_be_imported(exported, tmp_path):
    """An import hook that refuses them stands before everything else in the interpreter of the example."""
    folder, target = exported
    image, exif = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)), Image.Exif()
    exif[0x0112] = 6
    image.resize((300, 200)).save(tmp_path / "face.jpg", exif=exif)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(target / "example.py"), str(tmp_path / "face.jpg")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    refused = subprocess.run([sys.executable, "-c", WITHOUT, __file__], capture_output=True, text=True)
    assert "is not to be had here" in refused.stderr, "the hook refuses"
    said = json.loads(done.stdout)
    model, processor = export.load(folder)
    with torch.no_grad():
        predictions = model(processor(str(tmp_path / "face.jpg"))["pixel_values"]).predictions
    assert "drawn by code" in said.pop("note")
    assert set(said) == {"emotion", "units", "age", "yaw", "pitch", "roll", "valence", "arousal"}
    for answer in answers_of(model.config):
        for key, value in answer.entry(answer.values(predictions[answer.head])[0]).items():
            assert _close(said[key], value), key
    lines = [line for line in (target / "example.py").read_text().splitlines() if line]
    assert len(lines) <= 25


def _close(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    return one == other if isinstance(one, str) else one == pytest.approx(other, rel=1e-3, abs=1e-3)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A saved model, its ONNX file, and class folders of images that it is sure about."""
    folder = tmp_path_factory.mktemp("judged")
    write_images(folder / "all", *[f"{number}.png" for number in range(96)], kind="PNG")
    paths = sorted((folder / "all").iterdir())
    model = serving_model({"emotion": ANSWERING["emotion"], "pose": ANSWERING["pose"]})
    given = HMTLImageProcessor(size=32, crop_fraction=CROP)([str(path) for path in paths])["pixel_values"]
    with torch.no_grad():
        model.heads["emotion"].layers[-1].bias.copy_(-model(given).logits.mean(0))
        logits = model(given).logits
    sure = (logits.topk(2).values @ torch.tensor([1.0, -1.0])).argsort(descending=True)[:32].tolist()
    for path, label in ((paths[row], model.config.id2label[logits[row].argmax().item()]) for row in sure):
        (folder / "faces" / label).mkdir(parents=True, exist_ok=True)
        path.rename(folder / "faces" / label / path.name)
    assert len(list((folder / "faces").iterdir())) > 1
    save(model, folder / "model")
    network = ExportedNetwork(model)
    described = description(network, HMTLImageProcessor(size=32, crop_fraction=CROP), "model", "1")
    onnx_file.write(network, described, folder / "model.onnx")
    return folder


def test_eight_bits_hold_what_they_answer_on_images_like_those_of_the_calibration(judged, tmp_path):
    model, processor = export.load(judged / "model")
    faces = sorted((judged / "faces").rglob("*.png"))
    quantization.quantize(judged / "model.onnx", tmp_path / "int8.onnx", faces, processor)
    assert [path.name for path in tmp_path.iterdir()] == ["int8.onnx"]
    written = onnx.load(str(tmp_path / "int8.onnx"))
    assert any(each.key == "hf_hmtl" for each in written.metadata_props)
    kinds = {each.name: (each.data_type, list(each.dims)) for each in written.graph.initializer}
    scales = {name.removesuffix("_scale"): shape for name, (_, shape) in kinds.items() if name.endswith("_scale")}
    weights = {name: kinds[f"{name}_quantized"] for name in scales if f"{name}_quantized" in kinds}
    convolutions = {name: shape for name, (kind, shape) in weights.items() if len(shape) == 4}
    assert convolutions and all(kinds[f"{name}_quantized"][0] == onnx.TensorProto.INT8 for name in convolutions)
    assert all(scales[name] == shape[:1] for name, shape in convolutions.items()), "a scale for each channel"
    assert not [name for name in weights if ".heads." in name or ".pixels." in name]
    given = processor([str(path) for path in faces])["pixel_values"]
    found = onnx_file.run(onnx_file.session(tmp_path / "int8.onnx"), given.numpy())
    said = expected(model, given)
    assert np.abs(found["emotion_probabilities"] - said["emotion_probabilities"].numpy()).max() < 0.05
    assert np.abs(found["pose"] - said["pose"].numpy()).max() < 3


def test_eight_bits_that_lose_more_than_a_point_are_withdrawn_with_the_reason(judged, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(onnx_file, "write", lambda network, _, path: shutil.copy(judged / "model.onnx", path))
    (tmp_path / "black").mkdir()
    for number in range(8):  # a calibration that has seen nothing
        Image.new("RGB", (8, 8)).save(tmp_path / "black" / f"{number}.png")
    faces, black = str(judged / "faces"), str(tmp_path / "black")
    target = tmp_path / "target"
    asked = [str(judged / "model"), "--output", str(target)]
    command.run([*asked, "--int8", faces])
    assert "calibrated on 32 images, not checked on labelled images (--check DIR)" in capsys.readouterr().out
    command.run([*asked, "--int8", faces, "--check", faces])
    assert "accuracy 1.0000 instead of 1.0000 on 32 images" in capsys.readouterr().out
    assert (target / "model_int8.onnx").exists()
    command.run([*asked, "--int8", black, "--check", faces])
    shown = capsys.readouterr().out
    assert "model_int8.onnx is not written: in 8 bits the accuracy of 'emotion' on 32 images is " in shown
    assert "instead of 1.0000, and more than 0.01 is lost" in shown
    kept = json.loads((target / "export.json").read_text())["int8"]
    assert kept["accuracy"] < 0.99 and kept["accuracy_float32"] == 1 and kept["withdrawn"] in shown
    assert sorted(path.name for path in target.iterdir()) == ["example.py", "export.json", "model.onnx"]


@pytest.fixture
def saved(tmp_path):
    return save(serving_model({"emotion": ANSWERING["emotion"], "pose": ANSWERING["pose"]}), tmp_path / "model")


def test_an_export_that_answers_otherwise_or_fails_leaves_nothing(saved, tmp_path, monkeypatch):
    target, asked = tmp_path / "deep" / "target", Choices(("program",))
    with monkeypatch.context() as patch:
        patch.setattr(onnx_file, "TOLERANCE", -1.0)
        with pytest.raises(RuntimeError, match="model.pt2 differs from the network"):
            export.export(saved, target, asked)
        assert not target.exists()
    target.mkdir(parents=True)
    (target / "model.pt2").write_text("of an earlier export")

    def full(_, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(program, "write", full)
    with pytest.raises(OSError, match="No space left"):
        export.export(saved, target, asked)
    assert [path.name for path in target.iterdir()] == ["model.pt2"]
    assert (target / "model.pt2").read_text() == "of an earlier export"


def test_nothing_of_an_earlier_export_is_left_and_files_of_others_are(saved):
    target = saved / "onnx"
    target.mkdir()
    for name in ("notes.txt", "model.onnx", "model_int8.onnx", "example.py"):
        (target / name).write_text("earlier")
    export.export(saved, target, Choices(("program",), heads=["pose"]))
    assert sorted(path.name for path in target.iterdir()) == ["export.json", "model.pt2", "notes.txt"]
    (answered,) = program.module(target / "model.pt2")(torch.zeros(3, 3, 32, 32, dtype=torch.uint8))
    assert answered.shape == (3, 3), "the head that was asked for, and no other"


@pytest.mark.parametrize(
    "options, message",
    [
        (["--formats", "onxx"], "--formats has 'onxx'; there are onnx, program"),
        (["--heads", "gaze"], "no head 'gaze'; it has: emotion, pose"),
        (["--int8", "nowhere"], "--int8 nowhere: there is no such folder"),
        (["--int8", "EMPTY"], "there is no image in this folder"),
        (["--int8", "FEW"], "--int8 has 2 images, and needs 8 or more"),
        (["--int8", "FEW", "--formats", "program"], "add onnx to --formats"),
        (["--check", "FEW"], "--int8 DIR"),
        (["--int8", "ENOUGH", "--check", "EMPTY"], "has no class folders with images; name them happy, sad, angry"),
        (["--int8", "ENOUGH", "--check", "FEW"], "the folder 'joy' is called like no class of the model"),
        (["--int8", "ENOUGH", "--check", "FEW", "--heads", "pose"], "--check needs classes"),
        (["--output", "FILE"], "is a file; give a folder"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(saved, tmp_path, options, message):
    (tmp_path / "EMPTY").mkdir()
    write_images(tmp_path / "FEW" / "joy", "1.png", "2.png")
    (tmp_path / "FILE").write_text("")
    write_images(tmp_path / "ENOUGH", *[f"{number}.png" for number in range(8)])
    names = {"EMPTY", "FEW", "ENOUGH", "FILE"}
    with pytest.raises((ValueError, OSError), match=message):
        command.run([str(saved), *(str(tmp_path / each) if each in names else each for each in options)])
    assert not (saved / "onnx").exists()


def test_what_is_no_model_is_told(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ValueError, match="of the type 'vit', and none of hf_hmtl"):
        command.run([str(tmp_path / "other")])
    with pytest.raises(FileNotFoundError, match="for a model of the Hub give --output DIR too"):
        command.run([str(tmp_path / "missing")])
