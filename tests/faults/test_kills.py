"""Runs that are killed where it hurts most, and go on to the bits of the uninterrupted one."""

import functools
import os
import shutil

import pytest
from broken_runs import MODEL_BYTES, TRAINER, assert_same_run, go_on, leavings, train
from child_commands import at, interrupt_all, kill, killed_in_a_write, no_memory, tell, tell_all
from runs import tells_of_a_lost_worker

pytestmark = [pytest.mark.slow, pytest.mark.faults]
RUN = "hf_hmtl.run.train:"
IN_A_WRITE = killed_in_a_write(MODEL_BYTES)
WORKERS = ["--dataloader_num_workers", "2"]

KILLS = {
    "before the first step": at(f"{TRAINER}.training_step", 1, kill),
    "in a step behind a checkpoint": at(f"{TRAINER}.training_step", 5, kill),
    "in the weights of the first checkpoint": at(f"{TRAINER}._save_checkpoint", 1, IN_A_WRITE),
    "in the weights of the second checkpoint": at(f"{TRAINER}._save_checkpoint", 2, IN_A_WRITE),
    "in the optimizer's state of a checkpoint": at(f"{TRAINER}._save_optimizer_and_scheduler", 2, IN_A_WRITE),
    "before the random state of a checkpoint": at(f"{TRAINER}._save_rng_state", 2, kill),
    "before the last file of a checkpoint": at("transformers:TrainerState.save_to_json", 2, kill),
    "behind a checkpoint": at("transformers.trainer:rotate_checkpoints", 2, kill),
    "in an evaluation": at(f"{TRAINER}.prediction_step", 7, kill),
    "where the lowest loss is kept": at("hf_hmtl.run.lowest_loss:keep", 1, IN_A_WRITE),
    "in the evaluation behind the last step": at(f"{RUN}evaluate", 1, kill),
    "in the last weights": at(f"{TRAINER}.save_final", 1, IN_A_WRITE),
    "among the files of the last save": at(f"{TRAINER}.save_final", 1, at("os:replace", 3, kill)),
    "behind the last weights": at(f"{TRAINER}.save_final", 1, kill, behind=True),
    "before the predictions": at(f"{RUN}write_predictions", 1, kill),
    "before the curves": at(f"{RUN}plot_curves", 1, kill),
    "before the result": at("hf_hmtl.results.result:Result.write", 1, kill),
}


@pytest.mark.parametrize("where", KILLS)
def test_a_killed_run_goes_on_to_the_same_bits(whole, tmp_path, where):
    ended = train(tmp_path / "run", fault=KILLS[where])
    assert ended.status in (-9, -25), ended.printed[-3000:]
    assert not (tmp_path / "run" / "result.json").exists()
    go_on(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run")


TOLD = {
    "in a step": (at(f"{TRAINER}.training_step", 5, tell), "checkpoint-5 is written"),
    "in a checkpoint": (at(f"{TRAINER}._save_rng_state", 1, tell), "checkpoint-3 is written"),
    "in an evaluation": (at(f"{TRAINER}.prediction_step", 2, tell), "checkpoint-3 is written"),
    "before the training": (at(f"{RUN}build", 1, tell), ""),
    "behind the training": (at(f"{RUN}evaluate", 1, tell), ""),
    "in the last save": (at(f"{TRAINER}.save_final", 1, at("os:replace", 3, tell)), ""),
    "before the result": (at("hf_hmtl.results.result:Result.write", 1, tell), ""),
}


@pytest.mark.parametrize("where", TOLD)
def test_a_run_that_is_told_to_end_leaves_with_143_and_goes_on_to_the_same_bits(whole, tmp_path, where):
    fault, left = TOLD[where]
    ended = train(tmp_path / "run", fault=fault)
    assert ended.status == 143, ended.printed[-3000:]
    left = f"; {left}" * bool(left)
    assert ended.last_line == f"hf-hmtl train: told to end (SIGTERM){left}. --resume_from_checkpoint last goes on"
    assert "Traceback" not in ended.printed and leavings(tmp_path / "run") == []
    go_on(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize("step", [4, 6])
def test_loader_workers_do_not_end_before_their_trainer_where_all_are_told(whole, tmp_path, step):
    ended = train(tmp_path / "run", *WORKERS, fault=at(f"{TRAINER}.training_step", step, tell_all))
    assert ended.status == 143, ended.printed[-3000:]
    assert f"checkpoint-{step} is written" in ended.last_line and "Traceback" not in ended.printed
    go_on(tmp_path / "run", *WORKERS)
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize("method", ["training_step", "prediction_step"])
def test_ctrl_c_is_one_line_and_130(whole, tmp_path, method):
    ended = train(tmp_path / "run", *WORKERS, fault=at(f"{TRAINER}.{method}", 5, interrupt_all))
    assert ended.status == 130, ended.printed[-3000:]
    assert ended.last_line == "hf-hmtl train: interrupted. --resume_from_checkpoint last goes on"
    assert "Traceback" not in ended.printed
    go_on(tmp_path / "run", *WORKERS)
    assert_same_run(whole, tmp_path / "run")


WORKER_ENDS = {
    "is killed": (kill, tells_of_a_lost_worker),
    "leaves": (functools.partial(os._exit, 0), tells_of_a_lost_worker),
    "has no memory": (no_memory, lambda printed: "MemoryError: Caught MemoryError in DataLoader worker" in printed),
}


@pytest.mark.parametrize("collator", ["TrainingCollator", "EvaluationCollator"])
@pytest.mark.parametrize("how", WORKER_ENDS)
def test_a_loader_worker_that_dies_ends_the_run_which_goes_on(whole, tmp_path, how, collator):
    """The patch is made before the workers are forked, and counts in each of them by itself."""
    befalls, told = WORKER_ENDS[how]
    ended = train(tmp_path / "run", *WORKERS, fault=at(f"hf_hmtl.data.collator:{collator}.__call__", 2, befalls))
    assert ended.status == 1 and told(ended.printed), ended.printed[-3000:]
    go_on(tmp_path / "run", *WORKERS)
    assert_same_run(whole, tmp_path / "run")


def files_of_a_checkpoint():
    names = ["config.json", "hmtl_state.json", "model.safetensors", "optimizer.pt", "preprocessor_config.json"]
    return [*names, "rng_state.pth", "scheduler.pt", "trainer_state.json", "training_args.bin"]


@pytest.mark.parametrize("kept", [None, 0.5], ids=["missing", "half"])
@pytest.mark.parametrize("name", files_of_a_checkpoint())
def test_a_checkpoint_with_one_file_that_is_damaged_never_changes_where_a_run_comes_to(whole, tmp_path, name, kept):
    folder = tmp_path / "run"
    folder.mkdir()
    for each in ("run.json", "checkpoint-3", "checkpoint-6", *(path.name for path in whole.glob("lowest-loss-*"))):
        (shutil.copytree if (whole / each).is_dir() else shutil.copy)(whole / each, folder / each)
    assert {path.name for path in (folder / "checkpoint-6").iterdir() if path.suffix != ".py"} == {
        *files_of_a_checkpoint()
    }
    path = folder / "checkpoint-6" / name
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[: int(len(content) * kept)])
    ended = go_on(folder)
    unused = {"preprocessor_config.json", "training_args.bin"} | ({"config.json"} if kept is None else set())
    needed = name not in unused
    assert ("checkpoint-6" in ended.printed) == needed
    assert_same_run(whole, folder)


def test_what_a_run_that_goes_on_writes_is_not_removed_in_favour_of_a_damaged_checkpoint(whole, tmp_path):
    """With a limit to their number, transformers keeps the newest by its time, or by its step where times are close."""
    folder = tmp_path / "run"
    for each in ("checkpoint-3", "checkpoint-6"):
        shutil.copytree(whole / each, folder / each)
    shutil.copy(whole / "run.json", folder)
    (folder / "checkpoint-6" / "optimizer.pt").unlink()
    os.utime(folder / "checkpoint-6", (4e9, 4e9))
    options = ["--save_total_limit", "1", "--resume_from_checkpoint", "last"]
    ended = train(folder, *options, fault=at(f"{TRAINER}.training_step", 1, tell))
    assert ended.status == 143 and "checkpoint-4 is written" in ended.last_line, ended.printed[-3000:]
    assert {path.name for path in folder.glob("checkpoint-*")} == {"checkpoint-3", "checkpoint-4"}  # 3 is the best
