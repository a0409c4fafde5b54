"""Backbones that do not take images of the size that a training gives them."""

from collections.abc import Iterator
from contextlib import contextmanager

import timm
import torch

from hf_hmtl.model.backbone_hmtl import new_backbone


@contextmanager
def image_size_named(config) -> Iterator[None]:
    """Name what is wrong where a network fails because its backbone cannot compute images of this size.

    Most of timm's backbones take images of any size. Some are made for one, or for multiples of some number, or shrink
    small images below their kernels, and nothing that they say of themselves tells which: it comes out in the first
    step, as an error of torch about its tensors.

    Args:
        config: of the network; one of clips is left alone, since its frames fit the network that it begins with.

    Raises:
        ValueError: the message says which size would do. Every other error passes through.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:
        name, side = getattr(config, "backbone", None), getattr(config, "image_size", None)
        if name is None or side is None or _takes(name, side):
            raise
        made_for = timm.get_pretrained_cfg(name).input_size[-1]
        if not _takes(name, made_for):
            raise
        raise ValueError(
            f"{name} cannot compute images of {side} px ({str(error)[:200] or type(error).__name__}). It was made for "
            f"{made_for} px: give --image_size {made_for}, or another --backbone"
        ) from error


def _takes(name: str, side: int) -> bool:
    """Whether a new backbone computes images of a size, tried on the CPU."""
    with torch.no_grad(), torch.random.fork_rng([]):
        try:
            new_backbone(name, side).eval().forward_features(torch.zeros(1, 3, side, side))
        except (RuntimeError, AssertionError):
            return False
    return True
