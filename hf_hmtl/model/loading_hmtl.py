"""Weights that go from one network into another: of a backbone, of heads with other labels, of a slim copy."""

from typing import NamedTuple

import torch
from torch import nn
from transformers.utils import logging

from .configuration_hmtl import HMTLConfig

logger = logging.get_logger(__name__)

_HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")


class BackboneReport(NamedTuple):
    """Names of the tensors that were taken over, and of those of the source that were not (its heads)."""

    taken: list
    not_taken: list

    def __str__(self) -> str:
        heads = sorted({".".join(name.split(".")[:2]) for name in self.not_taken})
        return f"taken over: {len(self.taken)} backbone tensors; not taken: {', '.join(heads) or 'nothing'}"


def take_backbone(model, weights: dict, name, mean, std):
    """Loads the weights of a backbone, and its pixel statistics, into a model.

    Raises:
        ValueError: a tensor is missing or has another shape; nothing is loaded then.
    """
    base = model.base_model
    wanted = base.backbone.state_dict()
    missing = [key for key in wanted if key not in weights]
    differing = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in weights and weights[key].shape != tensor.shape
    ]
    if missing or differing:
        raise ValueError(
            f"The weights of {name} do not fit the backbone {model.config.backbone!r}: of its {len(wanted)} tensors "
            f"{len(missing)} are missing {missing[:3]} and {len(differing)} have another shape {differing[:3]}. "
            f"Nothing was loaded. Choose the backbone that the weights belong to."
        )
    base.backbone.load_state_dict({key: weights[key] for key in wanted})
    model.config.pixel_mean, model.config.pixel_std = list(mean), list(std)
    base.set_pixel_statistics()


def saved_config(source, options: dict) -> HMTLConfig | None:
    """The configuration beside saved weights, without anything that the caller wants to be different.

    Args:
        source: folder or Hub name, as `from_pretrained` takes it.
        options: the options of that call, of which those about the Hub are used.
    """
    if source is None or options.get("state_dict") is not None:
        return None
    try:
        found, _ = HMTLConfig.get_config_dict(source, **{k: options[k] for k in _HUB_OPTIONS if k in options})
    except OSError:  # weights without a configuration: the caller's own is all there is
        return None
    return HMTLConfig.from_dict(found) if found.get("model_type") == HMTLConfig.model_type else None


def match_labels(model, saved: HMTLConfig, fresh_allowed: bool):
    """Lets the rows of each head follow its labels, after the weights of a folder with other labels were loaded.

    The same names in another order: the rows are put into that order. Other names: the head starts afresh.

    Args:
        model: a model with the labels that were asked for.
        saved: the configuration that its weights were saved with.
        fresh_allowed: whether heads may start afresh (`ignore_mismatched_sizes`).

    Raises:
        ValueError: as many labels with other names, and nothing may start afresh.
    """
    for name in model.config.heads:
        labels, had = model.config.heads[name]["labels"], saved.heads.get(name, {}).get("labels")
        wanted = model.config.saved_names(name)
        if name not in saved.heads or labels == had or wanted == had:
            continue
        if wanted and had and sorted(wanted) == sorted(had):
            _permute(model.head(name).layers[-1], [had.index(label) for label in wanted])
            continue
        if not fresh_allowed:
            raise ValueError(
                f"The saved head {name!r} has the labels {had}, and {labels} are asked for: its weights belong to the "
                f"former. For a fresh head pass ignore_mismatched_sizes=True. If they are other names of the same "
                f"classes, load without them and call model.config.rename_labels({{old: new, ...}})."
            )
        logger.warning(f"The head {name!r} starts afresh, with the labels {labels}; the saved ones are {had}.")
        _start_afresh(model, model.head(name))


def _permute(layer: nn.Linear, order: list):
    for tensor in (layer.weight, layer.bias):
        if tensor is not None:
            tensor.data = tensor.data[torch.tensor(order, device=tensor.device)].clone()


def _start_afresh(model, head: nn.Module):
    for module in head.modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            tensor._is_hf_initialized = False
        if next(module.parameters(recurse=False), None) is not None:
            model._init_weights(module)


def copy_without_auxiliary(model):
    """A copy of a model without its training heads; built anew, so that sharded and huge tensors are copied once."""
    with torch.device("meta"):
        copied = type(model)(model.config.without_auxiliary())
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items() if not name.startswith("auxiliary.")}
    copied.load_state_dict(kept, assign=True)
    for name, buffer in copied.named_buffers():
        if buffer.is_meta:  # computed, never saved
            module, _, own = name.rpartition(".")
            setattr(copied.get_submodule(module), own, model.get_buffer(name).clone())
    for name, parameter in copied.named_parameters():
        parameter.requires_grad_(model.get_parameter(name).requires_grad)
    for name, module in copied.named_modules():
        module.training = model.get_submodule(name).training
    return copied
