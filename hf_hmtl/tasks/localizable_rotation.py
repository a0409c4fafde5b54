"""Localizable rotation: turn a part of the image by quarter turns, and ask how far, and which part it was.

Moon, Kim and Heo, "Tailoring Self-Supervision for Supervised Learning", ECCV 2022, arXiv 2207.10023: a pretext made to
stand beside a supervised task. Most of the image stays as it is, so that the supervised head sees nearly what it will
see later; it costs one linear layer and no pass of its own. Constants are those of the authors' code.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.draws import Draws
from hf_hmtl.schedule import Scheduled
from hf_hmtl.tasks.base import (
    MISSING,
    Pretext,
    classifier_head,
    cross_entropies,
    number_correct,
    require_choice,
    share_correct,
)
from hf_hmtl.tasks.rotation import turn_tiles

QUADRANTS, QUARTERS = 4, 4
VARIANTS = ("explicit", "implicit")
SMALLEST_PATCH = 2  # pixels; the largest is half of the image's side


def turn_patches(pixels: Tensor, places: np.ndarray, sides: np.ndarray, quarters: np.ndarray) -> Tensor:
    """Turn a square of each image in its place, counter-clockwise.

    Args:
        pixels: (batch, channels, side, side) on the CPU.
        places: (batch, 2) int64, row and column of the square's first pixel.
        sides: (batch,) int64, of the square, pixels.
        quarters: (batch,) int64 in 0..3.

    Returns:
        New tensor of the same shape and type, memory channels-last.
    """
    turned = pixels.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
    for image, (top, left), side, quarter in zip(turned.numpy(), places, sides, quarters, strict=True):
        patch = image[top : top + side, left : left + side]
        patch[:] = np.rot90(patch, quarter).copy()
    return turned.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class LocalizableRotation(Pretext):
    """One part of each image is turned by k * 90 degrees, k uniform in 0..3.

    Attributes:
        variant: "explicit" turns a quadrant and asks which one and how far, 16 classes (LoRot-E); where k is 0 nobody
            can tell the quadrant, so that at most 13/16 of the answers can be known. "implicit" turns a square
            anywhere, its side uniform from 2 pixels to half of the image's, and asks how far, 4 classes (LoRot-I; the
            authors' code draws one square a batch, here it is one an image).
        weight: 0.1 in the paper's experiments on classification.
    """

    name: str = "localizable_rotation"
    weight: Scheduled = 0.1
    variant: str = "explicit"

    def __post_init__(self):
        super().__post_init__()
        require_choice(self.name, "variant", self.variant, VARIANTS)

    @property
    def order(self) -> float:
        """After a puzzle (1): the quadrants are those of the image that is seen."""
        return 1.5

    def check_side(self, side: int) -> None:
        """Raise when there are no equal quadrants, or no square that could be turned."""
        if self.variant == "explicit" and side % 2:
            raise ValueError(
                f"{self.name}: an image side of {side} px has no four equal quadrants. Use --image_size {side - 1} or "
                f"{side + 1}, or variant: implicit"
            )
        if side < 2 * SMALLEST_PATCH:
            raise ValueError(f"{self.name}: an image side of {side} px is too small, at least 4 are needed")

    def head(self) -> dict[str, Any]:
        classes = QUADRANTS * QUARTERS if self.variant == "explicit" else QUARTERS
        return classifier_head([classes], self.dropout, None)

    def corrupt(self, pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """The pixels with a turned part, and (batch,) 4 * quadrant + quarter turns, or the quarter turns alone."""
        chosen = self.chosen(draws)
        quarters = draws.integers(f"{self.name}/quarters", QUARTERS)
        turns = np.where(chosen, quarters, 0)
        if self.variant == "explicit":
            quadrants = draws.integers(f"{self.name}/quadrant", QUADRANTS)
            each = np.where(np.arange(QUADRANTS) == quadrants[:, None], turns[:, None], 0)
            turned, labels = turn_tiles(pixels, torch.from_numpy(each)), QUARTERS * quadrants + quarters
        else:
            whole = pixels.shape[-1]
            sides = SMALLEST_PATCH + draws.integers(f"{self.name}/side", whole // 2 - SMALLEST_PATCH + 1)
            shares = draws.uniform(f"{self.name}/place", count=2)
            places = np.floor(shares * (whole - sides + 1)[:, None]).astype(np.int64)
            turned, labels = turn_patches(pixels, places, sides, turns), quarters
        return turned, torch.from_numpy(np.where(chosen, labels, MISSING))

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(rows,) cross-entropies of (rows, classes) logits."""
        return cross_entropies(prediction, target)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": number_correct(prediction, target)}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"accuracy": share_correct(predictions, targets)}


TASK = LocalizableRotation
