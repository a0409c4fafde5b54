"""The puzzle of the paper (section 3.2, figure 3), played with the face of whoever looks at the page."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.optimize import linear_sum_assignment

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.serving.demo.overlay import GREEN, RED
from hf_hmtl.tasks.puzzle import shuffle_tiles

SIDE = 360
"""Pixels at which a puzzle is shown; of 2, 3 and 4 tiles each has a whole number."""


@dataclass(frozen=True)
class Solved:
    """A puzzle and what the network makes of it.

    Attributes:
        shuffled: (side, side, 3) uint8, what the network was shown.
        put_back: the same tiles where the network says that they belong.
        sources: (tiles,) the true place of the tile that each slot shows, row by row.
        answers: (tiles,) the place that the network gives it; each place once.
        confidence: (tiles,) probability of that place, by slot.
    """

    shuffled: np.ndarray
    put_back: np.ndarray
    sources: np.ndarray
    answers: np.ndarray
    confidence: np.ndarray

    @property
    def right(self) -> int:
        """Tiles that are where they belong."""
        return int((self.sources == self.answers).sum())


def puzzle_head(config: HMTLConfig) -> str | None:
    """The name of the training head that puts tiles back; None where a network has none."""
    for name, head in config.heads.items():
        shape = head.get("shape", ())
        if head["auxiliary"] and len(shape) == 2 and shape[0] == shape[1] > 1 and math.isqrt(shape[0]) ** 2 == shape[0]:
            return name
    return None


def solve(model: HMTLForImageClassification, head: str, pixels: torch.Tensor, seed: int) -> Solved:
    """Shuffle the tiles of a face and let the network put them back.

    Args:
        model: with that head, in evaluation mode.
        head: of `puzzle_head`.
        pixels: (1, 3, side, side) uint8 on the CPU.
        seed: of the shuffle.
    """
    tiles = model.config.heads[head]["shape"][0]
    sources = torch.randperm(tiles, generator=torch.Generator().manual_seed(seed))[None]
    shuffled = shuffle_tiles(pixels, sources)
    with torch.inference_mode():
        logits = model(pixel_values=shuffled.to(model.device), views={head: (0, 1)}).predictions[head][0].float().cpu()
    # Every place is taken once: the assignment with the highest probability, as a person would put tiles back.
    slots, answers = linear_sum_assignment(-logits.log_softmax(1).numpy())
    put_back = shuffle_tiles(shuffled, torch.from_numpy(np.argsort(answers))[None])
    confidence = logits.softmax(1).numpy()[slots, answers]
    return Solved(_image(shuffled), _image(put_back), sources[0].numpy(), answers, confidence)


def pictured(solved: Solved) -> tuple[Image.Image, Image.Image]:
    """The shuffled face, and the one that was put back: each tile with the confidence of the network, framed in green
    where it belongs there and in red elsewhere."""
    shuffled, put_back = (Image.fromarray(each).resize((SIDE, SIDE)) for each in (solved.shuffled, solved.put_back))
    grid = math.isqrt(len(solved.sources))
    tile = SIDE // grid
    grids = ImageDraw.Draw(shuffled)
    for line in range(1, grid):
        grids.line([line * tile, 0, line * tile, SIDE], fill="white", width=2)
        grids.line([0, line * tile, SIDE, line * tile], fill="white", width=2)
    draw, font = ImageDraw.Draw(put_back), ImageFont.load_default(size=max(16, tile / 5))
    for slot, place in enumerate(solved.answers):
        left, top = place % grid * tile, place // grid * tile
        colour = GREEN if solved.sources[slot] == place else RED
        draw.rectangle([left + 1, top + 1, left + tile - 2, top + tile - 2], outline=colour, width=3)
        text = f"{100 * solved.confidence[slot]:.0f} %"
        draw.text((left + tile / 2, top + tile - 8), text, "white", font, "mb", stroke_width=2, stroke_fill="black")
    return shuffled, put_back


def _image(pixels: torch.Tensor) -> np.ndarray:
    return pixels[0].permute(1, 2, 0).numpy()
