"""Batch norm over the rows of all processes, as if each of them saw the whole batch."""

from typing import Any

import torch
from timm.layers import convert_sync_batchnorm


def synchronised(model: Any) -> Any:
    """The same model, whose batch norms exchange their sums in each step; its tensors keep their names and places.

    The layers are exchanged by timm's converter, which keeps the activation that timm's own layers hold; torch's drops
    it. Nothing of it is saved: a folder's network is built of its configuration.

    Args:
        model: as `HMTLTrainer` trains it.

    Raises:
        ValueError: it has no batch norm.
    """
    if not any(map(is_batch_norm, model.modules())):
        raise ValueError(
            "--sync_batchnorm true: neither the backbone nor a head of this model has batch norm, so there is nothing "
            "to exchange. Leave it out"
        )
    checkpoints = model.is_activation_checkpointing
    converted = convert_sync_batchnorm(model)
    if checkpoints:  # which had been told to layers that are no more
        converted.activation_checkpointing_enable()
    return converted


def is_batch_norm(module: torch.nn.Module) -> bool:
    """Whether a layer takes statistics over the rows of a batch."""
    return isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
