"""Folders `checkpoint-N`: which are whole, which ended a training, and what we keep beside the Trainer's own state."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import TrainerState

from hf_hmtl.files import replacing
from hf_hmtl.parsing import read_json
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.states import holds_tensors, hybrid_state_of, trainer_state_of
from hf_hmtl.training.weighting import PastLosses

STATE_FILE = "hmtl_state.json"
TRAINER_STATE_FILE = "trainer_state.json"
OPTIMIZER_FILE, SCHEDULER_FILE, SCALER_FILE = "optimizer.pt", "scheduler.pt", "scaler.pt"
RANDOM_STATES = "rng_state*.pth"
WEIGHTS = ("model*.safetensors*", "adapter_model*.safetensors")  # the index of a model in several files, too


@dataclass
class HybridState:
    """What a resumed run needs beside the Trainer's own state.

    Attributes:
        seconds: of training so far, evaluations and checkpoints included.
        calibrated_weights: {task: weight} of the tasks whose weight was measured before the first step.
        past_losses: what dynamic weight averaging remembers, over all processes.
        sums: {name: (sum, count)} of what was gathered since the last log, over all processes.
        sums_since: step of that log; None in checkpoints that keep no sums.
        broken_rows: numbers of the training rows whose image was broken.
        left_out_steps: those whose loss was not finite.
    """

    seconds: float = 0.0
    calibrated_weights: dict[str, float] = field(default_factory=dict)
    past_losses: PastLosses = field(default_factory=PastLosses)
    sums: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    sums_since: int | None = None
    broken_rows: list[int] = field(default_factory=list)
    left_out_steps: list[int] = field(default_factory=list)

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
            ValueError: it holds something else than was written.
        """
        path = checkpoint / STATE_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{checkpoint} has no {STATE_FILE}, so no trainer of hf_hmtl wrote it. Start a new run"
            )
        return cls(**hybrid_state_of(path, cls, PastLosses))


def trainer_state(checkpoint: Path) -> TrainerState:
    """The Trainer's own state; raises as `trainer_state_of`."""
    return trainer_state_of(checkpoint / TRAINER_STATE_FILE)


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


def resume_point(wanted: str | Path | bool | None, args: HMTLTrainingArguments) -> Path | None:
    """The checkpoint to go on from: a folder, or True or "last" for the last whole one of a run's folder.

    Args:
        wanted: what was asked for.
        args: of the training: its folder, its processes and its precision.

    Returns:
        None without a wish; and for "last" where there is no whole checkpoint, as after a run that was cut off before
        its first one, so that the same command begins it and goes on with it.

    Raises:
        FileNotFoundError: the folder is no checkpoint, or for True there is none.
        ValueError: it lacks what a training needs to go on to the same bits.
    """
    if not wanted:
        return None
    if wanted is True or wanted == "last":
        found = last_complete_checkpoint(args.output_dir)
        if found is None and wanted is True:
            raise FileNotFoundError(f"{args.output_dir} has no complete checkpoint-N to resume from; train without it")
    else:
        found = Path(str(wanted))
        if not (found / TRAINER_STATE_FILE).is_file():
            raise FileNotFoundError(
                f"--resume_from_checkpoint {wanted} is no checkpoint folder; give one such as "
                f"{args.output_dir}/checkpoint-100, or 'last', in Python True"
            )
    if found is not None:
        require_resumable(found, args)
    return found


def require_resumable(checkpoint: Path, args: HMTLTrainingArguments) -> None:
    """Raise unless a checkpoint holds all that the uninterrupted training would go on with, each file to its end.

    Raises:
        ValueError: it names the file that is missing or cut off, or the number of processes it was written by.
    """
    states = [path.name for path in checkpoint.glob(RANDOM_STATES)]
    weights = [path.name for pattern in WEIGHTS for path in checkpoint.glob(pattern)]
    names = [TRAINER_STATE_FILE, STATE_FILE, OPTIMIZER_FILE, SCHEDULER_FILE]
    names += [SCALER_FILE] if args.precision == "float16" else []
    names += states or ["rng_state.pth"]
    names += weights or ["model.safetensors"]
    missing = [name for name in names if not (checkpoint / name).is_file()]
    if missing:
        raise ValueError(
            f"{checkpoint} lacks {', '.join(missing)}{' (as after --save_only_model)' * (OPTIMIZER_FILE in missing)}, "
            "without which the training would go on to other weights. Give another checkpoint, or start a new training "
            f"from its weights: --pretrained {checkpoint}"
        )
    for name in names:
        if not _is_whole(checkpoint / name):
            raise ValueError(
                f"{checkpoint / name} is cut off or damaged, so the training cannot go on from it. "
                f"{_earlier_than(checkpoint)}"
            )
    # The Trainer keeps the random states of each process in a file of its own.
    wrote, processes = len(states), args.world_size
    if wrote != processes:
        raise ValueError(
            f"{checkpoint} was written by {wrote} process{'es' * (wrote > 1)}, and this is {processes}: dropout, batch "
            f"norm and the order of sums depend on their number, so other weights would come out. Resume with "
            f"{wrote} (accelerate launch {'--multi_gpu ' * (wrote > 1)}--num_processes {wrote} ...), or start a new "
            f"training from its weights: --pretrained {checkpoint}"
        )


def _is_whole(path: Path) -> bool:
    """Whether a file of a checkpoint can be read to its end: torch's and safetensors' formats say where it is."""
    if path.suffix == ".json":
        try:
            return isinstance(read_json(path), dict)
        except ValueError:
            return False
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt"):
                return True
        except SafetensorError:
            return False
    return holds_tensors(path)


def _earlier_than(checkpoint: Path) -> str:
    before = numbered_checkpoints(checkpoint.parent)
    before = before[: before.index(checkpoint)] if checkpoint in before else []
    if not before:
        return "There is no earlier one: start anew with --overwrite"
    return f"Go on from an earlier one: --resume_from_checkpoint {before[-1]}"


def last_complete_checkpoint(folder: str | Path) -> Path | None:
    """The newest `checkpoint-N` that was written to its end, or None.

    The Trainer writes its state last, so a checkpoint cut off by a crash has none, or half of one.
    """

    def complete(checkpoint: Path) -> bool:
        """Whether its last file can be read to the end."""
        try:
            read_json(checkpoint / TRAINER_STATE_FILE)
        except (OSError, ValueError):
            return False
        return True

    found = [path for path in numbered_checkpoints(folder) if complete(path)]
    return found[-1] if found else None


def numbered_checkpoints(folder: str | Path) -> list[Path]:
    """The folders `checkpoint-N` of a run, whole or not, in the order of their steps."""
    numbered = [path for path in Path(folder).glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    return sorted(numbered, key=lambda path: int(path.name.split("-")[1]))
