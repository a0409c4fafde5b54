"""Evaluation of a trained experiment: validation, test once, and two checks of what batch norm does."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from hf_hmtl.analysis.batch_norm import re_estimated
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import TrainingCollator
from hf_hmtl.data.identity import identities, readable
from hf_hmtl.metrics.classification import majority_baseline
from hf_hmtl.results.predictions import SPLIT, confusion
from hf_hmtl.run.experiment import Experiment, targets_of
from hf_hmtl.tasks.attributes import Attributes
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.training.image_size import image_size_named
from hf_hmtl.training.trainer import HMTLTrainer

PROBE_SEEDS = (0, 1, 2)
PREFIXES = {"validation": "eval", "test": "test"}
_NOT_SCORES = ("_runtime", "_per_second", "_preparation_time")
_MEMORY = "_mem_"  # what --skip_memory_metrics false adds


@dataclass
class Evaluation:
    """Scores of one model, and the answers that they are of.

    Attributes:
        metrics: {"<eval, test or train>_<task>_<measure>": value}.
        baselines: the same keys for the answer that needs no image: the most frequent class of the training rows, or
            the mean of their numbers, or for each attribute the more frequent answer.
        confusion: {split: {task: {labels, matrix}}}, rows true, columns predicted.
        predictions: one table a split, with the columns of `results.predictions`.
        broken_images: {split: rows whose image could not be decoded}.
        scored: {split: {task: rows with a label and an image}}.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, float] = field(default_factory=dict)
    confusion: dict[str, dict] = field(default_factory=dict)
    predictions: list[pa.Table] = field(default_factory=list)
    broken_images: dict[str, int] = field(default_factory=dict)
    scored: dict[str, dict[str, int]] = field(default_factory=dict)


def evaluate(experiment: Experiment, trainer: HMTLTrainer) -> Evaluation:
    """Score the trainer's model on the splits that there are; without supervised tasks there is nothing to score."""
    evaluation = Evaluation(broken_images={"train": len(trainer.broken_over_processes("train"))})
    if not experiment.supervised:
        return evaluation
    for split, prefix in PREFIXES.items():
        if split in experiment.splits:
            _score_split(evaluation, experiment, trainer, split, prefix)
    if experiment.recipe.report_train:
        output = trainer.predict(experiment.evaluated("train"), metric_key_prefix="train")
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
    from hf_hmtl.analysis.probe import cached_features, probe  # scikit-learn takes a second to import

    (task,), evaluation = experiment.supervised, Evaluation()
    with image_size_named(experiment.model.config):
        extracted = cached_features(
            folder, experiment.model, experiment.splits, experiment.evaluation_collator(), experiment.fingerprint
        )
    evaluation.broken_images = {split: len(each.broken) for split, each in extracted.items()}
    features = {split: each.labelled for split, each in extracted.items()}
    found = probe(experiment.recipe.probe, features, task.labels, PROBE_SEEDS)
    for split, prefix in PREFIXES.items():
        if split not in features:
            continue
        evaluation.metrics |= {f"{prefix}_{task.name}_{name}": value for name, value in found.mean(split).items()}
        deviations = found.standard_deviation(split)
        if not found.deterministic:
            evaluation.metrics |= {
                f"{prefix}_{task.name}_{measure.name}_sd": deviations[measure.name]
                for measure in (task.headline, *task.beside)
            }
        answers = {
            "answer": _named(task, found.answers[split][0]),
            **{f"probability_{name}": found.probabilities[split][:, k] for k, name in enumerate(task.labels)},
        }
        if not found.deterministic:
            answers |= {
                f"answer_of_seed_{seed}": _named(task, of_seed)
                for seed, of_seed in zip(PROBE_SEEDS, found.answers[split], strict=True)
            }
        _keep(evaluation, experiment, split, {task.name: answers}, set(extracted[split].broken.tolist()))
    chosen = ", ".join(f"{name} = {value:g}" for name, value in found.hyperparameters.items())
    fits = "one fit, which no seed changes" if found.deterministic else f"mean of the seeds {list(PROBE_SEEDS)}"
    return (
        evaluation,
        f"{found.kind} probe of the frozen backbone: {fits}{f'; chosen on validation: {chosen}' * bool(chosen)}.",
    )


def _named(task: Classification, answers: np.ndarray) -> list[str]:
    return [task.labels[number] for number in answers]


def _score_split(evaluation: Evaluation, experiment: Experiment, trainer: HMTLTrainer, split: str, prefix: str) -> None:
    trainer.broken_rows["eval"].clear()  # of validations during training
    output = trainer.predict(experiment.evaluated(split), metric_key_prefix=prefix)
    broken = trainer.broken_over_processes("eval")
    evaluation.metrics |= _scores(output.metrics)
    evaluation.broken_images[split] = len(broken)
    answers = {task.name: task.answers(output.predictions[task.name]) for task in experiment.supervised}
    unseen = np.flatnonzero(np.isin(experiment.answered_rows(split), list(broken)))
    _keep(evaluation, experiment, split, answers, set(unseen.tolist()))


def _keep(
    evaluation: Evaluation, experiment: Experiment, split: str, answers: dict[str, dict], broken: set[int]
) -> None:
    """Keep the answers of a split beside the truth, and what is read off them: confusion and the majority class.

    Args:
        answers: {task: {"answer": [one a row], ...}}.
        broken: numbers of the rows that have no answer, because their image could not be decoded.
    """
    dataset = experiment.answered(split)
    columns: dict = identities(dataset) | {name: readable(dataset, name) for name in experiment.recipe.kept_columns}
    columns[SPLIT] = pa.repeat(split, len(dataset))
    seen = np.isin(np.arange(len(dataset)), list(broken), invert=True)
    for task in experiment.supervised:
        for name, values in task.labels_of(targets_of(task, dataset)).items():
            columns[f"{task.name}_{name}"] = pa.array(values)
        for name, values in answers[task.name].items():
            columns[f"{task.name}_{name}"] = pa.array(values, mask=~seen)
    table = pa.table(columns)
    evaluation.predictions.append(table)
    for task in experiment.supervised:
        labelled = task.labelled(torch.from_numpy(targets_of(task, dataset))).numpy()
        scored = np.flatnonzero(labelled & seen)
        evaluation.scored.setdefault(split, {})[task.name] = len(scored)
        if isinstance(task, Classification):
            _compare_with_truth(evaluation, experiment, task, split, table.take(scored))
        elif isinstance(task, Regression | Attributes):
            _compare_with_mean(evaluation, experiment, task, split, scored)


def _compare_with_truth(
    evaluation: Evaluation, experiment: Experiment, task: Classification, split: str, scored: pa.Table
) -> None:
    """Add the confusion matrix and what the most frequent class would score."""
    labels = list(task.labels)
    matrix = confusion(scored, task.name, labels)
    evaluation.confusion.setdefault(split, {})[task.name] = {"labels": labels, "matrix": matrix.tolist()}
    train = np.asarray(experiment.answered("train")[task.column][:])
    truth = np.repeat(np.arange(len(labels)), matrix.sum(axis=1))
    for measure, value in majority_baseline(truth, train, labels).items():
        evaluation.baselines[f"{PREFIXES[split]}_{task.name}_{measure}"] = value


def _compare_with_mean(
    evaluation: Evaluation, experiment: Experiment, task: Regression | Attributes, split: str, scored: np.ndarray
) -> None:
    """Add what one answer to every row would score: the mean of the training rows' numbers, or for each attribute what
    more of them have than not."""
    constant = np.nanmean(targets_of(task, experiment.answered("train")), axis=0, keepdims=True)
    if isinstance(task, Attributes):
        constant = constant - 0.5  # above 0 means yes
    truth = targets_of(task, experiment.answered(split))[scored]
    for measure, value in task.score(np.repeat(constant, len(truth), axis=0), truth).items():
        if measure != "count":
            evaluation.baselines[f"{PREFIXES[split]}_{task.name}_{measure}"] = value


def _scores(metrics: dict[str, float]) -> dict[str, float]:
    timing = {name for name in metrics if name == "epoch" or name.endswith(_NOT_SCORES) or _MEMORY in name}
    return {name: value for name, value in metrics.items() if name not in timing}


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
    with re_estimated(trainer.model, trainer.training_rows(), uncorrupted, experiment.args):
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
