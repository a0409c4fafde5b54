"""Checkpoints that are whole, that are ours, and that ended a training."""

from types import SimpleNamespace

import pytest

from hf_hmtl.training.callbacks import BeginTraining
from hf_hmtl.training.checkpoint import HybridState, is_over, last_complete_checkpoint
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
        state = SimpleNamespace(best_model_checkpoint=before, global_step=4)
        BeginTraining(None).on_train_begin(args, state, None)
        assert state.best_model_checkpoint == after
