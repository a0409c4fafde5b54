"""Shares and weights that move over the training: what each step sees, and that nothing else of a run changes."""

import numpy as np
import pytest
import torch
from trainers import assert_same, first_batch, loss_of, make, weights

from hf_hmtl import HMTLTrainer
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.rotation import Rotation
from hf_hmtl.training.loading import planned_batches

FALLING = ((0.0, 1.0), (0.5, 0.0))


def steps_of(trainer):
    """Share of puzzled rows in each batch that the trainer is given, in order."""
    collate, seen = trainer.train_collator, []

    def watched(rows):
        batch = collate(rows)
        seen.append((batch["targets"]["puzzle"] != MISSING).all(1).float().mean().item())
        return batch

    trainer.train_collator = watched
    trainer.train()
    return seen


def test_a_share_follows_the_progress_of_the_training(faces, tmp_path):
    """96 rows, batches of 16: 6 steps an epoch, 12 in two; from the 6th on, nothing is puzzled."""
    seen = steps_of(make(faces, tmp_path, Puzzle(grid=2, share=FALLING), num_train_epochs=2))
    assert len(seen) == 12 and seen[0] == 1.0 and seen[6:] == [0.0] * 6
    assert 0 < seen[3] < 1 and sum(seen[1:3]) > sum(seen[4:6])


def test_with_steps_in_place_of_epochs_and_accumulation_it_ends_with_the_training(faces, tmp_path):
    settings = {"max_steps": 8, "gradient_accumulation_steps": 2, "num_train_epochs": 99}
    trainer = make(faces, tmp_path, Puzzle(grid=2, share=FALLING), **settings)
    assert planned_batches(trainer.args, 6) == 16  # 3 steps of 2 batches an epoch
    seen = steps_of(trainer)
    assert len(seen) == 16 and seen[7] > 0 and seen[8:] == [0.0] * 8
    trainer.args.gradient_accumulation_steps = 4  # 2 steps an epoch, of 4 and 2 batches
    assert planned_batches(trainer.args, 6) == 24


def test_a_constant_share_is_drawn_as_before(faces, tmp_path):
    constant, moving = (
        first_batch(make(faces, tmp_path, Puzzle(grid=2, share=share))) for share in (0.4, ((0.0, 0.4), (1.0, 0.4)))
    )
    assert torch.equal(constant["pixel_values"], moving["pixel_values"])
    assert torch.equal(constant["targets"]["puzzle"], moving["targets"]["puzzle"])


@pytest.mark.parametrize("calibrate", [False, True])
def test_a_weight_follows_the_progress_and_stands_in_the_log(faces, tmp_path, calibrate):
    task = Puzzle(grid=2, weight=((0.0, 0.2), (0.5, 0.1), (1.0, 0.0)), calibrate=calibrate)
    trainer = make(faces, tmp_path, task, num_train_epochs=1)
    trainer.train()
    logged = [entry["weight_puzzle"] for entry in trainer.state.log_history if "weight_puzzle" in entry]
    first = trainer.calibrated["puzzle"] if calibrate else 0.2
    np.testing.assert_allclose(logged, first * np.interp(np.arange(1, 7) / 6, [0, 0.5, 1], [1, 0.5, 0]), rtol=1e-5)
    constant = make(faces, tmp_path, Puzzle(grid=2, weight=0.2, calibrate=calibrate))
    constant.calibrate()
    assert first == pytest.approx(constant.weights["puzzle"])


def test_the_loss_of_a_step_is_that_of_its_weight(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=2, weight=((0.0, 0.0), (1.0, 0.6))), dropout=0.0)
    batch = first_batch(trainer)
    trainer.state.global_step, trainer.state.max_steps = 2, 6
    risen, _ = loss_of(trainer, [batch])
    constant = make(faces, tmp_path, Puzzle(grid=2, weight=0.2), dropout=0.0)
    assert risen == pytest.approx(loss_of(constant, [batch])[0])
    trainer.state.global_step = 0
    alone = {**batch, **{part: {"emotion": batch[part]["emotion"]} for part in ("views", "targets")}}
    assert loss_of(trainer, [batch])[0] == pytest.approx(loss_of(make(faces, tmp_path, dropout=0.0), [alone])[0])


def test_a_resumed_run_goes_on_with_the_schedule_to_the_bit(faces, tmp_path):
    task = Puzzle(grid=2, share=FALLING, weight=((0.0, 1.0), (1.0, 0.1)))
    options = {"save_strategy": "steps", "save_steps": 4, "num_train_epochs": 2}
    whole = make(faces, tmp_path / "whole", task, **options)
    whole.train()
    resumed = make(faces, tmp_path / "whole", task, **options)
    resumed.train(resume_from_checkpoint=tmp_path / "whole" / "checkpoint-4")
    assert_same(weights(whole), weights(resumed))
    shares = [[entry.get("share_puzzle") for entry in each.state.log_history] for each in (whole, resumed)]
    assert shares[0] == shares[1]


@pytest.mark.parametrize("task", [Rotation(share=FALLING), Puzzle(grid=2, weight=FALLING)], ids=lambda task: task.name)
def test_what_has_no_known_end_or_moves_by_itself_is_refused(faces, tmp_path, task):
    with pytest.raises(ValueError, match=f"schedule of '{task.name}' follows the progress"):
        make(
            faces, tmp_path, task, early_stopping_patience=2, eval_strategy="epoch",
            metric_for_best_model="eval_emotion_accuracy",
        )  # fmt: skip
    with pytest.raises(ValueError, match=f"loss_weighting dynamic .* schedule of '{task.name}'"):
        make(faces, tmp_path, task, dynamic=True)
    assert isinstance(make(faces, tmp_path, task), HMTLTrainer)


def test_a_view_of_its_own_may_become_empty(faces, tmp_path):
    trainer = make(faces, tmp_path, Rotation(view="own", share=FALLING), num_train_epochs=2)
    collate, rows = trainer.train_collator, []
    trainer.train_collator = lambda given: rows.append(collate(given)) or rows[-1]
    trainer.train()
    sizes = [last - first for first, last in (batch["views"]["rotation"] for batch in rows)]
    assert sizes[0] == 16 and sizes[6:] == [0] * 6
    assert all(len(batch["pixel_values"]) == 16 + size for batch, size in zip(rows, sizes, strict=True))
    assert all(torch.isfinite(parameter).all() for parameter in trainer.model.parameters())
