"""The puzzle scores as a metric of the `evaluate` library.

`evaluate.load` copies this file and measures.py away, and its scanner reads one import per line.
"""

import datasets
import evaluate

from .measures import scores

_DESCRIPTION = "Share of tiles put in their place, and share of puzzles solved completely."
_INPUTS = """
Args:
    predictions: for each puzzle, the original place answered for each of its N slots.
    references: for each puzzle, the true original places; N times -100 for a row that is no puzzle.
Returns:
    tile_accuracy, exact_solve, count.
"""


class Puzzle(evaluate.Metric):
    """Puzzle scores; `compute(predictions=, references=)`."""

    def _info(self) -> evaluate.MetricInfo:
        places = datasets.Sequence(datasets.Value("int64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": places, "references": places}),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        return scores(predictions, references)
