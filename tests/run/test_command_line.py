"""What recipe and options make of each other, and what mistakes say."""

from pathlib import Path

import pytest

from hf_hmtl.commands.train import run as main
from hf_hmtl.run.command_line import parse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quickstart", "--lerning_rate", "1"], "Did you mean --learning_rate"),
        (["quickstart", "--puzzle", "1"], "unknown option"),
        (["quikstart"], "Did you mean 'quickstart'"),
        (["quickstart", "--set", "auxiliary.puzzle.grd=2", "source.train=64"], "Did you mean 'grid'"),
        (["quickstart", "--image_size", "50"], "--image_size 48 or 51"),
        (["quickstart", "--backbone", "resnet10"], "Did you mean"),
        (["quickstart", "--label_column", "x"], "custom"),
        (["custom/pretrain-puzzle-3x3", "--label_column", "x"], "learns from images alone"),
        (["quickstart", "--loss_weighting", "dynamc"], "Did you mean 'dynamic'"),
        (["fer2013/supervised", "--data_dir", "/nonexistent/folder"], "/nonexistent/folder"),
    ],
)
def test_mistakes_say_what_to_type(arguments, message, tmp_path):
    with pytest.raises((ValueError, OSError), match=message):
        main([*arguments, "--output_dir", str(tmp_path / "run")])
    assert not list(tmp_path.rglob("*.safetensors"))


def test_recipe_values_are_defaults_that_options_replace():
    recipe, options, args = parse(["quickstart", "--num_train_epochs", "5", "--train_fraction", "0.5"])
    assert args.num_train_epochs == 5 and args.learning_rate == recipe.training["learning_rate"]
    assert recipe.train_fraction == 0.5 and args.metric_for_best_model == "eval_emotion_accuracy"
    assert Path(args.output_dir) == Path("outputs/quickstart")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--metric_for_best_model", "eval_loss", "--greater_is_better", "false"],
        ["--metric_for_best_model=eval_loss", "--greater_is_better=false"],
        ["--metric-for-best-model", "eval_loss", "--greater-is-better", "false"],
    ],
)
def test_the_score_that_chooses_is_the_users_or_that_of_the_first_task(arguments):
    _, _, given = parse(["quickstart", *arguments])
    assert (given.metric_for_best_model, given.greater_is_better) == ("eval_loss", False)
    _, _, usual = parse(["quickstart"])
    assert (usual.metric_for_best_model, usual.greater_is_better) == ("eval_emotion_accuracy", True)
    _, _, none = parse(["quickstart", "--load_best_model_at_end", "false"])
    assert none.metric_for_best_model is None
    with pytest.raises(ValueError, match="without --metric_for_best_model; give both or neither"):
        parse(["quickstart", *arguments[-1 if "=" in arguments[-1] else -2 :]])


def test_set_may_be_given_more_than_once_and_the_last_word_counts():
    """A comparison puts the changes of its rows behind the options that go to every run."""
    twice = ["--set", "source.train=64", "image_size=96", "--seed", "5", "--set", "source.train=32"]
    recipe, _, args = parse(["drawn/supervised", *twice])
    assert (recipe.source["train"], recipe.image_size, args.seed) == (32, 96, 5)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("training.max_steps=5", "as --max_steps 5"),
        ("training=5", "as --max_steps 900"),
        ("training={}", "as --max_steps"),
    ],
)
def test_training_arguments_are_no_entries_of_set(entry, said):
    with pytest.raises(ValueError, match=f"--set training: training arguments are options themselves, {said}"):
        parse(["drawn/supervised", "--set", entry])
