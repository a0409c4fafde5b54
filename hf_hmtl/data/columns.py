"""Whether a dataset has the images and labels that the tasks learn: found out before the first batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch.utils.data import ConcatDataset, Subset

from hf_hmtl.data.rows import IMAGE, image_column, require_rows_by_number
from hf_hmtl.tasks import Supervised
from hf_hmtl.tasks.attributes import Attributes
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.regression import Regression


def check_dataset(
    dataset: Any, supervised: Sequence[Supervised], name: str, image: str = IMAGE, unlabelled: bool = False
) -> None:
    """Raise when a dataset lacks the images or a column that a task learns, or holds something else there.

    Args:
        dataset: of any kind.
        supervised: the tasks with a column.
        name: what to call the dataset in messages.
        image: the column in which the images are expected.
        unlabelled: whether it may lack the columns of a task, or have nothing in them.

    Raises:
        ValueError: it says what there is, and what to type.
    """
    if isinstance(dataset, Mapping):
        raise ValueError(
            f"{name} is a dictionary of splits; choose one: {name}=faces[{next(iter(dataset), 'train')!r}]"
        )
    require_rows_by_number(dataset)
    if len(dataset) == 0:
        raise ValueError(f"{name} has no rows")
    columns = _columns(dataset, name, image)
    for task in supervised:
        absent = next((column for column in task.columns if column not in columns), None)
        if absent is None:
            for part in _within(dataset, np.arange(len(dataset))):
                if not (unlabelled and _says_nothing(part, task)):
                    _check_labels(part, task, name)
        elif not unlabelled:
            raise ValueError(
                f"{name} has no column {absent!r}, which the task {task.name!r} learns; it has: {', '.join(columns)}"
            )


def _within(dataset: Any, rows: np.ndarray) -> Iterator[Any]:
    """The datasets that torch's wrappers hold, with the rows that are shown of them; what derives from a wrapper may
    make other rows of them, and is itself."""
    if type(dataset) is Subset:
        yield from _within(dataset.dataset, np.asarray(dataset.indices)[rows] % len(dataset.dataset))
    elif type(dataset) is ConcatDataset:
        ends = dataset.cumulative_sizes
        for first, end, part in zip([0, *ends], ends, dataset.datasets, strict=False):
            if len(inside := rows[(rows >= first) & (rows < end)]):
                yield from _within(part, inside - first)
    elif isinstance(dataset, datasets.Dataset) and not np.array_equal(rows, np.arange(len(dataset))):
        yield dataset.select(rows)
    else:
        yield dataset


def _says_nothing(dataset: Any, task: Supervised) -> bool:
    """Whether the rows have no label at all of a task, as far as a dataset of this kind can say."""
    if not isinstance(dataset, datasets.Dataset):
        return False
    known = [_values(dataset, column) for column in task.columns if column in dataset.features]
    return bool(known) and all(pc.all(pc.is_null(each, nan_is_null=True)).as_py() for each in known)


def _values(dataset: datasets.Dataset, column: str) -> pa.ChunkedArray:
    """The values of a column as they are stored; no other column is read, which are the images above all."""
    return dataset.select_columns([column]).with_format("arrow")[:][column]


def _check_labels(dataset: Any, task: Supervised, name: str) -> None:
    if isinstance(task, Classification):
        _check_classes(dataset, task, str(task.column), name)
    elif isinstance(task, Regression):
        _check_numbers(dataset, task, name)
    elif isinstance(task, Attributes):
        _check_answers(dataset, task, name)


def _columns(dataset: Any, name: str, image: str) -> list[str]:
    """The columns of a dataset, among which the images are."""
    if isinstance(dataset, datasets.Dataset) and dataset.format["type"] != "custom":
        found = image_column(dataset)
        if found != image:
            raise ValueError(
                f"{name} has its images in the column {found!r}, and the other dataset in {image!r}. Type "
                f"dataset.rename_column({found!r}, {image!r})"
            )
        return dataset.column_names
    row = dataset[0]
    if not isinstance(row, Mapping):
        raise ValueError(
            f"{name}: a row is a dictionary like {{'image': PIL image, 'label': 3}}; row 0 is a {type(row).__name__}. "
            "Wrap the dataset in one whose __getitem__ names the parts"
        )
    if image not in row:
        raise ValueError(
            f"{name}: a row has its image under {image!r}; row 0 has: {', '.join(map(str, row))}. A dataset that is "
            "transformed already needs data_collator=..."
        )
    return list(row)


def _check_classes(dataset: Any, task: Classification, column: str, name: str) -> None:
    feature = dataset.features.get(column) if isinstance(dataset, datasets.Dataset) else None
    if feature is None:
        value = dataset[0][column]
        if isinstance(value, str):
            raise ValueError(
                f"{name}: {column!r} of row 0 is the text {value!r}; a class is its number in "
                f"{', '.join(task.labels)}, counted from 0"
            )
    elif isinstance(feature, datasets.ClassLabel):
        if tuple(feature.names) != task.labels:
            mapping = {label: number for number, label in enumerate(task.labels)}
            mended = (
                f"Number them alike: dataset = dataset.align_labels_with_mapping({mapping}, {column!r})"
                if set(feature.names) <= set(mapping)
                else f"Make the task of the training rows: Classification.of(dataset, {column!r})"
            )
            raise ValueError(
                f"{name}: the column {column!r} numbers the classes {', '.join(feature.names)}, and the task "
                f"{task.name!r} learns {', '.join(task.labels)}. {mended}"
            )
    else:
        _check_class_numbers(dataset, task, column, name, getattr(feature, "dtype", str(feature)))


def _check_class_numbers(dataset: datasets.Dataset, task: Classification, column: str, name: str, kind: str) -> None:
    if "string" in kind:
        raise ValueError(
            f"{name}: the column {column!r} holds text, not class numbers. Type dataset = "
            f"dataset.class_encode_column({column!r}), and make the task of that: Classification.of(dataset, "
            f"{column!r})"
        )
    if "int" not in kind:
        raise ValueError(f"{name}: the column {column!r} holds {kind} values; classes are numbers from 0 on")
    largest = pc.max(_values(dataset, column)).as_py()
    if largest is not None and largest >= len(task.labels):
        raise ValueError(
            f"{name}: the column {column!r} holds the class {largest}, and the task {task.name!r} has "
            f"{len(task.labels)} classes, 0 to {len(task.labels) - 1}: {', '.join(task.labels)}"
        )


def _check_numbers(dataset: Any, task: Regression, name: str) -> None:
    """Of a dataset of another kind only the first row is looked at."""
    for column in task.columns:
        known = isinstance(dataset, datasets.Dataset) and dataset.format["type"] != "custom"
        kind = getattr(dataset.features[column], "dtype", None) if known else type(dataset[0][column]).__name__
        if known and isinstance(dataset.features[column], datasets.ClassLabel):
            kind = "class"
        if kind is None or kind in ("class", "str") or "string" in kind:
            raise ValueError(
                f"{name}: the column {column!r} holds {kind or 'no'} values, and the task {task.name!r} learns real "
                "numbers. For classes use Classification.of(dataset, ...), in recipes task: classification"
            )
        if known and task.range is not None and not task.leaves_out:
            _check_range(np.asarray(_values(dataset, column), dtype=np.float64), task, column, name)


def _check_answers(dataset: Any, task: Attributes, name: str) -> None:
    """Of a dataset of another kind nothing is looked at; its rows are, one batch after the other."""
    if not isinstance(dataset, datasets.Dataset) or dataset.format["type"] == "custom":
        return
    plain = dataset.with_format(None)
    for column in task.columns:
        kind = str(getattr(dataset.features[column], "dtype", ""))
        if isinstance(dataset.features[column], datasets.ClassLabel) or not kind.startswith(
            ("int", "uint", "float", "bool")
        ):
            raise ValueError(
                f"{name}: the column {column!r} holds {kind or 'other'} values, and the task {task.name!r} learns yes "
                "or no, written as 1 and 0 or true and false. For one column of words use a classification"
            )
    try:
        task.target(*(plain[column][:] for column in task.columns))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _check_range(numbers: np.ndarray, task: Regression, column: str, name: str) -> None:
    low, high = task.range or (-np.inf, np.inf)
    outside = numbers[(numbers < low) | (numbers > high)]
    outside = outside[outside != task.missing]
    if len(outside):
        raise ValueError(
            f"{name}: {len(outside):,} rows of the column {column!r} lie outside of the range {low:g} to {high:g} of "
            f"the task {task.name!r}, the first is {outside[0]:g}. Widen the range, or, if that number stands for no "
            f"label, say so: missing: {outside[0]:g}"
        )
