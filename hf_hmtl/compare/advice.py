"""Whether hybrid learning is worth it: read off finished runs, as numbers and in one sentence.

Everything is a pure function of results.
"""

import dataclasses
import math
from typing import Any

from hf_hmtl.compare.statistics import Difference, Groups, by_seed, paired_difference
from hf_hmtl.metrics.measure import SHARE, Measure
from hf_hmtl.results.end import End


@dataclasses.dataclass(frozen=True)
class Advice:
    """What came out.

    Attributes:
        task, measure: that decide.
        hybrid: label of the best hybrid setting, chosen on other seeds than it is judged by.
        validation, test: hybrid - supervised at equal time, over the seeds that chose nothing; positive where the
            hybrid is better. `test` is NaN where there is no test split.
        equal_steps: the same on validation with supervised training cut to the hybrid's steps, where these are fewer.
        end: of supervised training.
        minutes: of one run.
    """

    task: str
    measure: Measure
    hybrid: str
    validation: Difference
    test: Difference
    equal_steps: Difference | None
    end: End
    minutes: float

    @property
    def pays(self) -> bool:
        """Whether the whole interval says that the hybrid is better."""
        return self.validation.low > 0

    @property
    def costs(self) -> bool:
        """Whether the whole interval says that it is worse."""
        return self.validation.high < 0

    def sentence(self) -> str:
        """The answer."""
        where = f"on these faces, with {self.minutes:.3g} minutes a training"
        seeds = f"{self.validation.seeds} pairs of trainings"
        if self.pays:
            how_much = self._points(self.validation, 1)
            return f"{where}: {self.hybrid}; it is {how_much} ahead of supervised training ({seeds}, validation)"
        if self.costs:
            how_much = self._points(self.validation, -1)
            return f"{where}: supervised; the best hybrid, {self.hybrid}, is {how_much} behind ({seeds}, validation)"
        sign = 1 if self.validation.mean >= 0 else -1
        how_much = f"{self._points(self.validation, sign)} {'ahead' if sign > 0 else 'behind'}"
        return (
            f"{where}: supervised, for no difference can be seen; the best hybrid, {self.hybrid}, is {how_much} "
            f"({seeds}, validation)"
        )

    def details(self) -> list[str]:
        """Further sentences: test, equal steps, and whether supervised training is at its end."""
        lines = []
        if self.test.seeds:
            lines.append(f"on test, which chose nothing: {self._signed(self.test)}")
        if self.equal_steps is not None:
            lines.append(f"at equal steps in place of equal time: {self._signed(self.equal_steps)}")
        end, gap = self.end, ""
        if math.isfinite(end.train):
            gap = f" ({self._value(end.train)} on its training images, {self._value(end.validation)} on validation)"
        if end.reached:
            lines.append(
                f"supervised training is at its end: its validation loss was lowest after {end.lowest:.0%}{gap}"
            )
        else:
            lines.append(
                f"supervised training still learns at the end of this budget{gap}: a larger --budget may change the "
                "answer, and mostly to the advantage of hybrid settings"
            )
        return lines

    def _points(self, difference: Difference, sign: int) -> str:
        mean, low, high = (sign * value * self._scale for value in (difference.mean, difference.low, difference.high))
        return f"{mean:.2g}{self._unit} [{min(low, high):.2g}, {max(low, high):.2g}]"

    def _signed(self, difference: Difference) -> str:
        mean, low, high = (value * self._scale for value in (difference.mean, difference.low, difference.high))
        return f"{mean:+.2g}{self._unit} [{low:+.2g}, {high:+.2g}]"

    def _value(self, score: float) -> str:
        return f"{score:.1%}" if self.measure.unit == SHARE else f"{score:.3g}{self._unit}"

    @property
    def _scale(self) -> float:
        return 100.0 if self.measure.unit == SHARE else 1.0

    @property
    def _unit(self) -> str:
        return " points" if self.measure.unit == SHARE else f" {self.measure.unit}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, NaN as None."""
        found = dataclasses.asdict(self) | {"pays": self.pays, "costs": self.costs, "sentence": self.sentence()}
        return _without_nan(found | {"details": self.details()})


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def difference(groups: Groups, label: str, baseline: str, metric: str, measure: Measure) -> Difference:
    """By how much a label is better than another, over the seeds that both have.

    Args:
        metric: such as "eval_emotion_accuracy".
    """
    sign = 1 if measure.greater_is_better else -1
    values, others = (
        {seed: sign * value for seed, value in by_seed(groups[name], metric).items() if math.isfinite(value)}
        for name in (label, baseline)
    )
    return paired_difference(values, others)


def best_of(groups: Groups, labels: list[str], metric: str, measure: Measure, keep: int) -> list[str]:
    """The labels with the best means, the best first; of equals the first ones."""
    sign = -1 if measure.greater_is_better else 1

    def rank(label: str) -> float:
        values = [value for value in by_seed(groups[label], metric).values() if math.isfinite(value)]
        return sign * sum(values) / len(values) if values else math.inf

    return sorted(labels, key=rank)[:keep]
