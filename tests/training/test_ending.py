"""Trainings that are told to end by SIGTERM, and go on to the bits of the uninterrupted one."""

import os
import signal

import pytest
from trainers import assert_same, make, weights

from hf_hmtl.ending import ToldToEnd, told
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.training.checkpoint import last_complete_checkpoint, trainer_state

EVERY = {"num_train_epochs": 2, "metric_for_best_model": "eval_loss", "load_best_model_at_end": True}
STEPS = {"save_strategy": "steps", "save_steps": 5, "eval_strategy": "steps", "eval_steps": 5, **EVERY}
EPOCHS = {"save_strategy": "epoch", "eval_strategy": "epoch", **EVERY}
BEST = {"save_strategy": "best", "eval_strategy": "epoch", **EVERY}


def trainer_of(faces, folder, options):
    return make(faces, folder, Puzzle(grid=2), level="strong", early_stopping_patience=9, logging_steps=4,
                logging_first_step=False, **options)  # fmt: skip


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory):
    """{options: an uninterrupted training}, each made once."""
    made = {}

    def of(name, options):
        if name not in made:
            made[name] = trainer_of(faces, tmp_path_factory.mktemp("whole"), options)
            made[name].train()
        return made[name]

    return of


def history(trainer):
    """The log without what a clock says."""
    return [
        {key: value for key, value in entry.items() if not key.endswith(("runtime", "_per_second"))}
        for entry in trainer.state.log_history
        if "train_runtime" not in entry
    ]


def told_at(monkeypatch, trainer, method, call):
    """Let SIGTERM come in a call of a method of a trainer."""
    calls, original = [], getattr(trainer, method)

    def hear(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **options)

    monkeypatch.setattr(trainer, method, hear)


CASES = {
    "in a step": (STEPS, "training_step", 3, 3),
    "in a step that saves": (STEPS, "training_step", 5, 5),
    "in the first step": (STEPS, "training_step", 1, 1),
    "in an evaluation": (STEPS, "prediction_step", 2, 5),
    "in the last step of an epoch": (STEPS, "training_step", 6, 6),
    "in the last step": (STEPS, "training_step", 12, 12),
    "with one checkpoint": (STEPS | {"save_total_limit": 1}, "training_step", 8, 8),
    "by epochs, in a step": (EPOCHS, "training_step", 3, 3),
    "by epochs, in the last step of one": (EPOCHS, "training_step", 6, 6),
    "by epochs, in an evaluation": (EPOCHS, "prediction_step", 1, 6),
    "by the best, in a step": (BEST, "training_step", 8, 8),
    "by the best, in an evaluation": (BEST, "prediction_step", 1, 6),
    "with two workers": (STEPS | {"dataloader_num_workers": 2}, "training_step", 7, 7),
}


QUICK = ("in a step", "in an evaluation", "by epochs, in the last step of one")


@pytest.mark.parametrize(
    "case",
    [case if case in QUICK else pytest.param(case, marks=[pytest.mark.slow, pytest.mark.faults]) for case in CASES],
)
def test_a_training_that_is_told_to_end_leaves_a_checkpoint_and_goes_on_to_the_same_bits(
    faces, whole, tmp_path, monkeypatch, case
):
    options, method, call, step = CASES[case]
    first = trainer_of(faces, tmp_path, options)
    told_at(monkeypatch, first, method, call)
    with pytest.raises(ToldToEnd, match=f"checkpoint-{step} is written"), told():
        first.train()
    last = last_complete_checkpoint(tmp_path)
    assert last == tmp_path / f"checkpoint-{step}" and trainer_state(last).global_step == step
    resumed = trainer_of(faces, tmp_path, options)
    resumed.train(resume_from_checkpoint=True)
    uninterrupted = whole(f"{options['save_strategy']}-{options.get('save_total_limit')}", options)
    assert resumed.state.global_step == 12
    assert_same(weights(uninterrupted), weights(resumed))
    assert history(resumed) == history(uninterrupted)
    assert resumed.state.best_global_step == uninterrupted.state.best_global_step


def test_what_is_told_behind_the_last_step_is_raised_behind_the_training(faces, tmp_path, monkeypatch):
    trainer = trainer_of(faces, tmp_path, STEPS | {"max_steps": 2})
    told_at(monkeypatch, trainer, "_finalize_training", 1)
    with pytest.raises(ToldToEnd), told():
        trainer.train()
    assert trainer.state.global_step == 2


def test_a_trainer_in_a_program_of_ones_own_leaves_signals_alone(faces, tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(signal, "signal", lambda *arguments: heard.append(arguments))
    trainer_of(faces, tmp_path, STEPS | {"max_steps": 1}).train()
    assert not [number for number, *_ in heard if number == signal.SIGTERM]
