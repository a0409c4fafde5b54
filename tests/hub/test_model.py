"""`model.push_to_hub()`, `save_pretrained(push_to_hub=True)`, `trainer.push_to_hub()` and `--push_to_hub`: one way."""

import json
import shutil

import pytest
import torch
from hub_names import NAME, WHOLE
from hub_server import TOKEN
from huggingface_hub import snapshot_download
from model_kinds import made
from runs import tiny
from safetensors.torch import load, load_file
from trainers import assert_same, make
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from hf_hmtl import HMTLImageProcessor, Puzzle
from hf_hmtl.commands.push import run as push_command
from hf_hmtl.commands.train import run as train
from hf_hmtl.model import publishing_hmtl
from hf_hmtl.results.result import read


def test_a_model_from_a_runs_folder_brings_that_folders_files(hub, trained):
    AutoModelForImageClassification.from_pretrained(trained).push_to_hub(NAME)
    by_model = hub.files(NAME)
    push_command([str(trained), f"{NAME}-2"])
    by_command = hub.files(f"{NAME}-2")
    assert set(by_model) == WHOLE
    by_command["README.md"] = by_command["README.md"].replace(f"{NAME}-2".encode(), NAME.encode())
    assert by_model == by_command


def test_one_changed_number_takes_the_results_away(hub, trained):
    model = AutoModelForImageClassification.from_pretrained(trained)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-6
    model.push_to_hub(NAME)
    assert set(hub.files(NAME)) == WHOLE - {"result.json", "curves.png", "recipe.yaml"}
    assert "**Nothing was measured**" in hub.files(NAME)["README.md"].decode()


def test_terms_of_the_folder_hold_for_a_changed_model_too(hub, trained, tmp_path):
    model = AutoModelForImageClassification.from_pretrained(trained)
    result = read(trained / "result.json")
    result.recipe["source"]["name"] = "affectnet"
    result.write(tmp_path / "result.json")
    model.config._name_or_path = str(tmp_path)
    model.push_to_hub(NAME)
    assert hub.model(NAME).private and str(tmp_path).encode() not in b"".join(hub.files(NAME).values())


def test_saving_with_push_to_hub_keeps_the_heads_here_and_publishes_none(hub, tmp_path):
    made("hybrid").save_pretrained(tmp_path / "faces", push_to_hub=True, private=True)
    assert json.loads((tmp_path / "faces" / "config.json").read_text())["heads"].keys() >= {"puzzle"}
    assert json.loads(hub.files(NAME)["config.json"])["heads"].keys() == {"emotion"}
    assert hub.model(NAME).private


def test_the_processor_of_the_folder_goes_along(hub, tmp_path):
    made("classification").save_pretrained(tmp_path)
    HMTLImageProcessor(size=32, crop_fraction=0.75).save_pretrained(tmp_path)
    AutoModelForImageClassification.from_pretrained(tmp_path).push_to_hub(NAME)
    assert json.loads(hub.files(NAME)["preprocessor_config.json"])["crop_fraction"] == 0.75
    assert AutoImageProcessor.from_pretrained(NAME).crop_fraction == 0.75  # by the installed class, from the Hub


def test_a_configuration_and_a_processor_publish_themselves_and_their_code(hub, tmp_path):
    """Neither goes by `push`: each is a file and its code, without a place or a name of this machine."""
    made("classification").save_pretrained(tmp_path)
    HMTLImageProcessor(size=32, crop_fraction=0.75).save_pretrained(tmp_path)
    AutoConfig.from_pretrained(tmp_path).push_to_hub(NAME)
    AutoImageProcessor.from_pretrained(tmp_path).push_to_hub(NAME)
    found = hub.files(NAME)
    assert {"config.json", "preprocessor_config.json"} <= found.keys() <= WHOLE | {".gitattributes"}
    assert not any(str(tmp_path).encode() in content or TOKEN.encode() in content for content in found.values())
    assert AutoImageProcessor.from_pretrained(NAME).crop_fraction == 0.75
    assert AutoConfig.from_pretrained(NAME).heads.keys() == {"emotion"}


def test_options_of_transformers_that_mean_nothing_here_say_what_to_do(hub):
    model = made("classification")
    with pytest.raises(ValueError, match="create_pr=True.*main branch"):
        model.push_to_hub(NAME, create_pr=True)
    with pytest.raises(TypeError, match="no option 'privat'"):
        model.push_to_hub(NAME, privat=True)
    assert hub.requests == []


def test_where_hf_hmtl_is_not_installed_transformers_publishes(hub, monkeypatch):
    monkeypatch.setattr(publishing_hmtl, "_publishers", [])
    made("hybrid").push_to_hub(NAME, commit_message="plain")
    assert hub.model(NAME).history()[0] == "plain"
    assert {"emotion", "puzzle"} <= json.loads(hub.files(NAME)["config.json"])["heads"].keys()


def test_a_trainer_publishes_its_slim_model_when_it_ends_and_once(hub, faces, tmp_path):
    trainer = make(faces, tmp_path / "faces", Puzzle(grid=2), push_to_hub=True, hub_token=TOKEN, max_steps=2,
                   save_strategy="steps", save_steps=1)  # fmt: skip
    assert not hub.repositories  # nothing is made before there is something to show
    trainer.train()
    assert hub.model(NAME).history() == ["Upload by hf_hmtl: main", "initial commit"]
    trainer.push_to_hub(commit_message="once more")  # the same files
    assert len(hub.model(NAME).commits) == 2
    assert_same(load(hub.files(NAME)["model.safetensors"]), trainer.model.slim().state_dict())
    assert "**Nothing was measured**" in hub.files(NAME)["README.md"].decode()
    assert not any(TOKEN.encode() in content for content in [*hub.received, *hub.objects.values()])
    with pytest.raises(ValueError, match="blocking=False"):
        trainer.push_to_hub(blocking=False)
    with pytest.raises(ValueError, match="revision='dev'"):
        trainer.push_to_hub(revision="dev")


def test_a_training_publishes_its_folder_when_it_is_whole(hub, tmp_path, capsys):
    folder = tmp_path / "run"
    options = [
        "--max_steps",
        "2",
        "--eval_strategy",
        "no",
        "--save_strategy",
        "no",
        "--load_best_model_at_end",
        "false",
    ]
    options += ["--push_to_hub", "--hub_model_id", NAME, "--hub_token", TOKEN, "--output_dir", str(folder)]
    train(["quickstart", *tiny(), *options])
    assert set(hub.files(NAME)) == WHOLE and len(hub.model(NAME).commits) == 2
    assert hub.files(NAME)["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert "published: http" in capsys.readouterr().out


def test_a_training_that_could_not_publish_does_not_begin(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    options = ["--push_to_hub", "--output_dir", str(tmp_path / "run")]
    with pytest.raises(ConnectionError, match="hf auth login"):
        train(["quickstart", *tiny(), *options])
    assert not (tmp_path / "run").exists()


def test_a_training_goes_on_from_its_branch_to_the_same_bits(hub, trained, folder, relative, tmp_path):
    """In an empty folder, from the middle: weights, scores and selection are those of the run never cut off."""
    shutil.rmtree(folder / "checkpoint-4")
    push_command([str(relative), NAME, "--training"])
    place = tmp_path / "elsewhere"
    snapshot_download(NAME, revision="training", local_dir=place)
    assert not (place / "run.json").exists() and not list(place.rglob("training_args.bin"))
    steps = ["--max_steps", "4", "--eval_strategy", "steps", "--eval_steps", "2", "--save_strategy", "steps"]
    steps += ["--save_steps", "2", "--save_total_limit", "5", "--pretrained", str(trained.parent / "first")]
    steps += ["--output_dir", str(place), "--resume_from_checkpoint", "last"]
    with pytest.raises(ValueError, match="training.seed: 42 then, 7 now"):
        train(["quickstart", *tiny(), *steps, "--seed", "7"])
    train(["quickstart", *tiny(), *steps])
    before, after = read(trained / "result.json"), read(place / "result.json")
    assert (place / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert after.metrics == before.metrics and after.protocol["selection"] == before.protocol["selection"]
    last, last_there = (load_file(run / "checkpoint-4" / "model.safetensors") for run in (trained, place))
    assert_same(last, last_there)
