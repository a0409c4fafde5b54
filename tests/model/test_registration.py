import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from elsewhere import WITHOUT_HF_HMTL
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline

from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification, HMTLModel
from hf_hmtl.model.registration import register


@pytest.fixture
def folder(full, tmp_path):
    """The slim model and its processor, saved."""
    full.slim().save_pretrained(tmp_path / "model")
    HMTLImageProcessor(size=64, crop_fraction=0.8).save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def files(tmp_path) -> list:
    """Image files that are easy to read in two ways: rotated by EXIF, gray, palette, alpha, large."""
    rng = np.random.default_rng(0)

    def noise(width, height):
        coarse = rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    exif = Image.Exif()
    exif[0x0112] = 6
    noise(80, 50).save(tmp_path / "rotated.jpg", exif=exif)
    noise(48, 48).convert("L").save(tmp_path / "gray.png")
    noise(48, 48).quantize(32).save(tmp_path / "palette.png")
    noise(50, 70).convert("RGBA").save(tmp_path / "alpha.png")
    noise(2000, 1500).save(tmp_path / "large.jpg")
    return sorted(str(path) for path in tmp_path.iterdir() if path.is_file())


def test_registering_twice_is_fine_and_the_auto_classes_know_us(folder):
    register()
    assert AutoConfig.from_pretrained(folder).backbone == "test_efficientnet"
    assert type(AutoModel.from_pretrained(folder)) is HMTLModel
    assert type(AutoModelForImageClassification.from_pretrained(folder)) is HMTLForImageClassification
    assert type(AutoImageProcessor.from_pretrained(folder)) is HMTLImageProcessor


def test_nothing_asks_whether_it_may_run_the_code_that_is_installed(folder, monkeypatch):
    questions = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or "n")
    pipeline("image-classification", model=folder)
    AutoImageProcessor.from_pretrained(folder)
    assert questions == []


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("slim", [True, False])
def test_the_pipeline_over_files_is_processor_and_model_prediction_for_prediction(
    full, folder, files, batch_size, slim
):
    if not slim:
        full.save_pretrained(folder)
    pipe = pipeline("image-classification", model=folder)
    answers = pipe(files, batch_size=batch_size, top_k=3)
    answers_for_images = pipe([Image.open(path) for path in files], top_k=3)
    processor, model = AutoImageProcessor.from_pretrained(folder), full.slim()
    with torch.no_grad():
        scores = model(processor(files)["pixel_values"]).logits.softmax(dim=1)
        one_by_one = model(processor(Path(files[0]).read_bytes())["pixel_values"]).logits.softmax(dim=1)
    torch.testing.assert_close(one_by_one, scores[:1])
    assert len(files) == 5
    for row, answer, answer_for_image in zip(scores, answers, answers_for_images, strict=True):
        assert answer[0]["label"] == model.config.id2label[row.argmax().item()] == answer_for_image[0]["label"]
        for entry in answer:
            assert entry["score"] == pytest.approx(row[model.config.label2id[entry["label"]]].item(), abs=1e-5)


ELSEWHERE = (
    WITHOUT_HF_HMTL
    + """
try:
    import hf_hmtl
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("hf_hmtl can be seen")

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline

folder, image, target = sys.argv[1:]
model = AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=True)
processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
features = AutoModel.from_pretrained(folder, trust_remote_code=True)
assert AutoConfig.from_pretrained(folder, trust_remote_code=True).primary == "emotion"
assert type(features).__name__ == "HMTLModel" and type(model).__module__.startswith("transformers_modules")
pixels = processor(image)["pixel_values"]
answer = pipeline("image-classification", model=folder, trust_remote_code=True)(image)
model.save_pretrained(target + "/again")
processor.save_pretrained(target + "/again")
again = AutoModelForImageClassification.from_pretrained(target + "/again", trust_remote_code=True)
assert torch.equal(again(pixels).logits, model(pixels).logits)
saved = {"logits": model(pixels).logits, "pooled": features(pixels).pooler_output, "label": answer[0]["label"]}
torch.save(saved, target + "/elsewhere.pt")
"""
)


def test_the_folder_works_by_remote_code_where_the_package_cannot_be_seen(full, folder, files, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, folder, files[0], str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    saved = torch.load(tmp_path / "elsewhere.pt", weights_only=True)
    pixels = HMTLImageProcessor(size=64, crop_fraction=0.8)(files[0])["pixel_values"]
    with torch.no_grad():
        outputs = full(pixels)
    torch.testing.assert_close(saved["logits"], outputs.logits)
    torch.testing.assert_close(saved["pooled"], full.hmtl(pixels).pooler_output)
    assert saved["label"] == full.config.id2label[outputs.logits.argmax().item()]


LATE = """
import sys
import hf_hmtl
costly = {"timm", "torchvision", "transformers.modeling_utils", "transformers.image_processing_utils"}
assert not costly & set(sys.modules), costly & set(sys.modules)
import transformers
answer = getattr(transformers, sys.argv[1]).from_pretrained(sys.argv[2])
assert type(answer).__module__.startswith("hf_hmtl."), type(answer)
"""


@pytest.mark.parametrize("name", ["AutoConfig", "AutoModel", "AutoModelForImageClassification", "AutoImageProcessor"])
def test_importing_the_package_is_cheap_and_every_auto_class_may_be_the_first(folder, name):
    subprocess.run([sys.executable, "-c", LATE, name, folder], check=True, capture_output=True, text=True)


def test_the_first_configuration_of_ones_own_makes_models_known():
    code = (
        "import hf_hmtl; from transformers import AutoModel\n"
        "config = hf_hmtl.HMTLConfig(backbone='test_resnet')\n"
        "assert type(AutoModel.from_config(config)) is hf_hmtl.HMTLModel\n"
        "assert 'make_first' not in repr(hf_hmtl.HMTLConfig.__init__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
