"""Evaluation of a trained experiment: validation, test once, and two checks of what batch norm does."""

from dataclasses import dataclass, field

import numpy as np

from hf_hmtl.analysis.batch_norm import re_estimated
from hf_hmtl.data.augment import Augmentation
from hf_hmtl.data.collator import TrainingCollator
from hf_hmtl.data.sampler import RowReader
from hf_hmtl.experiment import Experiment
from hf_hmtl.metrics.classification import confusion_matrix, majority_baseline
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.trainer import HMTLTrainer

PREFIXES = {"validation": "eval", "test": "test"}
_NOT_SCORES = ("_runtime", "_per_second", "_preparation_time")


@dataclass
class Evaluation:
    """Scores of one model.

    Attributes:
        metrics: {"<eval or test>_<task>_<measure>": value}.
        baselines: the same keys for the most frequent class of the training rows.
        confusion: {split: {task: {labels, matrix}}}, rows true, columns predicted.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, float] = field(default_factory=dict)
    confusion: dict[str, dict] = field(default_factory=dict)


def evaluate(experiment: Experiment, trainer: HMTLTrainer) -> Evaluation:
    """Score the trainer's model on the splits that there are; without supervised tasks there is nothing to score."""
    evaluation = Evaluation()
    if not experiment.supervised:
        return evaluation
    for split, prefix in PREFIXES.items():
        if split in experiment.splits:
            _score_split(evaluation, experiment, trainer, split, prefix)
    if experiment.recipe.report_batch_norm:
        evaluation.metrics |= _scores(batch_norm_checks(experiment, trainer))
    return evaluation


def _score_split(evaluation: Evaluation, experiment: Experiment, trainer: HMTLTrainer, split: str, prefix: str) -> None:
    output = trainer.predict(RowReader(experiment.splits[split]), metric_key_prefix=prefix)
    evaluation.metrics |= _scores(output.metrics)
    for task in experiment.supervised:
        if not isinstance(task, Classification):
            continue
        targets, labels = output.label_ids[task.name], list(task.labels)
        answers = output.predictions[task.name].argmax(-1)
        matrix = confusion_matrix(answers, targets, labels)
        evaluation.confusion.setdefault(split, {})[task.name] = {"labels": labels, "matrix": matrix.tolist()}
        train = np.asarray(experiment.splits["train"][task.name][:])
        for measure, value in majority_baseline(targets, train, labels).items():
            evaluation.baselines[f"{prefix}_{task.name}_{measure}"] = value


def _scores(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.endswith(_NOT_SCORES) and name != "epoch"}


def batch_norm_checks(experiment: Experiment, trainer: HMTLTrainer) -> dict[str, float]:
    """Scores on corrupted validation images, and on clean ones after re-estimating the batch-norm statistics.

    Batch norm gathers its statistics on corrupted images and is evaluated on clean ones; these scores show how much of
    a difference between methods is due to that alone.
    """
    if "validation" not in experiment.splits:
        return {}
    clean = trainer.data_collator
    corrupting = experiment.training_collator(augmentation=Augmentation.level("none", flip=0.0))
    trainer.data_collator = SupervisedView(corrupting)
    metrics = trainer.evaluate(metric_key_prefix="eval_corrupted")
    trainer.data_collator = clean
    uncorrupted = experiment.training_collator(pretexts=[])
    with re_estimated(trainer.model, trainer.train_dataset, uncorrupted, experiment.args):
        metrics |= trainer.evaluate(metric_key_prefix="eval_reestimated")
    return metrics


@dataclass
class SupervisedView:
    """A training collator, cut down to the view that the supervised heads see."""

    collator: TrainingCollator

    def __call__(self, rows: dict[str, list]) -> dict:
        batch = self.collator(rows)
        names = [task.name for task in self.collator.supervised]
        first, end = batch["views"][names[0]]
        return {
            "pixel_values": batch["pixel_values"][first:end],
            "views": dict.fromkeys(names, (0, end - first)),
            "targets": {name: batch["targets"][name] for name in names},
            "broken_rows": batch["broken_rows"],
        }
