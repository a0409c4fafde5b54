"""Classes that are left out of a dataset: their rows go, and the others are numbered anew."""

from collections.abc import Sequence

import datasets

from hf_hmtl.data.identity import ID
from hf_hmtl.data.ledger import WITHOUT_CLASSES, Ledger


def without_classes(
    splits: datasets.DatasetDict, column: str, left_out: Sequence[str], ledger: Ledger
) -> datasets.DatasetDict:
    """The splits without the rows of some classes; rows without a label stay.

    Args:
        splits: each with the column.
        column: a ClassLabel column.
        left_out: names of classes.
        ledger: where it is noted what goes.

    Raises:
        ValueError: the column has no classes or not this one, or fewer than two would be left.
    """
    feature = splits["train"].features.get(column)
    if not isinstance(feature, datasets.ClassLabel):
        raise ValueError(f"without_classes: {column!r} is no column of classes")
    unknown = [name for name in left_out if name not in feature.names]
    if unknown:
        raise ValueError(f"without_classes: {column} has no class {unknown[0]!r}; it has {', '.join(feature.names)}")
    names = [name for name in feature.names if name not in left_out]
    if len(names) < 2:
        raise ValueError(
            f"without_classes: of {column} one class or none would be left; a classifier needs two or more"
        )
    renumbered = {feature.str2int(name): number for number, name in enumerate(names)}
    found = datasets.DatasetDict()
    for split, rows in splits.items():
        numbers = rows.with_format(None)[column][:]
        kept = [row for row, number in enumerate(numbers) if number is None or number < 0 or number in renumbered]
        gone = sorted(set(range(len(rows))) - set(kept))
        ledger.leave_out(split, WITHOUT_CLASSES, [str(name) for name in rows.select(gone)[ID][:]])
        values = [renumbered.get(numbers[row], numbers[row]) for row in kept]
        chosen = rows.select(kept).remove_columns(column)
        found[split] = chosen.add_column(column, values, feature=datasets.ClassLabel(names=names))
    return found
