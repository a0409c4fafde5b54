"""The weights of the lowest validation loss, kept beside those that another measure selects (Figure 16)."""

import math
import os
import shutil
from pathlib import Path

from transformers import TrainerCallback

from hf_hmtl.files import writing
from hf_hmtl.training.checkpoint import trainer_state

PREFIX = "lowest-loss-"
"""A run's folder `lowest-loss-STEP` holds the weights of that step, with the heads of every task."""
_STAGING = ".lowest-loss"
_FILES = ("config.json", "model.safetensors")


class KeepLowestLoss(TrainerCallback):
    """Copies the weights of a checkpoint whose validation loss is the lowest so far."""

    def on_save(self, args, state, control, **kwargs):
        """After every checkpoint; evaluations come before it."""
        if state.is_world_process_zero and lowest_step(state.log_history) == state.global_step:
            keep(Path(args.output_dir), state.global_step)


def lowest_step(history: list[dict]) -> int | None:
    """The first step with the lowest finite validation loss of a log; None where it holds none."""
    losses = [
        (entry["eval_loss"], entry["step"]) for entry in history if math.isfinite(entry.get("eval_loss", math.nan))
    ]
    return min(losses)[1] if losses else None


def keep(folder: Path, step: int) -> None:
    """Copy the weights of `checkpoint-STEP` and remove those of an earlier step, which are not the lowest any more."""
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        with writing(folder / f"{PREFIX}{step}"):
            for name in _FILES:
                shutil.copyfile(folder / f"checkpoint-{step}" / name, staging / name)
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    earlier = [path for path in folder.glob(f"{PREFIX}*") if path.name != f"{PREFIX}{step}"]
    shutil.rmtree(folder / f"{PREFIX}{step}", ignore_errors=True)  # of a run that was cut off and came here again
    os.replace(staging, folder / f"{PREFIX}{step}")
    for path in earlier:  # last, so that a run that is killed here has one too many, and never none
        shutil.rmtree(path)


def catch_up(folder: Path, checkpoint: Path) -> None:
    """Keep what a run that was killed behind a checkpoint had not kept yet, where it goes on from that."""
    shutil.rmtree(folder / _STAGING, ignore_errors=True)
    state = trainer_state(checkpoint)
    is_here = checkpoint.parent.resolve() == folder.resolve()
    if is_here and lowest_step(state.log_history) == state.global_step and not kept(folder, state.global_step):
        keep(folder, state.global_step)


def kept(folder: Path, step: int) -> Path | None:
    """Where the weights of a step were kept, if they were."""
    path = folder / f"{PREFIX}{step}"
    return path if path.is_dir() else None


def remove(folder: Path) -> None:
    """Remove what was kept."""
    for path in folder.glob(f"{PREFIX}*"):
        shutil.rmtree(path)
