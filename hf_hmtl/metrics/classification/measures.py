"""Accuracy, macro F1, recall of each class and the confusion matrix, with numpy alone.

Classes are known by `names`, in the order of the labels: names[k] is what class number k is called. A row whose target
is -1 (the missing label of `datasets.ClassLabel`) or -100 (the one of torch's losses) has no label and is left out.
"""

from collections.abc import Sequence

import numpy as np

MISSING = (-1, -100)


def confusion_matrix(predictions, targets, names: Sequence[str]) -> np.ndarray:
    """Count how often class i was taken for class j.

    Args:
        predictions: (rows,) integers, the class number answered for each row.
        targets: (rows,) integers, the true class number, -1 or -100 where there is no label.
        names: the name of each class.

    Returns:
        (classes, classes) int64: rows are true classes, columns are answers.

    Raises:
        ValueError: the shapes differ, the values are not integers, or a class number has no name.
    """
    predictions, targets = _labelled_rows(predictions, targets, names)
    classes = len(names)
    return np.bincount(targets * classes + predictions, minlength=classes**2).reshape(classes, classes)


def scores(predictions, targets, names: Sequence[str]) -> dict[str, float]:
    """Score class predictions against the labelled rows.

    Args: as `confusion_matrix`.

    Returns:
        accuracy: share of rows answered rightly.
        macro_f1: unweighted mean of 2 TP / (2 TP + FP + FN) over the classes that occur or are answered, which is
            scikit-learn's f1_score(average="macro") without `labels`. A class that neither occurs nor is answered has
            no F1; counted as 0, as TensorFlow Addons' F1Score does, it would lower the score of every model alike.
        balanced_accuracy: mean recall of the classes that occur.
        recall_<name>: share of the rows of that class answered rightly; NaN if the class does not occur.
        count: number of labelled rows; if it is 0, every score is NaN.

    Raises:
        ValueError: as `confusion_matrix`.
    """
    return _scores_of(confusion_matrix(predictions, targets, names), names)


def majority_baseline(targets, train_targets, names: Sequence[str]) -> dict[str, float]:
    """Score the answer that needs no image: always the most frequent class of the training rows (the first, on a tie).

    Args:
        targets: (rows,) integers, the labels to score on.
        train_targets: (train_rows,) integers, the labels of the training rows.
        names: the name of each class.

    Returns:
        accuracy and macro_f1, as `scores` defines them.

    Raises:
        ValueError: as `confusion_matrix`, or no training row has a label.
    """
    _, labelled = _labelled_rows(np.zeros_like(train_targets), train_targets, names)
    if len(labelled) == 0:
        raise ValueError(
            f"No majority class: none of the {len(np.asarray(train_targets))} training rows has a label "
            f"(all are {' or '.join(map(str, MISSING))})."
        )
    most_frequent = np.bincount(labelled).argmax()
    baseline = scores(np.full_like(targets, most_frequent), targets, names)
    return {measure: baseline[measure] for measure in ("accuracy", "macro_f1")}


def _scores_of(matrix: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    count = matrix.sum()
    hits, occurrences, answers = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    occurs = occurrences > 0
    recall = np.divide(hits, occurrences, out=np.full(len(names), np.nan), where=occurs)
    there = occurrences + answers > 0  # it is 2 TP + FN + FP
    f1 = 2 * hits[there] / (occurrences + answers)[there]
    named = {f"recall_{name}": float(value) for name, value in zip(names, recall, strict=True)}
    if count == 0:
        return {"accuracy": np.nan, "macro_f1": np.nan, "balanced_accuracy": np.nan, **named, "count": 0.0}
    return {
        "accuracy": float(hits.sum() / count),
        "macro_f1": float(f1.mean()),
        "balanced_accuracy": float(recall[occurs].mean()),
        **named,
        "count": float(count),
    }


def _labelled_rows(predictions, targets, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Check both vectors and keep the rows that have a label."""
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if isinstance(names, str) or len(names) == 0 or len(set(names)) != len(names):
        raise ValueError(f"names must be a list of different class names, one for each class; got {names!r}.")
    if predictions.shape != targets.shape or targets.ndim != 1:
        raise ValueError(
            f"predictions and targets must be two vectors of one length, got shapes {predictions.shape} and "
            f"{targets.shape}. Logits of shape (rows, classes) become class numbers by .argmax(-1)."
        )
    for given, values in (("predictions", predictions), ("targets", targets)):
        # An empty Python list arrives as float64; it holds no value that could be wrong.
        if values.size and values.dtype.kind not in "iu":
            raise ValueError(f"{given} must be integers (class numbers), got {values.dtype}.")
    labelled = ~np.isin(targets, MISSING)
    predictions, targets = predictions[labelled].astype(np.int64), targets[labelled].astype(np.int64)
    for given, values in (("predictions", predictions), ("targets", targets)):
        unnamed = np.unique(values[(values < 0) | (values >= len(names))])
        if len(unnamed):
            raise ValueError(
                f"{given} holds class numbers without a name: {unnamed[:5].tolist()}; "
                f"the {len(names)} names {list(names)} allow 0 to {len(names) - 1}, in targets also -1 and -100."
            )
    return predictions, targets
