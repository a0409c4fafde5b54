"""Losses, predictions and gradients that are no numbers: they stop a training or are left out, and never become one."""

from dataclasses import dataclass

import datasets
import pytest
import torch
from safetensors.torch import load_file
from trainers import SIDE, assert_same, make, weights
from transformers import TrainerCallback

from hf_hmtl import Classification, HMTLConfig, HMTLForImageClassification, HMTLTrainer, HMTLTrainingArguments
from hf_hmtl.data.sampler import EpochRowSampler
from hf_hmtl.tasks.base import Pretext, classifier_head
from hf_hmtl.tasks.regression import Regression

BAD = 17  # its number is so large that the square is infinite


def spoiled(faces, *numbers):
    """The training rows, some of which have a valence that no float can square."""
    train = faces["train"]
    valence = [3e38 if row in numbers else value for row, value in enumerate(train["valence"][:])]
    return train.remove_columns("valence").add_column("valence", valence, feature=datasets.Value("float32"))


def step_of(row, batch=16, accumulated=1, rows=96, seed=7):
    """Number of the step that sees a row in the first epoch, by the sampler alone."""
    batches = EpochRowSampler(rows, batch, seed).order(0).reshape(-1, batch)
    return next(number for number, each in enumerate(batches) if row in each) // accumulated + 1


def trainer_of(faces, folder, *bad, save=1, **options):
    """Valence by mean squared error, one epoch of six steps of 16 rows."""
    torch.manual_seed(0)
    task = Regression(name="valence", loss="mse")
    config = HMTLConfig(backbone="test_resnet", image_size=SIDE, heads={"valence": task.head()})
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 16, "seed": 7, "learning_rate": 1e-3}
    settings |= {"use_cpu": True, "disable_tqdm": True, "save_strategy": "steps", "save_steps": save}
    args = HMTLTrainingArguments(str(folder), **{**settings, "logging_steps": 1, **options})
    return HMTLTrainer(HMTLForImageClassification(config), args, [task], train_dataset=spoiled(faces, *bad))


def test_a_loss_that_is_not_finite_stops_the_training_before_it_changes_a_weight(faces, tmp_path, caplog):
    trainer, step = trainer_of(faces, tmp_path, BAD), step_of(BAD)
    assert step > 1
    with pytest.raises(
        ValueError, match=rf"^step {step}: the loss of valence is inf; rows: .*Lower --learning_rate"
    ) as e:
        trainer.train()
    assert "--on_nonfinite skip leaves such steps out" in str(e.value) and "and 8 more" in str(e.value)
    assert f"drawn-train-{BAD:06}.jpg" in caplog.text  # all rows of the batch are named in the log
    kept = load_file(tmp_path / f"checkpoint-{step - 1}" / "model.safetensors")
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, kept[name]), name


@pytest.mark.parametrize("optim", ["adamw_torch_fused", "adamw_torch"])  # told on the device, and stopped before
def test_a_step_that_nothing_is_written_of_stops_the_training_too(faces, tmp_path, optim):
    """It may be found within the next step; no weight moves all the same."""
    options = {"optim": optim, "save_strategy": "no", "logging_steps": 100, "lr_scheduler_type": "constant"}
    step = step_of(BAD)
    assert 1 < step < 6
    trainer = trainer_of(faces, tmp_path / "a", BAD, weight_decay=0.1, **options)
    with pytest.raises(ValueError, match=rf"^step {step}: the loss of valence is inf; rows: drawn-train-"):
        trainer.train()
    sound = trainer_of(faces, tmp_path / "b", BAD, weight_decay=0.1, max_steps=step - 1, **options)
    sound.train()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, sound.model.get_parameter(name)), name


class Watch(TrainerCallback):
    """Counts the steps that are begun, and breaks off behind one of them when asked to."""

    def __init__(self, break_off):
        self.break_off, self.begun = break_off, 0

    def on_step_begin(self, args, state, control, **kwargs):
        self.begun += 1

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.break_off:
            raise KeyboardInterrupt


def test_a_training_that_was_broken_off_leaves_nothing_to_the_next(faces, tmp_path):
    step = step_of(BAD)
    trainer, watch = trainer_of(faces, tmp_path, BAD, save_strategy="no", logging_steps=100), Watch(step)
    trainer.add_callback(watch)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    watch.break_off, watch.begun = None, 0
    with pytest.raises(ValueError, match=rf"^step {step}: "):
        trainer.train()
    assert watch.begun == step + 1  # its own step, found within the one behind it


def test_the_last_step_is_judged_too(faces, tmp_path):
    step = step_of(BAD)
    trainer = trainer_of(faces, tmp_path, BAD, save_strategy="no", logging_steps=100, max_steps=step)
    with pytest.raises(ValueError, match=rf"^step {step}: the loss of valence is inf"):
        trainer.train()


def test_a_step_that_is_left_out_changes_nothing_and_is_counted(faces, tmp_path):
    trainer, step = trainer_of(faces, tmp_path, BAD, on_nonfinite="skip", weight_decay=0.1), step_of(BAD)
    trainer.train()
    assert trainer.finite_steps.left_out == [step] and trainer.state.global_step == 6
    before, after = (tmp_path / f"checkpoint-{number}" for number in (step - 1, step))
    assert_same(load_file(before / "model.safetensors"), load_file(after / "model.safetensors"))  # statistics too
    states = [torch.load(each / "optimizer.pt", weights_only=True)["state"] for each in (before, after)]
    for one, other in zip(states[0].values(), states[1].values(), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert all(tensor.isfinite().all() for tensor in weights(trainer).values())
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert rates == pytest.approx([1e-3 * (6 - number) / 6 for number in range(6)])  # the schedule goes on


def test_the_rows_after_a_step_that_was_left_out_are_those_that_would_have_come(faces, tmp_path):
    trainer = trainer_of(faces, tmp_path, BAD, on_nonfinite="skip")
    seen, collate = [], trainer.train_collator
    trainer.train_collator = lambda rows: (seen.append(rows["row"]), collate(rows))[1]
    trainer.train()
    assert [row for rows in seen for row in rows] == EpochRowSampler(96, 16, 7).order(0).tolist()


def test_the_log_is_of_the_steps_that_count(faces, tmp_path):
    trainer = trainer_of(faces, tmp_path / "a", BAD, on_nonfinite="skip", logging_steps=3, logging_first_step=False)
    trainer.train()
    single = trainer_of(faces, tmp_path / "b", BAD, on_nonfinite="skip")
    single.train()
    each = {entry["step"]: entry["loss"] for entry in single.state.log_history if "loss" in entry}
    each.pop(step_of(BAD))  # 0 over no step
    for entry in (entry for entry in trainer.state.log_history if "loss" in entry):
        steps = [loss for step, loss in each.items() if entry["step"] - 3 < step <= entry["step"]]
        assert entry["loss"] == pytest.approx(sum(steps) / len(steps))


def test_a_step_is_left_out_as_a_whole_where_batches_are_accumulated(faces, tmp_path):
    options = {"on_nonfinite": "skip", "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    trainer, step = trainer_of(faces, tmp_path, BAD, **options), step_of(BAD, batch=8, accumulated=2)
    trainer.train()
    assert trainer.finite_steps.left_out == [step] and trainer.state.global_step == 6
    before, after = (tmp_path / f"checkpoint-{number}" / "model.safetensors" for number in (step - 1, step))
    assert_same(load_file(before), load_file(after))


def test_a_resumed_training_leaves_out_and_counts_as_the_uninterrupted_one(faces, tmp_path):
    whole = trainer_of(faces, tmp_path, BAD, 40, on_nonfinite="skip", logging_steps=2)
    whole.train()
    steps = sorted({step_of(BAD), step_of(40)})
    assert whole.finite_steps.left_out == steps and len(steps) == 2
    for at in range(1, 6):
        resumed = trainer_of(faces, tmp_path, BAD, 40, on_nonfinite="skip", logging_steps=2, save=100)
        resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{at}"))
        assert resumed.finite_steps.left_out == steps
        assert_same(weights(whole), weights(resumed))
        logs = [[entry["loss"] for entry in run.state.log_history if "loss" in entry] for run in (whole, resumed)]
        assert logs[0] == logs[1]


def test_a_training_that_does_not_recover_stops_all_the_same(faces, tmp_path):
    trainer = trainer_of(faces, tmp_path, *range(96), on_nonfinite="skip", num_train_epochs=2)
    with pytest.raises(ValueError, match="10 steps in a row were left out, the last of them 10: the loss of valence"):
        trainer.train()
    assert trainer.finite_steps.left_out == list(range(1, 11))


@dataclass(frozen=True)
class Root(Pretext):
    """A loss of 0 whose gradient is none: the root of 0 has an infinite slope."""

    name: str = "root"

    def head(self):
        return classifier_head([2], 0.0, hidden=None)

    def corrupt(self, pixels, draws):
        return pixels, torch.zeros(len(pixels), dtype=torch.int64)

    def losses(self, prediction, target):
        return (0 * prediction).sum(-1).sqrt()


@dataclass(frozen=True)
class Unbounded(Root):
    """Predictions of which the loss sees nothing, and some of which are infinite: those of the first row."""

    def losses(self, prediction, target):
        return 0 * prediction.nan_to_num(posinf=0).sum(-1)


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_gradients_that_are_not_finite_are_found_before_the_optimizer_uses_them(faces, tmp_path, clip):
    trainer = make(faces, tmp_path, Root(), max_grad_norm=clip)
    before = {name: parameter.clone() for name, parameter in trainer.model.named_parameters()}
    with pytest.raises(ValueError, match="^step 1: the gradients are not finite, though the losses are; rows: "):
        trainer.train()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_predictions_that_are_not_finite_are_found_though_no_loss_sees_them(faces, tmp_path):
    trainer = make(faces, tmp_path, Unbounded(), backbone="test_vit")
    head = trainer.model.auxiliary["root"]
    hook = head.register_forward_hook(lambda module, inputs, output: output.index_fill(0, torch.tensor([3]), torch.inf))
    row = EpochRowSampler(96, 16, 7).order(0)[3]
    with pytest.raises(
        ValueError, match=rf"step 1: predictions of root are not finite; rows: drawn-train-{row:06}.jpg\."
    ):
        trainer.train()
    hook.remove()


def diverged(faces, folder):
    """A trainer whose network answers NaN."""
    trainer = make(faces, folder)
    with torch.no_grad():
        trainer.model.heads["emotion"].layers[1].bias.fill_(torch.nan)
    return trainer


def test_a_network_without_finite_answers_has_no_score(faces, tmp_path):
    trainer = diverged(faces, tmp_path)
    message = (
        "the answers of emotion to 32 of 32 images are not finite, so there is no score; rows: drawn-.*and 24 more"
    )
    with pytest.raises(ValueError, match=message):
        trainer.evaluate()
    with pytest.raises(ValueError, match=message):
        trainer.predict(faces["test"])
    with pytest.raises(ValueError, match="logits are not finite"):
        Classification(name="emotion", labels=("a", "b")).score(torch.full((3, 2), torch.nan).numpy(), [0, 1, 1])


def test_the_filter_of_the_log_hides_nothing(tmp_path):
    for given in (True, False):  # transformers' own would put earlier losses in the place of NaN
        assert not HMTLTrainingArguments(
            str(tmp_path), use_cpu=True, logging_nan_inf_filter=given
        ).logging_nan_inf_filter
