"""What a score is called, in which unit it is, and which way is better."""

import re
from dataclasses import dataclass

SHARE = "share"


@dataclass(frozen=True)
class Measure:
    """One score of a task.

    Attributes:
        name: its key in what the task's `score` returns, such as "accuracy".
        greater_is_better: False for errors.
        unit: "share" for what lies between 0 and 1, else the unit of the label, such as "degrees"; may be empty.
    """

    name: str
    greater_is_better: bool = True
    unit: str = SHARE

    @property
    def words(self) -> str:
        """The name for readers: "macro F1"."""
        return re.sub(r"\b(f1|ccc|rmse|mae|sagr)\b", lambda name: name[0].upper(), self.name.replace("_", " "))

    def best(self, values):
        """The best of some values."""
        return max(values) if self.greater_is_better else min(values)

    def reaches(self, value: float, threshold: float) -> bool:
        """Whether a value is at least as good as a threshold."""
        return value >= threshold if self.greater_is_better else value <= threshold
