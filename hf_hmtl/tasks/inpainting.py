"""In-painting: cut a square out of the face and have a decoder paint it again, judged by pixels or by a teacher."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import Pretext, require_choice, require_number

LOSSES = ("mse", "rmse", "perceptual")
_UNDER_ROOT = 1e-12  # keeps the gradient of the root finite at a perfect reconstruction


def cut_squares(pixels: Tensor, top: Tensor, left: Tensor, side: int) -> Tensor:
    """A copy of (batch, 3, height, width) pixels with one black square of `side` pixels a row."""
    rows = torch.arange(pixels.shape[2])[None, :]
    columns = torch.arange(pixels.shape[3])[None, :]
    inside = ((rows >= top[:, None]) & (rows < top[:, None] + side))[:, :, None]
    inside = inside & ((columns >= left[:, None]) & (columns < left[:, None] + side))[:, None, :]
    return pixels.masked_fill(inside[:, None], 0)


def root_mean_square(first: Tensor, second: Tensor) -> Tensor:
    """(rows,) sqrt(mean_j (first_j - second_j)^2) over all but the rows, in float32, with a finite gradient at 0."""
    return ((first.float() - second.float()).square().flatten(1).mean(1) + _UNDER_ROOT).sqrt()


def perceptual_losses(reconstructed: Tensor, original: Tensor, softmax: bool = True) -> Tensor:
    """(rows,) distances between what an offline teacher makes of two images (Eq. 3).

    RMSE between the softmax of the features of both; without it, which the paper calls unstable (section 4.4.1), of
    the features themselves. Eq. 3 prints the denominator of the original under both terms and
    a minus before lambda; the text means each representation's own softmax, and a distance that is minimised.

    Args:
        reconstructed, original: (rows, features) pooled features; gradients flow into the first only.
    """
    original = original.detach()
    if not softmax:
        return root_mean_square(reconstructed, original)
    return root_mean_square(reconstructed.float().softmax(-1), original.float().softmax(-1))


@dataclass(frozen=True)
class InPainting(Pretext):
    """In-painting with a pixel-wise or a perceptual loss (section 3.2, figures 4 and 6; L_SSL of Eq. 3).

    The target is the image just before the cut; the supervised heads see the cut image. The decoder is that of
    appendix C. The perceptual loss takes two passes of the teacher beside the network's own.

    Attributes:
        loss: "mse" (section 3.2) or "rmse" (section 4.3) over the pixels of a row, in units of [0, 1]; or "perceptual",
            over the features of a frozen teacher, which the trainer owns. Its size depends on the number of features,
            so it is used with `calibrate`.
        softmax: of the teacher's features before they are compared, as Eq. 3 has it.
        square: side of the square as a share of the image's. The paper gives no number; 60 of 224 px as its cutout.
        region: (top, bottom, left, right) of the face region that the square lies in, as shares of the image; the paper
            shows it without numbers.
    """

    name: str = "inpainting"
    loss: str = "mse"
    softmax: bool = True
    square: float = 60 / 224
    region: tuple[float, float, float, float] = (0.2, 0.9, 0.15, 0.85)

    order: ClassVar[int] = 2

    @property
    def needs_teacher(self) -> bool:
        return self.loss == "perceptual"

    def __post_init__(self):
        super().__post_init__()
        require_choice(self.name, "loss", self.loss, LOSSES)
        if not (self.softmax or self.needs_teacher):
            raise ValueError(f"{self.name}: softmax is of the perceptual loss; leave it out of loss {self.loss!r}")
        top, bottom, left, right = self.region
        if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            raise ValueError(
                f"{self.name}: region is {self.region}, needed is 0 <= top < bottom <= 1 and 0 <= left < right <= 1"
            )
        require_number(self.name, "square", self.square, "a share of the image's side above 0, 1 or less", high=1)
        if not 0 < self.square <= min(bottom - top, right - left):
            raise ValueError(
                f"{self.name}: a square of {self.square} of the side does not fit the region {self.region}"
            )

    def head(self) -> dict[str, Any]:
        return {"kind": "decoder", "auxiliary": True}

    def corrupt(self, pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """The pixels with one black square in each row, and the pixels as they were."""
        height = pixels.shape[2]
        side = max(1, round(self.square * height))
        top, bottom, left, right = (round(edge * height) for edge in self.region)
        place = draws.uniform(f"{self.name}/place", count=2)
        rows = torch.from_numpy(top + np.floor(place[:, 0] * (bottom - top - side + 1)).astype(np.int64))
        columns = torch.from_numpy(left + np.floor(place[:, 1] * (right - left - side + 1)).astype(np.int64))
        # Rows that are not chosen are cut nowhere: the square begins below the image.
        rows = torch.where(torch.from_numpy(self.chosen(draws)), rows, height)
        return cut_squares(pixels, rows, columns, side), pixels

    def labelled(self, target: Tensor) -> Tensor:
        return torch.ones(len(target), dtype=torch.bool, device=target.device)

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(rows,) reconstruction losses in float32.

        Args:
            prediction, target: (rows, 3, height, width) images, in [0, 1] and uint8; for the perceptual loss the
                teacher's (rows, features) of both.
        """
        if self.needs_teacher:
            return perceptual_losses(prediction, target, self.softmax)
        target = target.float() / 255
        if self.loss == "rmse":
            return root_mean_square(prediction, target)
        return (prediction.float() - target).square().flatten(1).mean(1)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        error = (prediction.float() - target.float() / 255).abs().flatten(1).mean(1)
        return {"pixel_error": (error.sum(), torch.tensor(len(error)))}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"pixel_error": float(np.abs(predictions - targets / 255).mean())}


TASK = InPainting
