"""One optimizer step: the sums over all its batches and processes, of which the loss of each task is a function."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hf_hmtl.tasks import Task
from hf_hmtl.tasks.base import Sums


@dataclass(frozen=True)
class Step:
    """The sums of a whole step, as far as they are known before its first backward pass.

    Each batch holds a part of them and learns through that part: the gradient of L(S), S the sum of the parts s, is
    the sum over the batches of dL/dS ds, and dL/dS needs the whole S. A mean needs no more than its counts for that.

    Attributes:
        counts: {task: its counts over the whole step}; without tasks that have no target in some batch.
        sums: {task: all its sums over the whole step} for losses that are not additive; empty in a step of one batch,
            whose own pass gives them.
        batches: how many are accumulated, in each process.
        accelerator: that of the trainer, which knows the processes.
    """

    counts: dict[str, Sums]
    sums: dict[str, Sums]
    batches: int
    accelerator: Any

    def has_labels(self, task: str) -> Tensor:
        """Scalar bool: whether there is any label of the task in the step."""
        return torch.stack([(count > 0).any() for count in self.counts[task].values()]).any()

    def share(self, task: Task, own: Sums) -> Tensor:
        """A batch's share of the loss of the step: the shares of all batches and processes, each divided by the number
        of processes, add up to the loss, and their gradients, which DDP averages over the processes, to its gradient.

        All processes have to call it, in the same order.

        Args:
            own: the task's sums over the rows of this batch, with their gradient.
        """
        processes, counts = self.accelerator.num_processes, self.counts[task.name]
        if task.additive:
            return task.loss_of(own | counts) * processes
        parts = {name: part for name, part in own.items() if name not in counts}
        detached = {name: part.detach() for name, part in parts.items()}
        totals = self.sums.get(task.name) or over_processes({task.name: detached}, self.accelerator)[task.name]
        # The value of the whole, the gradient of the part.
        whole = {name: part + (totals[name] - detached[name]) for name, part in parts.items()}
        loss = task.loss_of(whole | counts)
        return processes * (loss - loss.detach()) + loss.detach() / self.batches


def counts_of(tasks: Sequence[Task], batches: Sequence[dict], device: torch.device) -> dict[str, Sums]:
    """{task: its counts}, over the batches of this process."""
    counts: dict[str, Sums] = {}
    for task in tasks:
        for batch in batches:
            _add(counts.setdefault(task.name, {}), task.counts(batch["targets"][task.name]), device)
    return counts


def sums_of(trainer, tasks: Sequence[Task], batches: Sequence[dict]) -> dict[str, Sums]:
    """{task: its sums without the counts}, over the batches of this process, from a pass without gradient.

    It is the network of the passes with gradient that follow: in training mode, with the same random draws.
    """
    sums: dict[str, Sums] = {}
    model, device = trainer.model_wrapped, trainer.args.device
    with rehearsal(model, device), trainer.compute_loss_context_manager():
        for batch in batches:
            batch = trainer._prepare_inputs(batch)
            outputs = trainer.answers(model, batch)
            for task in tasks:
                target = batch["targets"][task.name]
                own, counts = task.statistics(outputs.learned_from[task.name], target), task.counts(target)
                found = {name: part for name, part in own.items() if name not in counts}
                _add(sums.setdefault(task.name, {}), found, device)
    return sums


def over_processes(sums: dict[str, Sums], accelerator) -> dict[str, Sums]:
    """The same sums over all processes, which must have the same names in the same order; one exchange for all."""
    parts = [part for of_task in sums.values() for part in of_task.values()]
    if accelerator.num_processes == 1 or not parts:
        return sums
    totals = accelerator.reduce(torch.cat([part.flatten() for part in parts]), "sum")
    each = iter(totals.split([part.numel() for part in parts]))
    return {
        task: {name: next(each).view(part.shape) for name, part in of_task.items()} for task, of_task in sums.items()
    }


@contextmanager
def rehearsal(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Passes in training mode that leave no trace: no gradient, and buffers and random numbers as they were before."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}  # batch norm counts what it sees
    model.train()
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])


def _add(sums: Sums, further: Sums, device: torch.device) -> None:
    for name, part in further.items():
        sums[name] = sums.get(name, 0) + part.to(device, non_blocking=True)
