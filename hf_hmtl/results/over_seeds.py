"""What several runs of one recipe scored: means and deviations over their seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from hf_hmtl.results.result import SPLITS, Result


def over_seeds(results: Sequence[Result]) -> dict[str, Any]:
    """Means and sample standard deviations over runs that differ in their seed alone.

    Args:
        results: at least two.

    Returns:
        seeds: those of training; rows: [{name, mean, sd}] of every measure on the split that is reported, the headline
        of each task first.

    Raises:
        ValueError: another recipe, other data, another split or the same seed twice.
    """
    first, split = results[0], results[0].protocol["reported_on"]
    for other in results[1:]:
        for what, ours, theirs in (
            ("recipe", first.name, other.name),
            ("data", first.data["fingerprint"], other.data["fingerprint"]),
            ("split", split, other.protocol["reported_on"]),
        ):
            if ours != theirs:
                raise ValueError(f"runs of one card differ in their seed alone, and here is another {what}: {theirs}")
    seeds = [result.seeds["training"] for result in results]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"runs of one card have a seed each, and these have {', '.join(map(str, seeds))}")
    prefix = next(prefix for prefix, name in SPLITS.items() if name == split)
    rows = []
    for task in first.model["supervised"]:
        for measure in first.measures_of(task):
            values = [result.metrics.get(f"{prefix}{task}_{measure.name}", math.nan) for result in results]
            mean, sd = statistics.fmean(values), statistics.stdev(values)
            rows.append({"name": f"{task} {measure.words}", "mean": mean, "sd": sd})
    return {"seeds": seeds, "rows": rows}
