"""The collators of a trainer: given, made of its tasks, or those of somebody else, completed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import Collator, EvaluationCollator, TrainingCollator
from hf_hmtl.data.mixture import reader_for
from hf_hmtl.data.rows import GivenRows
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.tasks import Pretext, Supervised, Task
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.training.agreement import check_batch, check_collator, check_processor

FIRST_ROWS = (0, 1)  # looked at before the training, where a collator is not ours


@dataclass(frozen=True)
class ImageHandling:
    """What a trainer was given for its images; `made_for` completes it for a model.

    Attributes:
        tasks: all of the trainer.
        augmentation: of the training images.
        image_column: of the datasets.
        seed: seed of the augmentation and of the corruptions.
        processor: the image processor, or None.
        training, evaluation: the collators, or None.
    """

    tasks: Sequence[Task]
    augmentation: Augmentation
    image_column: str
    seed: int
    processor: Any
    training: Callable | None
    evaluation: Callable | None

    def made_for(self, image_size: int) -> tuple[Any, Callable, Callable]:
        """Image processor, collator of training and of evaluation; what was not given is made.

        Raises:
            ValueError: the given processor makes images of another size.
        """
        if self.processor is not None:
            check_processor(self.processor, image_size)
        processor = self.processor or HMTLImageProcessor(
            size=image_size, crop_fraction=getattr(self.evaluation, "crop_fraction", 1.0)
        )
        common: dict[str, Any] = {
            "supervised": [task for task in self.tasks if isinstance(task, Supervised)],
            "image_size": image_size,
            "crop_fraction": getattr(processor, "crop_fraction", 1.0),
            "image_column": self.image_column,
        }
        training, evaluation = self.training, self.evaluation
        if training is None:
            pretexts = [task for task in self.tasks if isinstance(task, Pretext)]
            training = TrainingCollator(**common, pretexts=pretexts, augmentation=self.augmentation, seed=self.seed)
        return processor, training, evaluation or EvaluationCollator(**common)


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
        batch = self._with_targets(self.collator(rows))
        count = len(batch["pixel_values"])
        for task in self.supervised:  # images without labels are predicted all the same
            batch["targets"].setdefault(task.name, task.target(*[[None] * count] * len(task.columns)))
        views = batch.get("views") or dict.fromkeys(batch["targets"], (0, count))
        return {
            "pixel_values": batch["pixel_values"],
            "views": views,
            "targets": batch["targets"],
            "broken_rows": batch.get("broken_rows", torch.empty(0, dtype=torch.int64)),
        }

    def check(self, rows: list, tasks: Sequence[Task]) -> None:
        """Raise when the batch of these rows lacks what the tasks learn.

        Raises:
            ValueError: as `check_batch`.
        """
        batch = self.collator(rows)
        labelled = isinstance(batch, Mapping) and "labels" in batch
        check_batch(self._with_targets(batch) if labelled else batch, tasks, "data_collator")

    def _with_targets(self, batch: Mapping) -> dict:
        """The batch with its labels as targets."""
        targets, labels = batch.get("targets"), batch.get("labels")
        if targets is None and isinstance(labels, Mapping):
            targets = labels
        elif targets is None:
            targets = {} if labels is None else {self.supervised[0].name: labels}
        # torch's cross-entropy knows class numbers of 64 bits only.
        whole = {name: target if target.is_floating_point() else target.long() for name, target in targets.items()}
        for task in self.supervised:
            if isinstance(task, Classification) and task.name in whole and not whole[task.name].is_floating_point():
                task.require_classes(whole[task.name].flatten().tolist())
        return {**batch, "targets": whole}


def rows_for(collator: Callable, dataset: Any) -> Dataset:
    """The dataset, whose rows come as the collator takes them: as they are given, or as {column: list}."""
    return GivenRows(dataset) if isinstance(collator, AdoptedCollator) else reader_for(dataset)


def check_train_collator(collator: Callable, tasks: Sequence[Task], dataset: Any) -> None:
    """Raise when a collator does not make what the tasks learn; of one that is not ours, the first rows show it.

    Args:
        tasks: all of the trainer.
        dataset: the training rows, or None.

    Raises:
        ValueError: it says what is missing, and what to type.
    """
    check_collator(collator, tasks, "train_collator")
    if dataset is None or isinstance(collator, Collator):
        return
    learned = [task for task in tasks if task.is_learned]
    rows = rows_for(collator, dataset).__getitems__(FIRST_ROWS[: len(dataset)])  # type: ignore[attr-defined]
    with torch.random.fork_rng(devices=[]):
        if isinstance(collator, AdoptedCollator):
            collator.check(rows, learned)
        else:
            check_batch(collator(rows), learned, "train_collator")
