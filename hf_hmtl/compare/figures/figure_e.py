"""Error of head pose on validation by epoch, as it was logged: appendix E, and with smoothing Figure 15."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hf_hmtl.compare.canvas import new_figure, spread_in_words
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.curves import Smoothing, curve, draw_curves, logged
from hf_hmtl.compare.figures.runs import FinishedRun, fitting

OPTIONS = ()
HEADLINE = "mae"


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Read the mean absolute error of the angles off the logs: a row for each label and epoch of all its seeds."""
    return pose_errors(runs, "figure E", None, "")


def pose_errors(runs: Sequence[FinishedRun], figure: str, smoothing: Smoothing | None, how: str) -> Drawn:
    """The errors by epoch, smoothed or not.

    Args:
        smoothing: of the curve of each seed.
        how: what that did, for the picture.

    Raises:
        ValueError: no run logged errors of head pose, or the runs call that task differently.
    """
    kept, notes = fitting(runs, _unfit, figure)
    tasks = sorted({str(_pose(run)) for run in kept})
    if len(tasks) > 1:
        raise ValueError(f"{figure} shows one task, and these runs learned {' and '.join(tasks)}")
    numbers = logged(kept, f"eval_{tasks[0]}_{HEADLINE}", HEADLINE, "epoch", smoothing)
    return Drawn(numbers, draw(numbers, how), notes)


def _pose(run: FinishedRun) -> str | None:
    """The task of head pose."""
    learned = run.result.recipe["supervised"]
    named = {(settings or {}).get("name", key): (settings or {}).get("task") for key, settings in learned.items()}
    return next((name for name, task in named.items() if task == "head_pose"), None)


def _unfit(run: FinishedRun) -> str | None:
    task = _pose(run)
    if task is None:
        return "it learned no head pose"
    return None if curve(run, f"eval_{task}_{HEADLINE}", "epoch") else "its log holds no error by epoch"


def draw(numbers: list[dict], how: str) -> Figure:
    """One panel: a curve for each label."""
    figure = new_figure(7, 4.4)
    axis = figure.subplots()
    draw_curves(axis, numbers, "epoch", list(dict.fromkeys(row["method"] for row in numbers)))
    axis.set_ylabel(f"mean absolute error on validation, degrees{how}")
    title = spread_in_words((row["seeds"] for row in numbers), "bands")
    figure.legend(loc="outside lower center", ncols=2, title=title, fontsize="small")
    return figure
