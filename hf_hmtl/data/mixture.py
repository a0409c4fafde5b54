"""Several sources in one training: whose each row is, and how much of every batch each source gives."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch.utils.data import Dataset

from hf_hmtl.data.arrow_columns import over_table, rows_below, table_of
from hf_hmtl.data.clips import Windows
from hf_hmtl.data.rows import RowReader

_NO_CLASS = -1  # the `datasets` convention


@dataclass(frozen=True)
class Part:
    """The rows of one source among those of all.

    Attributes:
        name: of the source.
        first: number of its first row.
        rows: how many it has.
        share: of every batch, as a weight beside those of the others.
    """

    name: str
    first: int
    rows: int
    share: float


class Mixture(Dataset):
    """Rows of several sources, one source after the other, of which every batch holds fixed shares.

    `HMTLTrainer(train_dataset=Mixture.of({"mine": labelled, "more": unlabelled}))` trains on both: an epoch is a pass
    of the first source, and the others go around at their own pace.

    Args:
        dataset: all rows.
        parts: the sources, in the order of their rows.
    """

    def __init__(self, dataset: datasets.Dataset, parts: Sequence[Part]):
        self.dataset, self.parts = dataset, tuple(parts)

    @classmethod
    def of(cls, sources: Mapping[str, datasets.Dataset], shares: Mapping[str, float] | None = None) -> "Mixture":
        """The rows of some datasets laid together; see `laid_together`.

        Args:
            sources: {name: rows}.
            shares: {name: share of every batch}; equal ones if not given.

        Raises:
            ValueError: a share is not above 0, or a name is unknown; or as `laid_together`.
        """
        given = dict.fromkeys(sources, 1.0) if shares is None else dict(shares)
        if set(given) != set(sources) or not all(share > 0 for share in given.values()):
            raise ValueError(
                f"shares are {given}, allowed is one above 0 for each source: {', '.join(sources) or 'there is none'}"
            )
        return cls(laid_together(sources), parts_of({name: len(rows) for name, rows in sources.items()}, given))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Any) -> Any:
        return self.dataset[key]


def below(rows: Any) -> Any:
    """The dataset of some rows: that of a `Mixture` or of `Windows`, or any dataset itself."""
    return rows.dataset if isinstance(rows, Mixture | Windows) else rows


def reader_for(rows: Any) -> RowReader:
    """The reader of some training rows, a `Mixture` or any dataset."""
    if isinstance(rows, Mixture):
        return RowReader(rows.dataset, [(part.first, part.rows) for part in rows.parts])
    return RowReader(rows)


def parts_of(rows: Mapping[str, int], shares: Mapping[str, float]) -> list[Part]:
    """The parts of a mixture: {name: rows} in their order."""
    firsts = np.cumsum([0, *rows.values()])
    return [Part(name, int(first), rows[name], shares[name]) for name, first in zip(rows, firsts, strict=False)]


def laid_together(sources: Mapping[str, datasets.Dataset]) -> datasets.Dataset:
    """One dataset of the rows of several, in their order, with the columns of all.

    A column that a source lacks is missing in its rows. Classes are joined by their names: those of a source are
    numbered as the first source that has the column numbers them.

    Raises:
        ValueError: a column is of different types, or has a class that the first source does not know.
    """
    features = {
        name: feature for rows in reversed(list(sources.values())) for name, feature in rows.features.items()
    }  # of the first that has it
    ordered = dict.fromkeys(name for rows in sources.values() for name in rows.column_names)
    wanted = datasets.Features({name: features[name] for name in ordered})
    return datasets.concatenate_datasets([_as(rows, wanted, name) for name, rows in sources.items()])


def _as(rows: datasets.Dataset, features: datasets.Features, name: str) -> datasets.Dataset:
    table = table_of(rows)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for column, wanted in features.items():
        given = rows.features.get(column)
        if given is None:
            columns[column] = pa.repeat(_missing(features, column), len(table))
        elif isinstance(wanted, datasets.ClassLabel) and isinstance(given, datasets.ClassLabel):
            columns[column] = _renumbered(table[column], column, given.names, wanted.names, name)
        elif given == wanted:
            columns[column] = table[column]
        else:
            raise ValueError(
                f"the column {column!r} of {name} holds {_kind(given)}, and that of the first source that has it "
                f"{_kind(wanted)}. Call one of them otherwise, or leave it out"
            )
    return over_table(rows, pa.table(columns), features)


def _missing(features: datasets.Features, column: str) -> pa.Scalar:
    """What stands in a column where there is no label: -1 for a class, NaN for a number, null for all else."""
    kind = features.arrow_schema.field(column).type
    if isinstance(features[column], datasets.ClassLabel):
        return pa.scalar(_NO_CLASS, kind)
    return pa.scalar(math.nan if pa.types.is_floating(kind) else None, kind)


def _renumbered(
    numbers: pa.ChunkedArray, column: str, given: Sequence[str], wanted: Sequence[str], name: str
) -> pa.Array | pa.ChunkedArray:
    if given == wanted:
        return numbers
    unknown = [label for label in given if label not in wanted]
    if unknown:
        raise ValueError(
            f"the column {column!r} of {name} has the classes {', '.join(unknown)}, which the first source does not "
            f"know; it knows {', '.join(wanted)}. Call them alike, as with class_map: {{{unknown[0]}: {wanted[0]}}}"
        )
    known = numbers.fill_null(_NO_CLASS).to_numpy()
    mapping = np.array([wanted.index(label) for label in given])
    return pa.array(np.where(known < 0, _NO_CLASS, mapping[known]), pa.int64())


def _kind(feature: Any) -> str:
    return "classes" if isinstance(feature, datasets.ClassLabel) else str(getattr(feature, "dtype", feature))


def without_labels(rows: datasets.Dataset, labelled: datasets.Dataset, columns: Sequence[str]) -> datasets.Dataset:
    """The same rows, whose labels are missing but in those that are also in `labelled`, a selection of them.

    Args:
        rows: rows with labels.
        labelled: some of them, by `select`.
        columns: of the labels.
    """
    table = table_of(rows)
    hidden = np.ones(len(table), dtype=bool)
    hidden[rows_below(labelled)] = False
    nothing = {name: _missing(rows.features, name) for name in columns}
    replaced = {
        name: pc.if_else(pa.array(hidden), nothing[name], table[name]) if name in nothing else table[name]
        for name in table.column_names
    }
    return over_table(rows, pa.table(replaced), rows.features)


def with_classes_called(rows: datasets.Dataset, names: Mapping[str, str]) -> datasets.Dataset:
    """The same rows, whose classes have other names: {name: new name}, in all columns of classes.

    Raises:
        ValueError: a name is that of no class, or two classes would have one name.
    """
    features = rows.features.copy()
    classes = {column: each for column, each in features.items() if isinstance(each, datasets.ClassLabel)}
    known = dict.fromkeys(name for each in classes.values() for name in each.names)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"class_map: {unknown[0]!r} is no class; the classes are {', '.join(known)}")
    for column, each in classes.items():
        called = [names.get(name, name) for name in each.names]
        if len(set(called)) < len(called):
            twice = next(name for name in called if called.count(name) > 1)
            raise ValueError(f"class_map: two classes of {column!r} would be called {twice!r}")
        features[column] = datasets.ClassLabel(names=called)
    return over_table(rows, table_of(rows), features)


def rows_of_batch(shares: Sequence[float], batch: int) -> list[int]:
    """How many rows each source gives to a batch: as near to the shares as whole numbers are, and at least one.

    Args:
        shares: weights, above 0.
        batch: rows of the whole batch, of all processes.

    Raises:
        ValueError: there are more sources than rows.
    """
    if batch < len(shares):
        raise ValueError(f"{len(shares)} sources do not go into a batch of {batch} rows; give a larger batch")
    exact = np.asarray(shares, dtype=np.float64) / sum(shares) * batch
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() != batch:
        step = 1 if counts.sum() < batch else -1
        lacking = step * (exact - counts)
        if step < 0:
            lacking[counts == 1] = -np.inf
        counts[np.argmax(lacking)] += step
    return counts.tolist()
