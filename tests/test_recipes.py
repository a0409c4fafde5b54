"""Every row of every recipe file is built and stepped, on a tiny backbone and drawn faces."""

import dataclasses
from collections import Counter

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel

from hf_hmtl import HMTLConfig, HMTLForImageClassification, recipe
from hf_hmtl.data import sources
from hf_hmtl.data.drawn_faces.clips import synthetic_clips
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.run import experiment
from hf_hmtl.run.clips import InTime
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.evaluation import evaluate_probe

ROWS = [
    f"{file}/{row}" for file, rows in recipe.available().items() for row in rows if recipe.original_of(file) == file
]
BACKBONE = "test_efficientnet"
PAPER_TABLES = {
    # figures that the paper prints in rows of its own methods, duplicates across tables counted once
    "Table 1": 6, "Table 2": 5, "Table 3": 6, "Table 4": 3, "Table 5": 22, "Table 6": 7, "Table 7": 12, "Table 8": 6,
    "Table 9": 2, "Table 10": 2, "Table 11": 2, "Table 12": 3, "Table 13": 7, "Appendix B": 4,
}  # fmt: skip
OF_FILE = {"affectnet": 42, "300w-lp": 3, "fairface": 7, "jaffe": 2, "aff-wild": 6, "afew-va": 2, "ckplus": 2}


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
    assert Counter(row.name.split("/")[0] for row in with_figures) == OF_FILE
    # Beside them five pre-trainings, two puzzles of Figure 13, Eq. 3 without its softmax, and seven classes.
    assert len(recipe.available()["affectnet"]) == 42 + 5 + 2 + 1 + 1

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


TABLE_12 = {  # yaw, pitch, roll and their mean, degrees
    "supervised": (6.221, 5.569, 3.984, 5.258),
    "puzzle-3x3-without-heads": (4.589, 6.223, 4.465, 5.092),
    "puzzle-3x3": (3.898, 5.962, 4.479, 4.78),
}
TABLE_13 = {  # epochs, and accuracy in percent with what stands behind its ±
    "supervised": (35, 91.51, 0.02), "inpainting-without-heads": (40, 91.59, 0.02),
    "inpainting-perceptual": (40, 92.12, 0.01), "puzzle-2x2-without-heads": (35, 91.33, 0.03),
    "puzzle-2x2": (25, 91.98, 0.01), "puzzle-3x3-without-heads": (45, 91.58, 0.04), "puzzle-3x3": (35, 92.41, 0.01),
}  # fmt: skip
MACRO_F1 = {  # Tables 2 and 7
    "nonlinear-inpainting": 0.3372, "nonlinear-puzzle": 0.3227, "nonlinear-rotation": 0.1070,
    "nonlinear-puzzle-rotation": 0.2754, "nonlinear-random": 0.04, "linear-barlow-twins": 0.4116,
}  # fmt: skip
TABLE_4 = {  # CCC and RMSE of valence, of arousal, and their means
    "affect-regression": (0.55, 0.39, 0.33, 0.41, 0.44, 0.43),
    "affect-classified": (0.57, 0.38, 0.42, 0.37, 0.49, 0.38),
    "affect-classified-puzzle-3x3": (0.58, 0.38, 0.45, 0.36, 0.51, 0.37),
}
TABLE_8 = {  # CCC and MSE of valence, of arousal, and their means
    "random-112": (0.158, 0.148, 0.199, 0.199, 0.179, 0.118),
    "random-224": (0.268, 0.093, 0.245, 0.102, 0.256, 0.097),
    "supervised-112": (0.165, 0.137, 0.205, 0.091, 0.185, 0.114),
    "supervised-224": (0.281, 0.11, 0.292, 0.102, 0.286, 0.106),
    "puzzle-3x3-112": (0.194, 0.124, 0.204, 0.094, 0.199, 0.109),
    "puzzle-3x3-224": (0.342, 0.09, 0.312, 0.103, 0.327, 0.097),
}


def test_macro_f1_stands_beside_the_accuracy_of_probes():
    loaded = {name: recipe.load(name) for name in ROWS}
    found = {
        name: row.paper["also"]
        for name, row in loaded.items()
        if "emotion_macro_f1" in (row.paper or {}).get("also", {})
    }
    assert found == {f"affectnet/{row}": {"emotion_macro_f1": value} for row, value in MACRO_F1.items()}


@pytest.mark.parametrize(
    ("file", "table", "error", "half_a_digit", "contradicting"),
    [
        ("affectnet", TABLE_4, "rmse", 0.005, {("affect-regression", "rmse")}),
        ("aff-wild", TABLE_8, "mse", 0.0005, {("random-112", "mse")}),
    ],
)
def test_tables_4_and_8_have_both_columns_and_their_means(file, table, error, half_a_digit, contradicting):
    """The means of the paper are those of its columns, but for one figure of each table, of which the page says so."""
    for row, (valence, of_valence, arousal, of_arousal, mean, of_both) in table.items():
        paper = recipe.load(f"{file}/{row}").paper
        assert (paper["metric"], paper["value"]) == ("affect_ccc", mean)
        assert paper["also"] == {
            "affect_ccc_valence": valence, f"affect_{error}_valence": of_valence,
            "affect_ccc_arousal": arousal, f"affect_{error}_arousal": of_arousal, f"affect_{error}": of_both,
        }  # fmt: skip
        for kind, each, both in (("ccc", (valence, arousal), mean), (error, (of_valence, of_arousal), of_both)):
            agrees = abs(sum(each) / 2 - both) < half_a_digit + 1e-9
            assert agrees == ((row, kind) not in contradicting), (row, kind)


def test_table_9_has_arousal_too():
    figures = {"lstm-supervised": 0.252, "lstm-puzzle-3x3": 0.243}
    for row, arousal in figures.items():
        paper = recipe.load(f"afew-va/{row}").paper
        assert (paper["metric"], paper["also"]) == ("affect_rmse_valence", {"affect_rmse_arousal": arousal})


def test_table_6_prints_another_figure_of_in_painting_than_table_5():
    loaded = {name: recipe.load(name).paper or {} for name in ROWS}
    others = {
        (name, table): other["value"]
        for name, paper in loaded.items()
        for table, other in paper.get("in_table", {}).items()
        if "value" in other
    }
    assert others == {("affectnet/inpainting-perceptual-none", "Table 6"): 0.5871}
    row = recipe.load("affectnet/inpainting-perceptual-none").paper
    assert row["value"] == 0.5876 and row["in_table"]["Table 6"]["row"] == "SL + SSL in-painting"


def test_table_12_is_hopenets_protocol():
    assert set(recipe.available()["300w-lp"]) == set(TABLE_12)
    for row, (*angles, mean) in TABLE_12.items():
        loaded = recipe.load(f"300w-lp/{row}")
        assert (loaded.paper["metric"], loaded.paper["value"]) == ("pose_mae", mean)
        assert loaded.paper["also"] == dict(
            zip(("pose_mae_yaw", "pose_mae_pitch", "pose_mae_roll"), angles, strict=True)
        )
        assert sum(angles) / 3 == pytest.approx(mean, abs=0.001)
        assert loaded.backbone == "resnet50" and loaded.augmentation == {"level": "pose"}
        assert loaded.source == {"name": "the300w_lp", "landmarks": "all", "validation_fraction": 0.0}


def test_table_13_has_the_epochs_that_it_prints():
    assert set(recipe.available()["fairface"]) == set(TABLE_13)
    for row, (epochs, accuracy, plus_minus) in TABLE_13.items():
        loaded = recipe.load(f"fairface/{row}")
        assert loaded.paper["metric"] == "gender_accuracy"
        assert loaded.paper["value"] == pytest.approx(accuracy / 100)
        assert loaded.paper["plus_minus"] == pytest.approx(plus_minus / 100)
        assert loaded.training["num_train_epochs"] == epochs
        assert loaded.backbone == "efficientnet_b0" and loaded.augmentation == {"level": "none"}
        first, second = map(int, loaded.training["decay_epochs"].split(","))
        assert abs(first - 15 / 80 * epochs) < 1 and abs(second - 40 / 80 * epochs) < 1


def test_table_11_probes_the_backbones_that_the_paper_took():
    figures = {"linear-supervised": ("supervised-weak", 0.776), "linear-puzzle-3x3": ("puzzle-3x3-weak", 0.7988)}
    assert set(recipe.available()["jaffe"]) == set(figures)
    for row, (backbone, accuracy) in figures.items():
        loaded, origin = recipe.load(f"jaffe/{row}"), recipe.load(f"affectnet/{backbone}")
        assert (loaded.paper["metric"], loaded.paper["value"]) == ("emotion_accuracy", accuracy)
        assert loaded.pretrained == {"row": f"affectnet/{backbone}"} and loaded.probe == "linear"
        assert (loaded.backbone, loaded.image_size) == (origin.backbone, origin.image_size)


def test_tables_8_to_10_begin_with_the_same_backbones():
    figures = {
        "aff-wild": {"random-112": 0.179, "random-224": 0.256, "supervised-112": 0.185, "supervised-224": 0.286,
                     "puzzle-3x3-112": 0.199, "puzzle-3x3-224": 0.327},
        "afew-va": {"lstm-supervised": 0.269, "lstm-puzzle-3x3": 0.261},
        "ckplus": {"lstm-supervised": 0.9787, "lstm-puzzle-3x3": 0.9823},
    }  # fmt: skip
    for file, rows in figures.items():
        assert set(recipe.available()[file]) == set(rows)
        for row, figure in rows.items():
            loaded = recipe.load(f"{file}/{row}")
            assert loaded.paper["value"] == figure and loaded.backbone == "efficientnet_b0"
            kind = row.removeprefix("lstm-").removesuffix("-112").removesuffix("-224")
            assert loaded.pretrained == (False if kind == "random" else {"row": f"affectnet/{kind}-weak"})
            in_time = InTime.of(loaded)
            if file == "aff-wild":  # section 4.7.1
                assert (in_time.recurrent, in_time.layers, in_time.units, in_time.window) == ("gru", 2, 64, 32)
                assert in_time.dropout == 0.3 and not in_time.frozen and loaded.image_size == int(row[-3:])
                assert loaded.augmentation == {"level": "weak", "flip": 0}
            else:  # sections 4.7.2 and 4.7.3
                assert (in_time.recurrent, in_time.layers, in_time.frozen) == ("lstm", 1, True)
                assert in_time.window == (None if file == "ckplus" else 32) and in_time.whole == (file == "ckplus")
                assert loaded.image_size == recipe.load(loaded.pretrained["row"]).image_size


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


def test_a_fifth_of_the_drawn_faces_is_trained_for_as_many_steps_as_all():
    rows = [row for row in recipe.available()["drawn-paper"] if row.endswith("-20")]
    assert len(rows) == 6
    for row in rows:
        few, every = recipe.load(f"drawn-paper/{row}"), recipe.load(f"drawn-paper/{row.removesuffix('-20')}")
        assert few.train_fraction == 0.2 and every.train_fraction == 1.0
        seen = [each.train_fraction * each.training["num_train_epochs"] for each in (few, every)]
        falls = [
            [each.train_fraction * int(epoch) for epoch in each.training["decay_epochs"].split(",")]
            for each in (few, every)
        ]
        assert seen == [80, 80] and falls == [[60, 72], [60, 72]], row


SAME_ON_OTHER_DATA = ("auxiliary", "augmentation", "probe", "teacher", "train_fraction", "balancing")


@pytest.mark.parametrize(
    ("file", "original", "without"),
    [
        ("drawn-paper", "affectnet", set()),
        (
            "fer2013-paper",
            "affectnet",
            {"affect-regression", "affect-classified", "affect-classified-puzzle-3x3", "supervised-weak-seven-classes"},
        ),
        ("drawn-paper-pose", "300w-lp", set()),
        ("drawn-paper-gender", "fairface", set()),
    ],
)
def test_a_row_on_other_data_differs_in_data_network_and_budget_alone(file, original, without):
    assert recipe.original_of(file) == original
    theirs, own = set(recipe.available()[original]), set(recipe.available()[file])
    assert theirs - own == without
    for row in theirs & own:
        there, here = recipe.load(f"{original}/{row}"), recipe.load(f"{file}/{row}")
        for field in SAME_ON_OTHER_DATA:
            assert getattr(here, field) == getattr(there, field), (row, field)
        assert here.supervised.keys() == there.supervised.keys() and here.paper is None
        assert here.source["name"] in ("drawn", "fer2013") and "with_uncertain" not in here.source
        for argument in ("optim", "lr_scheduler_type", "per_device_train_batch_size"):
            assert here.training[argument] == there.training[argument], (row, argument)


@pytest.fixture(scope="module")
def rows():
    """24 drawn faces a split, with every column that a recipe's own source has."""
    shown = synthetic_faces(train=24, validation=24, test=24, size=48, action_units=True)
    for split, data in shown.items():
        data = data.add_column("emotion_shares", np.eye(8)[data["emotion"]].tolist())
        for column, of_drawn in (("race", "appearance_group"), ("age", "age_group")):
            data = data.add_column(column, data[of_drawn]).cast_column(column, data.features[of_drawn])
        shown[split] = data
    return shown


@pytest.fixture(scope="module")
def clips():
    """Eight clips a split, which every row of faces in time learns from."""
    return synthetic_clips(train=8, validation=8, test=8, frames=8, size=48)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_built_and_stepped(name, rows, clips, stage, tmp_path, monkeypatch):
    in_time = recipe.load(name).sequence is not None
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = clips if in_time else rows
    smaller = ["--per_device_train_batch_size", *(("2", "--image_size", "48") if in_time else ("8",))]
    emotions = rows["train"].features["emotion"]
    assert isinstance(emotions, ClassLabel)
    column = "label" if name.startswith("custom/") else "emotion"
    if column != "emotion":
        rows = rows.rename_column("emotion", column)
    source = sources.Source("drawn", rows, "", "", "", ())
    monkeypatch.setattr(experiment.sources, "load", lambda *arguments, **options: source)
    monkeypatch.setattr(
        experiment, "load_teacher", lambda *arguments: HMTLForImageClassification.from_pretrained(stage)
    )
    row, _, args = parse(
        [name, "--output_dir", str(tmp_path), "--backbone", BACKBONE, *smaller,
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
