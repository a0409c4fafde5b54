"""The states in a checkpoint: read as what a training writes, or refused, since a stranger may have written them."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerState
from transformers.trainer_pt_utils import safe_globals

from hf_hmtl.option_types import require_mapping, require_types
from hf_hmtl.parsing import read_json

_WHAT_TO_DO = "Give another checkpoint, or start a new training"


@dataclass
class _Progress:
    """The types of what is used of the Trainer's state; its own annotations say less than logs and scores may hold."""

    global_step: int
    max_steps: int
    num_train_epochs: int
    epoch: float | None = None
    best_model_checkpoint: str | None = None
    log_history: list[dict[str, Any]] = field(default_factory=list)
    stateful_callbacks: dict[str, Any] = field(default_factory=dict)


def trainer_state_of(path: Path) -> TrainerState:
    """The Trainer's own state: step, best step, history.

    Raises:
        ValueError: it holds something else than was written.
    """
    content = _mapping(path)
    require_types(_Progress, content, str(path))
    callbacks = content.get("stateful_callbacks", {})
    stopping = callbacks.get("EarlyStoppingCallback")
    try:
        state = TrainerState(**content)
        stopped = callbacks["TrainerControl"]["args"]["should_training_stop"]
        counted = stopping["attributes"]["early_stopping_patience_counter"] if isinstance(stopping, dict) else 0
    except (KeyError, TypeError) as error:
        raise _not_written(path, str(error)) from error
    if not isinstance(stopped, bool) or type(counted) is not int or min(state.global_step, state.max_steps) < 0:
        raise _not_written(path, "a step below 0, or no word about whether the training was to stop")
    return state


def hybrid_state_of(path: Path, owner: type, past: type) -> dict[str, Any]:
    """What a checkpoint keeps beside the Trainer's own state: {field: value}.

    Args:
        path: of the file.
        owner: whose fields they are.
        past: of the field `past_losses`.

    Raises:
        ValueError: it holds something else than was written.
    """
    content = _mapping(path)
    require_types(owner, content, str(path), besides=("past_losses", "sums", "calibrated_weights"))
    numbers = [content.get("calibrated_weights", {})]
    sums, losses = content.get("sums", {}), content.get("past_losses", {})
    if not isinstance(sums, dict) or not all(isinstance(each, list) and len(each) == 2 for each in sums.values()):
        raise _not_written(path, "sums are {name: [sum, count]}")
    numbers.append({name: total for name, (total, _) in sums.items()})
    numbers.append({name: count for name, (_, count) in sums.items() if count is not None})
    try:
        owner(**content)
        of_past = vars(past(**losses))
    except TypeError as error:
        raise _not_written(path, str(error)) from error
    require_types(past, {"epoch": of_past.pop("epoch")}, str(path))
    for each in [*numbers, *of_past.values()]:
        if not isinstance(each, dict) or not all(type(number) in (int, float) for number in each.values()):
            raise _not_written(path, "losses, weights and sums are numbers by names")
    return content


def holds_tensors(path: Path) -> bool:
    """Whether a file of torch can be read to its end, and holds tensors and plain values alone.

    Nothing else is unpickled, and nothing of the tensors is read. The random states of NumPy are among plain values.
    """
    if not zipfile.is_zipfile(path):
        return False
    try:
        with safe_globals():
            torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # whatever torch raises of a file that is none of its own, or holds more than tensors
        return False
    return True


def _mapping(path: Path) -> dict[str, Any]:
    content = read_json(path)
    require_mapping(content, str(path))
    return content


def _not_written(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path} is not what a training wrote ({reason[:200]}). {_WHAT_TO_DO}")
