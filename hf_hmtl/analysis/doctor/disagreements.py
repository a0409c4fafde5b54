"""The rows that a model most disagrees with: where it is sure of another class, the label may be wrong."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from hf_hmtl.analysis.doctor.findings import NOTE, Finding
from hf_hmtl.analysis.doctor.pictures import Pictures
from hf_hmtl.analysis.doctor.reading import Examined
from hf_hmtl.data.identity import FILE, ID
from hf_hmtl.data.own_faces.spelling import plain_class
from hf_hmtl.files import replacing
from hf_hmtl.model.image_processing_hmtl import decode

COLUMNS = ("split", ID, FILE, "label", "answer", "probability_of_answer", "probability_of_label", "disagreement")
_BATCH = 64


def disagreements(
    examined: Examined,
    pictures: Pictures,
    model: str | Path,
    path: Path,
    watched: Callable[[Iterable], Iterable] = iter,
) -> Finding:
    """Write a CSV of all rows whose label a model does not answer, the surest first.

    `disagreement` is the probability of the answer less that of the label. A model has learned the labels of its own
    training rows by heart: one of another fold, or the rows that it was not trained on, say more.

    Args:
        examined, pictures: the data set, with a column of classes.
        model: folder or name of a classifier.
        path: of the CSV.
        watched: passes the batches on.

    Raises:
        ValueError: there are no classes, or the model knows others.
        OSError: the model cannot be loaded.
    """
    if examined.primary is None:
        raise ValueError(f"doctor: {examined.name} has no column of classes that a model could disagree with")
    column = examined.primary
    labels = np.array([-1 if label is None else label for label in examined.column(column)])
    rows = np.flatnonzero(pictures.seen & (labels >= 0))
    probabilities, names = _probabilities(examined, rows, str(model), examined.features[column].names, watched)
    answers = probabilities.argmax(1)
    of_label, of_answer = (probabilities[np.arange(len(rows)), chosen] for chosen in (labels[rows], answers))
    wrong = np.flatnonzero(answers != labels[rows])
    wrong = wrong[np.argsort(-(of_answer - of_label)[wrong], kind="stable")]
    splits, ids, files = examined.split_of_rows(), examined.column(ID), examined.column(FILE)
    shown = []
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for place in wrong:
            row, sure, left = rows[place], of_answer[place], of_label[place]
            facts = [names[labels[row]], names[answers[place]], *(f"{each:.4f}" for each in (sure, left, sure - left))]
            table.writerow([splits[row], ids[row], files[row], *facts])
            shown.append(f"{files[row] or ids[row]}: {facts[0]}, answered {facts[1]} {sure:.2f}")
    text = f"{len(wrong):,} of {len(rows):,} rows have another {column} than {Path(model).name} answers: {path.name}"
    return Finding("disagreements", NOTE, text, len(wrong), tuple(shown[:100]))


def _probabilities(
    examined: Examined, rows: np.ndarray, model: str, classes: list[str], watched: Callable[[Iterable], Iterable]
) -> tuple[np.ndarray, list[str]]:
    """(rows, classes) by the names of the data set.

    Raises:
        ValueError: the model knows other classes.
    """
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    import hf_hmtl.model  # noqa: F401 - makes the Auto classes know our models

    network, processor = (
        AutoModelForImageClassification.from_pretrained(model).eval(),
        AutoImageProcessor.from_pretrained(model),
    )
    known = {plain_class(name): int(number) for number, name in network.config.id2label.items()}
    if {plain_class(name) for name in classes} != set(known):
        raise ValueError(
            f"doctor: {model} knows the classes {', '.join(network.config.id2label.values())}, and {examined.name} has "
            f"{', '.join(classes)}; give a model of the same classes"
        )
    order = [known[plain_class(name)] for name in classes]
    images = [(data, row) for data in examined.splits.values() for row in range(len(data))]
    found = []
    for first in watched(range(0, len(rows), _BATCH)):
        places = (images[number] for number in rows[first : first + _BATCH])
        batch = [decode(data[row]["image"]) for data, row in places]  # as any image processor takes them
        with torch.inference_mode():
            logits = network(**processor(batch, return_tensors="pt")).logits
        found.append(logits.float().softmax(-1)[:, order].numpy())
    return np.concatenate(found), classes
