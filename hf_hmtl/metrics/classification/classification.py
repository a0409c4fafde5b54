"""The classification scores as a metric of the `evaluate` library.

`evaluate.load` copies this file and measures.py away, and its scanner reads one import per line.
"""

import datasets
import evaluate

from .measures import scores

_DESCRIPTION = "Accuracy, macro F1, balanced accuracy and recall of each class; rows without a label are left out."
_INPUTS = """
Args:
    predictions: class numbers answered.
    references: true class numbers, -1 or -100 where there is no label.
    names: the name of each class, in the order of the numbers.
Returns:
    accuracy, macro_f1, balanced_accuracy, recall_<name> for each name, count.
"""


class Classification(evaluate.Metric):
    """Classification scores; `compute(predictions=, references=, names=)`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(self, predictions, references, names) -> dict[str, float]:
        return scores(predictions, references, names)
