"""Grad-CAM as in Figure 11: a row of faces of each class, and beside each where every network looks.

The heat is that of the true class. Of drawn faces it is known where the face is, and so how much of the heat is on it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from hf_hmtl.analysis.explain import Unexplained, enlarged, heat_inside, heat_of_places, of_class
from hf_hmtl.compare.canvas import new_figure
from hf_hmtl.compare.figures import Drawn, FigureOptions
from hf_hmtl.compare.figures.runs import (
    FinishedRun,
    first_classification,
    fitting,
    left_out,
    mean_and_interval,
    require_comparable,
    require_weights,
    saves_no_network,
)
from hf_hmtl.results.intervals import of_mean
from hf_hmtl.run.finished import KEPT, OpenedRun, open_run, some_rows
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.classification import Classification

OPTIONS = ("data_dir", "weights", "rows")
ROWS = 400
MEAN = "mean"


def make(runs: Sequence[FinishedRun], options: FigureOptions) -> Drawn:
    """Explain every run's network on the same validation rows.

    The numbers: a row for each run and face: the true class, the answer and its probability, in how many places of
    which layer the heat is computed, and of drawn faces the share of the heat that is on the face and the share of the
    picture that is; then a row `mean` for each label, with the interval over seeds, or of one seed over faces. The
    picture shows the first face of each class, and of several seeds the first.
    """
    kept, notes = fitting(runs, _unfit, "figure 11")
    require_comparable(kept, "validation", "figure 11")
    require_weights(kept, options.weights or KEPT)
    numbers, shown, unexplained, classes = [], {}, {}, set()
    for run in tqdm(kept, desc="runs explained", disable=None):
        opened = open_run(run.folder, options.data_dir, options.weights or KEPT, "validation")
        try:
            found, heats = _explained(run, opened, some_rows(len(opened.rows), options.rows or ROWS))
        except Unexplained as error:
            unexplained[run.folder] = str(error)
            continue
        numbers += found
        classes |= set(_task_of(opened).labels)
        shown.setdefault(run.label, (found, heats))
    notes += left_out(kept, unexplained)
    if not shown:
        raise ValueError(f"figure 11 has nothing to show: {'; '.join(notes)}")
    if len({len(found) for found, _ in shown.values()}) > 1:
        raise ValueError("these runs were validated on different faces, which cannot stand in one figure")
    if unseen := sorted(classes - {row["true_class"] for row in numbers}):
        notes.append(f"none of the faces that were looked at shows {', '.join(unseen)}; --rows takes more of them")
    of_label = {label: [row for row in numbers if row["method"] == label] for label in shown}
    means = [_mean(rows) for rows in of_label.values()]
    notes += [note for label, rows in of_label.items() for note in _without_heat(label, rows)]
    return Drawn([*numbers, *means], draw(shown, {row["method"]: row for row in means}), notes)


def _unfit(run: FinishedRun) -> str | None:
    if without := saves_no_network(run):
        return without
    return None if first_classification(run) else "it learned no classes"


def _task_of(opened: OpenedRun) -> Classification:
    return next(task for task in opened.supervised if isinstance(task, Classification))


def _explained(run: FinishedRun, opened: OpenedRun, chosen: list[int]) -> tuple[list[dict], list[tuple]]:
    """The numbers of each labelled face, and its pixels with their heat."""
    task = _task_of(opened)
    numbers, pictures = [], []
    for batch in opened.batches(chosen):
        target, rows = batch["targets"][task.name], batch["rows"]
        labelled = target != MISSING
        pixels, target, rows = batch["pixel_values"][labelled], target[labelled], rows[labelled]
        on_device = pixels.to(opened.model.device)
        places, layer = heat_of_places(opened.model, task.name, on_device, of_class(target))
        heat = enlarged(places.cpu(), pixels.shape[-2:])
        with torch.no_grad():
            logits = opened.model(pixel_values=on_device).predictions[task.name]
        probabilities = logits.float().softmax(-1).cpu()
        masks = opened.face_masks(rows.tolist())
        on_face = torch.full((len(rows),), torch.nan)
        if masks is not None:
            on_face = heat_inside(heat, torch.from_numpy(masks))
        for place, row in enumerate(rows.tolist()):
            answer = int(probabilities[place].argmax())
            numbers.append(
                {
                    "method": run.label,
                    "seed": run.seed,
                    "row": row,
                    "true_class": task.labels[target[place]],
                    "answer": task.labels[answer],
                    "probability": float(probabilities[place, answer]),
                    "heat_on_face": float(on_face[place]),
                    "low": "",
                    "high": "",
                    "places": "x".join(map(str, places.shape[1:])),
                    "layer": layer,
                    "face_of_picture": float(masks[place].mean()) if masks is not None else float("nan"),
                }
            )
            pictures.append((pixels[place].permute(1, 2, 0).numpy(), heat[place].numpy()))
    return numbers, pictures


def _without_heat(label: str, rows: list[dict]) -> list[str]:
    """How many drawn faces of a label are not in its mean, if any."""
    cold = sum(np.isnan(row["heat_on_face"]) and np.isfinite(row["face_of_picture"]) for row in rows)
    said = f"{label}: nothing speaks for the true class of {cold:,} of {len(rows):,} faces, which are not in its mean"
    return [said] if cold else []


def _mean(rows: list[dict]) -> dict:
    """The mean row of a label; faces without any heat are left out."""
    seeds: dict[int, list[float]] = {}
    for row in rows:
        if np.isfinite(row["heat_on_face"]):
            seeds.setdefault(row["seed"], []).append(row["heat_on_face"])
    over_seeds = mean_and_interval([float(np.mean(of_seed)) for of_seed in seeds.values()])
    low, high = over_seeds["low"], over_seeds["high"]
    if len(seeds) == 1:
        low, high = of_mean(next(iter(seeds.values())))
    blank = dict.fromkeys(rows[0], "")
    area = float(np.mean([row["face_of_picture"] for row in rows]))
    own = {"method": rows[0]["method"], "seed": MEAN, "heat_on_face": over_seeds["mean"], "low": low, "high": high}
    return blank | own | {name: rows[0][name] for name in ("places", "layer")} | {"face_of_picture": area}


def draw(shown: dict[str, tuple[list[dict], list[tuple]]], means: dict[str, dict]):
    """A row for each class, a column for the faces and one for each label.

    Args:
        shown: {label: (numbers of the faces, their pixels and heat)} of one seed, the same faces for each.
        means: {label: its mean row}.
    """
    faces = next(iter(shown.values()))[0]
    first = {row["true_class"]: place for place, row in reversed(list(enumerate(faces)))}
    figure = new_figure(1.0 + 1.5 * (1 + len(shown)), 1.5 + 1.62 * len(first))
    axes = figure.subplots(len(first), 1 + len(shown), squeeze=False)
    for line, (name, place) in zip(axes, sorted(first.items()), strict=True):
        for axis, label in zip(line, [None, *shown], strict=True):
            numbers, pictures = shown[label or next(iter(shown))]
            pixels, heat = pictures[place]
            axis.imshow(pixels)
            axis.set(xticks=[], yticks=[])
            if label is not None:
                shown_heat = axis.imshow(heat, cmap="inferno", alpha=0.5, vmin=0, vmax=1)
                answer = numbers[place]
                right = answer["answer"] == name
                axis.set_xlabel(
                    f"{answer['answer']} {answer['probability']:.2f}",
                    fontsize=8,
                    color="black" if right else "firebrick",
                    style="normal" if right else "italic",
                )
        line[0].set_ylabel(name)
    axes[0, 0].set_title("validation\nfaces", fontsize=9)
    label = "heat of the true class\n(Grad-CAM), hottest place 1"
    figure.colorbar(shown_heat, ax=axes[:, 1:], location="bottom", shrink=0.8, aspect=30, pad=0.01, label=label)
    figure.supxlabel(
        "true class on the left; below a face the answer\nand its probability, wrong ones red and slanted;\n"
        "brackets: 95 % intervals over seeds, of one over faces",
        fontsize=8,
    )
    for axis, label in zip(axes[0, 1:], shown, strict=True):
        mean = means[label]
        known = np.isfinite(mean["heat_on_face"])
        share, area = mean["heat_on_face"], mean["face_of_picture"]
        interval = f"\n[{mean['low']:.2f}, {mean['high']:.2f}]" if np.isfinite(mean["low"]) else ""
        beside = f"\nheat on face {share:.2f}{interval}\n(face is {area:.2f})" if known else ""
        axis.set_title(f"{_broken(label)}\nheat of {mean['places']} places\n({mean['layer']}){beside}", fontsize=9)
    return figure


def _broken(label: str, width: int = 18) -> str:
    """A label in lines that fit above a face."""
    lines = [""]
    for word in label.replace("-", "- ").split(" "):
        if len(lines[-1]) + len(word) > width and lines[-1]:
            lines.append("")
        lines[-1] += word if word.endswith("-") else f"{word} "
    return "\n".join(line.strip() for line in lines)
