"""Accuracy against the size of the puzzle, and what region weights change, as in Figure 13."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hf_hmtl.compare import canvas
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.runs import FinishedRun, fitting
from hf_hmtl.compare.figures.settings import draw_interval, mark_most_frequent, require_alike, spreads, unfit
from hf_hmtl.tasks.puzzle import Puzzle

OPTIONS = ()
_FREE = ("grid", "region_weights", "task")


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Read the scores. The numbers: a row for each size, with and without region weights, and its accuracy."""
    kept, notes = fitting(runs, _unfit, "figure 13")
    found = spreads(kept, _size, "figure 13", notes)
    require_alike(kept, ("auxiliary", "image_size"), "figure 13")  # a side that can be divided by that of the puzzle
    numbers = [
        {"tiles": grid * grid if grid else 0, "size": _words(grid, weighted), "region_weights": weighted} | spread
        for (grid, weighted), spread in sorted(found.items())
    ]
    return Drawn(numbers, draw(numbers), notes)


def _size(run: FinishedRun) -> tuple[int, bool]:
    settings = next(iter(run.result.recipe.get("auxiliary", {}).values()), None)
    if settings is None:
        return 0, False
    return settings.get("grid", Puzzle.grid), settings.get("region_weights") is not None


def _words(grid: int, weighted: bool) -> str:
    return f"{grid}x{grid}{', weighted regions' * weighted}" if grid else "no puzzle"


def _unfit(run: FinishedRun) -> str | None:
    if unfit(run):
        return unfit(run)
    pretexts = run.result.recipe.get("auxiliary", {})
    for name, settings in pretexts.items():
        if len(pretexts) > 1 or (settings or {}).get("task", name) != "puzzle":
            return "it has another pretext than a puzzle"
        usual = {key: getattr(Puzzle, key) for key in settings or {} if key not in _FREE}
        others = [f"{key}={settings[key]}" for key, value in usual.items() if settings[key] != value]
        if others:
            return f"its puzzle differs in more than its size ({', '.join(others)})"
    return None


def draw(numbers: list[dict]) -> Figure:
    """A point for each size, those with region weights of another colour and shape."""
    figure = canvas.new_figure(6, 4.2)
    axis = figure.subplots()
    for place, row in enumerate(numbers):
        draw_interval(axis, place, row, *(("C1", "s") if row["region_weights"] else ("C0", "o")))
    axis.set_xticks(range(len(numbers)), [row["size"].replace(", ", "\n") for row in numbers])
    axis.set_xlim(-0.5, len(numbers) - 0.5)
    axis.set_xlabel("puzzle, tiles a side")
    canvas.within_shares(axis)
    dotted = mark_most_frequent(axis, numbers)
    axis.set_ylabel(f"accuracy on {numbers[0]['split']}, 0 to 1")
    axis.set_title(canvas.spread_in_words((row["seeds"] for row in numbers), "bars") + dotted, fontsize=10)
    axis.grid(axis="y", alpha=0.3)
    return figure
