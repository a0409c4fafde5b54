"""What moves over a training by a schedule: whether it may, and what it is at some progress."""

from collections.abc import Sequence

from transformers import TrainingArguments

from hf_hmtl.schedule import is_moving, value_at
from hf_hmtl.tasks import Pretext, Task


def check_schedules(args: TrainingArguments, tasks: Sequence[Task], dynamic_weights: bool) -> None:
    """Raise when something moves over a training whose length is not known, or beside weights that follow the losses.

    Raises:
        ValueError: it says what to leave out.
    """
    moving = [task.name for task in tasks if task.moves]
    if moving and args.early_stopping_patience is not None:
        raise ValueError(
            f"--early_stopping_patience: the schedule of {moving[0]!r} follows the progress of the training, whose end "
            "is then not known. Leave it out, or give constants"
        )
    if moving and dynamic_weights:
        raise ValueError(
            "--loss_weighting dynamic follows the losses from epoch to epoch, which the schedule of "
            f"{moving[0]!r} moves as well. Leave one of them out"
        )


def relative_weights(tasks: Sequence[Task], progress: float) -> dict[str, float]:
    """{task: its weight as a share of its largest} of those whose weight moves."""
    return {task.name: task.weight_at(progress) / task.largest_weight for task in tasks if is_moving(task.weight)}


def shares(tasks: Sequence[Task], progress: float) -> dict[str, float]:
    """{task: share of the rows} of the pretexts whose share moves."""
    moving = [task for task in tasks if isinstance(task, Pretext) and is_moving(task.share)]
    return {task.name: float(value_at(task.share, progress)) for task in moving}
