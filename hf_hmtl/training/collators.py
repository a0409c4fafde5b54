"""The collators of a trainer: made of its tasks, given, or those of somebody else, completed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import EvaluationCollator, TrainingCollator
from hf_hmtl.data.rows import GivenRows, RowReader
from hf_hmtl.tasks import Pretext, Supervised, Task
from hf_hmtl.training.agreement import check_batch, check_collator

FIRST_ROWS = (0, 1)  # looked at before the training, where a collator is not ours


def made_collators(
    tasks: Sequence[Task],
    augmentation: Augmentation,
    image_size: int,
    crop_fraction: float,
    image_column: str,
    seed: int,
) -> tuple[TrainingCollator, EvaluationCollator]:
    """The collators of training and of evaluation that fit these tasks."""
    common: dict[str, Any] = {
        "supervised": [task for task in tasks if isinstance(task, Supervised)],
        "image_size": image_size,
        "crop_fraction": crop_fraction,
        "image_column": image_column,
    }
    pretexts = [task for task in tasks if isinstance(task, Pretext)]
    training = TrainingCollator(**common, pretexts=pretexts, augmentation=augmentation, seed=seed)
    return training, EvaluationCollator(**common)


class AdoptedCollator:
    """A collator in the manner of transformers, whose batches become those that the tasks take.

    Args:
        collator: makes {"pixel_values": ..., "labels": ...} of a list of rows; `labels` are those of the first
            supervised task, or {task: labels}. It may also say `targets` and `views` itself, as `TrainingCollator`.
        supervised: the tasks with labels.
    """

    def __init__(self, collator: Callable, supervised: Sequence[Supervised]):
        self.collator, self.supervised = collator, list(supervised)

    def __call__(self, rows: list) -> dict:
        batch = self.completed(self.collator(rows))
        count = len(batch["pixel_values"])
        for task in self.supervised:  # images without labels are predicted all the same
            batch["targets"].setdefault(task.name, task.target([None] * count))
        views = batch.get("views") or dict.fromkeys(batch["targets"], (0, count))
        return {
            "pixel_values": batch["pixel_values"],
            "views": views,
            "targets": batch["targets"],
            "broken_rows": torch.empty(0, dtype=torch.int64),
        }

    def completed(self, batch: Mapping) -> dict:
        """The batch with its labels as targets."""
        targets, labels = batch.get("targets"), batch.get("labels")
        if targets is None and isinstance(labels, Mapping):
            targets = labels
        elif targets is None:
            targets = {} if labels is None else {self.supervised[0].name: labels}
        # torch's cross-entropy knows class numbers of 64 bits only.
        whole = {name: target if target.is_floating_point() else target.long() for name, target in targets.items()}
        return {**batch, "targets": whole}


def check_train_collator(collator: Any, tasks: Sequence[Task], dataset: Any) -> None:
    """Raise when a collator does not make what the tasks learn; of one that is not ours, the first rows show it.

    Args:
        tasks: all of the trainer.
        dataset: the training rows, or None.

    Raises:
        ValueError: it says what is missing, and what to type.
    """
    adopted = isinstance(collator, AdoptedCollator)
    argument = "data_collator" if adopted else "train_collator"
    check_collator(collator, tasks, argument)
    if dataset is None or isinstance(collator, TrainingCollator):
        return
    rows = (GivenRows if adopted else RowReader)(dataset).__getitems__(FIRST_ROWS[: len(dataset)])
    with torch.random.fork_rng(devices=[]):
        batch = collator.collator(rows) if adopted else collator(rows)
    if adopted and isinstance(batch, Mapping) and "labels" in batch:
        batch = collator.completed(batch)
    check_batch(batch, [task for task in tasks if task.weight > 0], argument)
