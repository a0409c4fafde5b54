"""What the network says about a batch."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class HMTLOutput(ModelOutput):
    """What the network says about a batch.

    Args:
        loss: sum of the losses of the heads whose `labels` were given.
        logits: output of the primary head, (rows, classes), or (rows, numbers) of a regression; None when it was not
            computed.
        predictions: {head: (rows, *shape)}, for decoders (rows, 3, height, width) in [0, 1]; of heads with bins the
            numbers that their logits stand for.
        log_variances: {head: scalar}, learned loss weights of the computed heads, when the config asks for them and
            `views` were given, as they are in training.
        hidden_states: the maps of the backbone, from the finest to the deepest, when they were asked for.
        bin_logits: {head: (rows, numbers, bins)} of the heads with bins; None where no such head was computed.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    predictions: ModelOutput | None = None
    log_variances: dict | None = None
    hidden_states: tuple | None = None
    bin_logits: ModelOutput | None = None

    @property
    def learned_from(self) -> dict:
        """{head: what a loss is computed of}: the logits over bins where there are, else the predictions."""
        return {**(self.predictions or {}), **(self.bin_logits or {})}
