"""A number that may move while a network is trained: constant, or linear between points of the training's progress.

In a recipe, `share: [[0, 0.75], [0.7, 0]]` falls from 0.75 to 0 over the first 70 % of the training and stays there.
"""

import numpy as np

Points = tuple[tuple[float, float], ...]
"""(progress, value) of each; before the first and behind the last, the number stays as it is there."""
Scheduled = float | Points


def scheduled(given: Scheduled, what: str, low: float, high: float, allowed: str) -> Scheduled:
    """What was given, checked.

    Args:
        given: a number, or a list of [progress, value].
        what: whose, for the message.
        low, high: of each value; numbers between them are allowed, the two themselves included.
        allowed: the same in words.

    Raises:
        ValueError: it is neither, a value is not allowed, or the points are not in the order of a progress from 0 to 1.
    """
    if isinstance(given, int | float):
        if not low <= given <= high:
            raise ValueError(f"{what} is {given}, allowed is {allowed}")
        return given
    try:
        points = tuple((float(progress), float(value)) for progress, value in given)
    except (TypeError, ValueError):
        points = ()
    places = [progress for progress, _ in points]
    if len(points) < 2 or places != sorted(set(places)) or not all(0 <= place <= 1 for place in places):
        raise ValueError(
            f"{what} is {given}; a schedule is two or more points [progress, value], the progress rising from 0 (the "
            "first step) to 1 (the last), as in [[0, 0.75], [0.7, 0]]"
        )
    for _, value in points:
        if not low <= value <= high:
            raise ValueError(f"{what} has the value {value:g} in {given}, allowed is {allowed}")
    return points


def is_moving(number: Scheduled) -> bool:
    """Whether it is anything but a constant."""
    return not isinstance(number, int | float)


def largest(number: Scheduled) -> float:
    """The largest value that it has at any time."""
    return max(value for _, value in number) if isinstance(number, tuple) else number


def value_at(number: Scheduled, progress: np.ndarray | float) -> np.ndarray | float:
    """The number at some progress of the training, or at several; a constant as it is.

    Args:
        progress: share of the training that is done, 0..1.
    """
    if not isinstance(number, tuple):
        return number
    places, values = zip(*number, strict=True)
    return np.interp(progress, places, values)


def average(number: Scheduled) -> float:
    """Its mean over the training."""
    if not isinstance(number, tuple):
        return number
    places = sorted({0.0, 1.0, *(progress for progress, _ in number)})
    return float(np.trapezoid(value_at(number, np.array(places)), places))


def in_words(number: Scheduled) -> str:
    """ "0.75", or "0.75 at 0 %, 0 from 70 % on" of a schedule."""
    if not isinstance(number, tuple):
        return f"{number:g}"
    *first, (place, value) = [(f"{progress:.0%}", f"{value:g}") for progress, value in number]
    return ", ".join([*(f"{each} at {where}" for where, each in first), f"{value} from {place} on"])
