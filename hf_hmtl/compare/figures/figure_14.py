"""Loss and accuracy on validation by step, with and without the heads of the pretext, as in Figure 14."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hf_hmtl.compare.canvas import new_figure, spread_in_words, within_shares
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.curves import curve, draw_curves, logged
from hf_hmtl.compare.figures.runs import FinishedRun, first_classification, fitting, require_comparable

OPTIONS = ()
LOSS, ACCURACY = "loss", "accuracy"


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Read the logs. The numbers: a row for each label, measure and step that all its seeds have.

    The loss is that of the first supervised task that has classes.

    Raises:
        ValueError: no run logged both, or the runs cannot be compared.
    """
    kept, notes = fitting(runs, _unfit, "figure 14")
    task = require_comparable(kept, "validation", "figure 14")
    numbers = [
        *logged(kept, f"eval_{task}_loss", LOSS, "step"),
        *logged(kept, f"eval_{task}_accuracy", ACCURACY, "step"),
    ]
    return Drawn(numbers, draw(numbers, task), notes)


def _unfit(run: FinishedRun) -> str | None:
    task = first_classification(run)
    if task is None:
        return "it learned no classes"
    both = all(curve(run, f"eval_{task}_{measure}", "step") for measure in (LOSS, ACCURACY))
    return None if both else "its log holds no validation loss and accuracy by step"


def draw(numbers: list[dict], task: str) -> Figure:
    """Two panels: (a) loss and (b) accuracy."""
    figure = new_figure(10, 4.4)
    labels = list(dict.fromkeys(row["method"] for row in numbers))
    axes = figure.subplots(1, 2)
    for axis, measure in zip(axes, (LOSS, ACCURACY), strict=True):
        draw_curves(axis, [row for row in numbers if row["measure"] == measure], "step", labels)
        unit = "nats" if measure == LOSS else "0 to 1"
        axis.set_ylabel(f"{task} {measure} on validation, {unit}")
    handles, names = axes[0].get_legend_handles_labels()
    within_shares(axes[1])
    title = spread_in_words((row["seeds"] for row in numbers), "bands")
    figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)), title=title, fontsize="small")
    return figure
