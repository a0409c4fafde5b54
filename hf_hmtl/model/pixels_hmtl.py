"""From pixels to what a backbone was trained on: the only place that normalises."""

import torch
from torch import nn

_RANGE_TOLERANCE = 1e-3  # resampling and attacks overshoot [0, 1] by rounding errors, other scalings by far more


class PixelNormalisation(nn.Module):
    """(pixels / 255 - mean) / std in float32, whatever the type of the model is; strides are kept.

    Args:
        mean, std: three numbers each, in units of [0, 1].
    """

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, mean: list, std: list):
        super().__init__()
        # Not saved, because the config says them, and not as attributes, because they have to follow the device.
        self.register_buffer("scale", None, persistent=False)
        self.register_buffer("offset", None, persistent=False)
        self.set_statistics(mean, std, torch.get_default_device())
        self._range_checked = False

    def set_statistics(self, mean: list, std: list, device: torch.device | None = None):
        """Takes other statistics, or the same anew; on the device of those before."""
        device = device or self.scale.device
        wide_mean = torch.tensor(mean, dtype=torch.float64, device="cpu").view(1, 3, 1, 1)
        wide_std = torch.tensor(std, dtype=torch.float64, device="cpu").view(1, 3, 1, 1)
        self.mean, self.std = list(mean), list(std)
        self.scale, self.offset = (1 / wide_std).float().to(device), (-wide_mean / wide_std).float().to(device)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(rows, 3, height, width) integers 0..255 or floats 0..1, normalised.

        Raises:
            ValueError: another type or shape; values outside of their range, which a CPU finds in every call, where it
                costs a hundredth of the backbone, and other devices in the first one, because it makes the host wait.
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != 3:
            raise ValueError(
                f"pixel_values has the shape (rows, 3, height, width), got {tuple(pixel_values.shape)}. For one image "
                f"alone type image[None], and images.permute(0, 3, 1, 2) where the colours come last."
            )
        if pixel_values.is_complex() or pixel_values.dtype == torch.bool:
            raise ValueError(f"pixel_values holds integers 0 to 255 or floats 0 to 1, got {pixel_values.dtype}.")
        pixels = pixel_values.to(torch.float32, copy=True)
        if pixel_values.is_floating_point():
            self._check_range(pixels, 1, _RANGE_TOLERANCE)
        else:
            if pixel_values.dtype != torch.uint8:  # what uint8 becomes in a table of `datasets`
                self._check_range(pixels, 255, 0)
            # Divided, not multiplied by 1/255: so uint8 and the floats that everybody makes of it agree to the bit.
            pixels.div_(255)
        if self.scale.dtype != torch.float32:  # after model.half() or model.to(torch.bfloat16)
            self.set_statistics(self.mean, self.std)
        return pixels.mul_(self.scale).add_(self.offset)

    def _check_range(self, pixels: torch.Tensor, largest: int, tolerance: float):
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or pixels.is_meta or pixels.numel() == 0:
            return
        if self._range_checked and pixels.device.type != "cpu":
            return
        low, high = pixels.aminmax()
        if not (low >= -tolerance and high <= largest + tolerance):
            raise ValueError(
                f"pixel_values must lie in [0, {largest}] ([0, 1] for floats, [0, 255] for integers), and these lie in "
                f"[{low.item():g}, {high.item():g}]: the model normalises its pixels itself. For floats 0..255 type "
                f"pixel_values.to(torch.uint8); for pixels that were already normalised leave that step out "
                f"(do_normalize=False in an image processor)."
            )
        self._range_checked = True
