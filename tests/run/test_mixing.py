"""Recipes of several sources and hidden labels, from the command line to the result."""

import json

import datasets
import numpy as np
import pytest
import yaml
from data_trees import write_classes, write_images
from releases import write_aflw, write_fairface, write_lp
from runs import SMALL, TINY

from hf_hmtl.commands.train import run as main
from hf_hmtl.data import sources
from hf_hmtl.recipe import load as load_recipe
from hf_hmtl.results.result import read
from hf_hmtl.run.experiment import build
from hf_hmtl.run.mixing import unlabelled_splits
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.training.arguments import HMTLTrainingArguments

ONE_EPOCH = ["--num_train_epochs", "1"]


@pytest.fixture
def secret(tmp_path):
    """Faces without labels in a folder whose name is nobody's business."""
    folder = tmp_path / "secret place"
    write_images(folder, *(f"{number}.jpg" for number in range(40)))
    return folder


def arguments(tmp_path):
    return HMTLTrainingArguments(str(tmp_path / "run"), use_cpu=True)


def test_faces_without_labels_are_half_of_every_batch_and_teach_the_pretext_alone(secret, tmp_path):
    folder = tmp_path / "run"
    main(["quickstart", *TINY, *ONE_EPOCH, "--unlabelled", str(secret), "--output_dir", str(folder)])
    result = read(folder / "result.json")
    assert result.sources == {
        "drawn": {"train": 192, "validation": 32, "test": 32},
        "custom": {"train": 40},
    }
    assert result.steps == 12  # an epoch is a pass of the first source, 16 rows of it a step
    assert result.rows["train"]["rows"] == 232 and sum(result.rows["train"]["classes"]["emotion"].values()) == 192
    assert result.rows["test"]["rows"] == 32
    assert "mixed_with=custom" in result.name and result.paper is None
    assert any("50% drawn (192 rows), 50% custom (40 rows)" in note for note in result.data["notes"])
    assert result.learned_from == ["drawn", "custom"]
    told = [path for path in folder.iterdir() if path.suffix in (".json", ".md", ".yaml") and path.name != "run.json"]
    assert len(told) > 4 and not any(str(tmp_path) in path.read_text() for path in told)
    again = load_recipe(f"{folder}/recipe.yaml")
    assert again.mixed_with == [{"name": "custom", "labels": "none", "data_dir": "secret place"}]


def test_hidden_labels_are_those_of_the_rows_that_a_fraction_leaves_out(tmp_path):
    changes = {"source": {"train": 96, "validation": 16, "test": 16, "size": 48}, "backbone": "test_efficientnet"}
    args = arguments(tmp_path)
    whole, hidden, fewer = (
        build(load_recipe("drawn/puzzle-2x2", changes | more), args).splits["train"]
        for more in ({}, {"label_fraction": 0.25}, {"train_fraction": 0.25})
    )
    assert hidden["_id"][:] == whole["_id"][:]
    known = {row: label for row, label in zip(hidden["_id"], hidden["emotion"], strict=True) if label >= 0}
    assert known == dict(zip(fewer["_id"], fewer["emotion"], strict=True)) and len(known) == 24
    result_of = build(load_recipe("drawn/puzzle-2x2", changes | {"label_fraction": 0.25}), args)
    assert any("labels of 25%" in note for note in result_of.source.notes)


@pytest.fixture
def several(tmp_path):
    """A recipe of three sources with another label each, and one that has none."""
    write_classes(tmp_path / "moods", count=12, classes=("sad", "glad"))
    write_images(tmp_path / "bare", *(f"{number}.png" for number in range(9)), kind="PNG")
    size = {"size": 48, "train": 64, "validation": 16, "test": 16}
    moods = {"name": "custom", "data_dir": str(tmp_path / "moods"), "label_column": "label", "task": "mood"}
    row = {
        "source": [
            {"name": "drawn", "share": 2, **size},
            {**moods, "share": 1},
            {"name": "custom", "labels": "none", "data_dir": str(tmp_path / "bare"), "share": 1},
        ],
        "backbone": "test_efficientnet",
        "image_size": 48,
        "supervised": {"emotion": {}, "mood": {}, "head_pose": {"task": "head_pose"}},
        "auxiliary": {"puzzle": {"grid": 2}},
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"rows": {"all": row}}))
    return path


def test_one_training_learns_what_each_source_labels(several, tmp_path):
    folder = tmp_path / "run"
    main([f"{several}:all", "--use_cpu", "--disable_tqdm", "true", "--per_device_train_batch_size", "16", *ONE_EPOCH,
          "--logging_steps", "4", "--eval_strategy", "no", "--output_dir", str(folder)])  # fmt: skip
    result = read(folder / "result.json")
    assert list(result.sources) == ["drawn", "custom", "custom-2"] and result.steps == 8
    assert result.sources["custom-2"] == {"train": 9}
    first = next(entry for entry in result.history if "loss_mood" in entry)
    assert all(np.isfinite(first[f"loss_{name}"]) for name in ("emotion", "mood", "head_pose", "puzzle"))
    moods = result.sources["custom"]["test"]
    assert sum(map(sum, result.confusion["test"]["mood"]["matrix"])) == moods
    assert result.scored["test"] == {"emotion": 16, "mood": moods, "head_pose": 16}
    by_source = result.groups["emotion"]["_source"]
    assert by_source["drawn"]["rows"] == 16 and set(result.groups["mood"]["_source"]) >= {"drawn"}


def test_every_row_of_a_batch_has_the_labels_of_its_source_and_no_others(several, tmp_path):
    trainer = build(load_recipe(f"{several}:all"), arguments(tmp_path)).trainer()
    trainer.args.per_device_train_batch_size = trainer._train_batch_size = 16
    batch = next(iter(trainer.get_train_dataloader()))
    of_drawn, of_moods = batch["rows"] < 64, (batch["rows"] >= 64) & (batch["rows"] < 64 + 16)
    assert (of_drawn.sum(), of_moods.sum(), len(batch["rows"])) == (8, 4, 16)
    assert torch_equal(batch["targets"]["emotion"] != MISSING, of_drawn)
    assert torch_equal(batch["targets"]["mood"] != MISSING, of_moods)
    assert torch_equal(~batch["targets"]["head_pose"].isnan().any(1), of_drawn)
    assert (batch["targets"]["puzzle"] != MISSING).all()


def torch_equal(one, other):
    return one.tolist() == other.tolist()


@pytest.mark.parametrize(
    ("row", "changes", "said"),
    [
        ("drawn/supervised", ["--unlabelled", "x"], "has no pretext task.* drawn/puzzle-2x2"),
        ("drawn/supervised", ["--label_fraction", "0.5"], "teach pretexts alone"),
        ("drawn/puzzle-2x2", ["--label_fraction", "0"], "label_fraction is 0"),
        ("drawn/puzzle-2x2", ["--unlabelled", "nowhere at all"], "nowhere at all"),
        ("drawn/puzzle-2x2", ["--set", "mixed_with=[{name: custm}]"], "Did you mean 'custom'"),
        ("drawn/puzzle-2x2", ["--set", "mixed_with=[{labels: none}]"], "names no source"),
        ("drawn/puzzle-2x2", ["--set", "mixed_with=[{name: drawn, share: 0}]"], "share .* is 0, allowed is a number"),
        ("drawn/puzzle-2x2", ["--set", "mixed_with=[{name: drawn, share: yes}]"], "share .* is True"),
        ("drawn/puzzle-2x2", ["--set", "mixed_with=[{name: drawn, labels: all}]"], "labels .* allowed is none"),
        ("drawn/puzzle-2x2", ["--set", "mixed_with=drawn"], "mixed_with is 'drawn'"),
        (
            "drawn/puzzle-2x2",
            ["--set", "mixed_with=[{name: drawn, 0.5: null}]"],
            "mixed_with is .* a mapping of names each",
        ),
        ("affectnet/supervised-strong", ["--set", "source=[]"], "source is"),
    ],
)
def test_what_cannot_be_mixed_is_one_line(row, changes, said, tmp_path):
    with pytest.raises((ValueError, OSError), match=said):
        main([row, *SMALL, *changes, "--output_dir", str(tmp_path / "run")])


def test_a_row_with_a_figure_of_the_paper_mixes_nothing(several):
    content = yaml.safe_load(several.read_text())
    content["rows"]["all"]["paper"] = {"table": 1, "row": "x", "metric": "accuracy", "value": 0.5}
    several.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match="the paper mixes no sources"):
        load_recipe(f"{several}:all")


def test_a_run_with_unlabelled_faces_is_resumed_to_the_bit(secret, tmp_path):
    options = ["quickstart", *TINY, "--unlabelled", str(secret), "--save_strategy", "steps", "--save_steps", "5",
               "--eval_strategy", "no", "--load_best_model_at_end", "false", *ONE_EPOCH]  # fmt: skip
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    main([*options, "--output_dir", str(whole)])
    main([*options, "--output_dir", str(cut)])
    for name in ("model.safetensors", "result.json", "predictions.parquet", "checkpoint-12", "checkpoint-10"):
        path = cut / name
        if path.is_dir():
            [each.unlink() for each in path.iterdir() if each.is_file()], path.rmdir()
        elif path.exists():
            path.unlink()
    main([*options, "--output_dir", str(cut), "--resume_from_checkpoint", "last"])
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    assert json.loads((cut / "run.json").read_text())["recipe.mixed_with"][0]["data_dir"] == str(secret)


def test_releases_of_several_data_sets_teach_one_network(tmp_path):
    """Faces that are cut out of 300W-LP's pictures stand in one batch with whole images."""
    write_aflw(write_lp(tmp_path / "pose"))
    write_fairface(tmp_path / "fairface")
    row = {
        "source": [
            {"name": "drawn", "size": 48, "train": 32, "validation": 16, "test": 16},
            {"name": "the300w_lp", "data_dir": str(tmp_path / "pose")},
            {
                "name": "fairface",
                "data_dir": str(tmp_path / "fairface"),
                "class_map": {"Male": "male", "Female": "female"},
            },
        ],
        "backbone": "test_efficientnet",
        "image_size": 48,
        "supervised": {"emotion": {}, "head_pose": {"task": "head_pose"}, "gender": {}},
        "auxiliary": {"puzzle": {"grid": 2, "view": "own", "share": 0.5}},
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"rows": {"all-at-once": row}}))
    experiment = build(load_recipe(str(path)), arguments(tmp_path))
    rows = experiment.splits["train"].with_format(None)
    assert {row["_source"]: row["_box"] is not None for row in rows} == {
        "drawn": False, "the300w_lp": True, "fairface": False,
    }  # fmt: skip
    batch = next(iter(experiment.trainer().get_train_dataloader()))
    by_source = np.array(rows["_source"][:])[batch["rows"].numpy()]
    assert {*by_source} == {"drawn", "the300w_lp", "fairface"}
    known = batch["targets"]["gender"] != MISSING
    assert {*by_source[known.numpy()]} <= {"drawn", "fairface"} and "fairface" in by_source[known.numpy()]
    licences = [sources.get(name).LICENCE for name in ("drawn", "the300w_lp", "fairface")]
    assert all(licence in experiment.source.licence for licence in licences)


def test_what_no_source_labels_in_a_split_is_told():
    rows = datasets.Dataset.from_dict({"image": ["a"], "mood": [0]})
    bare, posed = rows.select_columns("image"), datasets.Dataset.from_dict({"image": ["a"], "yaw": [1.0]})
    first = datasets.DatasetDict({"train": rows, "validation": rows, "test": rows})
    further = datasets.DatasetDict({"train": posed, "validation": posed})
    told = unlabelled_splits({"one": first, "two": further}, ["mood", "yaw"])
    assert told == ["test has no labels of yaw, of which nothing is measured there"]
    assert unlabelled_splits({"one": first, "bare": datasets.DatasetDict({"train": bare})}, ["mood"]) == []
