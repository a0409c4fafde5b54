"""One image has one answer: by the model, the pipeline, the table and ONNX, on files of every odd kind too."""

import json
import runpy
import sys

import pandas as pd
import pytest
import torch
from odd_images import LOOKS_RIGHT, REFUSED
from PIL import Image
from serving_models import save, serving_model
from transformers import pipeline

from hf_hmtl import HMTLForImageClassification, HMTLImageProcessor
from hf_hmtl.model.image_processing_hmtl import ImageError
from hf_hmtl.serving import export, onnx_file
from hf_hmtl.serving.export import Choices
from hf_hmtl.serving.images import media_files
from hf_hmtl.serving.predict import Choices as PredictChoices
from hf_hmtl.serving.predict import predict

MORE_THAN_8_BITS = ("16 bits", "12 bits", "32 bits", "floats")
READABLE = [name for name in LOOKS_RIGHT if not name.endswith("PFM") or ".pfm" in Image.registered_extensions()]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The model, the pipeline, an ONNX session, the example's file, and the rows of a table of all odd images."""
    folder = save(serving_model().slim(), tmp_path_factory.mktemp("model"))
    files = tmp_path_factory.mktemp("odd")
    for number, make in enumerate([LOOKS_RIGHT[name] for name in READABLE] + list(REFUSED.values())):
        (files / f"{number:02d}.png").write_bytes(make())
    export.export(folder, folder / "onnx", Choices())
    analyse = pipeline("face-analysis", model=str(folder), detect=False, device="cpu")
    predict(analyse, media_files([str(files)]), files / "faces.parquet", PredictChoices(batch_size=4))
    rows = pd.read_parquet(files / "faces.parquet").set_index("file").to_dict("index")
    return folder, analyse, onnx_file.session(folder / "onnx" / "model.onnx"), rows, files


def path_of(served, name):
    return served[4] / f"{[*READABLE, *REFUSED].index(name):02d}.png"


def flat(entry):
    """The numbers of an entry by the names that they have in a table."""
    numbers = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            numbers |= {f"{key}_{name}": share for name, share in value.get("scores", value).items()}
        elif not isinstance(value, str):
            numbers[key] = value
    return numbers


@pytest.mark.parametrize("name", READABLE)
def test_an_image_has_one_answer_whoever_is_asked(served, name, capsys, monkeypatch):
    folder, analyse, opened, rows, _ = served
    path = path_of(served, name)
    model = HMTLForImageClassification.from_pretrained(folder)
    pixels = HMTLImageProcessor.from_pretrained(folder)(str(path))["pixel_values"]
    with torch.no_grad():
        said = model(pixels).predictions
    expected = {f"emotion_{label}": share for label, share in zip(
        model.config.labels, said["emotion"].softmax(1)[0].tolist(), strict=True)}  # fmt: skip
    expected |= dict(zip(("units_au1", "units_au2"), said["units"].sigmoid()[0].tolist(), strict=True))
    expected |= dict(zip(("yaw", "pitch", "roll"), said["pose"][0].tolist(), strict=True))
    expected |= dict(zip(("valence", "arousal"), said["affect"][0].tolist(), strict=True))
    expected["age"] = said["age"].item()
    found = onnx_file.run(opened, pixels.numpy())
    labels = [f"emotion_{label}" for label in model.config.labels]
    onnx_says = dict(zip(labels, found["emotion_probabilities"][0], strict=True))
    onnx_says |= dict(zip(("units_au1", "units_au2"), found["units_probabilities"][0], strict=True))
    onnx_says |= dict(zip(("yaw", "pitch", "roll"), found["pose"][0], strict=True))
    onnx_says |= dict(zip(("valence", "arousal"), found["affect"][0], strict=True)) | {"age": found["age"][0, 0]}
    table_says = {key: rows[str(path)][key] for key in expected}
    answers = {"pipeline": flat(analyse(path)[0]), "predict": table_says, "ONNX": onnx_says}
    monkeypatch.setattr(sys, "argv", ["example.py", str(path)])
    example = str(folder / "onnx" / "example.py")
    if name.startswith(MORE_THAN_8_BITS):
        with pytest.raises(SystemExit, match="more than 8 bits a colour"):
            runpy.run_path(example, run_name="__main__")
    else:
        runpy.run_path(example, run_name="__main__")
        answers["example"] = flat(json.loads(capsys.readouterr().out))
    for who, answer in answers.items():
        assert answer == pytest.approx(expected, rel=1e-4, abs=1e-4), who


@pytest.mark.parametrize("name", REFUSED)
def test_an_image_that_can_be_read_in_two_ways_is_refused_whoever_is_asked(served, name, monkeypatch):
    folder, analyse, _, rows, _ = served
    path = path_of(served, name)
    with pytest.raises(ImageError) as refused:
        HMTLImageProcessor.from_pretrained(folder)(str(path))
    assert analyse(path) == [{"error": str(refused.value)}]
    assert rows[str(path)]["error"] == str(refused.value) and pd.isna(rows[str(path)]["yaw"])
    monkeypatch.setattr(sys, "argv", ["example.py", str(path)])
    with pytest.raises(SystemExit, match="more than 8 bits a colour"):
        runpy.run_path(str(folder / "onnx" / "example.py"), run_name="__main__")
