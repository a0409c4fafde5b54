"""How well probabilities hold, as a metric of the `evaluate` library.

`evaluate.load` copies this file and measures.py away, and its scanner reads one import per line.
"""

import datasets
import evaluate

from .measures import scores

_DESCRIPTION = "Expected calibration error and Brier score of the probabilities of a classifier."
_INPUTS = """
Args:
    predictions: for each row, the probability of each class.
    references: for each row, its class, or -1 where it is not known.
Returns:
    expected_error, brier, confidence, count.
"""


class Calibration(evaluate.Metric):
    """Scores of probabilities; `compute(predictions=, references=)`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        return scores(predictions, references)
