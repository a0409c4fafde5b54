"""Label columns of the user's own -> the label columns of the dataset contract: named classes, or numbers."""

import math
from collections import Counter

import datasets

from hf_hmtl.data.sources import did_you_mean

BOOLEANS = ("false", "true")
NO_LABEL = (-1, -100)  # class numbers that mean "missing" in datasets and in torch


def find_column(splits: dict[str, datasets.Dataset], column: str, option: str) -> None:
    """Check that every split has the column.

    Raises:
        ValueError: it is absent; the message lists the columns and the nearest name.
    """
    for split, dataset in splits.items():
        others = [name for name in dataset.column_names if name not in ("image", "split")]
        if column not in others:
            raise ValueError(
                f"custom: the {split} split has no column {column!r}.{did_you_mean(column, others)} Its label columns "
                f"are {', '.join(others) or 'none'}; type {option}"
            )


def class_column(splits: dict[str, datasets.Dataset], column: str) -> tuple[list[str], dict[str, list[int]], list[str]]:
    """Class names, the class number of every row (-1 where missing) by split, and notes.

    Names come from a ClassLabel in its order, from text or truth values, or from whole numbers ("0", "1", ...), sorted.
    Splits are matched by name, never by number.

    Raises:
        ValueError: numbers that are not whole, or names that differ only in case or in blanks around them.
    """
    texts = {split: _texts(dataset, column) for split, dataset in splits.items()}
    feature = splits["train"].features[column]
    present = {text for values in texts.values() for text in values if text is not None}
    notes = []
    if isinstance(feature, datasets.ClassLabel):
        names = list(feature.names) + sorted(present - set(feature.names))
    elif feature.dtype == "bool":
        names = list(BOOLEANS)
    elif feature.dtype == "string":
        names = sorted(present)
    else:
        names = sorted(present, key=int)
        notes.append(f"column {column!r} holds numbers without names: the classes are called {', '.join(names)}")
    _check_spelling(texts, column)
    places = {name: place for place, name in enumerate(names)}
    numbers = {split: [-1 if text is None else places[text] for text in values] for split, values in texts.items()}
    for split, values in numbers.items():
        if missing := values.count(-1):
            notes.append(f"{split}: {missing:,} of {len(values):,} rows have no label in {column!r}")
    return names, numbers, notes


def check_classes(splits: datasets.DatasetDict, column: str) -> None:
    """Check that the training rows can teach what the other splits ask.

    Raises:
        ValueError: no labelled training row, one class only, or a class of another split that training never shows.
    """
    names = splits["train"].features[column].names
    counts = {split: Counter(value for value in data[column][:] if value >= 0) for split, data in splits.items()}
    taught = [names[number] for number in sorted(counts["train"])]
    if len(taught) < 2:
        given = f"only the class {taught[0]!r}" if taught else "no label at all"
        raise ValueError(
            f"custom: the training rows have {given} in {column!r}; a classifier needs two classes or more. Check the "
            "folders and the label column"
        )
    for split, counted in counts.items():
        unseen = {names[number]: rows for number, rows in counted.items() if number not in counts["train"]}
        if unseen:
            shown = ", ".join(f"{name!r} ({rows} rows)" for name, rows in sorted(unseen.items()))
            raise ValueError(
                f"custom: the {split} split has classes that training never shows: {shown}; training has "
                f"{', '.join(taught)}. Add training images of them, or leave those rows out of {split}"
            )


def number_column(dataset: datasets.Dataset, column: str) -> list[float]:
    """The values of a numeric column, NaN where missing."""
    return [math.nan if value is None else float(value) for value in dataset[column][:]]


def is_numeric(dataset: datasets.Dataset, column: str) -> bool:
    """Whether a column holds numbers, as against named classes, text or truth values."""
    feature = dataset.features[column]
    return not isinstance(feature, datasets.ClassLabel) and feature.dtype not in ("bool", "string")


def _texts(dataset: datasets.Dataset, column: str) -> list[str | None]:
    """The name of each row's class, None where missing."""
    feature, values = dataset.features[column], dataset[column][:]
    if isinstance(feature, datasets.ClassLabel):
        return [None if value is None or value in NO_LABEL else feature.names[value] for value in values]
    if not isinstance(feature, datasets.Value):
        raise ValueError(f"custom: column {column!r} is {feature}; classes are text, whole numbers or truth values")
    if feature.dtype == "bool":
        return [None if value is None else BOOLEANS[value] for value in values]
    if feature.dtype in ("string", "null"):
        return [value.strip() or None if isinstance(value, str) else None for value in values]
    present = [None if value is None or math.isnan(value) or value in NO_LABEL else value for value in values]
    fraction = next((value for value in present if value is not None and not float(value).is_integer()), None)
    if fraction is not None:
        raise ValueError(
            f"custom: column {column!r} holds {fraction}, so it is a measure and not a class. Give it in "
            f"label_columns as a number, or choose another label column"
        )
    return [None if value is None else str(int(value)) for value in present]


def _check_spelling(texts: dict[str, list[str | None]], column: str) -> None:
    spelled: dict[str, tuple[str, str]] = {}
    for split, values in texts.items():
        for text in dict.fromkeys(value for value in values if value is not None):
            first, where = spelled.setdefault(text.casefold(), (text, split))
            if first != text:
                raise ValueError(
                    f"custom: column {column!r} spells one class in two ways: {first!r} in {where}, {text!r} in "
                    f"{split}. Write them alike; two classes are told apart by more than case"
                )
