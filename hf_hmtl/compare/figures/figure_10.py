"""All settings of supervised and hybrid training beside each other, as in Figure 10."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hf_hmtl.compare import canvas
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.runs import FinishedRun, fitting
from hf_hmtl.compare.figures.settings import (
    LEVELS,
    draw_interval,
    level_of,
    mark_most_frequent,
    spreads,
    unfit,
    weights_of,
)

OPTIONS = ()


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Read the scores. The numbers: a row for each label, the worst first, with what it is and its accuracy."""
    kept, notes = fitting(runs, unfit, "figure 10")
    first = {run.label: run for run in reversed(kept)}
    numbers = [
        {
            "method": label,
            "level": level_of(first[label]),
            "weights": weights_of(first[label]),
            "pretexts": "+".join(first[label].result.recipe.get("auxiliary", {})),
            "share_of_rows": first[label].result.recipe.get("train_fraction", 1.0),
        }
        | spread
        for label, spread in spreads(kept, lambda run: run.label, "figure 10", notes).items()
    ]
    numbers.sort(key=lambda row: row["mean"])
    return Drawn(numbers, draw(numbers), notes)


def draw(numbers: list[dict]) -> Figure:
    """A line for each label, the best on top, in the colour of its level."""
    figure = canvas.new_figure(8, 1.2 + 0.3 * len(numbers))
    axis = figure.subplots()
    levels = [level for level in LEVELS if any(row["level"] == level for row in numbers)]
    levels += sorted({row["level"] for row in numbers} - set(LEVELS))
    looks = canvas.styles(levels)
    for place, row in enumerate(numbers):
        of_level = looks[row["level"]]
        draw_interval(axis, place, row, of_level["color"], of_level["marker"], upright=False)
    for level, of_level in looks.items():
        axis.plot([], [], **of_level | {"linestyle": ""}, label=LEVELS.get(level, level))
    canvas.within_shares(axis, upright=False)
    dotted = mark_most_frequent(axis, numbers, upright=False)
    axis.set_yticks(range(len(numbers)), [row["method"] for row in numbers])
    axis.set_ylim(-0.6, len(numbers) - 0.4)
    words = canvas.spread_in_words((row["seeds"] for row in numbers), "bars")
    axis.set_xlabel(f"accuracy on {numbers[0]['split']}, 0 to 1\n{words}{dotted}")
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(levels), title="level of augmentation", fontsize="small")
    return figure
