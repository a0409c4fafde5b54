"""Networks for faces in time on the Hub: their own files, card and terms, by the one way of everything else."""

import json

import pytest
import torch
from hub_names import CODE, MODEL, NAME
from transformers import AutoImageProcessor, AutoModel

from hf_hmtl.commands.push import run as push_command
from hf_hmtl.commands.train import run as train
from hf_hmtl.results.result import read

IN_TIME = {"configuration_sequence_hmtl.py", "modeling_sequence_hmtl.py"}
OF_RUN = {"README.md", "result.json", "curves.png", "recipe.yaml"}


def trained(folder, *changes, saved="no"):
    """A run of one step over drawn clips."""
    train(
        ["drawn-clips/gru-random", "--backbone", "test_resnet", "--image_size", "32", "--use_cpu", "--disable_tqdm",
         "true", "--max_steps", "1", "--eval_strategy", "no", "--save_strategy", saved, "--save_steps", "1",
         "--load_best_model_at_end", "false", "--output_dir", str(folder), "--set", "source.train=8",
         "source.validation=8", "source.test=8", "source.frames=8", "source.size=32", "sequence.window=8",
         "sequence.units=4", *changes]
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("clips"))


def test_a_run_in_time_is_published_with_its_code_and_results_and_nothing_else(hub, clips):
    push_command([str(clips), NAME])
    files = hub.files(NAME)
    assert set(files) - {".gitattributes"} == MODEL | OF_RUN | IN_TIME | (CODE & set(files))
    assert "modeling_hmtl.py" in files and "predictions.parquet" not in files and "run.json" not in files
    card = files["README.md"].decode()
    assert "faces in time" in card and f'AutoModel.from_pretrained("{NAME}"' in card
    assert not hub.model(NAME).private  # drawn clips are on no terms
    for name in IN_TIME:
        assert files[name] == (clips / name).read_bytes()


def test_what_was_loaded_from_a_run_is_that_run_until_a_number_changes(hub, clips):
    model = AutoModel.from_pretrained(clips)
    model.push_to_hub(NAME)
    assert set(hub.files(NAME)) >= OF_RUN and hub.model(NAME).private
    with torch.no_grad():
        model.head.bias[0] += 1
    model.push_to_hub(f"{NAME}-2")
    files = hub.files(f"{NAME}-2")
    assert set(files) & OF_RUN == {"README.md"}
    card = files["README.md"].decode()
    assert "**Nothing was measured**" in card and "a GRU over the features of test_resnet" in card
    assert "pipeline_tag" not in card and "valence, arousal" in card


def test_terms_of_the_clips_hold_for_what_learned_from_them(hub, clips, tmp_path):
    model = AutoModel.from_pretrained(clips)
    model.config.frame_config.learned_from = ["aff_wild"]
    model.config._name_or_path = ""
    model.push_to_hub(NAME, private=None)
    assert hub.model(NAME).private
    assert json.loads(hub.files(NAME)["config.json"])["frame_config"]["learned_from"] == ["aff_wild"]


def test_another_network_is_not_replaced_and_there_are_no_training_heads(hub, clips, tmp_path):
    push_command([str(clips), NAME])
    wider = AutoModel.from_pretrained(clips)
    wider.config.summary = "mean"
    with pytest.raises(ValueError, match="overwrite"):
        wider.push_to_hub(NAME)
    with pytest.raises(ValueError, match="faces in time without training heads"):
        push_command([str(clips), f"{NAME}-2", "--with_heads"])
    assert read(clips / "result.json").model["auxiliary"] == []


def test_training_heads_of_a_hybrid_run_are_published_when_asked_for_and_never_on_main(hub, tmp_path):
    folder = trained(tmp_path / "run", "auxiliary={puzzle: {grid: 2}}", saved="steps")
    push_command([str(folder), NAME, "--with_heads"])
    assert json.loads(hub.files(NAME)["config.json"])["auxiliary"] == {}
    with_heads = hub.files(NAME, "with-heads")
    assert list(json.loads(with_heads["config.json"])["auxiliary"]) == ["puzzle"]
    assert len(with_heads["model.safetensors"]) > len(hub.files(NAME)["model.safetensors"])
    AutoModel.from_pretrained(folder / "checkpoint-1").save_pretrained(tmp_path / "mine")
    AutoImageProcessor.from_pretrained(folder).save_pretrained(tmp_path / "mine")
    with pytest.raises(ValueError, match=r"heads that serve training only \(puzzle\)"):
        push_command([str(tmp_path / "mine"), f"{NAME}-2"])
