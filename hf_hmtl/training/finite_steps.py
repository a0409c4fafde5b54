"""Steps whose losses, predictions or gradients are no finite numbers: they stop a training, or are left out of it.

No such step moves a weight, so that those of a stopped run are still sound. Nor does the search wait for the device:
the optimizer itself is told to leave a step out, on the device, and the answer is read while the next step is computed.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor
from transformers import TrainerCallback

from hf_hmtl.data.identity import names_of
from hf_hmtl.data.mixture import below

logger = logging.getLogger(__name__)

ON_NONFINITE = ("stop", "skip")
IN_A_ROW = 10
"""Steps left out one after the other that stop a training all the same: it no longer learns."""
NAMES_SHOWN = 8
REMEDY = (
    "Lower --learning_rate, clip with --max_grad_norm 1, use --bf16 true in place of --fp16 true, or look at the "
    "images and labels of these rows"
)


class Diverged(ValueError):
    """Losses, gradients or answers of a network are not finite: its training has come to nothing."""


@dataclass(frozen=True)
class _Batch:
    """What one backward pass is judged by; it stays on the device until the step ends.

    Attributes:
        losses: {task: its share of the loss}.
        finite: {task: (rows,) whether the prediction of each is finite}.
        total: what is minimised.
        rows: (rows,) their numbers in the dataset; None where the collator is not ours.
    """

    losses: Mapping[str, Tensor]
    finite: Mapping[str, Tensor]
    total: Tensor
    rows: Tensor | None

    @property
    def is_sound(self) -> Tensor:
        return torch.stack([self.total.isfinite().all(), *(each.all() for each in self.finite.values())]).all()


@dataclass(frozen=True)
class _Judged:
    """A step whose optimizer was told whether to leave it out, by a number that may still be on its way to the CPU.

    Attributes:
        step: its number.
        batches: its own.
        judgement: (2,) as `FiniteSteps` finds it; on the CPU, once it has arrived.
        arrived: when it has; None where it is there already.
    """

    step: int
    batches: Sequence[_Batch]
    judgement: Tensor
    arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, step: int, batches: Sequence[_Batch], judgement: Tensor) -> "_Judged":
        """The step, without waiting for what a GPU has yet to compute."""
        copied = judgement.to("cpu", non_blocking=judgement.is_cuda)
        return cls(step, batches, copied, torch.cuda.current_stream().record_event() if judgement.is_cuda else None)

    def read(self) -> tuple[bool, bool]:
        """Whether the step is not sound, and whether a process was told to end."""
        if self.arrived is not None:
            self.arrived.synchronize()
        unsound, told = self.judgement.tolist()
        return unsound > 0, told > 0


class FiniteSteps(TrainerCallback):
    """Looks at every step of a trainer after its last backward pass, before its optimizer.

    A step is judged as a whole: all its accumulated batches, of all processes. One that is left out changes no weight,
    no state of the optimizer and no statistics of batch norm; it counts as a step of the schedule, so that the rows and
    the learning rates of all later steps are what they would have been. Its losses are not in the log. In float16 the
    loss scaling leaves out steps whose scaled gradients overflow, as always, so only losses and predictions are judged.

    A training that is to stop learns of a step within the next one, or before anything is logged, evaluated or saved,
    where its optimizer is one that can be told on the device to leave a step out (the fused ones of torch).

    Args:
        trainer: the trainer.
        leaves_out: whether such a step is left out; otherwise it stops the training.

    Attributes:
        left_out: numbers of the steps that were left out, earlier parts of a resumed run included.
        norm: of the gradients of this step, before they were clipped; the trainer tells it.
    """

    def __init__(self, trainer, leaves_out: bool):
        self.trainer, self.leaves_out = trainer, leaves_out
        self.left_out: list[int] = []
        self._batches: list[_Batch] | None = None  # None outside of steps
        self._before: Any = None
        self._judged: _Judged | None = None  # the step before, in a training that is to stop
        self.norm: Tensor | float = 0.0

    def look(self, losses: Mapping[str, Tensor], predictions: Mapping[str, Tensor], total: Tensor, rows) -> None:
        """Take note of a batch of the step; no value is read from the device yet."""
        if self._batches is not None:
            finite = {name: predictions[name].detach().isfinite().flatten(1).all(1) for name in losses}
            detached = {name: loss.detach() for name, loss in losses.items()}
            self._batches.append(_Batch(detached, finite, total.detach(), rows))

    def on_train_begin(self, args, state, control, **kwargs):
        """Before the first step; what is left of a training that was broken off is forgotten."""
        self._judged = None

    def on_step_begin(self, args, state, control, **kwargs):
        """Before the first batch of a step."""
        self._batches = []
        if self.leaves_out:
            buffers = [buffer.clone() for buffer in self.trainer.model.buffers()]
            self._before = buffers, self.trainer.gathered()

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        """After the last backward pass of a step.

        Raises:
            ValueError: the step is not sound, and is not to be left out; all processes raise it together.
        """
        self.settle()
        batches, self._batches = self._batches or [], None
        judgement = self._judgement(batches)
        self._judged = _Judged.of(state.global_step + 1, batches, judgement)
        optimizer = getattr(self.trainer.optimizer, "optimizer", self.trainer.optimizer)
        scaled = self.trainer.accelerator.scaler is not None  # it tells the optimizer itself
        if not self.leaves_out and not scaled and getattr(optimizer, "_step_supports_amp_scaling", False):
            optimizer.found_inf = judgement[0].clamp(max=1)
        else:
            self.settle()

    def on_optimizer_step(self, args, state, control, **kwargs):
        """After the optimizer, which is told anew in the next step."""
        vars(getattr(self.trainer.optimizer, "optimizer", self.trainer.optimizer)).pop("found_inf", None)

    def on_step_end(self, args, state, control, **kwargs):
        """Before anything is written of a step.

        Raises:
            ValueError: as `on_pre_optimizer_step`.
        """
        if control.should_log or control.should_evaluate or control.should_save or control.should_training_stop:
            self.settle()

    def on_epoch_end(self, args, state, control, **kwargs):
        """Before anything is written of an epoch, or the training ends.

        Raises:
            ValueError: as `on_pre_optimizer_step`.
        """
        self.settle()

    def settle(self) -> None:
        """Act on what is known of the step before: stop the training where it was not sound, and end it soon where a
        process was told to.

        Raises:
            ValueError: as `on_pre_optimizer_step`.
        """
        judged, self._judged = self._judged, None
        if judged is None:
            return
        unsound, told = judged.read()
        if told:
            self.trainer.end_behind_this_step()
        if unsound:
            self._found(judged.step, self._reason(judged.batches))

    def _judgement(self, batches: Sequence[_Batch]) -> Tensor:
        """(2,) how many processes have found a step of these batches not sound, and how many were told to end. What all
        have to agree on goes the same way."""
        args = self.trainer.args
        sound = [batch.is_sound for batch in batches]
        if self.trainer.accelerator.scaler is None:
            sound.append(torch.as_tensor(self.norm).isfinite())
        unsound = (~torch.stack([each.to(args.device) for each in sound])).any().float()
        if args.world_size == 1:  # which ends by itself when it is told to
            return torch.stack([unsound, torch.zeros_like(unsound)])
        told = torch.full_like(unsound, self.trainer.is_told_to_end)
        return self.trainer.accelerator.reduce(torch.stack([unsound, told]), "sum")

    def _found(self, step: int, reason: str) -> None:
        if not self.leaves_out:
            raise Diverged(
                f"step {step}: {reason}. No weight was changed by it. {REMEDY}; --on_nonfinite skip leaves such steps "
                "out"
            )
        self.trainer.model.zero_grad(set_to_none=True)  # without a gradient no optimizer moves or decays anything
        buffers, gathered = self._before
        for buffer, before in zip(self.trainer.model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        self.trainer.forget_step(gathered)
        self.left_out.append(step)
        logger.warning("step %d is left out: %s", step, reason)
        if self.left_out[-IN_A_ROW:] == list(range(step - IN_A_ROW + 1, step + 1)):
            raise Diverged(
                f"{IN_A_ROW} steps in a row were left out, the last of them {step}: {reason}. The training does not "
                f"recover. {REMEDY}"
            )

    def _reason(self, batches: Sequence[_Batch]) -> str:
        """What is not finite, and on which rows, of all processes."""
        unsound = [batch for batch in batches if not batch.is_sound]
        found = gather_object([(self._described(unsound), self._names(unsound), self._names(batches))])
        parts = list(dict.fromkeys(part for parts, _, _ in found for part in parts))
        names = [name for _, names, _ in found for name in names] or [name for *_, names in found for name in names]
        what = ", ".join(parts) or "the gradients are not finite, though the losses are"
        if len(names) > NAMES_SHOWN:
            logger.warning("rows of the step that is not finite: %s", ", ".join(names))
        return f"{what}; {_shown(names)}" if names else what

    def _described(self, batches: Sequence[_Batch]) -> list[str]:
        parts = []
        for batch in batches:
            for name, loss in batch.losses.items():
                if not loss.isfinite():
                    parts.append(f"the loss of {name} is {loss.item():g}")
                elif not batch.finite[name].all():
                    parts.append(f"predictions of {name} are not finite")
        return parts

    def _names(self, batches: Sequence[_Batch]) -> list[str]:
        numbers = [row for batch in batches if batch.rows is not None for row in _rows_of(batch, batch.rows.tolist())]
        return names_of(below(self.trainer.train_dataset), numbers)


def _rows_of(batch: _Batch, rows: list[int]) -> list[int]:
    """Those whose own prediction is not finite, where only some are; otherwise all of the batch."""
    for finite in batch.finite.values():
        if len(finite) == len(rows) and finite.any() and not finite.all():
            return [row for row, sound in zip(rows, finite.tolist(), strict=True) if not sound]
    return rows


def _shown(names: Sequence[str]) -> str:
    rest = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"rows: {', '.join(names[:NAMES_SHOWN])}{rest}"


def require_finite_answers(task: str, finite: np.ndarray, reader: Any) -> None:
    """Raise when some answers of an evaluation are no numbers: such a network has no score, and no answer.

    Args:
        task: name of the task.
        finite: (rows,) whether the prediction of each is finite.
        reader: of the rows that were predicted, as a `RowReader` or `GivenRows` gives it.

    Raises:
        ValueError: it says how many, and which.
    """
    if not finite.all():
        rows = np.flatnonzero(~finite).tolist()
        raise Diverged(
            f"the answers of {task} to {len(rows):,} of {len(finite):,} images are not finite, so there is no score; "
            f"{_shown(names_of(reader.dataset, rows))}. The network has diverged: train it again with "
            "a lower --learning_rate or --max_grad_norm 1, or go on from an earlier checkpoint-N"
        )
