"""Which tiles carry the label, which Figure 12 shows in words: accuracy without each tile, and by it alone."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from hf_hmtl.analysis.tiles import tile_answers
from hf_hmtl.compare.canvas import new_figure
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.runs import (
    FinishedRun,
    by_label,
    first_classification,
    fitting,
    mean_and_interval,
    require_comparable,
    require_weights,
    saves_no_network,
)
from hf_hmtl.compare.figures.settings import most_frequent
from hf_hmtl.run.finished import KEPT, open_run, some_rows
from hf_hmtl.tasks.classification import Classification

OPTIONS = ("data_dir", "weights", "rows")
GRID = 4
LOSS, ALONE = "lost without the tile", "by the tile alone"


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Ask every run's network about validation faces with a tile painted over, and with all others painted over.

    The numbers: a row for each label, tile and measure, over seeds: the accuracy that is lost without the tile, and the
    accuracy by it alone, beside that of the most frequent class, which needs no tile.
    """
    kept, notes = fitting(runs, _unfit, "figure 12")
    require_comparable(kept, "validation", "figure 12")
    require_weights(kept, options.weights or KEPT)
    found = {}
    for run in tqdm(kept, desc="runs asked", disable=None):
        opened = open_run(run.folder, options.data_dir, options.weights or KEPT, "validation")
        task = next(task for task in opened.supervised if isinstance(task, Classification))
        answers = tile_answers(opened.model, task, opened.batches(some_rows(len(opened.rows), options.rows)), GRID)
        found[run.folder] = {
            LOSS: answers.whole.mean() - answers.hidden.mean(1),
            ALONE: answers.alone.mean(1),
        }
    numbers = [
        {
            "method": label,
            "measure": measure,
            "row": tile // GRID + 1,
            "column": tile % GRID + 1,
            "seeds": len(of_seeds),
            **mean_and_interval([float(found[run.folder][measure][tile]) for run in of_seeds]),
            "most_frequent": most_frequent(of_seeds[0], "validation"),
        }
        for label, of_seeds in by_label(kept).items()
        for measure in (LOSS, ALONE)
        for tile in range(GRID * GRID)
    ]
    return Drawn(numbers, draw(numbers), notes)


def _unfit(run: FinishedRun) -> str | None:
    if without := saves_no_network(run):
        return without
    if first_classification(run) is None:
        return "it learned no classes"
    side = run.result.model["image_size"]
    return f"its pictures of {side} px cannot be cut into {GRID} x {GRID} equal tiles" if side % GRID else None


def draw(numbers: list[dict]) -> Figure:
    """A line of two maps for each label, with the numbers written into the tiles; one scale for all."""
    labels = list(dict.fromkeys(row["method"] for row in numbers))
    figure = new_figure(8.4, 0.6 + 3.4 * len(labels))
    of_measure = {each: [row["mean"] for row in numbers if row["measure"] == each] for each in (LOSS, ALONE)}
    axes = figure.subplots(len(labels), 2, squeeze=False)
    for line, label in zip(axes, labels, strict=True):
        for axis, measure in zip(line, (LOSS, ALONE), strict=True):
            own = [row for row in numbers if (row["method"], row["measure"]) == (label, measure)]
            values = np.array([row["mean"] for row in own]).reshape(GRID, GRID)
            low, high = min(of_measure[measure]), max(of_measure[measure])
            shown = axis.imshow(values, cmap="viridis", vmin=low, vmax=high)
            middle = (low + high) / 2
            for row in own:
                half = (row["high"] - row["low"]) / 2
                text = f"{round(row['mean'], 3) + 0.0:.3f}" + (f"\n± {half:.3f}" if math.isfinite(half) else "")
                colour = "black" if row["mean"] > middle else "white"
                axis.text(row["column"] - 1, row["row"] - 1, text, ha="center", va="center", fontsize=8, color=colour)
            axis.set(xticks=[], yticks=[])
            known = measure == ALONE and math.isfinite(own[0]["most_frequent"])
            beside = f"\n(the most frequent class has {own[0]['most_frequent']:.3f})" if known else ""
            axis.set_title(f"{label}: accuracy {measure}{beside}", fontsize=9)
            figure.colorbar(shown, ax=axis, shrink=0.75, label="accuracy, 0 to 1")
    if any(row["seeds"] > 1 for row in numbers):
        figure.supxlabel("means over seeds ± half of their 95 % interval", fontsize=9)
    return figure
