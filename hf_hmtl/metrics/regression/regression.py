"""The regression scores as a metric of the `evaluate` library.

`evaluate.load` copies this file and measures.py away, and its scanner reads one import per line.
"""

import datasets
import evaluate

from .measures import scores

_DESCRIPTION = "CCC, RMSE, MAE, Pearson correlation and sign agreement, over the whole set; NaN labels are left out."
_INPUTS = """
Args:
    predictions: numbers answered.
    references: true numbers, NaN where there is no label.
Returns:
    ccc, rmse, mae, pearson, sagr, count.
"""


class Regression(evaluate.Metric):
    """Regression scores; `compute(predictions=, references=)`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        return scores(predictions, references)
