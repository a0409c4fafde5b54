"""What finished runs can testify to: their scores seed by seed, and what has to be true before a claim is judged."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hf_hmtl.compare.reproduce.measures import Score, score_of
from hf_hmtl.compare.statistics import (
    PREFIXES,
    Difference,
    Groups,
    by_seed,
    in_order,
    paired_difference,
    select_on_validation,
    steps_to,
)
from hf_hmtl.results.end import validation_curve
from hf_hmtl.results.intervals import of_mean
from hf_hmtl.results.result import Result
from hf_hmtl.results.versions import ACCURACY

FEWEST_SEEDS = 3
SOLVED = 0.8
"""Share of tiles that have to be right before a puzzle is called solved (section 4.5.2)."""
LATE = 0.05
"""A loss falls no more where less than this share of its whole fall came in the last quarter of the steps at the full
rate, of which some hundredths are noise. When the rate drops any loss falls at once, whether it had come to rest before
or not, and then hardly moves: neither tells."""
TASK, SCORE = "emotion", ACCURACY[0]
EMOTION = f"{TASK}_{SCORE.name}"


class NotTested(Exception):
    """A claim cannot be judged: the reason."""


@dataclass(frozen=True)
class Evidence:
    """What is finished.

    Attributes:
        groups: {row of the paper's tables: {seed: Result}} of one recipe file.
        attacked: the numbers of Figure 16, rows of its table; none where it was not drawn.
        diverged: {row: how many of its trainings came to nothing}.
        settings: {row: further settings, one of which validation may choose to stand for it}; without them the paper's
            own are judged.
        metric: the score that the rows are compared by, such as `emotion_accuracy` and `pose_mae`.
        missing: {row: why the data do not allow it}.
    """

    groups: Groups
    attacked: list[dict] = field(default_factory=list)
    diverged: dict[str, int] = field(default_factory=dict)
    settings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    metric: str = EMOTION
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> Score:
        """What the metric measures."""
        return score_of(self.metric)

    def require(self, *rows: str) -> None:
        """Raise unless each row has enough seeds.

        Raises:
            NotTested: one has not, or cannot have any.
        """
        for row in rows:
            if row in self.missing:
                raise NotTested(f"{row} {self.missing[row]}")
            seeds = len(self.groups.get(row, {}))
            if seeds < FEWEST_SEEDS:
                raise NotTested(f"{row}: {seeds} of {FEWEST_SEEDS} seeds are finished")

    def setting(self, row: str) -> str:
        """The row itself, or of it and its further settings the one with the best mean validation score.

        Raises:
            NotTested: one of those has too few seeds.
        """
        among = (row, *self.settings.get(row, ()))
        self.require(*among)
        return select_on_validation({each: self.groups[each] for each in among}, TASK)

    def scores(self, row: str) -> dict[int, float]:
        """{seed: score on the reported split}."""
        runs = self.groups[row]
        split = next(iter(runs.values())).protocol["reported_on"]
        return by_seed(runs, f"{PREFIXES[split]}{self.metric}")

    def validation(self, row: str) -> float:
        """Mean score on validation."""
        return float(np.mean(list(by_seed(self.groups[row], f"eval_{self.metric}").values())))

    def difference(self, row: str, over: str) -> Difference:
        """The score of a row minus that of another, seed by seed."""
        return paired_difference(self.scores(row), self.scores(over))

    def of_each(self, row: str, value: Callable[[Result], float | None], what: str) -> dict[int, float]:
        """{seed: value} of every seed.

        Raises:
            NotTested: a seed has none.
        """
        found = {seed: value(self.groups[row][seed]) for seed in sorted(self.groups[row])}
        missing = [seed for seed, each in found.items() if each is None]
        if missing:
            raise NotTested(f"{row}, seed {missing[0]}: {what}")
        return {seed: float(each) for seed, each in found.items() if each is not None}

    def steps_to(self, row: str, accuracy: float) -> dict[int, float]:
        """{seed: first evaluated step with that validation accuracy}.

        Raises:
            NotTested: a seed does not get there.
        """
        reached = f"validation accuracy never reaches {accuracy:.0%}"
        return self.of_each(row, lambda result: steps_to(result, TASK, SCORE, accuracy), reached)

    def require_solved(self, *rows: str) -> None:
        """Raise unless the puzzles of these rows are solved.

        Raises:
            NotTested: one is not, or its log does not tell.
        """
        for row in rows:
            tiles = self.of_each(row, tiles_right, "its log does not tell how many tiles are right")
            mean = float(np.mean(list(tiles.values())))
            if mean < SOLVED:
                raise NotTested(f"{mean:.0%} of the tiles of {row} are right, and {SOLVED:.0%} are needed")

    def require_converged(self, *rows: str) -> None:
        """Raise unless the validation loss of these rows falls no more, in the mean over seeds.

        Raises:
            NotTested: that of one does, or its log does not tell.
        """
        for row in rows:
            task = self.metric.partition("_")[0]
            shares = self.of_each(row, partial(late_fall, task=task), "its log holds no validation loss")
            mean = float(np.mean(list(shares.values())))
            if mean > LATE:
                raise NotTested(
                    f"the validation loss of {row} still falls: {mean:.1%} of its fall came in the last quarter of the "
                    f"steps at its full rate, and {LATE:.0%} are allowed"
                )

    def is_above_chance(self, row: str) -> bool:
        """Whether the interval of a row is better than the answer that needs no image; never of a row without runs."""
        if not self.groups.get(row):
            return False
        low, high = of_mean(list(self.scores(row).values()))
        constant = self._constant(row)
        return low > constant if self.score.greater_is_better else high < constant

    def _constant(self, row: str) -> float:
        """The score of the answer that needs no image: the most frequent class, or the mean number."""
        result = in_order(self.groups[row])[0]
        return result.baselines.get(f"{PREFIXES[result.protocol['reported_on']]}{self.metric}", math.nan)

    def require_above_chance(self, *rows: str) -> None:
        """Raise unless the interval of these rows is better than the answer that needs no image.

        Raises:
            NotTested: that of one does not.
        """
        for row in rows:
            if not self.is_above_chance(row):
                raise NotTested(f"{row} is not above chance ({self._constant(row):.3f})")


def tiles_right(result: Result) -> float | None:
    """Share of tiles right at the end of the training, of the last log that tells."""
    for entry in reversed(result.history):
        for key, value in entry.items():
            if key.endswith("_tile_accuracy") and math.isfinite(value):
                return value
    return None


def late_fall(result: Result, task: str = TASK) -> float | None:
    """Share of the whole fall of the validation loss that came in the last quarter of the steps before the rate first
    drops, 0 to 1; of all steps where it does not drop."""
    losses = validation_curve(result, f"{task}_loss")
    if not losses:
        return None
    full = _steps_at_full_rate(result)
    before = [loss for step, loss in losses.items() if step <= 0.75 * full]
    if not before:
        return None
    lowest = min(loss for step, loss in losses.items() if step <= full)
    fall = before[0] - min(losses.values())
    return max(min(before) - lowest, 0.0) / fall if fall > 0 else 0.0


def _steps_at_full_rate(result: Result) -> float:
    """The step at which a rate that falls in steps first does, else the last one."""
    last = result.history[-1]
    decays = result.recipe["training"].get("decay_epochs") or "none"
    if decays == "none" or not last["epoch"]:
        return last["step"]
    return min(float(decays.split(",")[0]) * last["step"] / last["epoch"], last["step"])


def best_step(result: Result) -> float | None:
    """The step of the best validation accuracy, the first of equals."""
    curve = validation_curve(result, EMOTION)
    return max(curve, key=lambda step: curve[step]) if curve else None


def best_share(result: Result) -> float | None:
    """`best_step` as a share of the last evaluated one, 0 to 1."""
    best = best_step(result)
    return None if best is None else best / max(validation_curve(result, EMOTION))


def restlessness(result: Result) -> float | None:
    """Mean change of the validation accuracy from evaluation to evaluation over the second half of the training."""
    curve = validation_curve(result, EMOTION)
    values = [value for step, value in sorted(curve.items()) if step >= max(curve) / 2]
    return float(np.abs(np.diff(values)).mean()) if len(values) > 1 else None


def loss_falls_faster(result: Result) -> float | None:
    """By how much the training loss falls faster, nats in 1,000 steps, after 80 % of the tiles are right than before.

    Two least-squares lines through as many steps before that is first so as after it, all at the full rate: when the
    rate drops any loss falls at once, and then hardly moves. The first step, which is logged alone, is left out.

    Returns:
        None where it is never so, or too early or late for a line.
    """
    logged = [
        (entry["step"], entry[f"loss_{TASK}"], next(v for k, v in entry.items() if k.endswith("_tile_accuracy")))
        for entry in result.history
        if f"loss_{TASK}" in entry and entry["step"] > 1 and any(key.endswith("_tile_accuracy") for key in entry)
    ]
    solved = next((step for step, _, tiles in logged if tiles >= SOLVED), None)
    if solved is None:
        return None
    far = min(solved, _steps_at_full_rate(result) - solved)
    before = [(step, loss) for step, loss, _ in logged if solved - far <= step <= solved]
    after = [(step, loss) for step, loss, _ in logged if solved <= step <= solved + far]
    if min(len(before), len(after)) < 3:
        return None
    return 1000 * (_slope(before) - _slope(after))


def _slope(points: Iterable[tuple[float, float]]) -> float:
    steps, losses = zip(*points, strict=True)
    return float(np.polyfit(steps, losses, 1)[0])


def ratio(values: dict[int, float], to: dict[int, float]) -> Difference:
    """Ratio of two rows, seed by seed: a geometric mean, and its interval from that of the logarithms."""
    logarithms = [{seed: math.log(value) for seed, value in each.items()} for each in (values, to)]
    found = paired_difference(*logarithms)
    return Difference(math.exp(found.mean), math.exp(found.low), math.exp(found.high), found.seeds)
