"""Accuracy under attack: FGSM at several radii as in Figure 16, and PGD of the same budget beside it."""

from collections.abc import Sequence

import numpy as np
from tqdm.auto import tqdm

from hf_hmtl.analysis.attack import ATTACKS, STEPS, attacked_answers
from hf_hmtl.compare.canvas import new_figure, styles
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.runs import (
    FinishedRun,
    first_classification,
    fitting,
    mean_and_interval,
    require_comparable,
    require_weights,
    saves_no_network,
)
from hf_hmtl.results.intervals import of_share
from hf_hmtl.run.finished import LOWEST_LOSS, open_run, some_rows
from hf_hmtl.tasks.classification import Classification

OPTIONS = ("data_dir", "weights", "rows", "radii")
RADII = (0.0, 0.5 / 255, 1 / 255, 2 / 255, 4 / 255, 8 / 255)
MEAN = "mean"
TITLES = {"fgsm": "FGSM, one step (Eq. 6)", "pgd": f"PGD, {STEPS} steps of the same budget"}


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Attack every run's network on the same validation rows.

    The numbers: a row for each run, attack and radius, with Wilson's interval of the rows, and a row `mean` for each
    label with the interval over its seeds, or of one seed that of its rows.
    """
    kept, notes = fitting(runs, _unfit, "figure 16")
    require_comparable(kept, "validation", "figure 16")
    require_weights(kept, options.weights or LOWEST_LOSS)
    radii = tuple(sorted({0.0, *(options.radii or RADII)}))
    numbers = []
    for run in tqdm(kept, desc="runs under attack", disable=None):
        numbers += _attacked(run, options, radii)
    every = [*numbers, *_means(numbers)]
    return Drawn(every, draw(every), notes)


def _unfit(run: FinishedRun) -> str | None:
    if without := saves_no_network(run):
        return without
    return None if first_classification(run) else "it learned no classes"


def _attacked(run: FinishedRun, options: FigureOptions, radii: tuple[float, ...]) -> list[dict]:
    opened = open_run(run.folder, options.data_dir, options.weights or LOWEST_LOSS, "validation")
    task = next(task for task in opened.supervised if isinstance(task, Classification))
    chosen = some_rows(len(opened.rows), options.rows)
    found = attacked_answers(opened.model, task, opened.batches(chosen), radii)
    numbers = []
    for attack, right in found.right.items():
        for radius, of_rows in zip(radii, right, strict=True):
            low, high = of_share(int(of_rows.sum()), len(of_rows))
            numbers.append(
                {
                    "method": run.label,
                    "seed": run.seed,
                    "step": opened.step,
                    "attack": attack,
                    "radius": radius,
                    "accuracy": float(of_rows.mean()),
                    "low": low,
                    "high": high,
                    "rows": len(of_rows),
                }
            )
    return numbers


def _means(numbers: list[dict]) -> list[dict]:
    groups: dict[tuple, list[dict]] = {}
    for row in numbers:
        groups.setdefault((row["method"], row["attack"], row["radius"]), []).append(row)
    means = []
    for of_seeds in groups.values():
        over_seeds = mean_and_interval([row["accuracy"] for row in of_seeds])
        bounds = over_seeds if len(of_seeds) > 1 else of_seeds[0]
        own = {"seed": MEAN, "step": "", "accuracy": over_seeds["mean"], "low": bounds["low"], "high": bounds["high"]}
        means.append(of_seeds[0] | own)
    return means


def draw(numbers: list[dict]):
    """A panel for each attack: means, and their intervals as bands."""
    figure = new_figure(10, 4.4)
    axes = figure.subplots(1, len(ATTACKS), sharey=True)
    labels = list(dict.fromkeys(row["method"] for row in numbers))
    for axis, attack in zip(axes, ATTACKS, strict=True):
        for label, looks in styles(labels).items():
            rows = [row for row in numbers if (row["method"], row["attack"], row["seed"]) == (label, attack, MEAN)]
            levels = [255 * row["radius"] for row in rows]
            axis.plot(levels, [row["accuracy"] for row in rows], markersize=5, label=label, **looks)
            low, high = (np.clip([row[bound] for row in rows], 0, 1) for bound in ("low", "high"))
            axis.fill_between(levels, low, high, color=looks["color"], alpha=0.15, linewidth=0)
        axis.set(title=TITLES[attack], xlabel="largest change of a pixel, grey levels of 255", ylim=(0, None))
        axis.grid(alpha=0.3)
    rows = numbers[0]["rows"]
    axes[0].set_ylabel(f"accuracy on {rows:,} validation faces, 0 to 1")
    handles, names = axes[0].get_legend_handles_labels()
    title = "bands: 95 % intervals over seeds, of a single seed over faces"
    figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)), title=title, fontsize="small")
    return figure
