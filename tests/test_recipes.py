"""Every row of every recipe file is built and stepped, on a tiny backbone and drawn faces."""

import dataclasses

import pytest
import torch
from datasets import ClassLabel, DatasetDict

from hf_hmtl import HMTLConfig, HMTLForImageClassification, recipe
from hf_hmtl.data import sources
from hf_hmtl.run import experiment
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.evaluation import evaluate_probe

ROWS = [f"{file}/{row}" for file, rows in recipe.available().items() for row in rows]
BACKBONE = "test_efficientnet"
PAPER_TABLES = {
    # figures that the paper prints in rows of its own methods, duplicates across tables counted once
    "Table 1": 6, "Table 2": 5, "Table 3": 6, "Table 4": 3, "Table 5": 22, "Table 6": 7, "Table 7": 12, "Appendix B": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A model that other rows begin with."""
    folder = tmp_path_factory.mktemp("stage")
    torch.manual_seed(0)
    HMTLForImageClassification(HMTLConfig(backbone=BACKBONE, image_size=48, heads={})).save_pretrained(folder)
    return str(folder)


def test_the_paper_has_this_many_rows():
    loaded = [recipe.load(name) for name in ROWS]
    with_figures = [row for row in loaded if row.paper]
    assert len(with_figures) == 42 and all(row.name.startswith("affectnet/") for row in with_figures)
    assert len(recipe.available()["affectnet"]) == 47  # and five pre-trainings, which the paper gives no figure of

    def tables(text):
        if text.startswith("Appendix B"):
            return {"Appendix B"}
        numbers = text.removeprefix("Tables ").removeprefix("Table ").replace(" and ", ", ").split(", ")
        return {f"Table {number}" for number in numbers}

    counts = dict.fromkeys(PAPER_TABLES, 0)
    for row in with_figures:
        for table in tables(row.paper["table"]):
            counts[table] += 1
    assert counts == PAPER_TABLES


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("supervised-none", 0.5703), ("supervised-weak", 0.6009), ("supervised-strong-imagenet", 0.6017),
        ("supervised-weak-imagenet-b2", 0.6035), ("puzzle-3x3-weak", 0.6109), ("puzzle-3x3-weak-b2", 0.6132),
        ("puzzle-rotation-none", 0.5521), ("inpainting-pixel-none", 0.5678), ("inpainting-perceptual-weak", 0.6172),
        ("supervised-none-20", 0.4359), ("inpainting-perceptual-weak-20", 0.5536), ("puzzle-2x2-none", 0.5736),
        ("inpainting-none-without-heads", 0.5731), ("nonlinear-rotation", 0.1548), ("linear-barlow-twins", 0.4151),
        ("affect-regression", 0.44), ("affect-classified", 0.49), ("affect-classified-puzzle-3x3", 0.51),
        ("finetune-puzzle-rotation", 0.5886), ("finetune-inpainting", 0.5184), ("smoothing-0.3", 0.5162),
    ],
)  # fmt: skip
def test_figures_are_those_of_the_paper(row, value):
    assert recipe.load(f"affectnet/{row}").paper["value"] == value


def test_imagenet_rows_learn_at_a_tenth_of_the_rate():
    for row in recipe.available()["affectnet"]:
        loaded = recipe.load(f"affectnet/{row}")
        expected = 1e-4 if loaded.pretrained is True else 1e-3
        assert loaded.training["learning_rate"] == expected, row
        batch = 32 if "inpainting" in loaded.auxiliary else 64
        assert loaded.training["per_device_train_batch_size"] == batch, row


def test_the_rotation_of_the_augmentation_is_off_where_rotation_is_the_only_lesson():
    for name in ROWS:
        loaded = recipe.load(name)
        if "rotation" in loaded.auxiliary and not loaded.supervised:
            assert loaded.augmentation == {"level": "strong", "rotation": 0}, name


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_built_and_stepped(name, faces, stage, tmp_path, monkeypatch):
    emotions = faces["train"].features["emotion"]
    assert isinstance(emotions, ClassLabel)
    column = "label" if name.startswith("custom") else "emotion"
    rows = DatasetDict({split: data.select(range(24)) for split, data in faces.items()})
    if column != "emotion":
        rows = rows.rename_column("emotion", column)
    source = sources.Source("drawn", rows, "", "", "", ())
    monkeypatch.setattr(experiment.sources, "load", lambda *arguments, **options: source)
    monkeypatch.setattr(
        experiment, "load_teacher", lambda *arguments: HMTLForImageClassification.from_pretrained(stage)
    )
    row, _, args = parse(
        [name, "--output_dir", str(tmp_path), "--backbone", BACKBONE, "--per_device_train_batch_size", "8",
         "--max_steps", "1", "--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false",
         "--disable_tqdm", "true", "--use_cpu"]
    )  # fmt: skip
    if row.pretrained:
        row = dataclasses.replace(row, pretrained=stage)
    if row.teacher:
        row = dataclasses.replace(row, teacher=stage)
    built = experiment.build(row, args)
    if row.probe:
        evaluation, _ = evaluate_probe(built, tmp_path)
        assert 0 <= evaluation.metrics["test_emotion_accuracy"] <= 1
        return
    trainer = built.trainer()
    trainer.train()
    assert trainer.state.global_step == 1
    logged = next(entry for entry in trainer.state.log_history if "loss" in entry)
    assert {f"loss_{task.name}" for task in built.learned} <= logged.keys()
    assert all(torch.isfinite(tensor).all() for tensor in trainer.model.state_dict().values())
