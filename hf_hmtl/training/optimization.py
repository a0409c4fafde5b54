"""The paper's optimizer and schedule, and what weight decay is for."""

from collections.abc import Collection, Sequence

import torch
from timm.optim import AdaBelief
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

ADABELIEF = {"eps": 1e-14, "betas": (0.9, 0.999), "rectify": True, "degenerated_to_sgd": True}
"""Defaults of the optimizer package that the authors used (adabelief-tf 0.2.1); timm's own eps is 1e-16."""

_WRAPPERS = ("module", "_orig_mod")  # of DistributedDataParallel and torch.compile


def adabelief(learning_rate: float) -> tuple[type[torch.optim.Optimizer], dict]:
    """AdaBelief with the authors' settings (paper, section 4), as the Trainer takes an optimizer."""
    return AdaBelief, {"lr": learning_rate, **ADABELIEF}


def decayed_parameters(model: nn.Module) -> frozenset[str]:
    """Names of what weight decay is for: matrices and filters; the Trainer's own rule would decay timm's batch norms.

    They are chosen on the bare model, because a sharded parameter can lose its dimensions.
    """
    return frozenset(name for name, parameter in model.named_parameters() if parameter.ndim > 1)


def among(names: Collection[str], model: nn.Module) -> list[str]:
    """Names of a wrapped model's parameters that are called so in the bare one."""
    return [name for name, _ in model.named_parameters() if _unwrapped(name) in names]


def step_decay(optimizer: torch.optim.Optimizer, milestones: Sequence[float], updates: int) -> LRScheduler:
    """The learning rate is divided by 10 at each milestone (paper, section 4.2).

    Args:
        milestones: in epochs.
        updates: steps of an epoch.
    """
    return MultiStepLR(optimizer, [round(epoch * updates) for epoch in milestones], gamma=0.1)


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
