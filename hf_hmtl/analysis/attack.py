"""How far a network's answers hold when an adversary may change every pixel a little.

Two attacks of the same budget, the largest change of any pixel: the fast gradient sign method of Eq. 6 (Goodfellow et
al. 2015, arXiv 1412.6572), one step, and projected gradient descent (Madry et al. 2018, arXiv 1706.06083), which
follows the gradient and finds what one step misses. Radii are in units of pixels from 0 to 1, so that 8 of 255 grey
levels are 8/255, and what comes out lies in [0, 1]: it is a picture.

The network is attacked as it is used: in evaluation mode, by its supervised head alone. It comes back as it was, with
no gradient in any parameter.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_hmtl.analysis.evaluation_mode import evaluating
from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.classification import Classification

STEPS = 10
STEP_SHARE = 2.5  # steps of this share of the radius / their number reach its edge from anywhere (Madry et al., App. A)
ATTACKS = ("fgsm", "pgd")

RowLosses = Callable[[Tensor, Tensor], Tensor]
"""(prediction, target) of the rows to their (rows,) losses: J of Eq. 6."""


@dataclass(frozen=True)
class Robustness:
    """What a classifier answers when it is attacked.

    Attributes:
        radii: largest change of a pixel, in units of 0 to 1.
        right: {"fgsm" or "pgd": (radii, labelled rows) bool}, whether the answer to the attacked image is right.
    """

    radii: tuple[float, ...]
    right: dict[str, np.ndarray]


def as_floats(pixels: Tensor) -> Tensor:
    """Pixels as floats from 0 to 1: uint8 is divided by 255 as the network itself does, floats stay."""
    return pixels if pixels.is_floating_point() else pixels.float() / 255


def input_gradient(model: PreTrainedModel, head: str, pixels: Tensor, target: Tensor, losses: RowLosses) -> Tensor:
    """The gradient of each row's own loss on its pixels: sign and all, of the shape of the pixels.

    Args:
        model: in evaluation mode, where rows do not know each other.
        head: whose answer is attacked.
        pixels: (rows, 3, side, side) floats in [0, 1].
        target: of those rows; one without a label has the loss 0, and so is not changed.
        losses: as the head's task computes them.

    Raises:
        ValueError: the gradient is not finite, so it leads nowhere.
    """
    with torch.enable_grad():
        leaf = pixels.detach().requires_grad_()
        prediction = model(pixel_values=leaf, views={head: (0, len(leaf))}).predictions[head]
        # Of the pixels alone: backward() would leave its sums in every parameter.
        (gradient,) = torch.autograd.grad(losses(prediction, target).sum(), leaf)
    if not torch.isfinite(gradient).all():
        raise ValueError(f"the gradient of {head!r} on its pixels is not finite: the network has diverged")
    return gradient


def fgsm(
    model: PreTrainedModel, head: str, pixels: Tensor, target: Tensor, radii: Sequence[float], losses: RowLosses
) -> Iterator[Tensor]:
    """X + radius * sign(gradient of J on X), clipped to [0, 1], for each radius (Eq. 6). One gradient serves all.

    Args:
        pixels: (rows, 3, side, side) uint8, or floats in [0, 1].
        model, head, target, losses: see `input_gradient`.
    """
    clean = as_floats(pixels)
    with evaluating(model):
        direction = input_gradient(model, head, clean, target, losses).sign()
    for radius in radii:
        yield (clean + radius * direction).clamp(0, 1)


def pgd(
    model: PreTrainedModel,
    head: str,
    pixels: Tensor,
    target: Tensor,
    radius: float,
    losses: RowLosses,
    draws: Draws,
    steps: int = STEPS,
) -> Tensor:
    """Steps along the sign of the gradient, from a random start, each brought back to within the radius and to [0, 1].

    Args:
        pixels, model, head, target, losses: see `fgsm`.
        radius: largest change of a pixel.
        draws: of those rows; where each of them starts does not depend on the others.
        steps: how many, each of 2.5 * radius / steps.
    """
    clean = as_floats(pixels)
    if radius == 0:
        return clean
    unit = draws.uniform("pgd/start", -1, 1, count=clean[0].numel()).reshape(clean.shape)
    labelled = (target != MISSING).view(-1, 1, 1, 1)
    start = torch.from_numpy(unit).to(clean.device, clean.dtype) * labelled
    attacked = (clean + radius * start).clamp(0, 1)
    with evaluating(model):
        for _ in range(steps):
            step = STEP_SHARE * radius / steps * input_gradient(model, head, attacked, target, losses).sign()
            attacked = (clean + (attacked + step - clean).clamp(-radius, radius)).clamp(0, 1)
    return attacked


def attacked_answers(
    model: PreTrainedModel, task: Classification, batches: Iterable[dict], radii: Sequence[float], steps: int = STEPS
) -> Robustness:
    """Whether a classifier still answers rightly, on every labelled row, under both attacks at every radius.

    J is the cross-entropy of the true class, whatever the loss it was trained with: weights of classes change no sign.

    Args:
        model: with the head of the task.
        batches: as `EvaluationCollator` makes them: clean images, their rows and their targets.

    Raises:
        ValueError: a radius is negative, or no row has a label.
    """
    if not all(0 <= radius <= 1 for radius in radii):
        raise ValueError(
            f"radii are {list(radii)}, allowed are 0 (no attack) to 1 (black to white); 8 grey levels are 8/255"
        )

    def losses(logits: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits.float(), target, ignore_index=MISSING, reduction="none")

    found: dict[str, list[np.ndarray]] = {attack: [] for attack in ATTACKS}
    for batch in batches:
        target = batch["targets"][task.name]
        labelled = target != MISSING
        pixels, target = batch["pixel_values"][labelled].to(model.device), target[labelled].to(model.device)
        draws = Draws(0, 0, batch["rows"][labelled])
        if not len(target):
            continue
        one_step = fgsm(model, task.name, pixels, target, radii, losses)
        many_steps = (pgd(model, task.name, pixels, target, radius, losses, draws, steps) for radius in radii)
        for attack, images in zip(ATTACKS, (one_step, many_steps), strict=True):
            found[attack].append(np.stack([_right(model, task.name, each, target) for each in images]))
    if not found[ATTACKS[0]]:
        raise ValueError(f"no row has a label of {task.name!r}, so there is nothing to attack")
    return Robustness(tuple(radii), {attack: np.concatenate(parts, axis=1) for attack, parts in found.items()})


@torch.no_grad()
def _right(model: PreTrainedModel, head: str, images: Tensor, target: Tensor) -> np.ndarray:
    with evaluating(model):
        logits = model(pixel_values=images, views={head: (0, len(images))}).predictions[head]
    return (logits.argmax(-1) == target).cpu().numpy()
