"""Folders that earlier versions saved are loaded as they were, and one of a later version says what it is."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from model_kinds import KINDS, answers, drawn_weights
from safetensors.torch import save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/*/answers.json"))


@pytest.fixture
def folder(request, tmp_path):
    """A committed folder; of one without weights a copy that has them."""
    if not (names := request.param / "weights.json").is_file():
        return request.param
    copied = shutil.copytree(request.param, tmp_path / request.param.name)
    save_file(drawn_weights(json.loads(names.read_text())), copied / "model.safetensors", {"format": "pt"})
    return copied


def test_there_is_one_of_every_kind_and_none_is_large():
    assert {folder.name for folder in FOLDERS} == set(KINDS) | {"decoder"}
    for folder in FOLDERS:
        assert sum(path.stat().st_size for path in folder.iterdir()) < 300 * 1024, folder


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}", indirect=True)
def test_a_saved_model_answers_what_it_answered_then(folder):
    model = AutoModelForImageClassification.from_pretrained(folder)
    expected = {name: torch.tensor(value) for name, value in json.loads((folder / "answers.json").read_text()).items()}
    found = answers(model)
    assert found.keys() == expected.keys() and next(model.parameters()).dtype == torch.float32
    for name, output in found.items():
        torch.testing.assert_close(output, expected[name], rtol=1e-4, atol=1e-5)
    assert AutoModel.from_pretrained(folder).config.to_dict() == model.config.to_dict() | {
        "architectures": model.config.architectures
    }
    assert AutoImageProcessor.from_pretrained(folder).size["height"] == model.config.image_size


def test_a_model_of_a_newer_version_says_so(tmp_path):
    newer = shutil.copytree(FOLDERS[0], tmp_path / "newer")
    config = json.loads((newer / "config.json").read_text())
    config |= {"format_version": 2, "backbones": ["unheard of"]}
    (newer / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="format 2, by a newer hf_hmtl.*pip install --upgrade"):
        AutoConfig.from_pretrained(newer)
