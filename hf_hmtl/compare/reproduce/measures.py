"""The measures of the paper's tables in words: what is measured, in which unit, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A kind of score.

    Attributes:
        name: within a column's title.
        words: in a sentence.
        scale: what its numbers are, in a sentence.
        unit: "share" for what lies between 0 and 1, else the unit of the label, such as "degrees"; may be empty.
        greater_is_better: False for errors.
    """

    name: str
    words: str
    scale: str
    unit: str
    greater_is_better: bool = True

    def explained(self, of: str = "") -> str:
        """ "root mean square error (RMSE) of valence, for labels from -1 to 1, lower is better" for " of valence"."""
        return f"{self.words}{of}, {self.scale}, {'higher' if self.greater_is_better else 'lower'} is better"


SCORES = {
    "accuracy": Score("accuracy", "accuracy", "a share from 0 to 1", "share"),
    "macro_f1": Score("macro F1", "macro F1", "a share from 0 to 1", "share"),
    "ccc": Score("CCC", "concordance correlation coefficient (CCC)", "from -1 to 1", ""),
    "rmse": Score("RMSE", "root mean square error (RMSE)", "for labels from -1 to 1", "", greater_is_better=False),
    "mse": Score("MSE", "mean square error (MSE)", "for labels from -1 to 1", "", greater_is_better=False),
    "mae": Score("MAE", "mean absolute error (MAE)", "in degrees", "degrees", greater_is_better=False),
}
"""{how result.json calls it: a score that the paper prints}; absolute errors are of angles alone."""

OF_SEVERAL = {"affect": "valence and arousal", "pose": "yaw, pitch and roll"}
"""{task: the columns that it answers}; a measure without a column is their mean."""


def score_of(measure: str) -> Score:
    """The kind of a measure such as "affect_rmse_valence"."""
    return SCORES[_parts(measure)[1]]


def title(measure: str) -> str:
    """For a column: "RMSE of valence", "mean RMSE", "macro F1"."""
    task, kind, column = _parts(measure)
    name = SCORES[kind].name
    return f"{name} of {column}" if column else f"{'mean ' * (task in OF_SEVERAL)}{name}"


def sentence(measure: str) -> str:
    """What a table shows: "Root mean square error (RMSE) of valence, for labels from -1 to 1, lower is better."."""
    task, _, column = _parts(measure)
    several = f", mean of {OF_SEVERAL[task]}" if task in OF_SEVERAL and not column else ""
    text = score_of(measure).explained(several or f" of {column or task}")
    return f"{text[0].upper()}{text[1:]}."


def _parts(measure: str) -> tuple[str, str, str]:
    """("affect", "rmse", "valence") of "affect_rmse_valence"; the column is empty where it is of all."""
    task, _, rest = measure.partition("_")
    kind = next(kind for kind in SCORES if f"{rest}_".startswith(f"{kind}_"))
    return task, kind, rest.removeprefix(kind).removeprefix("_")
