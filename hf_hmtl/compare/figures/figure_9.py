"""Fine-tuning and training from scratch at different levels of augmentation, as in Figure 9."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hf_hmtl.compare import canvas
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.runs import FinishedRun, fitting
from hf_hmtl.compare.figures.settings import (
    IMAGENET,
    LEVELS,
    RANDOM,
    draw_interval,
    level_of,
    mark_most_frequent,
    require_alike,
    spreads,
    unfit,
    weights_of,
)

OPTIONS = ()
_FREE = ("augmentation", "crop")  # without augmentation the middle is cut out of every picture
_FREE_WITH_WEIGHTS = (*_FREE, "pretrained", "training.learning_rate")  # at a tenth of the rate, section 4.2


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Read the scores. The numbers: a row for each weights and level, with the accuracy over seeds."""
    kept, notes = fitting(runs, _unfit, "figure 9")
    found = spreads(kept, lambda run: (weights_of(run), level_of(run)), "figure 9", notes)
    require_alike(kept, _FREE_WITH_WEIGHTS, "figure 9")
    for weights in (RANDOM, IMAGENET):
        if alike := [run for run in kept if weights_of(run) == weights]:
            require_alike(alike, _FREE, "figure 9")
    numbers = [
        {"weights": weights, "level": level} | found[weights, level]
        for weights in (RANDOM, IMAGENET)
        for level in LEVELS
        if (weights, level) in found
    ]
    return Drawn(numbers, draw(numbers), notes)


def _unfit(run: FinishedRun) -> str | None:
    recipe = run.result.recipe
    if unfit(run):
        return unfit(run)
    if recipe.get("auxiliary", {}):
        return "it has a pretext beside the labels"
    if recipe.get("train_fraction", 1) != 1:
        return "it learned from a share of the rows"
    if weights_of(run) not in (RANDOM, IMAGENET):
        return f"it began with the weights of {weights_of(run)}"
    return None if level_of(run) in LEVELS else f"its augmentation is {level_of(run)}"


def draw(numbers: list[dict]) -> Figure:
    """A line for random and one for ImageNet weights, over the levels."""
    figure = canvas.new_figure(6, 4.4)
    axis = figure.subplots()
    looks = canvas.styles(dict.fromkeys(row["weights"] for row in numbers))
    for number, (weights, of_weights) in enumerate(looks.items()):
        own = [row for row in numbers if row["weights"] == weights]
        places = [list(LEVELS).index(row["level"]) + 0.06 * number for row in own]
        axis.plot(places, [row["mean"] for row in own], label=f"{weights} weights", **of_weights)
        for place, row in zip(places, own, strict=True):
            draw_interval(axis, place, row, of_weights["color"], of_weights["marker"])
    axis.set_xticks(range(len(LEVELS)), list(LEVELS.values()))
    axis.set_xlim(-0.3, len(LEVELS) - 0.7)
    canvas.within_shares(axis)
    dotted = mark_most_frequent(axis, numbers)
    axis.set(ylabel=f"accuracy on {numbers[0]['split']}, 0 to 1", xlabel="level of augmentation")
    axis.grid(axis="y", alpha=0.3)
    title = canvas.spread_in_words((row["seeds"] for row in numbers), "bars") + dotted
    figure.legend(loc="outside lower center", ncols=2, title=title, fontsize="small")
    return figure
