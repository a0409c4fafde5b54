"""Folders `checkpoint-N`: which are whole, which ended a training, and what we keep beside the Trainer's own state."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from transformers import TrainerState

from hf_hmtl.files import replacing
from hf_hmtl.training.weighting import PastLosses

STATE_FILE = "hmtl_state.json"
TRAINER_STATE_FILE = "trainer_state.json"
OPTIMIZER_FILE = "optimizer.pt"


@dataclass
class HybridState:
    """What a resumed run needs beside the Trainer's own state.

    Attributes:
        seconds: of training so far, evaluations and checkpoints included.
        calibrated_weights: {task: weight} of the tasks whose weight was measured before the first step.
        past_losses: what dynamic weight averaging remembers, over all processes.
        sums: {name: (sum, count)} of what was gathered since the last log, over all processes.
        sums_since: step of that log; None in checkpoints that keep no sums.
    """

    seconds: float = 0.0
    calibrated_weights: dict[str, float] = field(default_factory=dict)
    past_losses: PastLosses = field(default_factory=PastLosses)
    sums: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    sums_since: int | None = None

    def __post_init__(self):
        if isinstance(self.past_losses, dict):  # as JSON knows it
            self.past_losses = PastLosses(**self.past_losses)

    def write(self, checkpoint: Path) -> None:
        """Write it into a checkpoint; before the Trainer's own state, which marks the checkpoint as complete."""
        with replacing(checkpoint / STATE_FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, checkpoint: Path) -> "HybridState":
        """The state in a checkpoint.

        Raises:
            FileNotFoundError: the checkpoint is of another trainer.
        """
        path = checkpoint / STATE_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{checkpoint} has no {STATE_FILE}, so no trainer of hf_hmtl wrote it. Start a new run"
            )
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def trainer_state(checkpoint: Path) -> TrainerState:
    """The Trainer's own state: step, best step, history."""
    return TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_FILE))


def is_over(state: TrainerState, planned_steps: int, patience: int | None) -> bool:
    """Whether no step is to follow: the last one was made, or early stopping had decided.

    Args:
        planned_steps: of the whole training, by the arguments of now.
        patience: evaluations without a better score after which to stop, of now; None without early stopping.
    """
    if state.global_step >= planned_steps:
        return True
    stopped = state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"]
    if not stopped or state.global_step >= state.max_steps:  # more steps are wanted than then
        return False
    stopping = state.stateful_callbacks.get("EarlyStoppingCallback")
    counted = stopping["attributes"]["early_stopping_patience_counter"] if isinstance(stopping, dict) else 0
    return patience is None or not counted or counted >= patience


def resume_point(wanted: str | Path | bool | None, folder: str | Path) -> Path | None:
    """The checkpoint to go on from: a folder, or True or "last" for the last whole one of a run's folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it lacks what a training needs to go on.
    """
    if not wanted:
        return None
    found = last_complete_checkpoint(folder) if wanted is True or wanted == "last" else Path(str(wanted))
    if found is None:
        raise FileNotFoundError(f"{folder} has no complete checkpoint-N to resume from; train without it")
    if not (found / TRAINER_STATE_FILE).is_file():
        raise FileNotFoundError(
            f"--resume_from_checkpoint {wanted} is no checkpoint folder; give one such as {folder}/checkpoint-100, or "
            "'last', in Python True"
        )
    if not (found / OPTIMIZER_FILE).is_file():
        raise ValueError(
            f"{found} was saved with --save_only_model, so the state of its optimizer is lost and it cannot go on. "
            f"Start a new training from its weights: --pretrained {found}"
        )
    return found


def last_complete_checkpoint(folder: str | Path) -> Path | None:
    """The newest `checkpoint-N` that was written to its end, or None.

    The Trainer writes its state last, so a checkpoint cut off by a crash has none, or half of one.
    """

    def complete(checkpoint: Path) -> bool:
        """Whether its last file can be read to the end."""
        try:
            json.loads((checkpoint / TRAINER_STATE_FILE).read_text())
        except (OSError, ValueError):
            return False
        return True

    numbered = [path for path in Path(folder).glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    found = sorted((path for path in numbered if complete(path)), key=lambda path: int(path.name.split("-")[1]))
    return found[-1] if found else None
