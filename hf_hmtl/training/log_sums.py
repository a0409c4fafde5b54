"""What is gathered between two logs: sums that stay on the device until the Trainer logs or saves."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

Reduce = Callable[[dict[str, Tensor | float]], dict[str, float]]


class LogSums:
    """Sums over the steps since the last log.

    Args:
        since: step of that log.
        sums: {name: (sum, count)} of an earlier part of the run, as `over_processes` gives them.
    """

    def __init__(self, since: int, sums: Mapping[str, Sequence] | None = None):
        self.since = since
        self._totals: dict[str, Tensor | float] = {}
        self._counts: dict[str, Tensor | float] = {}  # of those that are means over elements
        for name, (total, count) in (sums or {}).items():
            self.add(name, total, count)

    def add(self, name: str, total: Tensor | float, count: Tensor | float | None = None) -> None:
        """Add a sum, and over how many elements it is; None for what is averaged over steps."""
        self._totals[name] = self._totals.get(name, 0) + total
        if count is not None:
            self._counts[name] = self._counts.get(name, 0) + count

    def copy(self) -> "LogSums":
        """What was gathered so far, to go back to."""
        copied = LogSums(self.since)
        copied._totals, copied._counts = dict(self._totals), dict(self._counts)
        return copied

    def over_processes(self, reduce: Reduce) -> dict[str, tuple[float, float | None]]:
        """{name: (sum, count)} over all processes, which have the same names once each has made a step."""
        totals, counts = (
            reduce({name: sums[name] for name in sorted(sums)}) if sums else {} for sums in (self._totals, self._counts)
        )
        return {name: (total, counts.get(name)) for name, total in totals.items()}

    def means(self, step: int, reduce: Reduce) -> dict[str, float]:
        """{name: mean} over the elements where they were counted, else over the steps; nothing over no element."""
        steps = max(step - self.since, 1)
        counted = {name: sums for name, sums in self.over_processes(reduce).items() if sums[1] != 0}
        return {name: total / (steps if count is None else count) for name, (total, count) in counted.items()}
