"""What the models need to know of timm: making a backbone, its feature pyramid, its published weights."""

import difflib
import inspect
import os
from pickle import UnpicklingError

import timm
import torch
from safetensors import SafetensorError
from torch import nn

from .heads_hmtl import DECODER_STRIDES
from .strangers_hmtl import short

_LONGEST = 200  # characters of a name that are looked for among those there are


def require_backbone(name: str):
    """What timm knows of the model of this name; raises ValueError on other names."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name[:_LONGEST], timm.list_models(), n=3)
        raise ValueError(
            f"timm {timm.__version__} has no model {short(name)}."
            + (f" Did you mean {' or '.join(map(repr, near))}?" if near else "")
            + " timm.list_models('*resnet*') lists the names with a word in them."
        )
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # a tag of weights behind the name that timm does not know
        raise ValueError(f"timm {timm.__version__} has no model {short(name)}: {str(error)[:300]}") from error


def new_backbone(name: str, image_size: int) -> nn.Module:
    """The timm model of this name without its classifier, as timm initialises it; raises ValueError on other names."""
    known = require_backbone(name)
    # Most transformers learn something for each place of the image, and have to know its size beforehand.
    options = {"img_size": image_size} if known.fixed_input_size else {}
    return timm.create_model(name, pretrained=False, num_classes=0, **options)


def feature_pyramid(backbone: nn.Module) -> dict:
    """The maps that a decoder is connected to.

    Returns:
        {stride: (index for `forward_intermediates`, channels)} for the strides 16, 8, 4 and, where there is one, 2;
        {} for a backbone without a pyramid, like a ViT, whose maps all have one stride.
    """
    levels = getattr(backbone, "feature_info", None)
    if not isinstance(levels, list) or not hasattr(backbone, "forward_intermediates"):
        return {}
    found = {level["reduction"]: (index, level["num_chs"]) for index, level in enumerate(levels)}
    if not {4, 8, 16} <= found.keys():
        return {}
    return {stride: found[stride] for stride in DECODER_STRIDES if stride in found}


def published_weights(name: str) -> dict:
    """timm's own pretrained weights of a model, from the Hub or its local cache: {tensor name: tensor}.

    Raises:
        OSError: they cannot be had; the message names two remedies.
        ValueError: timm publishes none for this model.
    """
    try:
        return timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except RuntimeError as error:
        raise ValueError(f"timm has no pretrained weights for {name!r}: {error}") from error
    except OSError as error:
        raise OSError(
            f"The pretrained weights of {name!r} are neither in the local cache nor can they be downloaded. Either run "
            f"python -c \"import timm; timm.create_model('{name}', pretrained=True)\" on a machine with a connection "
            f"and copy its Hugging Face cache here (see HF_HOME), or give a local file: --pretrained path/to/file.pth "
            f"or .safetensors, load_pretrained_backbone(path) in Python."
        ) from error


def weights_from_file(path: str | os.PathLike, backbone: nn.Module) -> dict:
    """The weights in a local .safetensors or .pth file, named as the backbone names them: {tensor name: tensor}.

    Nothing is unpickled but tensors. Raises FileNotFoundError; ValueError where it holds anything else.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r} with weights of a backbone.")
    try:
        weights = timm.models.load_state_dict(os.fspath(path), weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(
            f"{os.fspath(path)} holds no tensors of a backbone, or more than tensors ({reason})."
        ) from error
    # Files in the format of a model's first publication need the conversion that timm keeps beside the model.
    convert = getattr(inspect.getmodule(type(backbone)), "checkpoint_filter_fn", None)
    return convert(weights, backbone) if convert else weights


def stem(backbone: nn.Module) -> nn.Module:
    """The layer that takes the pixels: the first one with weights and nothing below it."""
    leaves = (module for module in backbone.modules() if next(module.children(), None) is None)
    return next(module for module in leaves if next(module.parameters(), None) is not None)


def computed_buffers(backbone: nn.Module):
    """Computes anew what timm's modules compute at construction and never save."""
    for module in backbone.modules():
        if hasattr(module, "init_non_persistent_buffers"):
            module.init_non_persistent_buffers()


def can_checkpoint(backbone: nn.Module) -> bool:
    """Whether timm can checkpoint the activations of this backbone; some have the switch and refuse to use it."""
    try:
        backbone.set_grad_checkpointing(True)
        backbone.set_grad_checkpointing(False)
    except (AttributeError, AssertionError):
        return False
    return True


def checkpoint_activations(backbone: nn.Module, enable: bool):
    """Lets the backbone keep the inputs of its blocks only and compute the rest again in the backward pass.

    The second computation must not count in the statistics of batch norms, which torch leaves to the caller.
    """
    backbone.set_grad_checkpointing(enable)
    for handle in backbone.__dict__.pop("_recomputation_hooks", []):
        handle.remove()
    if enable:
        norms = [module for module in backbone.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        before = [norm.register_forward_pre_hook(_pause_statistics) for norm in norms]
        # The last computation of a block is ended by an exception, as soon as all that is needed is there.
        after = [norm.register_forward_hook(_resume_statistics, always_call=True) for norm in norms]
        backbone._recomputation_hooks = [*before, *after]


def _pause_statistics(norm: nn.Module, inputs):
    if norm.training and torch._C._current_graph_task_id() != -1:  # within a backward pass
        norm._paused_momentum, norm.momentum = norm.momentum, 0.0


def _resume_statistics(norm: nn.Module, inputs, output):
    if "_paused_momentum" in norm.__dict__:
        norm.momentum = norm.__dict__.pop("_paused_momentum")
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.sub_(1)
