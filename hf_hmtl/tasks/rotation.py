"""Rotation: turn the image by a multiple of 45 degrees and ask which; or, as the authors' code does, every tile."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import (
    CLASSIFIER_LOSSES,
    MISSING,
    Pretext,
    classifier_head,
    cross_entropies,
    number_correct,
    require_choice,
    require_number,
    require_whole,
    share_correct,
)

DIRECTIONS = 8  # multiples of 45 degrees (section 3.2)
TILE_DIRECTIONS = 4  # multiples of 90 degrees, which keep a square tile square


def turn_tiles(pixels: Tensor, quarters: Tensor) -> Tensor:
    """Turn every tile in its place by a multiple of 90 degrees, counter-clockwise.

    Args:
        pixels: (batch, channels, side, side).
        quarters: (batch, g * g) int64 in 0..3, tiles counted row by row.

    Returns:
        New tensor of the same shape and type, memory channels-last.
    """
    batch, channels, side, _ = pixels.shape
    grid = round(quarters.shape[1] ** 0.5)
    tile = side // grid
    tiles = pixels.reshape(batch, channels, grid, tile, grid, tile).permute(0, 2, 4, 3, 5, 1)
    tiles = tiles.reshape(batch * grid * grid, tile, tile, channels)
    turned = tiles.clone()
    for quarter in range(1, TILE_DIRECTIONS):
        chosen = (quarters.flatten() == quarter).nonzero()[:, 0]
        turned[chosen] = torch.rot90(tiles[chosen], quarter, (1, 2))
    turned = turned.view(batch, grid, grid, tile, tile, channels).permute(0, 1, 3, 2, 4, 5)
    return turned.reshape(batch, side, side, channels).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Rotation(Pretext):
    """Rotation by k * 45 degrees, k uniform in 0..7, one head of 8 classes (section 3.2; L_SSL of Eq. 2).

    The angle is composed into the one warp of the augmentation, so that every k is resampled alike: blur does not give
    odd multiples away. Black corners would, without the mask.

    Attributes:
        inscribed_disc: black outside the inscribed disc, for every k. The paper has no mask; its rows turn it off.
        tiles: None for the paper's whole image; g for the authors' code instead: every tile of a g x g grid is turned
            by a multiple of 90 degrees in its place, after a puzzle, with one head of 4 classes a tile.
        loss: "cross_entropy" (hybrid learning) or "focal" with `gamma` (pre-training, section 4.3).
        hidden: units of a hidden layer before the head; None for a linear one. 512 in puzzling-rotation (appendix C).
    """

    name: str = "rotation"
    inscribed_disc: bool = True
    tiles: int | None = None
    loss: str = "cross_entropy"
    gamma: float = 2.0
    hidden: int | None = None

    def __post_init__(self):
        super().__post_init__()
        require_choice(self.name, "loss", self.loss, CLASSIFIER_LOSSES)
        require_number(self.name, "gamma", self.gamma, "a finite number of 0 or more")
        if self.hidden is not None:
            require_whole(self.name, "hidden", self.hidden)
        if self.tiles is not None:
            if not (isinstance(self.tiles, int) and 1 <= self.tiles <= 8):
                raise ValueError(f"{self.name}: tiles is {self.tiles!r}, allowed are none, or 1 to 8 tiles a side")
            # Quarter turns of tiles leave no black corners, so there is nothing to mask.
            object.__setattr__(self, "inscribed_disc", False)

    @property
    def order(self) -> float:
        """Turned tiles follow the puzzle (1), as in the authors' code; a whole image is turned by the warp."""
        return 0 if self.tiles is None else 1.5

    @property
    def turns_the_image(self) -> bool:
        return self.tiles is None

    def check_side(self, side: int) -> None:
        """Raise when the side is not a multiple of the tiles."""
        if self.tiles is not None and side % self.tiles:
            below = side - side % self.tiles
            raise ValueError(
                f"{self.name}: an image side of {side} px cannot be cut into {self.tiles} equal tiles. "
                f"Use --image_size {below} or {below + self.tiles}"
            )

    def head(self) -> dict[str, Any]:
        shape = [DIRECTIONS] if self.tiles is None else [self.tiles**2, TILE_DIRECTIONS]
        return classifier_head(shape, self.dropout, self.hidden)

    def affine(self, draws: Draws) -> tuple[np.ndarray, Tensor] | None:
        """(batch,) multiples of 45 degrees, counter-clockwise, and which; None where tiles are turned instead."""
        if self.tiles is not None:
            return None
        direction = draws.integers(f"{self.name}/direction", DIRECTIONS)
        chosen = self.chosen(draws)
        return 45.0 * direction * chosen, torch.from_numpy(np.where(chosen, direction, MISSING))

    def corrupt(self, pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor] | None:
        """The pixels with turned tiles, and (batch, tiles) their quarter turns; None where the warp turns the image."""
        if self.tiles is None:
            return None
        quarters = torch.from_numpy(draws.integers(f"{self.name}/quarters", TILE_DIRECTIONS, self.tiles**2))
        chosen = torch.from_numpy(self.chosen(draws))[:, None]
        quarters = torch.where(chosen, quarters, 0)
        return turn_tiles(pixels, quarters), torch.where(chosen, quarters, MISSING)

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        gamma = self.gamma if self.loss == "focal" else 0.0
        return cross_entropies(prediction, target, focal_gamma=gamma).unsqueeze(1).flatten(1).sum(1)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": number_correct(prediction, target)}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"accuracy": share_correct(predictions, targets)}


TASK = Rotation
