"""Which split the rows of a table belong to: by its name, by a column, or by the folders of its images."""

import datasets
import numpy as np

from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_IMAGE, NO_SPLIT, OUTSIDE_FOLDER, Ledger, Reason
from hf_hmtl.data.own_faces.images import Rows
from hf_hmtl.data.own_faces.layouts import SPLIT_NAMES, split_of
from hf_hmtl.data.own_faces.reading import Found, Reading
from hf_hmtl.data.own_faces.tree import Tree, shortened
from hf_hmtl.data.sources import SPLITS, did_you_mean

SPLIT_COLUMNS = ("split", "usage", "set", "subset", "partition", "phase")
_OTHERS = ("fold", "folds", "is_train", "is_test", "is_val", "is_valid", "istrain", "istest")
"""Columns that may say how others divide the rows, in ways that nobody knows."""
_NUMBERS = {name: number for number, name in enumerate((*SPLITS, FOLDER))}
USAGES = {"publictest": "validation", "privatetest": "test"}
"""What FER2013 calls its two test splits."""


def divide(
    rows: Rows, split: str | None, where: str, reading: Reading, ledger: Ledger, found: Found, tree: Tree | None = None
) -> None:
    """Add the rows of a table to their splits; those without an image go to the ledger."""
    numbers, notes = (None, []) if split else _split_words(rows.data, where, reading)
    if numbers is None and split is None and tree is not None:
        numbers, told = _split_folders(rows, tree)
        notes = [*notes, *told]
    found.notes += notes
    for name in (*SPLITS, FOLDER):
        here = np.full(len(rows.data), (split or "train") == name) if numbers is None else numbers == _NUMBERS[name]
        lost = np.flatnonzero(here & rows.absent)
        if len(lost):
            labels = _labels(rows.data, lost, reading.label_column)
            reasons = [_reason(rows, row) for row in lost.tolist()]
            for reason in (NO_IMAGE, MISSING_FILE, OUTSIDE_FOLDER):
                of_reason = [place for place, each in enumerate(reasons) if each is reason]
                ledger.leave_out(
                    name,
                    reason,
                    [rows.names.get(int(lost[place]), f"row {lost[place] + 1}") for place in of_reason],
                    [labels[place] for place in of_reason],
                )
        kept = np.flatnonzero(here & ~rows.absent)
        if name == FOLDER:
            ledger.leave_out(name, NO_SPLIT, [f"row {row + 1}" for row in kept])
        elif here.any() or name == split or (len(rows.data) == 0 and name == "train"):
            data = rows.data if len(kept) == len(rows.data) else rows.data.select(kept)
            earlier = found.tables.get(name)
            found.tables[name] = data if earlier is None else _together(earlier, data, where)


def _reason(rows: Rows, row: int) -> Reason:
    name = rows.names.get(row)
    return NO_IMAGE if name is None else OUTSIDE_FOLDER if name in rows.outside else MISSING_FILE


def _together(first: datasets.Dataset, second: datasets.Dataset, where: str) -> datasets.Dataset:
    try:
        return datasets.concatenate_datasets([first, second])
    except ValueError as error:
        raise ValueError(f"custom: {where} has other columns than the table before it: {error}") from error


def _labels(data: datasets.Dataset, rows: np.ndarray, column: str | None) -> list[str | None]:
    """The labels of some rows as text."""
    if column is None or column not in data.column_names:
        return [None] * len(rows)
    feature, values = data.features[column], data.select(rows)[column][:]
    if isinstance(feature, datasets.ClassLabel):
        values = [None if value is None or value < 0 else feature.names[value] for value in values]
    return [None if value is None else str(value) for value in values]


def _split_words(data: datasets.Dataset, where: str, reading: Reading) -> tuple[np.ndarray | None, list[str]]:
    """(rows,) number in `_NUMBERS` of each row's split by the column that says it, and a note on which that is."""
    columns = data.column_names
    if reading.split_column is not None:
        if reading.split_column not in columns:
            raise ValueError(
                f"custom: {where} has no column {reading.split_column!r}."
                f"{did_you_mean(reading.split_column, columns)} Its columns are {', '.join(columns)}; type "
                "--split_column NAME"
            )
        names = [reading.split_column]
    else:
        names = [name for name in columns if name.lower() in SPLIT_COLUMNS and name != reading.label_column]
    nested = [name for name in names if not isinstance(data.features[name], datasets.Value | datasets.ClassLabel)]
    if nested and reading.split_column is not None:
        raise ValueError(f"custom: {where}: column {nested[0]!r} is {data.features[nested[0]]}; splits are words")
    names = [name for name in names if name not in nested]
    ignored: list[str] = []
    for name in names:
        column = column_array(data, name)
        texts = column.unique().to_pylist()
        feature = data.features[name]
        if isinstance(feature, datasets.ClassLabel):
            known = {value: split_word(feature.names[value]) for value in texts if value is not None}
        else:
            known = {value: split_word(str(value)) for value in texts}
        unknown = [value for value in texts if known.get(value) is None]
        if not unknown and texts:
            cells = column.dictionary_encode(null_encoding="encode")
            numbers = np.array([_NUMBERS[known[value]] for value in cells.dictionary.to_pylist()], dtype=np.int8)
            chosen = numbers[cells.indices.to_numpy(zero_copy_only=False)]
            said = [] if name == "split" else [f"column {name!r} divides the rows; --split_column NAME takes another"]
            return chosen, said
        seen = shortened(sorted("empty cells" if value is None else str(value) for value in unknown), 5)
        if name == "split" or reading.split_column is not None:
            raise ValueError(f"custom: {where}: column {name!r} holds {seen}; known are {', '.join(SPLIT_NAMES)}")
        ignored.append(
            f"column {name!r} holds {seen}, and does not divide the rows; known are {', '.join(SPLIT_NAMES)}"
        )
    others = [name for name in columns if name.lower() in _OTHERS and name != reading.label_column]
    ignored += [f"column {name!r} does not divide the rows; write train, validation or test" for name in others]
    return None, ignored


def split_word(word: str) -> str | None:
    """train, validation or test, for a word that means it in a column of splits; else None."""
    return split_of(word.strip()) or USAGES.get(word.strip().lower())


def _split_folders(rows: Rows, tree: Tree) -> tuple[np.ndarray | None, list[str]]:
    """The same by the folder of its image, where the table lies above folders of splits."""
    prefix = f"{tree.root.as_posix()}/"
    paths = rows.data.with_format("arrow")[:]["image"].combine_chunks().flatten()[1]
    if paths.null_count == len(paths):
        return None, []
    tops = [None if path is None else path.removeprefix(prefix).split("/")[0] for path in paths.to_pylist()]
    words = [FOLDER if top is None else split_of(top) or FOLDER for top in tops]
    for row, name in rows.names.items():  # rows whose file is missing: by what they call it
        words[row] = split_of(name.replace("\\", "/").strip("/").split("/")[0]) or FOLDER
    if "train" not in words or set(words) <= {"train", FOLDER}:
        return None, []
    numbers = np.array([_NUMBERS[word] for word in words], dtype=np.int8)
    return numbers, ["the folders of the images divide the rows of the table"]
