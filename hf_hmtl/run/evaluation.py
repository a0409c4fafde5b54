"""Evaluation of a trained experiment: validation, test once, and two checks of what batch norm does."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hf_hmtl.analysis.batch_norm import re_estimated
from hf_hmtl.analysis.probe import cached_features, probe
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import TrainingCollator
from hf_hmtl.data.sampler import RowReader
from hf_hmtl.metrics.classification import confusion_matrix, majority_baseline
from hf_hmtl.run.experiment import Experiment
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.training.trainer import HMTLTrainer

PROBE_SEEDS = (0, 1, 2)
PREFIXES = {"validation": "eval", "test": "test"}
_NOT_SCORES = ("_runtime", "_per_second", "_preparation_time")


@dataclass
class Evaluation:
    """Scores of one model.

    Attributes:
        metrics: {"<eval, test or train>_<task>_<measure>": value}.
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
    if experiment.recipe.report_train:
        output = trainer.predict(RowReader(experiment.splits["train"]), metric_key_prefix="train")
        evaluation.metrics |= _scores(output.metrics)
    if experiment.recipe.report_batch_norm:
        evaluation.metrics |= _scores(batch_norm_checks(experiment, trainer))
    return evaluation


def evaluate_probe(experiment: Experiment, folder: str | Path) -> tuple[Evaluation, str]:
    """Scores of the recipe's probe on the frozen backbone: means over `PROBE_SEEDS`, and `<measure>_sd` beside them.

    Args:
        experiment: with one classification.
        folder: where the features are kept, so that another probe of the same backbone takes seconds.

    Returns:
        The scores, and a sentence on how they came about.
    """
    (task,), evaluation = experiment.supervised, Evaluation()
    features = cached_features(
        folder, experiment.model, experiment.splits, experiment.evaluation_collator(), experiment.fingerprint
    )
    found = probe(experiment.recipe.probe, features, task.labels, PROBE_SEEDS)
    for split, prefix in PREFIXES.items():
        if split not in features:
            continue
        evaluation.metrics |= {f"{prefix}_{task.name}_{name}": value for name, value in found.mean(split).items()}
        deviations = found.standard_deviation(split)
        if not found.deterministic:
            evaluation.metrics |= {
                f"{prefix}_{task.name}_{name}_sd": deviations[name] for name in ("accuracy", "macro_f1")
            }
        _compare_with_truth(evaluation, experiment, task, split, found.predictions[split], features[split][1])
    chosen = ", ".join(f"{name} = {value:g}" for name, value in found.hyperparameters.items())
    fits = "one fit, which no seed changes" if found.deterministic else f"mean of the seeds {list(PROBE_SEEDS)}"
    return (
        evaluation,
        f"{found.kind} probe of the frozen backbone: {fits}{f'; chosen on validation: {chosen}' * bool(chosen)}.",
    )


def _score_split(evaluation: Evaluation, experiment: Experiment, trainer: HMTLTrainer, split: str, prefix: str) -> None:
    output = trainer.predict(RowReader(experiment.splits[split]), metric_key_prefix=prefix)
    evaluation.metrics |= _scores(output.metrics)
    for task in experiment.supervised:
        if isinstance(task, Classification):
            answers = output.predictions[task.name].argmax(-1)
            _compare_with_truth(evaluation, experiment, task, split, answers, output.label_ids[task.name])


def _compare_with_truth(
    evaluation: Evaluation, experiment: Experiment, task: Classification, split: str, answers, targets
) -> None:
    """Add the confusion matrix and what the most frequent class would score."""
    labels = list(task.labels)
    matrix = confusion_matrix(answers, targets, labels)
    evaluation.confusion.setdefault(split, {})[task.name] = {"labels": labels, "matrix": matrix.tolist()}
    train = np.asarray(experiment.splits["train"][task.name][:])
    for measure, value in majority_baseline(targets, train, labels).items():
        evaluation.baselines[f"{PREFIXES[split]}_{task.name}_{measure}"] = value


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
