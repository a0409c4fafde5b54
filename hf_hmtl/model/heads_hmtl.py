"""The kinds of heads: a config names them, the model builds them."""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

DECODER_FILTERS = (256, 128, 64, 32, 16)  # appendix C of the paper
DECODER_STRIDES = (16, 8, 4, 2)  # of the skip connections into the second to the fifth block


class Features(NamedTuple):
    """What the backbone makes of a batch, and all that a head may look at.

    pooled: (rows, channels); deepest: (rows, channels, height, width), the map that was pooled; skips: {stride: map};
    image_size: (height, width) of the pixels; hidden_states: all maps of the backbone, which no head looks at.
    """

    pooled: torch.Tensor
    deepest: torch.Tensor
    skips: dict
    image_size: tuple
    hidden_states: tuple | None = None

    def rows(self, first: int, end: int) -> "Features":
        """The features of the rows first .. end - 1, without a copy."""
        skips = {stride: skip[first:end] for stride, skip in self.skips.items()}
        return Features(self.pooled[first:end], self.deepest[first:end], skips, self.image_size)


class VectorHead(nn.Module):
    """Base of the heads that turn pooled features into `layers(pooled)`, reshaped to (rows, *shape)."""

    def __init__(self, shape: list, *layers: nn.Module):
        super().__init__()
        self.shape = tuple(shape)
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Features) -> torch.Tensor:
        return self.layers(features.pooled).unflatten(1, self.shape)


class LinearHead(VectorHead):
    """Dropout and ONE linear layer; the N heads of a puzzle are this layer with the shape [N, N]."""

    def __init__(self, channels: int, head: dict):
        outputs = nn.Linear(channels, math.prod(head["shape"]))
        super().__init__(head["shape"], nn.Dropout(head["dropout"]), outputs)


class MLPHead(VectorHead):
    """One hidden layer: the 512 unit branches of the puzzling-rotation method (appendix C of the paper)."""

    def __init__(self, channels: int, head: dict):
        hidden = nn.Linear(channels, head["hidden"])
        outputs = nn.Linear(head["hidden"], math.prod(head["shape"]))
        super().__init__(head["shape"], hidden, nn.ReLU(), nn.Dropout(head["dropout"]), outputs)


class RegressionHead(VectorHead):
    """Numbers from one linear layer, bent into their range by a tanh when asked for; or logits over bins, from which
    `expectation` reads the numbers."""

    def __init__(self, channels: int, head: dict):
        shape = [*head["shape"], head["bins"]["count"]] if head["bins"] else head["shape"]
        super().__init__(shape, nn.Dropout(head["dropout"]), nn.Linear(channels, math.prod(shape)))
        self.range = head["range"] if head["tanh"] else None

    def forward(self, features: Features) -> torch.Tensor:
        """Numbers, within the head's range where it is bounded by tanh; or logits over bins."""
        numbers = super().forward(features)
        if self.range is None:
            return numbers
        low, high = self.range
        return (low + high) / 2 + (high - low) / 2 * numbers.tanh()


class ProjectorHead(VectorHead):
    """The projector of Barlow Twins (Zbontar et al. 2021, section 2.2): three layers, batch norm in place of biases."""

    def __init__(self, channels: int, head: dict):
        layers, width = [], channels
        for _ in range(2):
            layers += [nn.Linear(width, head["hidden"], bias=False), nn.BatchNorm1d(head["hidden"]), nn.ReLU()]
            width = head["hidden"]
        super().__init__(head["shape"], *layers, nn.Linear(width, math.prod(head["shape"]), bias=False))


class DecoderHead(nn.Module):
    """The deconvolutional decoder of in-painting: (rows, 3, height, width) in [0, 1], as large as the input.

    Appendix C of the paper: five blocks of two transposed convolutions, each with batch norm, and an upsampling by two;
    256, 128, 64, 32 and 16 filters; skip connections; a 1x1 convolution to three channels. The paper leaves open where
    the skips come from, the activations and the output; here the backbone's maps of strides 16, 8, 4 and 2 are
    concatenated after the first to the fourth upsampling, which goes straight to the size of the skip (exactly twice
    as large when the image divides by 32), so that any image size works; ReLU, and a sigmoid at the end. Upsampling
    repeats pixels, as the layer of that name in Keras does; the last one therefore commutes with the 1x1 convolution
    and the sigmoid, and comes after them, at a quarter of the cost. A backbone without a map of stride 2 (ConvNeXt)
    simply has no skip there.

    Args:
        channels: of the backbone's deepest map.
        skip_channels: {stride: channels} of the maps that the backbone has.
    """

    def __init__(self, channels: int, skip_channels: dict):
        super().__init__()
        self.blocks = nn.ModuleList()
        for filters, stride in zip(DECODER_FILTERS, (None, *DECODER_STRIDES), strict=True):
            self.blocks.append(_deconvolutions(channels + skip_channels.get(stride, 0), filters))
            channels = filters
        self.to_pixels = nn.Conv2d(channels, 3, kernel_size=1)

    def forward(self, features: Features) -> torch.Tensor:
        """(rows, 3, height, width) in [0, 1]."""
        maps = self.blocks[0](features.deepest)
        for block, stride in zip(self.blocks[1:], DECODER_STRIDES, strict=True):
            skip = features.skips.get(stride)
            if skip is None:
                maps = functional.interpolate(maps, scale_factor=2.0)
            else:
                maps = torch.cat([functional.interpolate(maps, size=skip.shape[-2:]), skip], dim=1)
            maps = block(maps)
        return functional.interpolate(self.to_pixels(maps).sigmoid(), size=features.image_size)


def _deconvolutions(channels: int, filters: int) -> nn.Sequential:
    layers = []
    for width in (channels, filters):
        # Batch norm subtracts the mean, so a bias before it could never have an effect.
        layers += [nn.ConvTranspose2d(width, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
    return nn.Sequential(*layers)


def build_head(head: dict, pooled_channels: int, deepest_channels: int, skip_channels: dict) -> nn.Module:
    """Builds the module of a head that a config describes.

    Args:
        head: one completed entry of `HMTLConfig.heads`.
        pooled_channels, deepest_channels: of the backbone's pooled features and of the map before pooling.
        skip_channels: {stride: channels} of the backbone's feature pyramid; used by decoders only.
    """
    if head["kind"] == "decoder":
        return DecoderHead(deepest_channels, skip_channels)
    vector_heads = {"linear": LinearHead, "multilabel": LinearHead, "mlp": MLPHead, "projector": ProjectorHead}
    vector_heads["regression"] = RegressionHead
    return vector_heads[head["kind"]](pooled_channels, head)
