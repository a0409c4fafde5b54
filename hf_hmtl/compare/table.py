"""A comparison as a Markdown table, and as plain values."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from hf_hmtl.compare.statistics import Difference, Line, Spread
from hf_hmtl.metrics.measure import Measure

_NOTHING = "-"
_COVERS = {
    "seed": "covers what the seed changes, not the choice of images",
    "fold": "is widened for the training rows that folds share (Nadeau and Bengio 2003)",
}


def to_json(lines: list[Line], threshold: float) -> dict[str, Any]:
    """The comparison as values that strict JSON can hold: NaN is None."""
    return _without_nan({"threshold": threshold, "lines": [dataclasses.asdict(line) for line in lines]})


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def markdown_table(lines: list[Line], threshold: float, unit: str = "seed") -> str:
    """The comparison as a Markdown table whose columns are aligned in plain text too, and what they mean below it.

    Args:
        lines, threshold: as `statistics.compare` gives and takes them.
        unit: "fold" where folds stand in the place of seeds.
    """
    baseline = next(line.label for line in lines if line.is_baseline)
    split = lines[0].split or "reported"
    measure, beside = lines[0].measure, [Measure(name) for name in lines[0].beside]
    header = [
        "method",
        f"{unit}s",
        *(f"{split} {each.words}" for each in (measure, *beside)),
        f"validation {measure.words}",
        f"difference to {baseline}",
        "steps to threshold" if math.isnan(threshold) else f"steps to {threshold:g}",
        "training - validation",
        "relative images/s",
        "steps",
    ]
    rows = [header, *(_cells(line, threshold) for line in lines)]
    if lines[0].constant:
        scores = [_number(lines[0].constant.get(each.name, math.nan), 3) for each in (measure, *beside)]
        rows.append(["constant answer", _NOTHING, *scores, *[_NOTHING] * (len(header) - 2 - len(scores))])
    explanation = _explanation(baseline, split, threshold, measure, bool(lines[0].constant), unit)
    return f"{markdown(rows)}\n\n{explanation}\n"


def pooled_table(lines: list[Line], folds: int, papers: Mapping[str, float]) -> str:
    """Markdown of what the folds of a cross-validation come to where all rows are scored together.

    Args:
        lines: of results that `folds.pooled` made.
        folds: how many there are.
        papers: {label: the paper's figure of the headline measure}, of those that have one.
    """
    measures = (lines[0].measure, *(Measure(name) for name in lines[0].beside))
    header = ["method", "seeds", *(f"pooled {each.words}" for each in measures), *["paper"] * bool(papers)]
    rows = [header]
    for line in lines:
        scores = map(with_deviation, (line.score, *line.beside.values()))
        printed = [_number(papers.get(line.label, math.nan), 3)] * bool(papers)
        rows.append([line.label, str(line.seeds), *scores, *printed])
    explanation = (
        f"Pooled: the answers of {folds} folds to all rows, each given by weights that never saw the row, scored "
        "together; means over seeds ± their sample standard deviation. Methods have a score when all of their folds "
        "are finished."
    )
    return f"{markdown(rows)}\n\n{explanation}\n"


def markdown(rows: list[list[str]], left: int = 1) -> str:
    """A table of a header and its rows, aligned in plain text too.

    Args:
        left: how many columns are text; the others are numbers and stand to the right.
    """
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width if place < left else "-" * (width - 1) + ":" for place, width in enumerate(widths)])
    return "\n".join(f"| {' | '.join(_aligned(row, widths, left))} |" for row in rows)


def _aligned(row: list[str], widths: list[int], left: int) -> list[str]:
    placed = enumerate(zip(row, widths, strict=True))
    return [cell.ljust(width) if place < left else cell.rjust(width) for place, (cell, width) in placed]


def _cells(line: Line, threshold: float) -> list[str]:
    counts_steps = line.steps > 0 and not math.isnan(threshold)
    reaching = f"{_number(line.steps_to_threshold, 0)} ({line.seeds_reaching}/{line.seeds})"
    return [
        line.label,
        str(line.seeds),
        *map(with_deviation, (line.score, *line.beside.values())),
        _number(line.validation_score, 3),
        with_interval(line.difference, line.seeds),
        reaching if counts_steps else _NOTHING,
        _number(line.gap, 3, "+"),
        _number(line.relative_speed, 2),
        _number(line.steps, 0),
    ]


def _number(value: float, digits: int, sign: str = "") -> str:
    # Adding zero turns the -0.0 that rounding leaves into 0.0, so that no difference of nothing looks like a loss.
    return _NOTHING if math.isnan(value) else f"{round(value, digits) + 0.0:{sign},.{digits}f}"


def with_deviation(spread: Spread) -> str:
    """A mean ± its deviation."""
    deviation = "" if math.isnan(spread.sd) else f" ± {spread.sd:.3f}"
    return f"{_number(spread.mean, 3)}{deviation}"


def with_interval(difference: Difference, seeds: int) -> str:
    """A difference, its interval, and where fewer seeds than there are stand in it, how many.

    Args:
        seeds: of the method.
    """
    if math.isnan(difference.mean):
        return _NOTHING
    low, high = _number(difference.low, 3, "+"), _number(difference.high, 3, "+")
    interval = f" [{low}, {high}]" if difference.seeds > 1 else ""
    partly = f" ({difference.seeds}/{seeds})" if difference.seeds < seeds else ""
    return f"{_number(difference.mean, 3, '+')}{interval}{partly}"


def _explanation(baseline: str, split: str, threshold: float, measure: Measure, has_constant: bool, unit: str) -> str:
    constant = " The constant answer is the majority class or the mean of the training rows." * has_constant
    reached = "the threshold" if math.isnan(threshold) else f"{threshold:g}"
    optimistic = " Validation also selected the weights, so its scores are optimistic." if split == "validation" else ""
    return (
        f"Scores are means over n {unit}s ± their sample standard deviation, of the {split} split.{optimistic} "
        f"The difference to {baseline} is the mean over the {unit}s that both have, with a 95 % paired t interval over "
        f"{unit}s in brackets: it {_COVERS[unit]}, and is not corrected for the number of rows.{constant} Steps to "
        f"{reached} are optimiser steps until an evaluation first finds validation {measure.words} there, a mean over "
        f"the {unit}s that get there. (k/n) means k of n {unit}s. Training - validation "
        f"is the {measure.words} on training images minus that on validation images. Relative images/s is the median "
        f"ratio to {baseline}, measured on this machine while training, without evaluation."
    )
