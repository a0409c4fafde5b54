"""Models that are pushed come back to the bit where neither hf_hmtl nor the folder they came from can be seen."""

import os
import subprocess
import sys

import pytest
import torch
from elsewhere import WITHOUT_HF_HMTL
from hub_server import TOKEN, USER
from model_kinds import KINDS, answers, made, pixels
from PIL import Image

ELSEWHERE = (
    WITHOUT_HF_HMTL
    + """
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline

torch.set_num_threads(int(sys.argv[1]))
given, image, target = sys.argv[2:5]
found = {}
with torch.no_grad():
    for name in sys.argv[5:]:
        config = AutoConfig.from_pretrained(name, trust_remote_code=True)
        processor = AutoImageProcessor.from_pretrained(name, trust_remote_code=True)
        backbone = AutoModel.from_pretrained(name, trust_remote_code=True)
        assert type(backbone).__module__.startswith("transformers_modules."), type(backbone)
        pixels = torch.load(given, weights_only=True)
        found[name] = {"pooled": backbone(pixels).pooler_output, "seen": processor(image)["pixel_values"]}
        features = pipeline("image-feature-extraction", model=name, trust_remote_code=True)(image)
        assert len(features[0]) > 0
        if config.heads:
            model = AutoModelForImageClassification.from_pretrained(name, trust_remote_code=True)
            found[name] |= dict(model(pixels).predictions)
            answer = pipeline("image-classification", model=name, trust_remote_code=True)(image)
            assert {each["label"] for each in answer} <= set(config.id2label.values())
torch.save(found, target)
"""
)


def test_every_kind_of_model_answers_elsewhere_as_it_does_here(hub, tmp_path):
    names = {kind: f"{USER}/{kind}" for kind in KINDS}
    for kind, name in names.items():
        made(kind).push_to_hub(name)
    Image.effect_noise((50, 40), 60).convert("RGB").save(tmp_path / "face.png")
    torch.save(pixels(), tmp_path / "pixels.pt")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "HF_HUB_OFFLINE")}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_TOKEN": TOKEN, "HF_HUB_DISABLE_TELEMETRY": "1"}
    program = [sys.executable, "-I", "-c", ELSEWHERE, str(torch.get_num_threads())]
    files = [str(tmp_path / name) for name in ("pixels.pt", "face.png", "found.pt")]
    done = subprocess.run(
        [*program, *files, *names.values()],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    for kind, name in names.items():
        expected = answers(made(kind).slim())
        for head, output in expected.items():
            assert torch.equal(found[name][head], output), (kind, head)
        assert found[name].keys() == {*expected, "seen"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_of_a_model_that_nobody_measured_says_so(hub, kind):
    made(kind).push_to_hub(f"{USER}/{kind}")
    files = hub.files(f"{USER}/{kind}")
    card = files["README.md"].decode()
    assert "**Nothing was measured**" in card and f'"{USER}/{kind}"' in card and "model-index" not in card
    assert not {"result.json", "curves.png", "recipe.yaml"} & set(files)
    assert b'"auxiliary": true' not in files["config.json"] and b"auxiliary." not in files["model.safetensors"]
