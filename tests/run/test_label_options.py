"""--label_columns: several tasks of one's own table, typed in one line and refused in one."""

import math

import pyarrow.parquet
import pytest
from data_trees import write_images, write_text
from runs import SMALL
from transformers import pipeline

from hf_hmtl.commands.train import run as main
from hf_hmtl.results.result import read
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build

SEVERAL = ["emotion=expression:classification", "valence=val:regression", "pose=yaw,pitch,roll:head_pose",
           "gender=sex:classification", "aus=au1,au2:attributes"]  # fmt: skip
NO_TURN = ["--set", "augmentation.rotation=0", "supervised.valence.range=[-1,1]", "supervised.valence.missing=-2"]
ONE_STEP = [*SMALL, "--max_steps", "2", "--eval_strategy", "no", "--save_strategy", "no",
            "--load_best_model_at_end", "false"]  # fmt: skip


@pytest.fixture
def faces(tmp_path):
    """Eighty images and a table with holes of every kind: empty cells, -1 for classes, AffectNet's -2."""
    folder = tmp_path / "faces"
    names = [f"images/{number}.jpg" for number in range(80)]
    write_images(folder, *names)
    rows = []
    for n, name in enumerate(names):
        valence = "" if n % 7 == 0 else "-2" if n % 11 == 0 else f"{math.sin(n):.3f}"
        yaw, sex, second = "" if n % 5 == 0 else n - 40, -1 if n % 9 == 0 else n % 2, -1 if n % 4 == 0 else n % 3 % 2
        emotion = "" if n % 8 == 0 else ("happy", "sad", "anger")[n % 3]
        rows.append(f"{name},{emotion},{valence},{yaw},{n % 9 - 4},{n % 5 - 2},{sex},{n % 2},{second}")
    write_text(folder / "labels.csv", "file_name,expression,val,yaw,pitch,roll,sex,au1,au2", *rows)
    return folder


def test_five_tasks_of_one_table_learn_and_are_told(faces, tmp_path):
    options = ["--data_dir", str(faces), "--label_columns", *SEVERAL, *ONE_STEP, *NO_TURN]
    main(["custom/puzzle-2x2", *options, "--output_dir", str(tmp_path / "run")])
    result = read(tmp_path / "run" / "result.json")
    assert result.model["supervised"] == ["emotion", "valence", "pose", "gender", "aus"]
    assert result.model["primary"] == "emotion" and set(result.rows["train"]["classes"]) == {"emotion", "gender"}
    headlines = {task: result.measures_of(task)[0].name for task in result.measures}
    assert headlines == {"emotion": "accuracy", "valence": "ccc", "pose": "mae", "gender": "accuracy",
                         "aus": "mean_average_precision"}  # fmt: skip
    for task, measure in headlines.items():
        assert math.isfinite(result.metrics[f"test_{task}_{measure}"]), task
        assert math.isfinite(result.baselines[f"test_{task}_{measure}"]), task
    called = {"emotion": "expression", "valence": "val", "gender": "sex"}
    told = {f"the task of the column {column!r} is called {task!r}" for task, column in called.items()}
    assert told <= set(result.data["notes"])
    rows = pyarrow.parquet.read_table(tmp_path / "run" / "predictions.parquet").to_pylist()
    for row in rows:
        n = int(row["_file"].removeprefix("images/").removesuffix(".jpg"))
        assert (row["emotion_label"] is None) == (n % 8 == 0)
        assert (row["valence_label"] is None) == (n % 7 == 0 or n % 11 == 0), "AffectNet's -2 is no valence"
        assert (row["pose_label_yaw"] is None) == (n % 5 == 0) and row["pose_label_roll"] == n % 5 - 2
        assert (row["gender_label"] is None) == (n % 9 == 0) and (row["aus_label_au2"] is None) == (n % 4 == 0)
    known = sum(row["valence_label"] is not None for row in rows if row["split"] == "test")
    assert result.scored["test"]["valence"] == known


def test_the_recipe_of_such_a_run_makes_it_again(faces, tmp_path):
    options = ["--data_dir", str(faces), "--label_columns", *SEVERAL[:3], *ONE_STEP, *NO_TURN]
    main(["custom/supervised", *options, "--output_dir", str(tmp_path / "run")])
    again = [str(tmp_path / "run" / "recipe.yaml"), "--data_dir", str(faces), "--use_cpu", "--disable_tqdm", "true"]
    main([*again, "--save_strategy", "no", "--output_dir", str(tmp_path / "again")])
    first, second = (read(tmp_path / name / "result.json") for name in ("run", "again"))
    assert first.metrics == second.metrics and first.model["supervised"] == second.model["supervised"]


def test_a_dry_run_counts_numbers_and_holes(faces, tmp_path, capsys):
    options = ["--data_dir", str(faces), "--label_columns", *SEVERAL, *ONE_STEP, *NO_TURN, "--dry_run"]
    options[options.index("--set") : options.index("--set")] = ["--output_dir", str(tmp_path / "run")]
    main(["custom/supervised", *options])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    counted = [line for line in lines if line.startswith(("valence", "pose", "aus"))]
    assert len(counted) == 3 * (1 + 3 + 2)
    numbers = sum(int(line.split(": ")[1].split()[0]) for line in counted if line.startswith("valence"))
    assert numbers == sum(n % 7 != 0 and n % 11 != 0 for n in range(80))
    assert any(line.startswith("pose train yaw: ") and "no label" in line for line in counted)


def test_the_first_task_selects_and_every_task_takes_its_options():
    recipe, _, args = parse(["custom/supervised", "--label_columns", "pose=yaw,pitch,roll:head_pose", "mood=m", "--set",
                             "supervised.pose.bin_values=centres"])  # fmt: skip
    assert list(recipe.supervised) == ["pose", "mood"] and recipe.supervised["pose"]["bin_values"] == "centres"
    assert args.metric_for_best_model == "eval_pose_mae" and args.greater_is_better is False
    assert recipe.source["label_column"] == "yaw" and recipe.source["label_kinds"] == {"mood": "words"}
    assert recipe.name == "custom/supervised", "one's own columns are no change of the recipe"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["pose"], "'pose' must read TASK=COLUMN:KIND, as in --label_columns emotion=expression:classification"),
        (["pose=yaw,,roll:head_pose"], "must read TASK=COLUMN:KIND"),
        (["pose=yaw:"], "must read TASK=COLUMN:KIND"),
        (["=yaw:regression"], "must read TASK=COLUMN:KIND"),
        (["a=x,y"], "say the kind; several are learned by regression, head_pose"),
        (["a=x,y:classification"], "a classification learns one column"),
        (["pose=yaw,pitch,roll:headpose"], "'headpose' is no task with labels. Did you mean 'head_pose'?"),
        (["a=x:puzzle"], "'puzzle' is no task with labels. .*Known: attributes, classification, head_pose, regression"),
        (["pose=yaw,pitch:head_pose"], "needed are three, of yaw, pitch and roll in this order"),
        (["aus=au1:attributes"], "give two or more"),
        (["aus=au1,au1:attributes"], "names a column twice"),
        (["Emotion=e:classification"], "cannot be called 'Emotion'.* Type emotion=e:classification"),
        (["puzzle=e:classification"], "cannot be called 'puzzle'.* Type puzzle_label=e:classification"),
        (["a=x:regression", "a=y:regression"], "names the task 'a' twice"),
        (["yaw=x:regression", "pose=yaw,pitch,roll:head_pose"], "yaw and pose both want a label called 'yaw'"),
        (["a=x,y:regression", "x=x:classification"], "a and x both want a label called 'x'"),
        (["label=age:regression"], "'label' is the name of the recipe's own classification"),
    ],
)  # fmt: skip
def test_an_entry_that_says_nothing_sensible_is_refused_in_one_line(entries, message):
    with pytest.raises(ValueError, match=message) as error:
        parse(["custom/puzzle-3x3", "--label_columns", *entries])
    assert "\n" not in str(error.value)


def test_one_column_may_serve_two_tasks_of_numbers():
    recipe, _, _ = parse(
        ["custom/supervised", "--label_columns", "yaw=yaw:regression", "pose=yaw,pitch,roll:head_pose"]
    )
    assert recipe.source["label_columns"] == {"pitch": "pitch", "roll": "roll"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["custom/supervised", "--label_column", "x", "--label_columns", "a=y"], "not both; .* x=x:classification a=y"),
        (["custom/pretrain-puzzle-3x3", "--label_columns", "a=y"], "learns from images alone"),
        (["quickstart", "--label_columns", "a=y"], "--label_columns belongs to the recipes of `custom`"),
    ],
)
def test_where_label_columns_say_nothing_they_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse(arguments)


def built(faces, *entries, changes=()):
    recipe, options, args = parse(["custom/supervised", "--data_dir", str(faces), "--label_columns", *entries, *SMALL,
                                   "--set", "augmentation.rotation=0", *changes])  # fmt: skip
    return build(recipe, args, options.data_dir).trainer()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("gender=sex", "column 'sex' holds numbers .*gender=sex:classification or gender=sex:regression"),
        ("emotion=expression:regression", r"column 'expression' holds text \('sad', 'anger', 'happy'\)"),
        ("aus=val,au2:attributes", "train_dataset: aus: a label is 1 .* threshold: 0.5"),
        ("aus=au1,expression:attributes", "column 'expression' holds text"),
    ],
)
def test_a_kind_that_the_column_does_not_hold_is_refused_before_training(faces, entry, message):
    with pytest.raises(ValueError, match=message) as error:
        built(faces, entry)
    assert "\n" not in str(error.value)


def test_a_number_that_stands_for_no_label_is_asked_for(faces):
    with pytest.raises(ValueError, match="lie outside of the range -1 to 1 .* say so: missing: -2"):
        built(faces, "valence=val:regression", changes=["supervised.valence.range=[-1,1]"])
    built(faces, "valence=val:regression", changes=["supervised.valence.range=[-1,1]", "supervised.valence.missing=-2"])


def test_a_pose_that_comes_first_is_what_pipeline_and_card_show_in_degrees(faces, tmp_path):
    options = ["--data_dir", str(faces), "--label_columns", "pose=yaw,pitch,roll:head_pose", "mood=expression"]
    main(
        [
            "custom/supervised",
            *options,
            *ONE_STEP,
            "--set",
            "augmentation.rotation=0",
            "--output_dir",
            str(tmp_path / "run"),
        ]
    )
    shows = pipeline("image-classification", model=str(tmp_path / "run"))
    rows = pyarrow.parquet.read_table(tmp_path / "run" / "predictions.parquet").to_pylist()
    for row in rows[:3]:
        shown = {each["label"]: each["score"] for each in shows(str(faces / row["_file"]))}
        expected = {angle: row[f"pose_answer_{angle}"] for angle in ("yaw", "pitch", "roll")}
        assert shown == pytest.approx(expected, abs=0.01)
    card = (tmp_path / "run" / "README.md").read_text()
    assert "| pose (primary) | numbers from -99 to 99 degrees: yaw, pitch, roll |" in card
    assert "the `score` beside each label is the number itself, no probability" in card
