"""Whether the backbone takes images of the size that a training gives it."""

import timm
import torch
from torch import nn

from hf_hmtl.model.backbone_hmtl import new_backbone
from hf_hmtl.training.step import rehearsal


def check_image_size(model, device: torch.device) -> None:
    """Raise before the first step where the backbone cannot compute images of this size; tried out, without a trace.

    Most of timm's backbones take images of any size. Some are made for one, or for multiples of some number, or shrink
    small images below their kernels, and nothing that they say of themselves tells which.

    Args:
        model: with heads, or one of clips, whose frames are not tried.
        device: of the model.

    Raises:
        ValueError: the message says which size would do.
    """
    if not hasattr(model.config, "heads"):
        return
    name, side = model.config.backbone, model.config.image_size
    with rehearsal(model, device):
        refused = _refused(model, torch.zeros(2, 3, side, side, dtype=torch.uint8, device=device))
    if refused is None:
        return
    made_for = timm.get_pretrained_cfg(name).input_size[-1]
    if _takes(name, side, device) or not _takes(name, made_for, device):
        raise refused  # of another kind
    raise ValueError(
        f"{name} cannot compute images of {side} px ({str(refused)[:200] or type(refused).__name__}). It was made for "
        f"{made_for} px: give --image_size {made_for}, or another --backbone"
    ) from refused


def _takes(name: str, side: int, device: torch.device) -> bool:
    """Whether a new backbone computes images of a size."""
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        backbone = new_backbone(name, side).to(device)
        return _refused(backbone, torch.zeros(2, 3, side, side, device=device)) is None


def _refused(network: nn.Module, images: torch.Tensor) -> Exception | None:
    """Why a pass fails; None where it does not. Too little memory is another matter."""
    try:
        network(images)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        return error
    return None
