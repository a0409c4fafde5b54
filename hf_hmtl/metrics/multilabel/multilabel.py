"""The scores of several yes-or-no labels as a metric of the `evaluate` library.

`evaluate.load` copies this file and measures.py away, and its scanner reads one import per line.
"""

import datasets
import evaluate

from .measures import scores

_DESCRIPTION = "Average precision of each label, their mean, and the share of labels decided rightly."
_INPUTS = """
Args:
    predictions: for each row, one score a label; above 0 means yes.
    references: for each row, 1 or 0 a label, NaN where it is not known.
    names: the name of each label.
Returns:
    mean_average_precision, average_precision_<name> for each name, accuracy, count.
"""


class Multilabel(evaluate.Metric):
    """Scores of several labels; `compute(predictions=, references=, names=)`."""

    def _info(self) -> evaluate.MetricInfo:
        numbers = datasets.Sequence(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": numbers, "references": numbers}),
        )

    def _compute(self, predictions, references, names) -> dict[str, float]:
        return scores(predictions, references, names)
