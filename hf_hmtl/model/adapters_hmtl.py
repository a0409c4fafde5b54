"""Which parts of a network low-rank adapters go to (peft), and which are trained beside them."""

from torch import nn

from .configuration_hmtl import LOSS_WEIGHTS


def lora_modules(model) -> dict:
    """What `peft.LoraConfig` needs: adapters in the backbone, and in full the heads and what gathers statistics.

    Adapters suit linear layers and convolutions that mix all channels. An adapter's folder holds what is trained; the
    batch norms belong to it, since their statistics move with it.

    Args:
        model: an `HMTLForImageClassification`.

    Returns:
        {"target_modules": names, "modules_to_save": names}.

    Raises:
        ValueError: the network learns loss weights, which peft cannot save.
    """
    if LOSS_WEIGHTS in model.auxiliary:
        raise ValueError("peft cannot save learned loss weights: use loss_weighting='static' with adapters.")
    layers = dict(model.hmtl.named_modules(prefix="hmtl"))
    heads = [*(f"heads.{name}" for name in model.heads), *(f"auxiliary.{name}" for name in model.auxiliary)]
    gathering = [name for name, layer in layers.items() if getattr(layer, "running_mean", None) is not None]
    return {
        "target_modules": [name for name, layer in layers.items() if _mixes_all_channels(layer)],
        "modules_to_save": [*heads, *gathering],
    }


def _mixes_all_channels(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
