"""Whether a training was at its end, which is when hybrid learning begins to pay: read off the log of a result."""

import dataclasses
import math

from hf_hmtl.metrics.measure import Measure
from hf_hmtl.results.result import Result

FEWEST_EVALUATIONS = 4
"""Of fewer, a loss that is lowest at the last one but one tells nothing."""
_RISEN = 1.02
"""A validation loss that ends so many times above its lowest has risen; less is noise."""


@dataclasses.dataclass(frozen=True)
class End:
    """Whether a supervised training is at its end.

    Attributes:
        reached: whether its validation loss has risen again from its lowest value before the last evaluation.
        lowest: share of the steps at which that loss was lowest.
        train, validation: the headline measure on clean training images and on validation; NaN where it is unknown.
        late_gain: what validation gained over the last quarter of the steps, in the way that is better.
    """

    reached: bool
    lowest: float
    train: float
    validation: float
    late_gain: float


def at_its_end(result: Result, task: str, measure: Measure) -> End:
    """Whether a training has learned what it can: more steps would fit the training rows and nothing else.

    Raises:
        ValueError: there was no evaluation during the training.
    """
    losses = validation_curve(result, f"{task}_loss")
    scores = validation_curve(result, f"{task}_{measure.name}")
    if not losses or not scores:
        raise ValueError(f"{result.name} was not evaluated during its training, so nothing is known of its end")
    last, lowest = max(losses), min(losses, key=lambda step: losses[step])
    before = [value for step, value in scores.items() if step <= 0.75 * last] or [scores[min(scores)]]
    gain = measure.best(scores.values()) - measure.best(before)
    key = f"{task}_{measure.name}"
    return End(
        reached=losses[last] > _RISEN * losses[lowest],
        lowest=lowest / last,
        train=result.metrics.get(f"train_{key}", math.nan),
        validation=result.metrics.get(f"eval_{key}", math.nan),
        late_gain=gain if measure.greater_is_better else -gain,
    )


def end_in_words(result: Result) -> str | None:
    """A sentence on whether a training was at its end, by its primary task; None of what trained no such task, or was
    not evaluated meanwhile."""
    task = result.model["primary"]
    if task is None or task not in result.model["supervised"] or result.recipe.get("probe") or not result.steps:
        return None
    measure = result.measures_of(task)[0]
    evaluations = len(validation_curve(result, f"{task}_loss"))
    if not evaluations or not validation_curve(result, f"{task}_{measure.name}"):
        return None
    if evaluations < FEWEST_EVALUATIONS:
        times = "one evaluation" if evaluations == 1 else f"{evaluations} evaluations"
        return f"whether this training was at its end cannot be told by {times}; {FEWEST_EVALUATIONS} can: --eval_steps"
    end = at_its_end(result, task, measure)
    lowest = f"the validation loss of {task} was lowest after {end.lowest:.0%} of the steps"
    if end.reached:
        return f"this training was at its end: {lowest} and has risen since"
    since = "" if end.lowest == 1 else " and ends less than 2 % above that"
    return f"this training was not at its end: {lowest}{since}; more steps may change the scores"


def validation_curve(result: Result, measure: str) -> dict[int, float]:
    """{step: value} of a validation measure, as it was logged during training."""
    key = f"eval_{measure}"
    return {entry["step"]: entry[key] for entry in result.history if math.isfinite(entry.get(key, math.nan))}
