"""Whether the ratios of quick rows are still what they were: never absolute times, which are the machine's."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from hf_hmtl.benchmark import images, loops
from hf_hmtl.benchmark.rows import Row
from hf_hmtl.files import replacing
from hf_hmtl.parsing import read_json, shown

TOLERANCE = 1 / 3
"""Share by which a ratio may be worse."""
ATTEMPTS = 3
"""Ratios that are worse are measured again, and one that is good once is good: another process beside it is no change
of ours."""
BESIDE = {"puzzle 3x3 on uint8 / a copy": "a loop over tiles"}
"""{row: the design that its ratio is kept to}. How fast a copy is depends on the cache, 1.5 to 2.9 times as fast as the
puzzle on two machines, on both of which the puzzle takes 0.31 of a loop over tiles."""


def quick_rows(rounds: int) -> Iterator[Row]:
    """Rows that take seconds and need no other library: under two minutes on two cores."""
    yield from map(_beside, images.rows(rounds, with_peers=False))
    yield from loops.hybrids(rounds, loops.SMALLEST, side=96, batch=64, steps=4)
    yield from loops.inpaintings(rounds, steps=2)


def _beside(row: Row) -> Row:
    other = BESIDE.get(row.row)
    if other is None or row.ours is None:
        return row
    name = f"{row.row.partition(' / ')[0]} / {other}"
    return dataclasses.replace(row, row=name, limit=row.lost[other], ratio=row.ours / row.lost[other])


def check(expected: Mapping[str, float], rounds: int) -> list[str]:
    """Measure, and say which ratios are worse than they were by more than the tolerance, whenever they are measured.

    Args:
        expected: {row: ratio}, as `write_expected` leaves it.
        rounds: of each row.
    """
    worse = dict.fromkeys(expected, "is not measured any more")
    for _ in range(ATTEMPTS):
        found = {row.row: fallen(row, expected.get(row.row)) for row in quick_rows(rounds)}
        worse = {name: found.get(name, sentence) for name, sentence in worse.items()}
        worse = {name: sentence for name, sentence in worse.items() if sentence}
        if not worse:
            break
    return [f"{name}: {sentence}" for name, sentence in worse.items()]


def fallen(row: Row, expected: float | None) -> str:
    """A sentence on a ratio that is worse than it was by more than the tolerance; "" where it is not."""
    if row.ratio is None or expected is None:
        return ""
    less_is_better = row.goal.startswith("<=")
    bound = expected * (1 + TOLERANCE if less_is_better else 1 - TOLERANCE)
    if (row.ratio <= bound) if less_is_better else (row.ratio >= bound):
        return ""
    return f"{row.ratio:.3g}, was {expected:.3g}; allowed is {'<=' if less_is_better else '>='} {bound:.3g}"


def read_expected(path: Path) -> dict[str, float]:
    """The ratios of a file of `write_expected`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no JSON of numbers by names.
    """
    ratios = read_json(path)
    if not isinstance(ratios, dict) or not all(type(ratio) in (int, float) for ratio in ratios.values()):
        raise ValueError(
            f"--guard {path} holds {shown(ratios)}; needed are the ratios of rows, as --write_guard writes"
        )
    return ratios


def write_expected(rows: Iterator[Row], path: Path) -> None:
    """Write the ratios of rows that have one, for later comparison."""
    with replacing(path) as temporary:
        ratios = {row.row: round(row.ratio, 3) for row in rows if row.ratio is not None}
        temporary.write_text(json.dumps(ratios, indent=1) + "\n", encoding="utf-8")
