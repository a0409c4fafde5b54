"""Checkpoints that are whole, that are ours, and that ended a training."""

import dataclasses
import json
import re
import shutil
from types import SimpleNamespace

import pytest
from trainers import make

from hf_hmtl.training.callbacks import BeginTraining
from hf_hmtl.training.checkpoint import HybridState, is_over, last_complete_checkpoint, resume_point
from hf_hmtl.training.weighting import PastLosses


def test_a_checkpoint_cut_off_by_a_crash_is_passed_over(tmp_path):
    for step, state in ((10, '{"global_step": 10}'), (20, '{"global_'), (9, '{"global_step": 9}')):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-30").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-best" / "trainer_state.json").write_text("{}")
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert last_complete_checkpoint(tmp_path / "checkpoint-30") is None


def test_our_state_comes_back_as_it_was(tmp_path):
    state = HybridState(
        12.5, {"inpainting": 130.25}, PastLosses(3, {"emotion": 0.5}, {"emotion": 2.0}, {"emotion": 4.0})
    )
    state.write(tmp_path)
    assert HybridState.read(tmp_path) == state
    assert [path.name for path in tmp_path.iterdir()] == ["hmtl_state.json"]


def test_a_checkpoint_of_another_trainer_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no hmtl_state.json.*Start a new run"):
        HybridState.read(tmp_path)


def state_at(step, stopped=True, counted=None):
    callbacks = {"TrainerControl": {"args": {"should_training_stop": stopped}}}
    if counted is not None:
        callbacks["EarlyStoppingCallback"] = {"attributes": {"early_stopping_patience_counter": counted}}
    return SimpleNamespace(global_step=step, max_steps=10, stateful_callbacks=callbacks)


@pytest.mark.parametrize(
    "state, planned, patience, over",
    [
        (state_at(10), 10, None, True),
        (state_at(10), 20, None, False),  # a longer training
        (state_at(4, stopped=False), 10, None, False),
        (state_at(4, stopped=False, counted=1), 10, 3, False),
        (state_at(4, counted=3), 10, 3, True),
        (state_at(4, counted=3), 10, 5, False),  # a longer patience
        (state_at(4, counted=0), 10, 3, True),  # somebody else's callback stopped it
        (state_at(4), 10, 3, True),
        (state_at(4), 10, None, True),
    ],
)
def test_a_training_is_over_after_its_last_step_or_when_it_was_stopped(state, planned, patience, over):
    assert is_over(state, planned, patience) is over


def test_two_callbacks_for_early_stopping_may_have_stopped_a_training():
    state = state_at(4, counted=3)
    state.stateful_callbacks["EarlyStoppingCallback"] = [state.stateful_callbacks["EarlyStoppingCallback"]] * 2
    assert is_over(state, 10, patience=3)


def test_a_run_whose_folder_was_moved_finds_its_best_checkpoint(tmp_path):
    (tmp_path / "checkpoint-2").mkdir()
    args = SimpleNamespace(output_dir=str(tmp_path), early_stopping_patience=None)
    for before, after in (
        ("old/place/checkpoint-2", str(tmp_path / "checkpoint-2")),
        ("old/place/checkpoint-9", "old/place/checkpoint-9"),  # it is not here: the Trainer says so at the end
        (None, None),
    ):
        state = SimpleNamespace(best_model_checkpoint=before, global_step=4, is_world_process_zero=True)
        BeginTraining(None).on_train_begin(args, state, None)
        assert state.best_model_checkpoint == after


@pytest.fixture(scope="module")
def checkpoints(faces, tmp_path_factory):
    """The folder of a run with checkpoints of the steps 1 and 2."""
    folder = tmp_path_factory.mktemp("run")
    make(faces, folder, max_steps=2, save_strategy="steps", save_steps=1).train()
    return folder


def arguments_of(folder, **changes):
    """What is asked of the arguments of a training."""
    usual = {"output_dir": str(folder), "world_size": 1, "precision": "float32", "load_best_model_at_end": False}
    return SimpleNamespace(**usual | changes)


FILES = ["optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors", "hmtl_state.json"]


def spoil(path, kept):
    """Leave a part of a file: none of it, a share of its bytes, or all but the last (-1)."""
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[: int(len(content) * kept)] if kept >= 0 else content.rstrip()[:-1])


def test_a_checkpoint_is_found_by_its_name_in_the_folder_of_the_run(checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resume_point("checkpoint-1", arguments_of(checkpoints)) == checkpoints / "checkpoint-1"
    assert resume_point("checkpoint-1/", arguments_of(checkpoints)) == checkpoints / "checkpoint-1"
    (tmp_path / "checkpoint-1").mkdir()  # what lies here is meant first, as any path
    for wanted in ("checkpoint-1", "checkpoint-9", "lats"):
        with pytest.raises(FileNotFoundError, match=f"--resume_from_checkpoint {wanted} is no checkpoint folder"):
            resume_point(wanted, arguments_of(checkpoints))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [None, 0, 0.5, -1], ids=["missing", "empty", "half", "all but a byte"])
def test_a_checkpoint_that_would_go_on_to_other_weights_is_passed_over_for_the_one_before(
    checkpoints, tmp_path, name, kept, caplog
):
    run = shutil.copytree(checkpoints, tmp_path / "run")
    path = run / "checkpoint-2" / name
    spoil(path, kept)
    says = rf"checkpoint-2 lacks {name}" if kept is None else rf"{name} is cut off or damaged"
    with pytest.raises(ValueError, match=says):
        resume_point(str(path.parent), arguments_of(run))
    for wanted in ("last", True):
        caplog.clear()
        assert resume_point(wanted, arguments_of(run)) == run / "checkpoint-1"
        (line,) = caplog.messages
        assert re.search(f"{says}.*, so the training goes on from the one before, {run / 'checkpoint-1'}$", line)
    shutil.rmtree(run / "checkpoint-1")
    for wanted in ("last", True):  # nothing that was written to its end is begun anew over: it has weights
        with pytest.raises(ValueError, match=says):
            resume_point(wanted, arguments_of(run))


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over_in_a_line(checkpoints, tmp_path, caplog):
    run = shutil.copytree(checkpoints, tmp_path / "run")
    for kept in (0.5, None):
        caplog.clear()
        spoil(run / "checkpoint-2" / "trainer_state.json", kept)
        assert resume_point("last", arguments_of(run)) == run / "checkpoint-1"
        assert caplog.messages == [f"{run / 'checkpoint-2'} was not written to its end, and is passed over"]


@pytest.mark.parametrize("kept", [None, 0.5], ids=["missing", "half"])
def test_a_checkpoint_whose_best_weights_are_damaged_is_passed_over(checkpoints, tmp_path, kept, caplog):
    """The end of the training would load them, or take the last ones in their place."""
    run, chooses = shutil.copytree(checkpoints, tmp_path / "run"), {"load_best_model_at_end": True}
    path = run / "checkpoint-2" / "trainer_state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"best_model_checkpoint": "elsewhere/checkpoint-1"}))
    assert resume_point("last", arguments_of(run, **chooses)) == run / "checkpoint-2"
    (run / "checkpoint-0").mkdir()
    for each in (run / "checkpoint-1").iterdir():
        shutil.copy(each, run / "checkpoint-0")
    spoil(run / "checkpoint-1" / "model.safetensors", kept)
    assert resume_point("last", arguments_of(run)) == run / "checkpoint-2"
    assert resume_point("last", arguments_of(run, **chooses)) == run / "checkpoint-0"
    assert "checkpoint-1/model.safetensors, the best weights so far, is missing, cut off or damaged" in caplog.text


def test_a_checkpoint_that_lacks_the_random_numbers_of_a_process_is_passed_over(checkpoints, tmp_path):
    """The first process may have written its last file before another one its only one."""
    run = shutil.copytree(checkpoints, tmp_path / "run")
    for step in (1, 2):
        written_by(run / f"checkpoint-{step}", 2)
    assert resume_point("last", arguments_of(run, world_size=2)) == run / "checkpoint-2"
    (run / "checkpoint-2" / "rng_state_1.pth").unlink()
    assert resume_point("last", arguments_of(run, world_size=2)) == run / "checkpoint-1"


def written_by(checkpoint, processes):
    """The checkpoint as if so many processes had written it."""
    state = (checkpoint / "rng_state.pth").read_bytes()
    (checkpoint / "rng_state.pth").unlink()
    for rank in range(processes):
        (checkpoint / f"rng_state_{rank}.pth").write_bytes(state)
    dataclasses.replace(HybridState.read(checkpoint), processes=processes).write(checkpoint)


def test_a_whole_checkpoint_is_found(checkpoints, tmp_path):
    for wanted in ("last", True, str(checkpoints / "checkpoint-2")):
        assert resume_point(wanted, arguments_of(checkpoints)) == checkpoints / "checkpoint-2"
    assert resume_point(None, arguments_of(checkpoints)) is None
    assert resume_point("last", arguments_of(tmp_path)) is None  # cut off before the first one: begin
    with pytest.raises(FileNotFoundError, match="has no complete checkpoint-N to resume from"):
        resume_point(True, arguments_of(tmp_path))
    (tmp_path / "checkpoint-7").mkdir()
    for wanted in (str(tmp_path / "checkpoint-7"), str(tmp_path), "lst"):
        with pytest.raises(FileNotFoundError, match=f"{wanted} is no checkpoint folder; give one such as"):
            resume_point(wanted, arguments_of(tmp_path))


def test_half_precision_needs_the_state_of_its_loss_scaling(checkpoints):
    with pytest.raises(ValueError, match="checkpoint-2 lacks scaler.pt"):
        resume_point("last", arguments_of(checkpoints, precision="float16"))


@pytest.mark.parametrize(("wrote", "now"), [(1, 2), (2, 1), (2, 4)])
def test_another_number_of_processes_is_refused(checkpoints, tmp_path, wrote, now):
    shutil.copytree(checkpoints, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoint-2"
    if wrote > 1:
        written_by(folder, wrote)
    assert resume_point("last", arguments_of(tmp_path / "run", world_size=wrote)) == folder
    with pytest.raises(
        ValueError, match=rf"written by {wrote} process.*and this is {now}.*--num_processes {wrote} \.\.\."
    ):
        resume_point("last", arguments_of(tmp_path / "run", world_size=now))


def test_broken_images_of_before_a_resume_are_counted_too(faces, tmp_path):
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 6}
    images = [{"bytes": b"", "path": None} if row in (3, 50) else image
              for row, image in enumerate(faces["train"]["image"][:])]  # fmt: skip
    train = faces["train"].remove_columns("image").add_column("image", images, feature=faces["train"].features["image"])
    make({**faces, "train": train}, tmp_path, **options).train()
    assert HybridState.read(tmp_path / "checkpoint-6").broken_rows == [3, 50]
    resumed = make(faces, tmp_path, **options)  # whose files have been mended meanwhile
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert resumed.broken_rows["train"] == {3, 50}
