"""One page of what comparisons and single runs came to, made of their result.json files alone."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from hf_hmtl.compare import rows
from hf_hmtl.compare.report import across, tables, with_titles
from hf_hmtl.compare.statistics import PREFIXES
from hf_hmtl.files import replacing
from hf_hmtl.results import result as results
from hf_hmtl.results.card import escape
from hf_hmtl.results.result import Result

FIGURES = "figures"
NOTES = "notes.md"
"""What people write about a comparison stands in its folder, and below its tables."""
OWN = "comparison.yaml"
"""A comparison that is no preset of the package lies in its folder."""
_HEAD = """\
# What runs came to

Made by `hf-hmtl cards` of the `result.json` files of these runs, and never edited by hand. Weights are selected on
validation; the split above each score is reported once.
"""


def page(folders: Sequence[Path], pictures: Path | None = None) -> str:
    """The text of the page: the tables of each comparison, and one of the single runs.

    Args:
        folders: of comparisons, as `hf-hmtl compare` leaves them, and of runs.
        pictures: folder to draw the pictures of the page into, `figures` beside it; nothing is drawn without one.

    Raises:
        ValueError, OSError: a folder is neither, or nothing in it is finished.
    """
    alone = [folder for folder in folders if (folder / "result.json").is_file()]
    parts = [_HEAD.strip(), *(_of_comparison(folder, pictures) for folder in folders if folder not in alone)]
    if alone:
        parts.append(_of_runs([results.read(folder / "result.json") for folder in alone]))
    return "\n\n".join(parts) + "\n"


def comparison_of(folder: Path) -> rows.Comparison:
    """The comparison that a folder holds: its own file, or the preset that it is called as.

    Raises:
        ValueError: there is none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if (folder / OWN).is_file():
        return rows.preset(str(folder / OWN))
    name = folder.resolve().name.removeprefix("compare-")
    if name not in rows.available():
        raise ValueError(
            f"{folder} is neither the folder of a run (result.json) nor of a comparison: its name is none of the "
            f"presets ({', '.join(rows.available())}), and it has no {OWN}. Call it as its preset, or put the file of "
            "the comparison into it"
        )
    return rows.preset(name)


def keep(folder: Path, into: Path) -> Path:
    """Copy the results of a folder, without what no table needs of their logs, so that they can be committed.

    Returns:
        The folder of the copies; what people wrote beside them is copied too.
    """
    target = into / folder.resolve().name.removeprefix("compare-")
    found = sorted(folder.rglob("result.json"))
    if not found:
        raise ValueError(f"{folder} holds no result.json; give the folder of a run or of a comparison")
    for path in found:
        slimmed(results.read(path)).write(target / path.relative_to(folder))
    for name in (NOTES, OWN):
        if (folder / name).is_file():
            with replacing(target / name) as temporary:
                temporary.write_bytes((folder / name).read_bytes())
    return target


def slimmed(result: Result, of_losses: bool = False) -> Result:
    """The result with nothing in its log but validation scores of headline measures.

    Args:
        of_losses: and losses of supervised tasks, in training and on validation, and how many tiles were right.
    """
    wanted = {f"eval_{task}_{result.measures_of(task)[0].name}" for task in result.measures}
    if of_losses:
        tasks = [f"{task}_loss" for task in result.measures]
        wanted |= {"eval_loss", *(f"eval_{name}" for name in tasks), *(f"loss_{task}" for task in result.measures)}
        wanted |= {f"{task}_tile_accuracy" for task in result.model["auxiliary"]}
    kept = [
        {key: value for key, value in entry.items() if key in {"step", "epoch", "eval_runtime", *wanted}}
        for entry in result.history
        if wanted & entry.keys()
    ]
    return dataclasses.replace(result, history=kept)


def write_page(folders: Sequence[Path], path: Path) -> None:
    """Write the page, so that no reader ever sees half of it, and its pictures."""
    pictures = path.parent / FIGURES
    pictures.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page(folders, pictures), encoding="utf-8", newline="\n")


def _of_comparison(folder: Path, pictures: Path | None) -> str:
    comparison = comparison_of(folder)
    found = tables(comparison, folder)
    runs = {id(run): run for table in found for run in table.runs}
    planned = len(rows.planned(comparison, folder))
    seconds = sum(run.seconds["total"] for run in runs.values())
    machines = dict.fromkeys(map(_machine, runs.values()))
    versions = ", ".join(dict.fromkeys(run.packages["hf_hmtl"] for run in runs.values()))
    facts = (
        f"{len(runs)} finished runs of {planned}, {seconds / 60:,.0f} minutes of training in all, "
        f"{comparison.at_a_time} at a time, on {' and '.join(map(escape, machines))}; hf_hmtl {versions}."
    )
    parts = [f"## {comparison.name}", comparison.about, facts]
    parts += across(found, pictures, comparison.name, f"{FIGURES}/")
    parts += with_titles([(table.title, table.text()) for table in found], "###")
    if (folder / NOTES).is_file():
        parts.append((folder / NOTES).read_text(encoding="utf-8").strip())
    return "\n\n".join(parts)


def _machine(run: Result) -> str:
    """Its processor, and the cards on which it was trained."""
    cards = run.hardware["gpus"] if (run.execution or {}).get("device") == "cuda" else []
    return ", ".join([run.hardware["cpu"], f"{run.hardware['cores']} cores", *cards])


def _of_runs(runs: Sequence[Result]) -> str:
    lines = [
        "| run | task | measure | score | constant answer | seed | steps |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for run in runs:
        split = run.protocol["reported_on"]
        for task in run.model["supervised"]:
            measure = run.measures_of(task)[0]
            key = f"{PREFIXES[split]}{task}_{measure.name}"
            score, constant = (group.get(key, math.nan) for group in (run.metrics, run.baselines))
            cells = (escape(run.name), escape(task), f"{split} {measure.words}", _shown(score), _shown(constant))
            lines.append(f"| {' | '.join(cells)} | {run.seeds['training']} | {run.steps:,} |")
    return "## Single runs\n\n" + "\n".join(lines)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
