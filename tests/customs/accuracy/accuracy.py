"""A metric of a local folder, as `evaluate.load(folder)` finds it without a connection."""

import datasets
import evaluate


class Accuracy(evaluate.Metric):
    """The share of right answers."""

    def _info(self):
        number = datasets.Value("int32")
        features = datasets.Features({"predictions": number, "references": number})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references):
        pairs = list(zip(predictions, references, strict=True))
        return {"accuracy": sum(answer == truth for answer, truth in pairs) / len(pairs)}
