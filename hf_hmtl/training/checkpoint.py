"""Folders `checkpoint-N`: which are whole, which ended a training, and what we keep beside the Trainer's own state."""

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import TrainerState

from hf_hmtl.files import replacing, writing
from hf_hmtl.parsing import read_json
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.states import holds_tensors, hybrid_state_of, trainer_state_of
from hf_hmtl.training.weighting import PastLosses

logger = logging.getLogger(__name__)

STATE_FILE = "hmtl_state.json"
TRAINER_STATE_FILE = "trainer_state.json"
OPTIMIZER_FILE, SCHEDULER_FILE, SCALER_FILE = "optimizer.pt", "scheduler.pt", "scaler.pt"
READ_IF_THERE = ("config.json",)
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
        processes: that wrote it; None in checkpoints that do not tell.
    """

    seconds: float = 0.0
    calibrated_weights: dict[str, float] = field(default_factory=dict)
    past_losses: PastLosses = field(default_factory=PastLosses)
    sums: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    sums_since: int | None = None
    broken_rows: list[int] = field(default_factory=list)
    left_out_steps: list[int] = field(default_factory=list)
    processes: int | None = None

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
    """The checkpoint to go on from: a folder, one of the run by its name, or the last whole one by True or "last".

    Args:
        wanted: what was asked for.
        args: of the training: its folder, its processes and its precision.

    Returns:
        None without a wish; and for "last" where there is no whole checkpoint, as after a run that was cut off before
        its first one, so that the same command begins it and goes on with it.

    Raises:
        FileNotFoundError: the folder is no checkpoint, or for True there is none.
        ValueError: it lacks what a training needs to go on to the same bits; of "last", so do all that were written
            to their end.
    """
    if not wanted:
        return None
    if wanted is True or wanted == "last":
        found = _last_resumable(args)
        if found is None and wanted is True:
            raise FileNotFoundError(f"{args.output_dir} has no complete checkpoint-N to resume from; train without it")
        return found
    found = Path(str(wanted))
    if len(found.parts) == 1 and not found.exists():
        found = Path(args.output_dir) / found
    if not (found / TRAINER_STATE_FILE).is_file():
        raise FileNotFoundError(
            f"--resume_from_checkpoint {wanted} is no checkpoint folder; give one such as "
            f"{args.output_dir}/checkpoint-100, or 'last', in Python True"
        )
    if flaw := _flaw(found, args):
        raise ValueError(f"{flaw}, {_way_out(found, flaw)}")
    _require_same_processes(found, args)
    return found


def _last_resumable(args: HMTLTrainingArguments) -> Path | None:
    """The newest checkpoint of a run's folder from which it goes on to the same bits; those that are passed over are
    named.

    Raises:
        ValueError: every one that was written to its end lacks something, or it is of other processes.
    """
    flaws: list[tuple[Path, str]] = []
    for checkpoint in reversed(numbered_checkpoints(args.output_dir)):
        if not _is_complete(checkpoint):
            logger.warning("%s was not written to its end, and is passed over", checkpoint)
        elif flaw := _flaw(checkpoint, args) or _flaw_of_best(checkpoint, args):
            flaws.append((checkpoint, flaw))
        else:
            _require_same_processes(checkpoint, args)
            for _, flaw in flaws:
                logger.warning("%s, so the training goes on from the one before, %s", flaw, checkpoint)
            return checkpoint
    if flaws:
        newest, flaw = flaws[0]
        raise ValueError(f"{flaw}, {_way_out(newest, flaw)}")
    return None


def remove_flawed_behind(step: int, args: HMTLTrainingArguments) -> None:
    """Remove the checkpoints of later steps that were passed over: they will be written once more, and until then would
    count as the newest where a `save_total_limit` removes the others."""
    for checkpoint in numbered_checkpoints(args.output_dir):
        is_later = int(checkpoint.name.split("-")[1]) > step
        if is_later and (not _is_complete(checkpoint) or _flaw(checkpoint, args)):
            shutil.rmtree(checkpoint)


def _flaw(checkpoint: Path, args: HMTLTrainingArguments) -> str | None:
    """What a checkpoint lacks of all that the uninterrupted training would go on with, each file to its end; None where
    it lacks nothing."""
    names = _files_of(checkpoint, args)
    if missing := [name for name in names if not (checkpoint / name).is_file()]:
        return f"{checkpoint} lacks {', '.join(missing)}{' (as after --save_only_model)' * (OPTIMIZER_FILE in missing)}"
    names += [name for name in READ_IF_THERE if (checkpoint / name).is_file()]
    damaged = [checkpoint / name for name in names if not _is_whole(checkpoint / name)]
    return f"{damaged[0]} is cut off or damaged" if damaged else None


def _way_out(checkpoint: Path, flaw: str) -> str:
    """What to type where a checkpoint is asked for that has a flaw."""
    before = numbered_checkpoints(checkpoint.parent)
    before = before[: before.index(checkpoint)] if checkpoint in before else []
    if " lacks " in flaw:
        return (
            "without which the training would go on to other weights. Give another checkpoint, or start a new training "
            f"from its weights: --pretrained {checkpoint}"
        )
    if not before:
        return "so the training cannot go on from it. There is no earlier one: start anew with --overwrite"
    return f"so the training cannot go on from it. Go on from an earlier one: --resume_from_checkpoint {before[-1]}"


def _files_of(checkpoint: Path, args: HMTLTrainingArguments) -> list[str]:
    """Names of the files that a training goes on with."""
    wrote = _processes_of(checkpoint)
    states = [f"rng_state_{rank}.pth" for rank in range(wrote)] if wrote > 1 else ["rng_state.pth"]
    scaler = [SCALER_FILE] if args.precision == "float16" else []
    return [TRAINER_STATE_FILE, STATE_FILE, OPTIMIZER_FILE, SCHEDULER_FILE, *scaler, *states, *_weights_of(checkpoint)]


def _weights_of(checkpoint: Path) -> list[str]:
    return [path.name for pattern in WEIGHTS for path in checkpoint.glob(pattern)] or ["model.safetensors"]


def _processes_of(checkpoint: Path) -> int:
    """How many processes wrote a checkpoint; the Trainer keeps the random states of each in a file of its own."""
    told = HybridState.read(checkpoint).processes if _is_whole(checkpoint / STATE_FILE) else None
    return told or len(list(checkpoint.glob(RANDOM_STATES)))


def _require_same_processes(checkpoint: Path, args: HMTLTrainingArguments) -> None:
    wrote, processes = _processes_of(checkpoint), args.world_size
    if wrote != processes:
        raise ValueError(
            f"{checkpoint} was written by {wrote} process{'es' * (wrote > 1)}, and this is {processes}: dropout, batch "
            f"norm and the order of sums depend on their number, so other weights would come out. Resume with "
            f"{wrote} (accelerate launch {'--multi_gpu ' * (wrote > 1)}--num_processes {wrote} ...), or start a new "
            f"training from its weights: --pretrained {checkpoint}"
        )


def _flaw_of_best(checkpoint: Path, args: HMTLTrainingArguments) -> str | None:
    """What the best checkpoint so far lacks, whose weights the end of the training would choose."""
    best = trainer_state(checkpoint).best_model_checkpoint if args.load_best_model_at_end else None
    if best is None:
        return None
    place = checkpoint.parent / Path(best).name  # the folder of the run may have been moved
    for name in _weights_of(place):
        if not _is_whole(place / name):
            return f"{place / name}, the best weights so far, is missing, cut off or damaged"
    return None


def _is_whole(path: Path) -> bool:
    """Whether a file of a checkpoint can be read to its end: torch's and safetensors' formats say where it is."""
    if not path.is_file():
        return False
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


def last_complete_checkpoint(folder: str | Path) -> Path | None:
    """The newest `checkpoint-N` that was written to its end, or None.

    The Trainer writes its state last, so a checkpoint cut off by a crash has none, or half of one.
    """
    found = [path for path in numbered_checkpoints(folder) if _is_complete(path)]
    return found[-1] if found else None


def _is_complete(checkpoint: Path) -> bool:
    """Whether its last file can be read to the end."""
    return _is_whole(checkpoint / TRAINER_STATE_FILE)


def numbered_checkpoints(folder: str | Path) -> list[Path]:
    """The folders `checkpoint-N` of a run, whole or not, in the order of their steps."""
    numbered = [path for path in Path(folder).glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    return sorted(numbered, key=lambda path: int(path.name.split("-")[1]))


@contextlib.contextmanager
def written_whole(checkpoint: Path, is_first: bool) -> Iterator[None]:
    """Write a checkpoint in this block; where there is no room for it, nothing of it is left.

    One of the same step that was there, as after a resume from an earlier one, is not complete until the new one is.

    Args:
        is_first: whether this is the first process, which does what is done once.

    Raises:
        OSError: it cannot be written.
    """
    if is_first:
        (checkpoint / TRAINER_STATE_FILE).unlink(missing_ok=True)
    try:
        with writing(checkpoint):
            yield
    except OSError:
        if is_first:
            shutil.rmtree(checkpoint, ignore_errors=True)
        raise
