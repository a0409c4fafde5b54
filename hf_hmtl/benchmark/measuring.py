"""Seconds of several ways to do one thing, measured side by side."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

Way = Callable[[], object]
"""Does the thing once; when it gives a float, these are the seconds that count, and it has timed itself."""

Seconds = dict[str, list[float]]
"""{way: seconds of each round}, every way with the same number of rounds."""


def in_turn(ways: Mapping[str, Way], rounds: int) -> Seconds:
    """Run every way once a round, in turn, so that what slows the machine down for a while slows all of them.

    Each way runs once beforehand, unmeasured: caches fill, kernels are chosen, memory is laid out. The order turns by
    one from round to round, for the first way of a round finds the machine in another state than the last.

    Args:
        ways: {name: what is timed}.
        rounds: measured runs of each.
    """
    names = list(ways)
    for name in names:
        ways[name]()
    seconds: Seconds = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(_timed(ways[name]))
    return seconds


def _timed(way: Way) -> float:
    gc.collect()
    began = time.perf_counter()
    own = way()
    return own if isinstance(own, float) else time.perf_counter() - began


def median_ratio(over: list[float], under: list[float]) -> tuple[float, float]:
    """The median of the ratios of each round, and how far they lie apart: (largest - smallest) / median."""
    ratios = [one / other for one, other in zip(over, under, strict=True)]
    middle = statistics.median(ratios)
    return middle, (max(ratios) - min(ratios)) / middle
