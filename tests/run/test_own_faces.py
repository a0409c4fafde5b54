"""Faces of the user's own through the command line: what is left out and decided stands wherever a reader looks."""

import logging

import pandas
import pytest
from data_trees import write_images, write_text
from runs import SMALL
from sklearn.metrics import f1_score

from hf_hmtl.commands.train import run as main
from hf_hmtl.results.result import read
from hf_hmtl.run.command_line import parse

ONE_STEP = [*SMALL, "--max_steps", "1", "--eval_strategy", "no", "--save_strategy", "no",
            "--load_best_model_at_end", "false"]  # fmt: skip


@pytest.fixture
def faces(tmp_path):
    """Forty images and a table of them, of which one is missing, one is not named and one is called otherwise."""
    folder = tmp_path / "faces"
    names = [f"images/{number}.jpg" for number in range(40)]
    write_images(folder, *names[:39], "images/stray.jpg")
    words = ["happy", "sad", "happiness"]
    rows = [
        f"{name},{words[2] if number == 4 else words[number % 2]},S{number // 4}" for number, name in enumerate(names)
    ]
    write_text(folder / "labels.csv", "file_name,type,subject", *rows)
    return folder


def test_a_run_tells_what_it_left_out_and_what_it_called_things(faces, tmp_path, caplog):
    options = ["--data_dir", str(faces), "--label_column", "type", "--class_map", "happiness=happy"]
    with caplog.at_level(logging.WARNING):
        main(["custom/supervised", *options, *ONE_STEP, "--output_dir", str(tmp_path / "run")])
    result = read(tmp_path / "run" / "result.json")
    assert {
        (split, name): entry["count"] for split, found in result.left_out.items() for name, entry in found.items()
    } == {
        ("train", "missing_file"): 1,
        ("folder", "not_in_table"): 1,
    }
    assert sum(counts["rows"] for counts in result.rows.values()) == 39
    assert "test_type_label_accuracy" in result.metrics and result.rows["train"]["classes"].keys() == {"type_label"}
    for told in (
        "the task of the column 'type' is called 'type_label'",
        "class_map: 1 rows of 'happiness' are 'happy'",
        "10 groups by the column 'subject'",
    ):
        assert told in result.data["notes"] and told in caplog.text
    assert "left out, train: 1 rows whose image file does not exist (images/39.jpg)" in caplog.text
    card = (tmp_path / "run" / "README.md").read_text()
    assert "| rows whose image file does not exist | train | 1 |" in card
    assert "| image files that no row of the table names | folder | 1 |" in card
    assert "images/39.jpg" not in card


def test_a_dry_run_tells_the_same_and_the_classes_of_every_split(faces, tmp_path, capsys):
    options = ["--data_dir", str(faces), "--label_column", "type", "--merge_case", "--class_map", "happiness=happy"]
    main(["custom/supervised", *options, *SMALL, "--dry_run", "--output_dir", str(tmp_path / "run")])
    printed = capsys.readouterr().out
    assert "left out     train: 1 rows whose image file does not exist (images/39.jpg)" in printed
    for split in ("train", "validation", "test"):
        assert f"type_label   {split}: happy " in printed


def test_classes_without_a_row_of_the_test_are_named_and_lower_no_score(tmp_path, capsys):
    classes = {"train": ("calm", "happy", "sad"), "val": ("calm", "happy", "sad"), "test": ("calm", "happy")}
    for split, names in classes.items():
        write_images(tmp_path / "faces" / split, *[f"{name}/{split}_{k}.jpg" for name in names for k in range(8)])
    main(["custom/supervised", "--data_dir", str(tmp_path / "faces"), *ONE_STEP, "--output_dir", str(tmp_path / "run")])
    note = (
        "No row of the classes of label in test: sad. Macro F1 is the mean over the classes that occur or were answered"
    )
    assert note in capsys.readouterr().out and note in (tmp_path / "run" / "README.md").read_text()
    result, rows = read(tmp_path / "run" / "result.json"), pandas.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert any(note in each for each in result.protocol["notes"]) and "in validation" not in str(
        result.protocol["notes"]
    )
    truth, answers = (rows[rows["split"] == "test"][f"label_{part}"] for part in ("label", "answer"))
    assert result.metrics["test_label_macro_f1"] == pytest.approx(f1_score(truth, answers, average="macro"))


def test_rows_that_a_fraction_or_a_balance_leaves_out_are_counted(tmp_path):
    options = ["--set", "source.train=192", "source.validation=32", "source.test=32", "source.size=48"]
    options += ["source.imbalanced=true", "--train_fraction", "0.5", "--balancing", "down"]
    main(["quickstart", *ONE_STEP, *options, "--output_dir", str(tmp_path / "run")])
    result = read(tmp_path / "run" / "result.json")
    left_out = {name: entry["count"] for name, entry in result.left_out["train"].items()}
    assert left_out["train_fraction"] == 96 and left_out["balancing"] > 0
    assert sum(left_out.values()) + result.rows["train"]["rows"] == 192
    main(["quickstart", *ONE_STEP, *options, "--output_dir", str(tmp_path / "again")])
    assert read(tmp_path / "again" / "result.json").left_out == result.left_out, "runs that share their faces"


@pytest.mark.parametrize(
    ("column", "task"),
    [
        ("Emotion", "emotion"), ("Head Pose", "head_pose"), ("type", "type_label"), ("items", "items_label"),
        ("keys", "keys_label"), ("train", "train_label"), ("loss", "loss_label"), ("puzzle", "puzzle_label"),
        ("subject", "subject"), ("1st choice", "label_1st_choice"), ("情绪", "label"), ("Gefühl", "gefuhl"),
        ("user.id", "user_id"),
    ],
)  # fmt: skip
def test_any_column_is_learned_under_a_safe_name(column, task):
    recipe, _, args = parse(["custom/puzzle-3x3", "--label_column", column, "--set", "supervised.label.weight=2"])
    assert list(recipe.supervised) == ["label"] and recipe.supervised["label"]["name"] == task
    assert recipe.supervised["label"]["weight"] == 2
    assert recipe.source["label_column"] == column and recipe.source["task"] == "label"
    assert args.metric_for_best_model == f"eval_{task}_accuracy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quickstart", "--group_column", "x"], "--group_column belongs to the recipes of `custom`"),
        (["quickstart", "--allow_left_out", "missing_file"], "reads 'drawn', which leaves nothing out"),
        (["custom/supervised", "--class_map", "happy"], "'happy' must read TEXT=CLASS, as in happiness=happy"),
    ],
)
def test_options_of_the_data_that_say_nothing_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse(arguments)


def test_reasons_are_allowed_by_name_for_every_source_of_files():
    recipe, _, _ = parse(["fer2013/supervised", "--allow_left_out", "not_image", "no_class"])
    assert recipe.source["allow_left_out"] == ["not_image", "no_class"]
    recipe, _, _ = parse(["custom/supervised", "--class_map", "a=b=c", "happiness=happy", "--merge_case"])
    assert recipe.source["class_map"] == {"a=b": "c", "happiness": "happy"} and recipe.source["merge_case"] is True
