"""Puzzle: cut the image into g x g tiles, shuffle them, and ask for each slot where its tile came from."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.draws import Draws
from hf_hmtl.metrics.puzzle import scores
from hf_hmtl.tasks.base import (
    CLASSIFIER_LOSSES,
    MISSING,
    Pretext,
    classifier_head,
    cross_entropies,
    number_correct,
    require_choice,
    require_factors,
    require_number,
    require_whole,
)


def shuffle_tiles(pixels: Tensor, sources: Tensor) -> Tensor:
    """Rearrange the tiles of every image, each with its own permutation, by one choice among runs of memory.

    Args:
        pixels: (batch, channels, side, side) on the CPU; fastest when its memory is channels-last.
        sources: (batch, g * g) int64; slot k of the result shows tile sources[:, k], both counted row by row.

    Returns:
        New tensor of the same shape and type, memory channels-last. `shuffle_tiles(result, sources.argsort(1))` gives
        `pixels` back.
    """
    batch, channels, side, _ = pixels.shape
    grid = round(sources.shape[1] ** 0.5)
    tile = side // grid
    # In channels-last memory a tile is `tile` runs of tile * channels neighbours; runs are counted (image, tile row,
    # pixel row, tile column), and the puzzle is a choice among runs.
    runs = pixels.permute(0, 2, 3, 1).reshape(batch * side * grid, tile * channels)
    row, column = sources // grid, sources % grid
    first = (torch.arange(batch)[:, None] * grid + row) * tile * grid + column  # run of each slot's tile
    wanted = first.view(batch, grid, 1, grid) + torch.arange(tile).view(1, 1, tile, 1) * grid
    # numpy copies runs faster than torch's index_select: 1.05 instead of 1.3 times a plain copy, both with their index.
    chosen = torch.from_numpy(runs.numpy().take(wanted.flatten().numpy(), axis=0))
    return chosen.view(batch, side, side, channels).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Puzzle(Pretext):
    """The paper's puzzle (section 3.2, figure 3; L_SSL of Eq. 1).

    One permutation an image; N = g * g heads, fused into one linear layer (C -> N * N); the label of slot k is the
    original place of the tile it shows. The loss of a row is the sum of its N cross-entropies.

    Attributes:
        grid: g, tiles a side: 2, 3 and 4 in the paper; 1 leaves the image whole.
        loss: "cross_entropy" (hybrid learning) or "focal" with `gamma` (pre-training, section 4.3).
        hidden: units of a hidden layer before the heads; None for linear heads. 512 in puzzling-rotation (appendix C).
        region_weights: g x g factors lambda_j of Eq. 5. They belong to regions of the original image and follow the
            shuffle: the head of slot j is weighted by the place its tile came from.
    """

    name: str = "puzzle"
    grid: int = 3
    loss: str = "cross_entropy"
    gamma: float = 2.0
    hidden: int | None = None
    region_weights: tuple[tuple[float, ...], ...] | None = None

    order: ClassVar[int] = 1

    def __post_init__(self):
        super().__post_init__()
        if not (isinstance(self.grid, int) and 1 <= self.grid <= 8):
            raise ValueError(
                f"{self.name}: grid is {self.grid!r}, allowed are 1 to 8 tiles a side (the paper: 2, 3, 4)"
            )
        require_choice(self.name, "loss", self.loss, CLASSIFIER_LOSSES)
        require_number(self.name, "gamma", self.gamma, "a finite number of 0 or more")
        if self.hidden is not None:
            require_whole(self.name, "hidden", self.hidden)
        if self.region_weights is not None and np.shape(self.region_weights) != (self.grid, self.grid):
            raise ValueError(
                f"{self.name}: region_weights has shape {np.shape(self.region_weights)}, the grid needs "
                f"({self.grid}, {self.grid}): one list a row of tiles"
            )
        if self.region_weights is not None:
            require_factors(self.name, "region_weights", [each for row in self.region_weights for each in row], least=1)

    @property
    def tiles(self) -> int:
        return self.grid**2

    def check_side(self, side: int) -> None:
        """Raise when the side is not a multiple of the grid: uneven tiles would give their place away."""
        if side % self.grid:
            below = side - side % self.grid
            raise ValueError(
                f"{self.name}: an image side of {side} px cannot be cut into {self.grid} equal tiles. "
                f"Use --image_size {below} or {below + self.grid} (multiples of 12 suit 2, 3 and 4 tiles)"
            )

    def head(self) -> dict[str, Any]:
        return classifier_head([self.tiles, self.tiles], self.dropout, self.hidden)

    def corrupt(self, pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """The puzzled pixels, and (batch, tiles) the original place of the tile that each slot shows."""
        sources = torch.from_numpy(draws.permutations(f"{self.name}/permutation", self.tiles))
        if self.share == 1:
            return shuffle_tiles(pixels, sources), sources
        chosen = torch.from_numpy(self.chosen(draws))[:, None]
        sources = torch.where(chosen, sources, torch.arange(self.tiles))
        return shuffle_tiles(pixels, sources), torch.where(chosen, sources, MISSING)

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(rows,) sums over the slots, of (rows, tiles, tiles) logits and (rows, tiles) places (Eq. 1 and 5)."""
        gamma = self.gamma if self.loss == "focal" else 0.0
        losses = cross_entropies(prediction, target, focal_gamma=gamma)
        if self.region_weights is not None:
            regions = losses.new_tensor(self.region_weights).flatten()
            losses = losses * regions[target.clamp_min(0)]
        return losses.sum(1)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"tile_accuracy": number_correct(prediction, target)}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return scores(predictions.argmax(-1), targets)


TASK = Puzzle
