"""Which tiles of a picture carry the label: what a classifier still knows without one of them, and by one alone."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_hmtl.analysis.attack import as_floats
from hf_hmtl.analysis.evaluation_mode import evaluating
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.classification import Classification


@dataclass(frozen=True)
class TileAnswers:
    """Whether answers are right.

    Attributes:
        whole: (labelled rows,) bool, of whole pictures.
        hidden: (tiles, labelled rows) bool, where that tile is painted over; tiles row by row.
        alone: (tiles, labelled rows) bool, where all others are.
    """

    whole: np.ndarray
    hidden: np.ndarray
    alone: np.ndarray


def paint_over(pixels: Tensor, hidden: Tensor) -> Tensor:
    """Pixels whose hidden places have their picture's mean colour, so that nothing of them but their place is told.

    Args:
        pixels: (rows, 3, side, side) uint8, or floats in [0, 1].
        hidden: (side, side) bool.

    Returns:
        Floats in [0, 1].
    """
    images = as_floats(pixels)
    return torch.where(hidden, images.mean((2, 3), keepdim=True), images)


def tile_masks(grid: int, side: int) -> Tensor:
    """(grid * grid, side, side) bool: each tile, row by row.

    Raises:
        ValueError: the side is no multiple of the grid.
    """
    if side % grid:
        raise ValueError(f"a picture of {side} px cannot be cut into {grid} x {grid} equal tiles")
    tile = side // grid
    number = torch.arange(side) // tile
    tiles = number[:, None] * grid + number[None]
    return torch.stack([tiles == place for place in range(grid * grid)])


def tile_answers(model: PreTrainedModel, task: Classification, batches: Iterable[dict], grid: int) -> TileAnswers:
    """Answers to whole pictures, to all but one tile and to one tile alone, on every labelled row.

    Args:
        model: with the head of the task.
        batches: as `EvaluationCollator` makes them.
        grid: tiles a side.

    Raises:
        ValueError: the pictures cannot be cut so, or no row has a label.
    """
    whole, hidden, alone = [], [], []
    for batch in batches:
        target = batch["targets"][task.name]
        labelled = target != MISSING
        if not labelled.any():
            continue
        pixels, target = batch["pixel_values"][labelled].to(model.device), target[labelled].to(model.device)
        masks = tile_masks(grid, pixels.shape[-1]).to(model.device)
        whole.append(_right(model, task.name, pixels, target))
        hidden.append(np.stack([_right(model, task.name, paint_over(pixels, mask), target) for mask in masks]))
        alone.append(np.stack([_right(model, task.name, paint_over(pixels, ~mask), target) for mask in masks]))
    if not whole:
        raise ValueError(f"no row has a label of {task.name!r}, so no tile can carry it")
    return TileAnswers(np.concatenate(whole), np.concatenate(hidden, axis=1), np.concatenate(alone, axis=1))


@torch.no_grad()
def _right(model: PreTrainedModel, head: str, images: Tensor, target: Tensor) -> np.ndarray:
    with evaluating(model):
        logits = model(pixel_values=images, views={head: (0, len(images))}).predictions[head]
    return (logits.argmax(-1) == target).cpu().numpy()
