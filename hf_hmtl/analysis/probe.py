"""Probes: how much a frozen backbone knows about a label, read off by a simple classifier on its pooled features.

The paper evaluates self-supervised backbones by a network of two layers (the nonlinear evaluation of section 4.3) and,
for Barlow Twins, by a single one (Table 7); nearest neighbours, which learn nothing at all, stand beside them.
"""

import difflib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import PreTrainedModel

from hf_hmtl.analysis.features import backbone_key, pooled_features
from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.files import replacing
from hf_hmtl.metrics.classification import scores
from hf_hmtl.metrics.classification.measures import MISSING
from hf_hmtl.tasks.classification import Classification

PROBES = ("linear", "nonlinear", "knn")
INVERSE_PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""C of the linear probe, strongest penalty first; 1 where no validation rows can choose."""
NEIGHBOURS = (5, 20, 50)
"""k of the nearest neighbours; 20 where no validation rows can choose."""
HIDDEN_UNITS = 512
"""Width of the nonlinear probe; the paper does not state its own, and has 512 in its auxiliary heads (appendix C)."""
EARLY_STOPPING_SHARE = 0.1

Labelled = tuple[np.ndarray, np.ndarray]
"""(rows, channels) float32 features, and (rows,) int64 class numbers: -1 or -100 where there is no label."""


class Extracted(NamedTuple):
    """Features and labels of the rows of a split, as `Labelled`, and the numbers of the rows whose image is broken."""

    features: np.ndarray
    targets: np.ndarray
    broken: np.ndarray

    @property
    def labelled(self) -> Labelled:
        """What a probe is fitted to and scored on."""
        return self.features, self.targets


@dataclass
class ProbeScores:
    """What a probe scored.

    Attributes:
        kind: one of `PROBES`.
        deterministic: True for linear and knn: no seed changes them, so they were fitted once, whatever the seeds.
        hyperparameters: what validation chose: {"C": ...} (linear), {"n_neighbors": ...} (knn), {} (nonlinear).
        metrics: {split: [scores of one fit: {"accuracy": ..., "macro_f1": ..., "recall_<label>": ..., ...}]}, fits in
            the order of the seeds. Those of "validation" are optimistic where it chose a hyperparameter.
        answers: {split: (fits, rows) int64 class numbers answered, unlabelled rows included}.
        probabilities: {split: (rows, classes) float32 of the first fit}; 0 for a class without training rows.
    """

    kind: str
    deterministic: bool
    hyperparameters: dict[str, float]
    metrics: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    answers: dict[str, np.ndarray] = field(default_factory=dict)
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)

    def mean(self, split: str) -> dict[str, float]:
        """{measure: mean over the fits}; NaN for the recall of a class that does not occur."""
        return {measure: float(np.mean(values)) for measure, values in self._by_measure(split).items()}

    def standard_deviation(self, split: str) -> dict[str, float]:
        """{measure: sample standard deviation (n - 1) over the fits}; NaN after a single fit.

        It is the probe's own: of one backbone, it does not say how much another training of it would differ.
        """
        by_measure = self._by_measure(split)
        return {
            measure: float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
            for measure, values in by_measure.items()
        }

    def _by_measure(self, split: str) -> dict[str, list[float]]:
        fits = self.metrics[split]
        return {measure: [fit[measure] for fit in fits] for measure in fits[0]}


def extract_features(model: PreTrainedModel, dataset, collator: EvaluationCollator, batch_size: int = 256) -> Extracted:
    """Pooled features of clean images, and their labels, in the order of the rows.

    The backbone runs in evaluation mode on the model's device and comes back as it was, every module in its own mode.
    A broken image keeps its row: black, and without a label.

    Args:
        model: an HMTLModel, or a model that holds one.
        dataset: a `datasets.Dataset`, as `RowReader` takes it.
        collator: its only supervised task gives the labels.
        batch_size: images that go through the backbone at once.

    Returns:
        features: (rows, channels) float32.
        targets: (rows,) int64 class numbers, -100 where there is no label.
        broken: (broken images,) int64 row numbers.

    Raises:
        ValueError: the collator does not have one supervised task, a classification; or features are not finite.
    """
    task = _only_classification(collator)
    found = pooled_features(model, dataset, collator, batch_size)
    return Extracted(found.features, found.targets[task], found.broken)


def cached_features(
    folder: str | Path, model: PreTrainedModel, splits: dict, collator: EvaluationCollator, fingerprint: str
) -> dict[str, Extracted]:
    """`extract_features` of every split, kept in `folder/features.npz` for the next time.

    The file is used only if it was made from the same weights, buffers and pixel statistics of the backbone, the same
    collator (image size, crop, task) and the same data; otherwise, or if it is damaged, it is made anew.

    Args:
        splits: {split: `datasets.Dataset`}.
        fingerprint: text that changes whenever the images or the labels of the splits do.

    Raises:
        ValueError: as `extract_features`.
    """
    path, key = Path(folder) / "features.npz", _cache_key(model.base_model, splits, collator, fingerprint)
    cached = _read_cache(path, key, splits)
    if cached is None:
        cached = {split: extract_features(model, dataset, collator) for split, dataset in splits.items()}
        arrays = {f"{split}/{name}": array for split in splits for name, array in cached[split]._asdict().items()}
        # An open file: numpy would add .npz to the temporary name.
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, key=key, **arrays)
    return cached


def probe(kind: str, features: dict[str, Labelled], labels: Sequence[str], seeds: Sequence[int]) -> ProbeScores:
    """Fit on "train", choose on "validation" if it is there, score on "validation" and "test" if they are there.

    Args:
        kind: one of `PROBES`.
        features: {split: (features, targets)}, as `cached_features` gives them.
        labels: the name of each class, in the order of the class numbers.
        seeds: one fit each for the nonlinear probe; the other two have nothing to draw and are fitted once.

    Raises:
        ValueError: as `fit_probe`, or there is no "train" or no seed.
    """
    if "train" not in features or not len(seeds):
        raise ValueError(
            f"A probe is fitted on the split 'train', once for each seed; got the splits {list(features)} and the "
            f"seeds {list(seeds)}. Give features of 'train' and at least one seed, like seeds=[0]."
        )
    deterministic = kind != "nonlinear"
    used = list(seeds)[:1] if deterministic else seeds
    fits = [fit_probe(kind, *features["train"], features.get("validation"), labels, seed) for seed in used]
    found = ProbeScores(kind, deterministic, _hyperparameters(kind, fits[0]))
    for split in ("validation", "test"):
        if split in features:
            rows, targets = features[split]
            found.answers[split] = np.stack([fit.predict(rows) for fit in fits])
            found.metrics[split] = [scores(answer, targets, list(labels)) for answer in found.answers[split]]
            found.probabilities[split] = np.zeros((len(rows), len(labels)), dtype=np.float32)
            found.probabilities[split][:, fits[0].classes_] = fits[0].predict_proba(rows)
    return found


def fit_probe(
    kind: str,
    features: np.ndarray,
    targets: np.ndarray,
    validation: Labelled | None,
    labels: Sequence[str],
    seed: int,
) -> Pipeline:
    """Fit one probe on standardised features; rows without a label are left out.

    linear: multinomial logistic regression with an L2 penalty, C of `INVERSE_PENALTIES`.
    nonlinear: one hidden layer of `HIDDEN_UNITS` rectified units and a softmax, trained by Adam with scikit-learn's
        settings until the accuracy on a tenth of the training rows, set apart by class, stands still. Where some class
        has too few rows for that, until the training loss does.
    knn: majority of the nearest rows by cosine distance, k of `NEIGHBOURS` but not above the number of rows; among
        equally frequent classes the first.

    Args:
        kind: one of `PROBES`.
        features: (rows, channels), training rows; their means and deviations standardise every other row too.
        targets: (rows,) class numbers, -1 or -100 where there is no label.
        validation: features and targets whose accuracy chooses C or k, on a tie the first of the list; or None.
        labels: the name of each class, in the order of the class numbers.
        seed: of the nonlinear probe: its first weights, the rows set apart, the order of the rows.

    Returns:
        A fitted pipeline. `predict` answers class numbers; the columns of `predict_proba` are its `classes_`, which
        lack a class without training rows.

    Raises:
        ValueError: the kind does not exist, a class number has no label, or fewer than two classes have training rows.
    """
    _check_kind(kind)
    features, targets = _labelled_rows(features, targets)
    _check_classes(targets, labels)
    if validation is not None:
        validation = _labelled_rows(*validation)
    can_choose = validation is not None and len(validation[1]) > 0
    fits = (
        make_pipeline(StandardScaler(), candidate).fit(features, targets)
        for candidate in _candidates(kind, targets, can_choose, seed)
    )
    return max(fits, key=lambda fit: fit.score(*validation)) if can_choose else next(fits)


def _candidates(kind: str, targets: np.ndarray, can_choose: bool, seed: int) -> list:
    """The estimators among which validation chooses, or the one that is taken without it."""
    if kind == "linear":
        return [LogisticRegression(C=c, max_iter=1000) for c in (INVERSE_PENALTIES if can_choose else (1.0,))]
    if kind == "knn":
        counts = dict.fromkeys(min(count, len(targets)) for count in (NEIGHBOURS if can_choose else (20,)))
        return [KNeighborsClassifier(count, metric="cosine") for count in counts]
    return [
        MLPClassifier(
            (HIDDEN_UNITS,),
            early_stopping=_every_class_can_be_set_apart(targets),
            validation_fraction=EARLY_STOPPING_SHARE,
            random_state=seed,
        )
    ]


def _every_class_can_be_set_apart(targets: np.ndarray) -> bool:
    """Whether scikit-learn can split off the rows of early stopping by class: it raises where it cannot."""
    _, counts = np.unique(targets, return_counts=True)
    return counts.min() >= 2 and np.ceil(EARLY_STOPPING_SHARE * len(targets)) >= len(counts)


def _hyperparameters(kind: str, fit: Pipeline) -> dict[str, float]:
    chosen = {"linear": ["C"], "nonlinear": [], "knn": ["n_neighbors"]}[kind]
    return {name: getattr(fit[-1], name) for name in chosen}


def _labelled_rows(features: np.ndarray, targets: np.ndarray) -> Labelled:
    labelled = ~np.isin(targets, MISSING)
    return features[labelled], targets[labelled]


def _check_kind(kind: str) -> None:
    if kind not in PROBES:
        near = difflib.get_close_matches(str(kind), PROBES, n=1, cutoff=0.5)
        raise ValueError(
            f"There is no probe {kind!r}. " + (f"Did you mean {near[0]!r}? " if near else "") + "Allowed: "
            f"{', '.join(map(repr, PROBES))}."
        )


def _check_classes(targets: np.ndarray, labels: Sequence[str]) -> None:
    classes = np.unique(targets)
    unnamed = classes[(classes < 0) | (classes >= len(labels))]
    if len(unnamed):
        raise ValueError(
            f"The training targets hold class numbers without a label: {unnamed[:5].tolist()}; the {len(labels)} "
            f"labels {list(labels)} allow 0 to {len(labels) - 1}, and -1 or -100 for a missing one."
        )
    if len(classes) < 2:
        have = f"all {len(targets)} have {labels[classes[0]]!r}" if len(classes) else "none has a label"
        raise ValueError(
            f"A probe learns to tell classes apart, so its training rows need at least two of {list(labels)}: {have}. "
            f"Use more rows (a larger --train_fraction), or check the label column."
        )


def _only_classification(collator: EvaluationCollator) -> str:
    """Name of the task whose labels are probed."""
    tasks = collator.supervised
    if len(tasks) != 1 or not isinstance(tasks[0], Classification):
        raise ValueError(
            f"A probe answers one classification, and this collator has {len(tasks)} supervised tasks: "
            f"{', '.join(f'{task.name} ({type(task).__name__})' for task in tasks) or 'none'}. Type "
            f"EvaluationCollator([task], ...) with the classification that is to be probed."
        )
    return tasks[0].name


def _cache_key(backbone: PreTrainedModel, splits: dict, collator: EvaluationCollator, fingerprint: str) -> str:
    """A text that differs whenever the features or the targets could."""
    rows = {split: len(dataset) for split, dataset in splits.items()}
    return backbone_key(backbone, collator, rows, fingerprint)


def _read_cache(path: Path, key: str, splits: dict) -> dict[str, Extracted] | None:
    """The features of a file that has this key, or None."""
    # A damaged archive raises whatever zip, zlib and numpy happen upon; all it costs is to compute it once more.
    with suppress(Exception), open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        if archive["key"] == key:
            return {split: Extracted(*(archive[f"{split}/{name}"] for name in Extracted._fields)) for split in splits}
    return None
