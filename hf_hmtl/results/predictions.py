"""predictions.parquet: what a run answered on every row of validation and test.

Columns: the reserved ones (`_id`, `_file`, `_source`, `_group`, of frames also `_clip` and `_frame`), those asked for
in `report_columns`, `split`, and of every supervised task `<task>_label` (null where it is missing), `<task>_answer`
(null where the image is broken) and `<task>_probability_<class>`. Tables by group, intervals and the like read this
file and never run the model again. It stays on the machine: paths and persons are no part of a model.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from hf_hmtl.files import replacing
from hf_hmtl.parquet import read_table
from hf_hmtl.parsing import shown

NAME = "predictions.parquet"
SPLIT = "split"
_PLAIN = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean,
    pa.types.is_null,
)  # fmt: skip


def write_predictions(tables: list[pa.Table], folder: Path) -> None:
    """Write the tables of all splits into the folder of a run."""
    with replacing(folder / NAME) as temporary:
        pyarrow.parquet.write_table(pa.concat_tables(tables, promote_options="permissive"), temporary)


def read_predictions(folder: Path) -> pa.Table:
    """The predictions of a finished run.

    Raises:
        FileNotFoundError: it has none.
        ValueError: they are damaged.
    """
    if not (folder / NAME).is_file():
        raise FileNotFoundError(
            f"{folder} has no {NAME}; give the folder of a run that was finished by hf_hmtl 0.2 or later"
        )
    return read_table(folder / NAME)


def column_of(predictions: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of words, or of numbers or truth values; classes as words.

    Raises:
        ValueError: there is none of that name, or it holds something else.
    """
    if name not in predictions.column_names:
        raise ValueError(f"{NAME} has no column {name!r}; it has: {shown(', '.join(predictions.column_names))}")
    column = predictions[name]
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if not any(is_kind(column.type) for is_kind in _PLAIN):
        raise ValueError(f"{NAME}: the column {name!r} holds {column.type}; needed are words or numbers")
    return column


def of_split(predictions: pa.Table, split: str) -> pa.Table:
    """The rows of one split; raises as `column_of`."""
    return predictions.filter(pc.equal(column_of(predictions, SPLIT).cast(pa.string()), split))


def confusion(predictions: pa.Table, task: str, labels: list[str]) -> np.ndarray:
    """(classes, classes) int64: how often class i was taken for class j, over the rows with a label and an answer."""
    places = pa.array(labels)
    named = (column_of(predictions, f"{task}_{part}").cast(pa.string()) for part in ("label", "answer"))
    true, answered = (pc.index_in(names, places) for names in named)
    both = pc.and_(pc.is_valid(true), pc.is_valid(answered))
    true, answered = (np.asarray(part.filter(both), dtype=np.int64) for part in (true, answered))
    return np.bincount(true * len(labels) + answered, minlength=len(labels) ** 2).reshape(len(labels), len(labels))
