"""From a dataset of any kind to rows as the collators take them: {column: [one value a row]}."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np
from torch.utils.data import Dataset

IMAGE = "image"  # name of the image column wherever there is a choice


def image_column(dataset: Any) -> str:
    """The column that holds the images: "image", or the only one of the type `datasets.Image`.

    Raises:
        ValueError: there is none, or more than one without that name.
    """
    if not isinstance(dataset, datasets.Dataset) or IMAGE in dataset.column_names:
        return IMAGE
    images = [name for name, feature in dataset.features.items() if isinstance(feature, datasets.Image)]
    if len(images) == 1:
        return images[0]
    raise ValueError(
        f"no column is called {IMAGE!r}, and {'more than one' if images else 'none'} is of the type datasets.Image; "
        f"the columns are: {', '.join(dataset.column_names)}. Type dataset = dataset.rename_column("
        f"{(images or ['COLUMN'])[0]!r}, {IMAGE!r}), and for a column of paths then also "
        f"dataset.cast_column({IMAGE!r}, datasets.Image())"
    )


def columns_of(rows: Mapping[str, list] | Sequence[Mapping]) -> Mapping[str, list]:
    """The rows of a batch as {column: list}, from such a mapping or from a list of rows."""
    return rows if isinstance(rows, Mapping) else {name: [row[name] for row in rows] for name in rows[0]}


class ReadRows(dict[str, list]):
    """The rows of a batch as {column: list}, and the reader that others come from."""

    def __init__(self, columns: Mapping[str, list], reader: "RowReader"):
        super().__init__(columns)
        self.reader = reader


class RowReader(Dataset):
    """Reads whole batches of rows, for keys that are rows, (epoch, row) or (epoch, row, progress).

    Returns the columns of the rows (the image as encoded bytes or a path, where the dataset has those) with their
    `row`, `epoch` and `progress`; plain row numbers, which the evaluation uses, belong to epoch 0.

    Args:
        dataset: a `datasets.Dataset`, or any torch dataset of known length whose items are dictionaries. One whose rows
            change from epoch to epoch says them by `of_epoch(epoch, row)`.
        parts: first row and number of rows of each source in it; all are of one if not given.

    Raises:
        ValueError: the dataset has no length, or no rows to be asked for by number.
    """

    def __init__(self, dataset, parts: Sequence[tuple[int, int]] = ()):
        require_rows_by_number(dataset)
        self.dataset = dataset
        self.parts = np.array(parts or [(0, len(dataset))])
        # What a user's own transform makes of the rows is taken as it comes.
        if isinstance(dataset, datasets.Dataset) and dataset.format["type"] != "custom":
            self.dataset = _undecoded(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: Sequence) -> ReadRows:
        addresses = _addresses(keys)
        rows = addresses["row"]
        if isinstance(self.dataset, datasets.Dataset):
            columns = self.dataset[rows]
        elif hasattr(self.dataset, "of_epoch"):
            of_epoch = self.dataset.of_epoch
            columns = columns_of([of_epoch(*key) for key in zip(addresses["epoch"], rows, strict=True)])
        else:
            columns = columns_of([self.dataset[row] for row in rows])
        return ReadRows({**columns, **addresses}, self)

    def of_the_same_source(self, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """First row and number of rows of the source of each of these rows."""
        firsts, counts = self.parts.T
        places = np.searchsorted(firsts, rows, side="right") - 1
        return firsts[places], counts[places]

    def __getitem__(self, key) -> ReadRows:
        return self.__getitems__([key])


class GivenRows(Dataset):
    """The rows as the dataset gives them, for a collator in the manner of transformers: a list of dictionaries.

    Keys are as for `RowReader`.
    """

    def __init__(self, dataset):
        require_rows_by_number(dataset)
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: Sequence) -> list:
        return [self.dataset[row] for row in _addresses(keys)["row"]]

    def __getitem__(self, key):
        return self.__getitems__([key])[0]


def require_rows_by_number(dataset) -> None:
    """Raise when a dataset is a stream, or nothing that has rows.

    Raises:
        ValueError: it has no length, or cannot be asked for a row.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ValueError(
            f"a dataset is asked for its length and for rows by their number, which a {type(dataset).__name__} does "
            "not know. Make a dataset of the stream first: datasets.Dataset.from_list(list(stream.take(10_000)), "
            "features=stream.features)"
        )


def _undecoded(dataset: datasets.Dataset) -> datasets.Dataset:
    """The same without a format, images encoded: decoding is the collator's, which knows how small it may read them."""
    dataset = dataset.with_format(None)
    for name, feature in dataset.features.items():
        if isinstance(feature, datasets.Image) and feature.decode and feature.mode is None:
            dataset = dataset.cast_column(name, datasets.Image(decode=False))
    return dataset


def _addresses(keys: Sequence) -> dict[str, list]:
    """{"epoch": ..., "row": ..., "progress": ...} of keys."""
    whole = [(*key, 0.0)[:3] if isinstance(key, tuple) else (0, int(key), 0.0) for key in keys]
    return dict(zip(("epoch", "row", "progress"), map(list, zip(*whole, strict=True)), strict=True))
