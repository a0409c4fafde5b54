"""Verdicts: the word that a difference and its interval come to, and the numbers in words.

A claim holds where the whole 95 % interval over seeds says so, it does not hold where the whole interval says the
opposite, and is open in between.
"""

from dataclasses import dataclass

from hf_hmtl.compare.reproduce.evidence import Evidence
from hf_hmtl.compare.statistics import Difference

HOLDS, FAILS, OPEN, NOT_TESTED = "holds", "does not hold", "open", "not tested at this size"


@dataclass(frozen=True)
class Verdict:
    """What came of a claim: one of the four words, and the numbers or the reason."""

    word: str
    why: str


def word_of(*differences: Difference) -> str:
    """Of gains that are all to be above zero."""
    if all(each.low > 0 for each in differences):
        return HOLDS
    return FAILS if any(each.high < 0 for each in differences) else OPEN


def word_within(low: float, high: float, *differences: Difference) -> str:
    """Of a figure that is claimed, and how it is rounded: all are to lie between `low` and `high`."""
    if all(low <= each.low and each.high <= high for each in differences):
        return HOLDS
    return FAILS if any(each.high < low or each.low > high for each in differences) else OPEN


def in_points(difference: Difference) -> str:
    """ "+1.2 points [+0.3, +2.1]", of shares; of factors see `in_times`."""
    mean, low, high = (100 * value + 0.0 for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} points [{low:+.1f}, {high:+.1f}]"


def in_unit(difference: Difference, unit: str) -> str:
    """ "-0.032 degrees [-0.098, +0.033]" of "degrees", and points of "share"."""
    if unit == "share":
        return in_points(difference)
    return f"{difference.mean:+.3f}{' ' * bool(unit)}{unit} [{difference.low:+.3f}, {difference.high:+.3f}]"


def in_times(factor: Difference) -> str:
    """ "0.26 times [0.15, 0.43]"."""
    return f"{factor.mean:.2f} times [{factor.low:.2f}, {factor.high:.2f}]"


def gains_of(evidence: Evidence, *pairs: tuple[str, str]) -> tuple[list[Difference], str]:
    """What the first of each pair gains over the second, and in words their differences: of errors less is a gain."""
    found = [evidence.difference(row, over) for row, over in pairs]
    score = evidence.score
    said = [f"{row} - {over}: {in_unit(each, score.unit)}" for (row, over), each in zip(pairs, found, strict=True)]
    if not score.greater_is_better:
        found = [Difference(-each.mean, -each.high, -each.low, each.seeds) for each in found]
    return found, "; ".join(said)
