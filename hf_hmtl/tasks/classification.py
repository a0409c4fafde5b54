"""Classification of a face: 8 emotions, gender, or whatever classes a dataset has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import datasets
import numpy as np
import torch
from torch import Tensor

from hf_hmtl.metrics.classification import scores
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.tasks.base import (
    BELOW_ONE,
    CLASSIFIER_LOSSES,
    MISSING,
    Supervised,
    cross_entropies,
    head_name,
    number_correct,
    require_choice,
    require_factors,
    require_number,
)


def balanced_class_weights(counts: list[int]) -> tuple[float, ...]:
    """w_c = n_max / n_c (w_e of Eq. 1): the authors' weights, from the counts of the training rows.

    Raises:
        ValueError: a class has no training row, so its weight would be infinite.
    """
    if min(counts) < 1:
        raise ValueError(
            f"class counts are {list(counts)}: a class without training rows has no weight. Leave that class out of "
            "the labels, or train with class_weights: none"
        )
    return tuple(max(counts) / count for count in counts)


@dataclass(frozen=True)
class Classification(Supervised):
    """Cross-entropy over named classes (L_SL of Eq. 1).

    Attributes:
        labels: class names in the order of the logits.
        loss: "cross_entropy", or "focal" with `gamma` (section 2.3).
        class_weights: one factor a class, or None. The weighted losses are averaged over the batch, not over the
            weights, as the authors' code does.
        label_smoothing: appendix B; 0 in the paper's main rows.
    """

    dropout: float = 0.3
    labels: tuple[str, ...] = ()
    loss: str = "cross_entropy"
    gamma: float = 2.0
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    headline: ClassVar[Measure] = Measure("accuracy")

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.column, tuple) and len(self.column) != 1:
            raise ValueError(f"{self.name}: the columns are {', '.join(self.column)}, and classes stand in one")
        if len(self.labels) < 2:
            raise ValueError(
                f"{self.name}: classes are {list(self.labels)}; a classifier needs two or more, so that it can be wrong"
            )
        require_choice(self.name, "loss", self.loss, CLASSIFIER_LOSSES)
        require_number(self.name, "gamma", self.gamma, "a finite number of 0 or more")
        if self.class_weights is not None:
            self._check_class_weights()
        require_number(self.name, "label_smoothing", self.label_smoothing, "0 <= value < 1", high=BELOW_ONE)
        if self.loss == "focal" and self.label_smoothing:
            raise ValueError(f"{self.name}: focal loss has no smoothed form; set label_smoothing: 0 or cross_entropy")

    def _check_class_weights(self) -> None:
        weights = self.class_weights
        if isinstance(weights, str) or not isinstance(weights, Sequence | np.ndarray):
            raise ValueError(
                f"{self.name}: class_weights is {weights!r}, allowed are None or one number a class; 'balanced' is "
                f"for Classification.of(faces, {self.column!r}, class_weights='balanced'), which counts the rows"
            )
        if len(weights) != len(self.labels):
            raise ValueError(
                f"{self.name}: {len(weights)} class weights for {len(self.labels)} classes "
                f"({', '.join(self.labels)}); give one a class, in that order"
            )
        require_factors(self.name, "class_weights", weights, least=2)

    @classmethod
    def of(cls, dataset: datasets.Dataset, column: str, name: str | None = None, **options: Any) -> "Classification":
        """The classification of a dataset's column, whose class names it takes.

        Args:
            dataset: the training rows; the column is a `datasets.ClassLabel`.
            column: where the class numbers are.
            name: of the task, its head and its scores; if not given, that of the column in small letters, with an
                underscore for what a head's name cannot have: "Head-Pose" becomes "head_pose".
            options: of the task; `class_weights="balanced"` takes those of the dataset's counts (w_e of Eq. 1).

        Raises:
            ValueError: there is no such column, or it does not say the names of its classes.
        """
        labels = tuple(_class_label(dataset, column).names)
        if options.get("class_weights") == "balanced":
            counts = Counter(dataset.with_format(None)[column])
            options["class_weights"] = balanced_class_weights([counts[number] for number in range(len(labels))])
        return cls(name=name or head_name(column), column=column, labels=labels, **options)

    def head(self) -> dict[str, Any]:
        """One logit a class, from a linear layer."""
        return {
            "kind": "linear",
            "shape": [len(self.labels)],
            "dropout": self.dropout,
            "auxiliary": False,
            "labels": list(self.labels),
        }

    def target(self, *columns: list) -> Tensor:
        """(rows,) int64 class numbers; None and -1 (the `datasets` convention) mean missing.

        Raises:
            ValueError: a number is no class.
        """
        numbers = [-1 if value is None else value for value in columns[0]]
        self.require_classes(numbers)
        target = torch.tensor(numbers, dtype=torch.int64)
        return torch.where(target < 0, MISSING, target)

    def require_classes(self, numbers: Sequence[int]) -> None:
        """Raise when one of the numbers is above those of the classes."""
        strange = next((number for number in numbers if number >= len(self.labels)), None)
        if strange is not None:
            raise ValueError(
                f"{self.name}: a row has the number {strange}, which is no class: 0 to "
                f"{len(self.labels) - 1} are {', '.join(self.labels)}. Mend the rows, or write -1 for a missing label"
            )

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        gamma = self.gamma if self.loss == "focal" else 0.0
        return cross_entropies(prediction, target, self.class_weights, self.label_smoothing, gamma)

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": number_correct(prediction, target)}

    @property
    def beside(self) -> tuple[Measure, ...]:
        return (Measure("macro_f1"),)

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.score(np.zeros((1, len(self.labels))), np.zeros(1, dtype=np.int64)))

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """See `metrics.classification.scores`.

        Raises:
            ValueError: a logit is not finite; the largest of several NaN is no answer.
        """
        if not np.isfinite(predictions).all():
            raise ValueError(f"{self.name}: logits are not finite, so there is no score; the network has diverged.")
        return scores(predictions.argmax(-1), targets, list(self.labels))

    def answers(self, predictions: np.ndarray) -> dict[str, list]:
        """The class with the largest logit, and the softmax of the logits."""
        probabilities = torch.from_numpy(np.asarray(predictions, dtype=np.float32)).softmax(-1).numpy()
        return {
            "answer": [self.labels[number] for number in probabilities.argmax(-1)],
            **{f"probability_{label}": probabilities[:, number] for number, label in enumerate(self.labels)},
        }

    def score_of_rows(self, rows: Mapping[str, Sequence]) -> dict[str, float]:
        """The names of classes become their numbers again."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        pairs = zip(rows["label"], rows["answer"], strict=True)
        known = [(numbers[true], numbers[answer]) for true, answer in pairs if None not in (true, answer)]
        targets, answers = np.array(known, dtype=np.int64).reshape(-1, 2).T
        return scores(answers, targets, list(self.labels))

    def labels_of(self, targets: np.ndarray) -> dict[str, list]:
        return {"label": [self.labels[number] if number >= 0 else None for number in targets]}


def _class_label(dataset: datasets.Dataset, column: str) -> datasets.ClassLabel:
    if isinstance(dataset, dict):
        raise ValueError(
            f"these are the splits {', '.join(map(str, dataset))}; a task is made of the one that is trained on, as in "
            f"Classification.of(faces['train'], {column!r})"
        )
    if not isinstance(dataset, datasets.Dataset):
        raise ValueError(
            f"a {type(dataset).__name__} does not know the names of its classes; give them: Classification(name="
            f"{column!r}, labels=('tired', 'awake'))"
        )
    if column not in dataset.column_names:
        raise ValueError(f"there is no column {column!r}; the columns are: {', '.join(dataset.column_names)}")
    feature = dataset.features[column]
    if not isinstance(feature, datasets.ClassLabel):
        raise ValueError(
            f"column {column!r} holds {getattr(feature, 'dtype', feature)} values, not class labels; classification "
            f"needs named classes. For a class a value, type faces = faces.class_encode_column({column!r}); to name "
            f"class numbers, faces.cast_column({column!r}, datasets.ClassLabel(names=[...]))"
        )
    return feature


TASK = Classification
