"""The network as a program of `torch.export`, which torch loads without any of our code."""

from pathlib import Path

import torch

from hf_hmtl.serving.network import ExportedNetwork


def write(network: ExportedNetwork, path: Path) -> None:
    """Write the program, with any number of rows in a batch: `torch.export.load(path).module()(pixels)`.

    Raises:
        RuntimeError: torch cannot export this network, or a part of it is in training mode.
    """
    network.require_evaluation()
    batch = torch.export.Dim("batch", min=1)
    torch.export.save(torch.export.export(network, (network.pixels(2),), dynamic_shapes=({0: batch},)), path)


def module(path: Path) -> torch.nn.Module:
    """What computes the outputs of a written program, as a tuple."""
    return torch.export.load(path).module()
