"""Comparisons: rows of a recipe file x seeds, trained one by one or several at a time, then a table, a plot and plain
values.

A row that begins with another row's model (`pretrained` or `teacher: {row: NAME}`) gets the one of its own seed. A run
whose result.json exists is not repeated, and one that was cut off goes on from its last checkpoint.
"""

import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hf_hmtl import recipe as recipes
from hf_hmtl import result as results
from hf_hmtl import train
from hf_hmtl.analysis import comparison as analysis
from hf_hmtl.checkpoint import last_complete_checkpoint
from hf_hmtl.files import replacing
from hf_hmtl.options import parse
from hf_hmtl.run_record import DECISIVE
from hf_hmtl.run_record import NAME as RUN_RECORD
from hf_hmtl.side_by_side import side_by_side

FOLDER = Path(__file__).parent / "comparisons"
FILE_KEYS = ("about", "recipe", "baseline", "seeds", "rows", "variants", "at_a_time")
ROW_KEYS = ("row", "seeds", "set")
FIRST_SEED = 1
LOG = "train.log"
REUSED_SETTINGS = ("source", "backbone", "image_size", "augmentation", "crop", "supervised", "auxiliary",
                   "train_fraction", "balancing", "loss_weighting", "probe")  # fmt: skip
REUSED_ARGUMENTS = (*DECISIVE, "per_device_train_batch_size")


@dataclass(frozen=True)
class Row:
    """One label of the table: a row of the recipe file, changes to it as --set takes them, and its seeds."""

    label: str
    recipe: str
    seeds: tuple[int, ...]
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training or probe.

    Attributes:
        row: what is run.
        seed: of its initialisation and its data.
        folder: where its result.json goes.
        origins: {"pretrained" or "teacher": the run whose model it begins with}.
    """

    row: Row
    seed: int
    folder: Path
    origins: dict[str, "Run"] = field(default_factory=dict)

    def arguments(self, common: list[str]) -> list[str]:
        """The command line of train.py."""
        origins = [part for option, run in self.origins.items() for part in (f"--{option}", str(run.folder))]
        arguments = [self.row.recipe, *common, *origins, "--seed", str(self.seed), "--output_dir", str(self.folder)]
        return arguments + (["--set", *self.row.changes] if self.row.changes else [])


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        name, about: for readers.
        baseline: label that the others are compared with.
        variants: {title: changes to every row}; one table each. The empty title stands for no change.
        rows: in the order of the table.
        at_a_time: runs trained side by side, each on its share of the cores. A small network makes poor use of two
            cores, and two of them good use.
    """

    name: str
    about: str
    baseline: str
    variants: dict[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    at_a_time: int = 1

    def __post_init__(self):
        if not (isinstance(self.at_a_time, int) and self.at_a_time >= 1):
            raise ValueError(f"at_a_time is {self.at_a_time!r}, allowed are whole numbers of runs from 1")

    def rows_of(self, title: str) -> list[Row]:
        """The rows of a variant, with its changes."""
        return [Row(row.label, row.recipe, row.seeds, (*self.variants[title], *row.changes)) for row in self.rows]

    def narrowed(self, labels: list[str] | None, seeds: list[int] | None) -> "Comparison":
        """The same with some labels or seeds only.

        Raises:
            ValueError: a label does not exist.
        """
        recipes.require_known(labels or [], [row.label for row in self.rows], f"row of comparison {self.name}")
        rows = [row for row in self.rows if labels is None or row.label in labels]
        if seeds is not None:
            rows = [Row(row.label, row.recipe, tuple(seeds), row.changes) for row in rows]
        return dataclasses.replace(self, rows=tuple(rows))


def available() -> list[str]:
    """Names of the presets in this package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def preset(name: str) -> Comparison:
    """A comparison of this package, or the path of a .yaml file.

    Raises:
        ValueError: unknown preset or key.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise ValueError(
            f"unknown preset {name!r}.{recipes.nearest(name, available())} Known: {', '.join(available())}; or give "
            "the path of a .yaml file"
        )
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    recipes.require_known(content, FILE_KEYS, f"key in {path.name}")
    rows = []
    for label, options in content["rows"].items():
        recipes.require_known(options, ROW_KEYS, f"key of row {label!r} in {path.name}")
        rows.append(
            Row(
                label,
                recipes.other_row(content["recipe"], options.get("row", label)),
                seeds_of(options.get("seeds", content["seeds"])),
                tuple(options.get("set", ())),
            )
        )
    variants = {title: tuple(changes) for title, changes in (content.get("variants") or {"": ()}).items()}
    at_a_time = content.get("at_a_time", 1)
    return Comparison(path.stem, content["about"], content["baseline"], variants, tuple(rows), at_a_time)


def sweep(recipe: str, assignment: str, seeds: tuple[int, ...]) -> Comparison:
    """One value of a recipe entry after the other, beside the same recipe without auxiliary tasks.

    Args:
        recipe: "file/row".
        assignment: "auxiliary.puzzle.weight=0.01,0.1,1".

    Raises:
        ValueError: there is no "=" or no value.
    """
    path, _, values = assignment.partition("=")
    if not path or not values:
        raise ValueError(f"--sweep {assignment!r} names no values; write --sweep auxiliary.puzzle.weight=0.01,0.1,1")
    without = tuple(f"auxiliary.{name}=null" for name in recipes.load(recipe).auxiliary)
    rows = [Row("supervised", recipe, seeds, without)]
    rows += [Row(f"{path}={value}", recipe, seeds, (f"{path}={value}",)) for value in values.split(",")]
    name = f"{recipe}-{path}".replace("/", "-")
    return Comparison(name, f"{path} of {recipe}", "supervised", {"": ()}, tuple(rows))


def seeds_of(count: int) -> tuple[int, ...]:
    """The first seeds: 1, 2, ..., count."""
    return tuple(range(FIRST_SEED, FIRST_SEED + count))


def planned(comparison: Comparison, folder: Path) -> list[Run]:
    """Every run in an order in which each one's origins come before it; seed by seed, so that an unfinished comparison
    is a smaller one and not a lopsided one."""
    runs: dict[Path, Run] = {}
    for title in comparison.variants:
        rows = comparison.rows_of(title)
        for seed in sorted({seed for row in rows for seed in row.seeds}):
            for row in rows:
                if seed in row.seeds:
                    _plan(row, seed, folder / folder_name(title), runs)
    return list(runs.values())


def _plan(row: Row, seed: int, folder: Path, runs: dict[Path, Run]) -> Run:
    recipe = recipes.load(row.recipe, recipes.override(list(row.changes)))
    origins = {}
    for option in ("pretrained", "teacher"):
        origin = getattr(recipe, option)
        if isinstance(origin, dict):
            label = origin["row"]
            earlier = Row(label, recipes.other_row(row.recipe, label), (seed,), _data_changes(row.changes))
            origins[option] = _plan(earlier, seed, folder, runs)
    run = Run(row, seed, folder / folder_name(row.label) / f"seed-{seed}", origins)
    return runs.setdefault(run.folder, run)


def _data_changes(changes: tuple[str, ...]) -> tuple[str, ...]:
    """Changes that an earlier stage shares: all but those of this row's own tasks."""
    return tuple(change for change in changes if not change.startswith(("auxiliary.", "supervised.")))


def folder_name(title: str) -> str:
    """A label or title as the name of a folder."""
    return "".join(letter if letter.isalnum() or letter in "-_.=" else "-" for letter in title)


def run_all(comparison: Comparison, folder: Path, common: list[str]) -> None:
    """Train what is missing; report after every run how long the rest will take.

    Args:
        common: options of train.py for every run, such as ["--data_dir", DIR].
    """
    runs = planned(comparison, folder)
    waiting = [run for run in runs if not is_finished(run, common)]
    print(f"{comparison.name}: {len(runs)} runs, {len(runs) - len(waiting)} of them finished", flush=True)
    started, several = time.monotonic(), comparison.at_a_time > 1
    trained = _side_by_side(waiting, common, comparison.at_a_time) if several else _one_by_one(waiting, common)
    for number, run in enumerate(trained, 1):
        minutes = (time.monotonic() - started) / 60
        left = minutes / number * (len(waiting) - number)
        print(
            f"[{number}/{len(waiting)}] finished {run.row.label}, seed {run.seed}; {minutes:.0f} minutes so far, "
            f"about {left:.0f} left",
            flush=True,
        )


def _one_by_one(waiting: list[Run], common: list[str]) -> Iterator[Run]:
    for run in waiting:
        if not is_finished(run, common):  # it may be meanwhile, by another process
            print(f"\n{run.row.label}, seed {run.seed}", flush=True)
            train.run(*parse([*run.arguments(common), *_way_on(run)]))
        yield run


def _side_by_side(waiting: list[Run], common: list[str], at_a_time: int) -> Iterator[Run]:
    """In processes of their own, whose output goes to `train.log` in the folder of the run."""
    threads = max(1, train.cores_of_this_process() // at_a_time)
    common = ["--cpu_threads", str(threads), "--disable_tqdm", "true", *common]
    runs = {run.folder: run for run in waiting}
    arguments = {folder: (folder, [*run.arguments(common), *_way_on(run)]) for folder, run in runs.items()}
    needs = {folder: {origin.folder for origin in run.origins.values()} for folder, run in runs.items()}
    # Spawned and not forked: a process that has used its threads cannot be forked safely.
    with ProcessPoolExecutor(at_a_time, multiprocessing.get_context("spawn"), _end_with_the_parent) as pool:
        for folder in side_by_side(_train_into_log, arguments, needs, pool, at_a_time):
            yield runs[folder]


def _end_with_the_parent() -> None:
    """Watch the parent process: one that is killed would otherwise leave its runs training on, unseen."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _train_into_log(folder_and_arguments: tuple[Path, list[str]]) -> None:
    folder, arguments = folder_and_arguments
    folder.mkdir(parents=True, exist_ok=True)
    with (
        open(folder / LOG, "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        train.run(*parse(arguments))


def _way_on(run: Run) -> list[str]:
    if (run.folder / RUN_RECORD).is_file() and last_complete_checkpoint(run.folder):
        return ["--resume_from_checkpoint", "last"]
    return ["--overwrite"]


def is_finished(run: Run, common: Sequence[str]) -> bool:
    """Whether the run has a result of the same settings.

    Args:
        common: options of train.py for every run.

    Raises:
        ValueError: it has one of other settings.
    """
    path = run.folder / "result.json"
    if not path.is_file():
        return False
    made, wanted = results.read(path).recipe, _settings(run.row, tuple(common))
    differing = [key for key in REUSED_SETTINGS if made[key] != wanted[key]]
    differing += [
        f"training.{key}"
        for key, value in made["training"].items()
        if key in REUSED_ARGUMENTS and value != wanted["training"][key]
    ]
    if differing:
        group, _, key = differing[0].partition(".")
        old, new = (settings[group][key] if key else settings[group] for settings in (made, wanted))
        raise ValueError(
            f"{path} was made with {differing[0]} = {old}, and this comparison wants {new}. Remove {run.folder}, or "
            "compare into another --output_dir"
        )
    return True


@functools.cache
def _settings(row: Row, common: tuple[str, ...]) -> dict[str, Any]:
    """The recipe that a row is trained with, as a result.json keeps it, and every training argument."""
    recipe, _, args = parse([row.recipe, *common, *(["--set", *row.changes] if row.changes else [])])
    return json.loads(json.dumps(results.without_folders(recipe.to_dict() | {"training": args.to_dict()})))


def finished_groups(comparison: Comparison, title: str, folder: Path) -> analysis.Groups:
    """{label: {seed: Result}} of what is there so far."""
    return {
        row.label: {seed: results.read(path) for seed, path in _results(row, folder / folder_name(title))}
        for row in comparison.rows
    }


def _results(row: Row, folder: Path) -> Iterator[tuple[int, Path]]:
    for seed in row.seeds:
        path = folder / folder_name(row.label) / f"seed-{seed}" / "result.json"
        if path.is_file():
            yield seed, path


def _best_on_validation(comparison: Comparison, groups: analysis.Groups, task: str) -> str:
    """A sentence; it compares over the seeds that every row is to have, because some rows have more."""
    shared = set.intersection(*(set(row.seeds) for row in comparison.rows))
    runs = {label: {seed: run for seed, run in group.items() if seed in shared} for label, group in groups.items()}
    seeds = ", ".join(map(str, sorted(shared)))
    return f"Best on validation, of the seeds {seeds}: {analysis.select_on_validation(runs, task)}."


def report(comparison: Comparison, folder: Path) -> str:
    """Write comparison.md, comparison.json and a plot for each variant from what is finished; return the text."""
    parts, values = [f"# {comparison.name}", comparison.about], {}
    for title in comparison.variants:
        groups = finished_groups(comparison, title, folder)
        if not any(groups.values()):
            continue
        task = next(iter(recipes.load(comparison.rows[0].recipe).supervised))
        threshold = analysis.default_threshold(groups, comparison.baseline, task)
        lines = analysis.compare(groups, comparison.baseline, task, threshold)
        parts += [f"## {title}"] if title else []
        parts += [analysis.markdown_table(lines, threshold)]
        values[title] = analysis.to_json(lines, threshold)
        picture = f"comparison{'-' * bool(title)}{folder_name(title)}.png"
        analysis.plot_comparison(lines, groups, task, folder / picture)
        parts += [_best_on_validation(comparison, groups, task), f"![Scores and curves]({picture})"]
    if not values:
        raise ValueError(f"{folder} holds no finished run of {comparison.name}; run it without --report first")
    text = "\n\n".join(parts) + "\n"
    for name, content in (("comparison.md", text), ("comparison.json", json.dumps(values, indent=2) + "\n")):
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return text
