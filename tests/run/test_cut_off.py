"""Runs that are cut off early, that train nothing, and whose numbers are no numbers: what the command makes of them."""

import json
import logging
import shutil

import pandas
import pytest
from runs import TINY, tiny
from safetensors.torch import load_file
from trainers import assert_same

from hf_hmtl.commands.train import run as main
from hf_hmtl.results.result import read

LAST = ["--resume_from_checkpoint", "last"]
THREE = ["--max_steps", "3", "--save_strategy", "steps", "--save_steps", "1", "--eval_strategy", "no"]
THREE += ["--load_best_model_at_end", "false", "--save_total_limit", "9"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    main(["quickstart", *TINY, *THREE, "--output_dir", str(folder)])
    return folder


def cut_off(whole, folder, *keep):
    """The folder as a run leaves it that is killed when it has written no more than these."""
    folder.mkdir()
    for name in ("run.json", *keep):
        copy = shutil.copytree if (whole / name).is_dir() else shutil.copy
        copy(whole / name, folder / name)
    return folder


def resumed(folder, *options):
    main(["quickstart", *TINY, *THREE, "--output_dir", str(folder), *LAST, *options])


def test_a_run_that_was_cut_off_before_its_first_checkpoint_begins_anew_and_says_so(whole, tmp_path, caplog):
    half = cut_off(whole, tmp_path / "half", "checkpoint-1")
    (half / "checkpoint-1" / "trainer_state.json").unlink()  # what the Trainer writes last
    for folder in (cut_off(whole, tmp_path / "killed"), half, tmp_path / "never"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            resumed(folder)
        assert f"{folder} has no whole checkpoint yet, so the run begins anew" in caplog.text
        assert_same(load_file(whole / "model.safetensors"), load_file(folder / "model.safetensors"))


def test_a_run_that_begins_anew_has_the_options_that_it_began_with(whole, tmp_path):
    folder = cut_off(whole, tmp_path / "run")
    with pytest.raises(ValueError, match="training.learning_rate: 0.002 then, 0.01 now"):
        resumed(folder, "--learning_rate", "0.01")
    with pytest.raises(ValueError, match="training.early_stopping_patience: None then, 3 now"):
        resumed(folder, "--early_stopping_patience", "3", "--metric_for_best_model", "eval_loss", "--eval_strategy",
                "steps", "--eval_steps", "1")  # fmt: skip


def test_a_finished_run_is_not_begun_anew(whole, tmp_path):
    folder = cut_off(whole, tmp_path / "run", "result.json", "model.safetensors")
    with pytest.raises(FileExistsError, match="already holds a run"):
        resumed(folder)
    assert (folder / "result.json").is_file()


def test_a_last_checkpoint_that_lacks_a_file_is_passed_over_and_a_named_one_is_refused(whole, tmp_path, caplog):
    folder = cut_off(whole, tmp_path / "run", "checkpoint-1", "checkpoint-2")
    (folder / "checkpoint-2" / "scheduler.pt").unlink()
    named = ["--resume_from_checkpoint", str(folder / "checkpoint-2")]
    with pytest.raises(ValueError, match="checkpoint-2 lacks scheduler.pt, without which .* to other weights"):
        main(["quickstart", *TINY, *THREE, "--output_dir", str(folder), *named])
    assert (folder / "checkpoint-2" / "optimizer.pt").is_file()
    resumed(folder)
    assert "checkpoint-2 lacks scheduler.pt, so the training goes on from the one before" in caplog.text
    assert_same(load_file(whole / "model.safetensors"), load_file(folder / "model.safetensors"))
    assert (folder / "checkpoint-2" / "scheduler.pt").is_file()  # written once more


def test_checkpoints_that_all_lack_a_file_are_refused_and_kept(whole, tmp_path):
    folder = cut_off(whole, tmp_path / "run", "checkpoint-2")
    (folder / "checkpoint-2" / "scheduler.pt").unlink()
    with pytest.raises(ValueError, match="checkpoint-2 lacks scheduler.pt, without which .* to other weights"):
        resumed(folder)
    assert (folder / "checkpoint-2" / "optimizer.pt").is_file()


@pytest.mark.parametrize("nothing", ["num_train_epochs", "max_steps"])
def test_no_step_evaluates_what_the_model_begins_with_and_writes_a_result(whole, tmp_path, capsys, nothing):
    """Of a recipe that counts its steps, too."""
    folder = tmp_path / "run"
    changes = ["--load_best_model_at_end", "false", "--eval_strategy", "no", "--save_strategy", "no"]
    begin = ["--pretrained", str(whole), f"--{nothing}", "0", *changes, "--output_dir", str(folder)]
    main(["drawn/supervised", *TINY, *begin])
    result, rows = read(folder / "result.json"), pandas.read_parquet(folder / "predictions.parquet")
    assert result.steps == 0 and result.history == [] and result.protocol["selection"] is None
    assert 0 <= result.metrics["test_emotion_accuracy"] <= 1 and len(rows) == 64
    assert not (folder / "curves.png").exists() and "curves.png" not in (folder / "README.md").read_text()
    assert "those that it began with; nothing was trained" in (folder / "README.md").read_text()
    assert "curves" not in capsys.readouterr().out
    before, after = (load_file(each / "model.safetensors") for each in (whole, folder))
    for name, tensor in after.items():
        if name.startswith("hmtl."):
            assert (tensor == before[name]).all(), name


def test_epochs_that_are_asked_for_win_over_the_steps_of_a_recipe(tmp_path, capsys):
    options = ["--dry_run", "--output_dir", str(tmp_path)]
    for given, steps in ((["--num_train_epochs", "2"], 12), (["--num_train_epochs", "2", "--max_steps", "5"], 5)):
        main(["drawn/supervised", *TINY, *given, *options])
        assert f"steps        {steps} of 32 rows" in capsys.readouterr().out


SOMETIMES = """
from dataclasses import dataclass
import torch
from hf_hmtl.tasks.base import Pretext, classifier_head

@dataclass(frozen=True)
class Sometimes(Pretext):
    name: str = "sometimes"

    def head(self):
        return classifier_head([2], 0.0, hidden=None)

    def corrupt(self, pixels, draws):
        return pixels, torch.from_numpy(draws.integers("sometimes", 60))

    def losses(self, prediction, target):
        return torch.where(target == 0, torch.nan, prediction.sum(-1))

TASK = Sometimes
"""


def test_steps_that_are_not_finite_stop_the_run_or_stand_in_the_result_on_the_card_and_in_the_summary(tmp_path, capsys):
    (tmp_path / "sometimes.py").write_text(SOMETIMES)
    options = [
        *tiny(f"auxiliary.sometimes.task={tmp_path / 'sometimes.py'}"),
        "--max_steps",
        "6",
        "--save_strategy",
        "no",
    ]
    options += ["--eval_strategy", "no", "--load_best_model_at_end", "false", "--output_dir", str(tmp_path / "run")]
    with pytest.raises(ValueError, match=r"the loss of sometimes is nan; rows: .*drawn-train-\d{6}\.jpg"):
        main(["drawn/supervised", *options])
    assert not (tmp_path / "run" / "result.json").exists()
    capsys.readouterr()
    main(["drawn/supervised", *options, "--on_nonfinite", "skip", "--overwrite"])
    result = read(tmp_path / "run" / "result.json")
    steps = result.left_out_steps
    assert 0 < len(steps) < 6 and result.steps == 6
    shown = f"{len(steps)} steps were left out, whose numbers were not finite: {', '.join(map(str, steps))}"
    assert shown in capsys.readouterr().out
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"| Steps left out | {len(steps)}, whose loss, predictions or gradients were not finite |" in card
    assert "on_nonfinite: skip" in (tmp_path / "run" / "recipe.yaml").read_text()


def test_a_run_whose_weights_are_ruined_has_no_result(tmp_path):
    """The answers of the first step's weights are finite, and those of the second's are not."""
    options = ["--learning_rate", "1e30", "--max_grad_norm", "0", "--max_steps", "3", "--eval_strategy", "no"]
    options += ["--warmup_steps", "0", "--lr_scheduler_type", "constant", "--save_strategy", "no"]
    options += ["--load_best_model_at_end", "false", "--output_dir", str(tmp_path)]
    with pytest.raises(ValueError, match=r"^step 2: the loss of emotion is (nan|inf); rows: drawn-train-\d{6}.jpg"):
        main(["drawn/supervised", *TINY, *options])
    with pytest.raises(ValueError, match="answers of emotion to .* images are not finite, so there is no score"):
        main(["drawn/supervised", *TINY, *options, "--on_nonfinite", "skip", "--overwrite"])
    assert not (tmp_path / "result.json").exists()


def test_a_dry_run_and_a_run_of_single_rows(tmp_path, capsys):
    one = [*tiny("--per_device_train_batch_size", "1"), "--max_steps", "2", "--output_dir", str(tmp_path)]
    main(["drawn/puzzle-3x3", *one, "--dry_run"])
    assert "2 of 1 rows" in capsys.readouterr().out and (tmp_path / "first_batch.png").is_file()
    main(["drawn/puzzle-3x3", *one, "--eval_strategy", "no", "--save_strategy", "no",
          "--load_best_model_at_end", "false"])  # fmt: skip
    assert json.loads((tmp_path / "result.json").read_text())["steps"] == 2
