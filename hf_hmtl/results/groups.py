"""Scores by group of rows, such as race, gender or age: read off predictions.parquet, never by running the model."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.metrics.measure import Measure
from hf_hmtl.parsing import shown
from hf_hmtl.results.by_row import ACCURACY, ERROR, row_scores, tasks_of
from hf_hmtl.results.intervals import of_mean, of_share
from hf_hmtl.results.predictions import column_of

FEW = 30
"""Rows under which a group is marked, and neither the worst nor part of a gap: chance alone moves it too far."""
MOST_VALUES = 30
"""Different words of a column beyond which it tells rows apart and not groups."""
MOST_NUMBERS = 12
"""Different numbers of a column beyond which it is cut at its quartiles."""
UNKNOWN = "not known"
STAY_HERE = ("_id", "_file", "_group")
"""Columns of paths and persons, which no result and no card may name."""


Groups = dict[str, dict[str, dict[str, dict[str, Any]]]]
"""{task: {column: {value: {accuracy or mae, rows, low, high, few}}}}."""


def by_groups(predictions: pa.Table, columns: Sequence[str], tasks: Sequence[str]) -> Groups:
    """What each task scored in each group, every column by itself.

    Args:
        predictions: rows of one split, as predictions.parquet has them.
        columns: of the table; a task's name stands for its label.
        tasks: names of the tasks.

    Returns:
        Of each value of a column: `accuracy` of classes and attributes, or `mae` of numbers; `rows` with a label and an
        answer; `low` and `high`, the interval of 95 % (Wilson's of classes, Student's of others); `few`, whether the
        rows are fewer than `FEW`.

    Raises:
        ValueError: no such column, or one with too many values.
    """
    names = {column: groups_of(predictions, column) for column in columns}
    found: Groups = {}
    for task in tasks_of(predictions, tasks):
        measure, scores = row_scores(predictions, task)
        found[task] = {column: _scored(measure, scores, groups) for column, groups in names.items()}
    return found


def gaps_of(groups: Groups) -> dict[str, dict[str, dict[str, Any]]]:
    """{task: {column: {worst: value, gap: from the worst to the best}}} over groups with rows enough and a known value;
    both None where fewer than two are left."""
    return {
        task: {column: _gap(values) for column, values in columns.items()}
        for task, columns in groups.items()
        if columns
    }


def require_scores(groups: Groups) -> None:
    """Raise where a group of a column has not the score that the others have.

    Raises:
        ValueError: it names the group.
    """
    for task, columns in groups.items():
        for column, values in columns.items():
            measure = measure_of(values)
            for name, each in values.items():
                if measure not in each:
                    raise ValueError(f"groups.{shown(task)}.{shown(column)}.{shown(name)} lacks {measure}")


def measure_of(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The measure that the groups of a column are scored by."""
    return ERROR if any(ERROR in each for each in values.values()) else ACCURACY


def groups_of(predictions: pa.Table, column: str) -> list[str]:
    """The group of each row, by the value of a column; many different numbers are cut at their quartiles.

    Raises:
        ValueError: no such column, one of persons or files, or one with more than `MOST_VALUES` words.
    """
    if column in STAY_HERE:
        raise ValueError(
            f"report_groups: {column!r} names files or persons, and what is reported may leave this machine. Give a "
            "column of groups, such as age; scores by person are in predictions.parquet"
        )
    values = column_of(predictions, _found(predictions, column))
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        return _bands(np.asarray(values.cast(pa.float64()).fill_null(np.nan)))
    words = values.cast(pa.string())
    if (count := pc.count_distinct(words).as_py()) > MOST_VALUES:
        raise ValueError(
            f"report_groups: {column!r} has {count:,} different values, so it tells rows apart and not groups; at most "
            f"{MOST_VALUES} are shown. Put them into fewer groups, in a column of the table"
        )
    return [UNKNOWN if word in (None, "") else word for word in words.to_pylist()]


def _found(predictions: pa.Table, column: str) -> str:
    names = predictions.column_names
    for name in (column, f"{column}_label"):
        if name in names:
            return name
    shown = [name for name in names if not any(part in name for part in ("_answer", "_probability"))]
    close = difflib.get_close_matches(column, shown, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"report_groups: predictions.parquet has no column {column!r}.{hint} It has: "
        f"{', '.join(shown)}. A training keeps further columns of the data with --report_groups or --report_columns"
    )


def _bands(numbers: np.ndarray) -> list[str]:
    known = np.unique(numbers[~np.isnan(numbers)])
    if len(known) <= MOST_NUMBERS:
        return [UNKNOWN if np.isnan(number) else f"{number:g}" for number in numbers]
    edges = np.unique(np.quantile(numbers[~np.isnan(numbers)], (0.25, 0.5, 0.75)))
    place = np.searchsorted(edges, numbers, side="left")
    names = {}
    for band in np.unique(place[~np.isnan(numbers)]):
        inside = numbers[(place == band) & ~np.isnan(numbers)]
        names[band] = f"{inside.min():.4g} to {inside.max():.4g}"
    return [UNKNOWN if np.isnan(number) else names[band] for number, band in zip(numbers, place, strict=True)]


def _scored(measure: str, scores: np.ndarray, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    names, found = np.asarray(groups, dtype=object), {}
    for name in sorted(set(groups), key=_in_order):
        values = scores[(names == name) & ~np.isnan(scores)]
        hits = measure == ACCURACY and np.isin(values, (0, 1)).all()
        low, high = of_share(values.sum(), len(values)) if hits else of_mean(values)
        if measure == ERROR:
            low = np.fmax(low, 0)  # no error is below it
        found[name] = {
            measure: float(values.mean()) if len(values) else float("nan"),
            "rows": len(values),
            "low": float(low),
            "high": float(high),
            "few": len(values) < FEW,
        }
    return found


def _gap(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    measure = measure_of(values)
    sure = {name: each[measure] for name, each in values.items() if not each.get("few") and name != UNKNOWN}
    compared = {name: score for name, score in sure.items() if score is not None}
    if len(compared) < 2:
        return {"worst": None, "gap": None}
    worst = (max if measure == ERROR else min)(compared, key=compared.__getitem__)
    return {"worst": worst, "gap": max(compared.values()) - min(compared.values())}


def _in_order(name: str) -> tuple:
    """Numbers by size, before words; what is not known last."""
    first = name.split(" to ")[0]
    try:
        return (0, float(first), "")
    except ValueError:
        return (2 if name == UNKNOWN else 1, 0.0, name)


def group_table(groups: Groups) -> str:
    """What `by_groups` found as aligned text."""
    lines, gaps = [], gaps_of(groups)
    for task, columns in groups.items():
        for column, values in columns.items():
            measure, compared = measure_of(values), gaps[task][column]
            lines += ["", f"{f'{task} by {column}':32}{'rows':>8}{Measure(measure).words:>12}   95 % interval"]
            lines += [
                f"  {name[:28]:30}{each['rows']:>8,}{each[measure]:12.4f}   {each['low']:.4f} to {each['high']:.4f}"
                f"{' (few)' * each['few']}"
                for name, each in values.items()
            ]
            if compared["worst"] is None:
                lines.append(f"  fewer than two groups have {FEW} rows or more")
            else:
                lines.append(f"  worst: {compared['worst']}; largest gap {compared['gap']:.4f}")
    return "\n".join(lines)
