"""Do the tasks pull the shared trunk the same way? Gradients of every task on the backbone, compared.

The first question of multi-task learning: a cosine near 1 says that an auxiliary task asks for the same change as the
supervised one, near 0 that it asks for something else, below 0 that it undoes it (Yu et al. 2020, arXiv 2001.06782).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm


@dataclass(frozen=True)
class TaskGradient:
    """One task's gradient on the backbone, over several batches.

    Attributes:
        weight: factor of its loss in the sum, learned and dynamic factors included.
        loss: mean loss, before the weight.
        norm: mean length of weight * gradient, relative to that of the supervised tasks together.
        cosines: one a batch, with the gradient of the supervised tasks together; NaN where either has no length.
        beside: {other task: cosines, one a batch, with its gradient}.
    """

    weight: float
    loss: float
    norm: float
    cosines: list[float]
    beside: dict[str, list[float]]

    @property
    def cosine(self) -> float:
        """Mean over the batches."""
        return float(np.mean(self.cosines))

    @property
    def conflicts(self) -> float:
        """Share of the batches whose cosine is negative."""
        return float(np.mean(np.asarray(self.cosines) < 0))


def compare_gradients(trainer, batches: int) -> dict[str, TaskGradient]:
    """Gradients of each task on the shared trunk, on the first training batches.

    The network is in training mode, as it is when it learns; its weights, buffers and mode come back as they were.

    Args:
        trainer: an `HMTLTrainer` with a supervised task and another, supervised or auxiliary. Weights that are to be
            calibrated, and were not yet, are measured first.
        batches: how many batches.

    Raises:
        ValueError: there is nothing to compare.
    """
    supervised = [task.name for task in trainer.tasks if not task.auxiliary]
    if not supervised or len(trainer.tasks) < 2:
        raise ValueError(
            f"the tasks are {', '.join(task.name for task in trainer.tasks)}; a comparison of gradients needs a "
            "supervised task and another one of a weight above 0. Choose a hybrid row, as quickstart/puzzle-3x3"
        )
    trainer.calibrate()
    weights: dict[str, float] = {}
    trunk = [parameter for parameter in trainer.model.base_model.backbone.parameters() if parameter.requires_grad]
    names = [task.name for task in trainer.tasks]
    found = {name: ([], [], [], {other: [] for other in names if other != name}) for name in names}
    loader = trainer.get_train_dataloader()
    with _as_in_training(trainer.model):
        for _, batch in tqdm(zip(range(batches), loader, strict=False), total=batches, desc="gradients", disable=None):
            losses, gradients, weights = _gradients(trainer, batch, trunk)
            reference = sum(gradients[name] for name in supervised)
            for name, (all_losses, norms, cosines, beside) in found.items():
                all_losses.append(losses[name])
                norms.append((gradients[name].norm() / reference.norm()).item())
                cosines.append(_cosine(gradients[name], reference))
                for other, pulls in beside.items():
                    pulls.append(_cosine(gradients[name], gradients[other]))
    return {
        name: TaskGradient(weights[name], float(np.mean(losses)), float(np.mean(norms)), cosines, beside)
        for name, (losses, norms, cosines, beside) in found.items()
    }


def gradient_table(found: dict[str, TaskGradient]) -> str:
    """The comparison as aligned text."""
    lines = [f"{'task':16}{'weight':>10}{'loss':>10}{'norm':>8}{'cosine':>9}{'sd':>7}{'conflicts':>11}"]
    for name, task in found.items():
        deviation = np.std(task.cosines, ddof=1) if len(task.cosines) > 1 else float("nan")
        lines.append(
            f"{name:16}{task.weight:10.4g}{task.loss:10.4g}{task.norm:8.2f}{task.cosine:9.3f}{deviation:7.3f}"
            f"{task.conflicts:11.0%}"
        )
    return "\n".join(lines + (_pulls(found) if len(found) > 2 else []))


def _pulls(found: dict[str, TaskGradient]) -> list[str]:
    """Cosine of every two tasks, a mean over the batches, and which of them pull apart in more than half of them."""
    names = list(found)
    width = max(9, *(len(name) + 2 for name in names))
    lines = ["", "cosines of two".ljust(16) + "".join(f"{name:>{width}}" for name in names)]
    apart = []
    for place, name in enumerate(names):
        cells = [found[name].beside.get(other, [1.0]) for other in names]
        lines.append(f"{name:16}" + "".join(f"{np.mean(cosines):{width}.3f}" for cosines in cells))
        for other in names[place + 1 :]:
            share = float(np.mean(np.asarray(found[name].beside[other]) < 0))
            if share > 0.5:
                apart.append(f"{name} and {other} pull apart in {share:.0%} of the batches")
    return [*lines, *(apart or ["no two tasks pull apart in more than half of the batches"])]


def _gradients(
    trainer, batch: dict, trunk: list[nn.Parameter]
) -> tuple[dict[str, float], dict[str, Tensor], dict[str, float]]:
    """Loss, flattened weight * gradient on the trunk, and weight of each task, from one pass."""
    batch = trainer._prepare_inputs(batch)
    step = trainer._get_num_items_in_batch([batch], trainer.args.device)
    outputs = trainer.model(pixel_values=batch["pixel_values"], views=batch["views"])
    losses, gradients = trainer.task_losses(outputs.learned_from, batch["targets"], step), {}
    weights = trainer.effective_weights(outputs.log_variances)
    for name, loss in losses.items():
        parts = torch.autograd.grad(weights[name] * loss, trunk, retain_graph=True, allow_unused=True)
        filled = [torch.zeros_like(weight) if part is None else part for part, weight in zip(parts, trunk, strict=True)]
        gradients[name] = torch.cat([part.flatten().float() for part in filled])
    return {name: loss.item() for name, loss in losses.items()}, gradients, weights


def _cosine(one: Tensor, other: Tensor) -> float:
    lengths = one.norm() * other.norm()
    return (one @ other / lengths).item() if lengths > 0 else float("nan")


@contextmanager
def _as_in_training(model: nn.Module) -> Iterator[None]:
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    mode = model.training
    model.train()
    try:
        yield
    finally:
        model.train(mode)
        for name, buffer in model.named_buffers():
            buffer.copy_(before[name])
