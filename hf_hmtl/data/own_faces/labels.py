"""Label columns of the user's own -> the label columns of the dataset contract: named classes, or numbers."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.arrow_columns import column_array, distinct_values, frequencies
from hf_hmtl.data.own_faces.spelling import spellings
from hf_hmtl.data.own_faces.text_tables import NO_VALUE
from hf_hmtl.data.sources import did_you_mean
from hf_hmtl.data.splits import class_counts

BOOLEANS = ("false", "true")
YES, NO = ("yes", "true"), ("no", "false")
"""Words for 1 and 0 in a column of numbers, in small letters."""
MOST_CODES = 10
"""Whole numbers of a column that are taken for codes of classes without a word on amounts."""
NO_LABEL = (-1, -100)  # class numbers that mean "missing" in datasets and in torch


@dataclass
class ClassNames:
    """How the user wants classes written: {text: class}, and whether case tells two apart."""

    class_map: Mapping[str, str] = field(default_factory=dict)
    merge_case: bool = False


def find_column(splits: dict[str, datasets.Dataset], column: str, option: str) -> None:
    """Check that every split has the column.

    Raises:
        ValueError: it is absent; the message lists the columns and the nearest name.
    """
    for split, dataset in splits.items():
        others = [name for name in dataset.column_names if name not in ("image", "split")]
        if column not in others:
            others = [name for name in others if not name.startswith("_")]
            raise ValueError(
                f"custom: the {split} split has no column {column!r}.{did_you_mean(column, others)} Its label columns "
                f"are {', '.join(others) or 'none'}; type {option}"
            )


def class_column(
    splits: dict[str, datasets.Dataset], column: str, written: ClassNames | None = None
) -> tuple[list[str], dict[str, np.ndarray], list[str]]:
    """Class names, the class number of every row (-1 where missing) by split, and notes.

    Names come from a ClassLabel in its order, from text or truth values, or from whole numbers ("0", "1", ...), sorted.
    Splits are matched by name, never by number.

    Raises:
        ValueError: numbers that are not whole, numbers in one split and words in another, or names that differ only in
            case, in blanks around them or by synonym.
    """
    written = written or ClassNames()
    texts = {split: Texts.of(dataset, column) for split, dataset in splits.items()}
    counts: Counter = Counter()
    for each in texts.values():
        counts.update(each.counts())
    _check_kinds(splits, texts, column)
    classes, notes = spellings(counts, written.class_map, written.merge_case, column)
    feature = splits["train"].features[column]
    present = {classes[text] for text in counts}
    if isinstance(feature, datasets.ClassLabel):
        named = [classes.get(name, name) for name in feature.names]
        names = list(dict.fromkeys(named)) + sorted(present - set(named))
    elif feature.dtype == "bool" and not written.class_map:
        names = list(BOOLEANS)
    elif all(name.lstrip("+-").isdecimal() for name in present) and not _is_text(feature):
        names = sorted(present, key=int)
        amounts = f"; where they are amounts, type --label_columns {column}={column}:regression"
        notes.append(
            f"column {column!r} holds numbers without names: the classes are called {', '.join(names)}"
            + amounts * (len(names) > MOST_CODES)
        )
    else:
        names = sorted(present)
    places = {name: place for place, name in enumerate(names)}
    numbers = {}
    for split, each in texts.items():
        known = [-1 if text is None else places[classes[text]] for text in each.distinct]
        numbers[split] = np.array(known, dtype=np.int64)[each.places]
        if missing := int((numbers[split] < 0).sum()):
            notes.append(f"{split}: {missing:,} of {len(each.places):,} rows have no label in {column!r}")
    words = [name for name in names if name.lower() in NO_VALUE and counts[name]]
    if words and _is_text(feature):
        shown = ", ".join(f"{name!r} ({counts[name]:,} rows)" for name in words)
        notes.append(f"column {column!r}: {shown} is a class like any other; only an empty cell is a missing label")
    return names, numbers, notes


def check_classes(splits: datasets.DatasetDict, column: str) -> None:
    """Check that the training rows can teach what the other splits ask.

    Raises:
        ValueError: no labelled training row, one class only, or a class of another split that training never shows.
    """
    taught = list(_present(splits["train"], column))
    if len(taught) < 2:
        given = f"only the class {taught[0]!r}" if taught else "no label at all"
        raise ValueError(
            f"custom: the training rows have {given} in {column!r}; a classifier needs two classes or more. Check the "
            "folders and the label column"
        )
    for split, unseen in unseen_classes(splits, column).items():
        shown = ", ".join(f"{name!r} ({rows} rows)" for name, rows in sorted(unseen.items()))
        raise ValueError(
            f"custom: the {split} split has classes that training never shows: {shown}; training has "
            f"{', '.join(taught)}. Add training images of them, or leave those rows out of {split}"
        )


def unseen_classes(splits: datasets.DatasetDict, column: str) -> dict[str, dict[str, int]]:
    """{split: {class: rows}} of the classes that training never shows; splits without any are not named."""
    taught = _present(splits["train"], column)
    unseen = {
        split: {name: rows for name, rows in _present(data, column).items() if name not in taught}
        for split, data in splits.items()
    }
    return {split: counts for split, counts in unseen.items() if counts}


def notes_on_absent_classes(splits: datasets.DatasetDict, column: str) -> list[str]:
    """A note on each split that has labels, but none of a class that training shows: its scores tell nothing of that
    class."""
    taught, notes = _present(splits["train"], column), []
    for split, data in splits.items():
        present = _present(data, column)
        if present and (absent := [repr(name) for name in taught if name not in present]):
            notes.append(f"{split}: no row shows {', '.join(absent)} of {column!r}, so its scores tell nothing of it")
    return notes


def _present(data: datasets.Dataset, column: str) -> dict[str, int]:
    return {name: rows for name, rows in class_counts(data, column).items() if rows}


def number_column(dataset: datasets.Dataset, column: str) -> np.ndarray:
    """The values of a column of numbers, truth values, or yes and no, NaN where missing.

    Raises:
        ValueError: it holds other words, named classes, infinite numbers, or anything else.
    """
    values = _values(dataset, column)
    if is_numeric(dataset, column) or pa.types.is_boolean(values.type) or values.null_count == len(values):
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        if endless := int(np.isinf(numbers).sum()):
            raise ValueError(
                f"custom: column {column!r} holds an infinite number in {endless:,} rows, the first of which is row "
                f"{int(np.flatnonzero(np.isinf(numbers))[0]) + 1}. Mend them, or leave the cells empty"
            )
        return numbers
    if says_yes_or_no(dataset, column):
        texts = Texts.of(dataset, column)
        known = [math.nan if text is None else float(text.casefold() in YES) for text in texts.distinct]
        return np.array(known)[texts.places]
    raise ValueError(
        f"custom: column {column!r} holds {_shown(dataset, column)}, and its task learns numbers. Give the column "
        f"another task (--label_columns TASK={column}:classification), or write numbers into it"
    )


def says_yes_or_no(dataset: datasets.Dataset, column: str) -> bool:
    """Whether a column of text holds nothing but yes and no, or true and false, in any case."""
    if not _is_text(dataset.features[column]):
        return False
    words = {text.casefold() for text in Texts.of(dataset, column).counts()}
    return bool(words) and words.issubset((*YES, *NO))


def _shown(dataset: datasets.Dataset, column: str) -> str:
    """What a column holds that are no numbers, for a message."""
    feature = dataset.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return f"the classes {', '.join(feature.names[:4])}{', ...' * (len(feature.names) > 4)}"
    if not _is_text(feature):
        return f"values of the type {getattr(feature, 'dtype', feature)}"
    texts = list(Texts.of(dataset, column).counts())
    words = [text for text in texts if not _reads_as_number(text)]
    return f"{'text' if words else 'numbers as text'} ({', '.join(map(repr, (words or texts)[:3]))})"


def _reads_as_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_numeric(dataset: datasets.Dataset, column: str) -> bool:
    """Whether a column holds numbers, as against named classes, text or truth values."""
    feature = dataset.features[column]
    dtype = str(getattr(feature, "dtype", ""))
    return not isinstance(feature, datasets.ClassLabel) and dtype.startswith(("int", "uint", "float"))


def _is_text(feature) -> bool:
    return isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string", "null")


def _values(dataset: datasets.Dataset, column: str) -> pa.Array:
    return column_array(dataset, column)


@dataclass(frozen=True)
class Texts:
    """The names of classes in a column.

    Attributes:
        distinct: names, None for missing; a name may be there twice, where it is written in two ways.
        places: (rows,) which of them each row has.
    """

    distinct: list[str | None]
    places: np.ndarray

    @classmethod
    def of(cls, dataset: datasets.Dataset, column: str) -> "Texts":
        """Those of a dataset's column.

        Raises:
            ValueError: a number that is no class, or a column that holds none.
        """
        feature = dataset.features[column]
        if not isinstance(feature, datasets.Value | datasets.ClassLabel):
            raise ValueError(f"custom: column {column!r} is {feature}; classes are text, whole numbers or truth values")
        values, places = distinct_values(dataset, column)
        rows = frequencies(places, len(values))
        return cls(_as_texts(dataset, column, values, rows).to_pylist(), places)

    def counts(self) -> Counter:
        """{name: rows}, in the order in which they come."""
        counted: Counter = Counter()
        for text, rows in zip(self.distinct, frequencies(self.places, len(self.distinct)), strict=True):
            if text is not None and rows:
                counted[text] += int(rows)
        return counted


def _as_texts(dataset: datasets.Dataset, column: str, values: pa.Array, rows: np.ndarray) -> pa.Array:
    """The name of each value, null where it says that there is none.

    Args:
        values: of the column, each once.
        rows: how many rows have each.
    """
    feature = dataset.features[column]
    if isinstance(feature, datasets.ClassLabel):
        outside = pc.fill_null(pc.greater_equal(values, len(feature.names)), False).to_numpy(zero_copy_only=False)
        if outside.any():
            first = values[int(np.flatnonzero(outside)[0])].as_py()
            raise ValueError(
                f"custom: {rows[outside].sum():,} rows have the number {first} or another in {column!r} that is "
                f"no class: 0 to {len(feature.names) - 1} are {', '.join(feature.names)}. Mend the rows, or write -1 "
                "for a missing label"
            )
        named = pa.array(feature.names, pa.string())
        missing = pc.or_(pc.is_null(values), pc.less(values, 0))
        return named.take(pc.if_else(missing, pa.scalar(None, pa.int64()), values.cast(pa.int64())))
    if feature.dtype == "bool":
        return pc.if_else(values, BOOLEANS[1], BOOLEANS[0])
    if _is_text(feature):
        values = pc.utf8_normalize(pc.utf8_trim_whitespace(values.cast(pa.string())), form="NFC")
        return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
    if not is_numeric(dataset, column):
        return _written(values, column)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        fraction = values.filter(pc.not_equal(values, pc.floor(values)))
        if len(fraction):
            raise ValueError(
                f"custom: column {column!r} holds {fraction[0].as_py()}, so it is a measure and not a class. Type "
                f"--label_columns {column}={column}:regression, or choose another label column"
            )
        values = values.cast(pa.int64())
    missing = pc.is_in(values, value_set=pa.array(NO_LABEL, values.type) if values.type.bit_width > 8 else None)
    return pc.if_else(missing, pa.scalar(None, pa.string()), values.cast(pa.string()))


def _written(values: pa.Array, column: str) -> pa.Array:
    """Dates, times and bytes as text."""
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"custom: column {column!r} holds values of the type {values.type}, which are no text ({error}); classes "
            "are text, whole numbers or truth values"
        ) from error


def _check_kinds(splits: dict[str, datasets.Dataset], texts: dict[str, Texts], column: str) -> None:
    """Raise where one split holds numbers and another words: such labels have nothing in common."""
    kinds: dict[bool, list[str]] = {}
    for split, dataset in splits.items():
        if texts[split].counts():
            kinds.setdefault(is_numeric(dataset, column), []).append(split)
    if len(kinds) > 1:
        shown = {kind: sorted(texts[of[0]].counts())[:4] for kind, of in kinds.items()}
        raise ValueError(
            f"custom: column {column!r} holds numbers in {', '.join(kinds[True])} ({', '.join(shown[True])}) and words "
            f"in {', '.join(kinds[False])} ({', '.join(shown[False])}); write the same labels in every split"
        )
