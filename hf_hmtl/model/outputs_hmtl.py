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


class AnswerCheck:
    """Raises where an answer is no number: the largest of several NaN would be taken for a class.

    A CPU looks in every call, other devices in the first one, because it makes the host wait; tracing and compiling
    leave it out.
    """

    def __init__(self):
        self._looked = False

    def __call__(self, predictions: dict):
        """Looks at {head: (rows, ...) output}.

        Raises:
            ValueError: it says of how many images the answer is not finite.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return
        for name, prediction in predictions.items():
            if prediction.is_meta or prediction.numel() == 0 or (self._looked and prediction.device.type != "cpu"):
                continue
            sound = prediction.isfinite().flatten(1).all(1)
            if not sound.all():
                dtype = str(prediction.dtype).removeprefix("torch.")
                raise ValueError(
                    f"The answers of the head {name!r} to {int((~sound).sum())} of {len(sound)} images are not finite, "
                    f"so they are no answers. The weights have diverged, or overflow in {dtype}: load an earlier "
                    f"checkpoint, or compute in float32."
                )
        self._looked = True
