"""What a reproduction trains: rows of the paper on some data set x seeds, each after the models that it begins with.

A file of `hf_hmtl/reproductions` names recipe files that hold the rows, either the paper's own or files `like` them.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_hmtl import recipe as recipes
from hf_hmtl.compare.reproduce import paper
from hf_hmtl.compare.rows import Comparison, Row, Run, planned, run_folder, seeds_of
from hf_hmtl.files import replacing
from hf_hmtl.parsing import read_json, text_of, yaml_of

FOLDER = Path(__file__).parents[2] / "reproductions"
FILE_KEYS = ("about", "recipes", "seeds", "folds", "at_a_time", "quick", "chosen", "missing")
STEPS = "steps.json"
"""A reproduction within a budget keeps here how many steps of each row fit into it."""


@dataclass(frozen=True)
class Part:
    """The rows of one recipe file: what is trained, and the file of the paper's own rows that they stand for."""

    recipe: str
    original: str
    rows: tuple[str, ...]

    def comparison(self, seeds: tuple[int, ...], folds: int | None, changes: dict[str, tuple[str, ...]]) -> Comparison:
        """Its rows as a comparison, whose tables are made elsewhere.

        Args:
            changes: {row: changes to it}.
        """
        rows = tuple(Row(row, f"{self.recipe}/{row}", seeds, changes.get(row, ())) for row in self.rows)
        return Comparison(self.recipe, "", {}, {"": ()}, rows, folds=folds)


@dataclass(frozen=True)
class Reproduction:
    """The paper on one data set, or parts of it.

    Attributes:
        name, about: for readers.
        parts: what is trained, recipe file by recipe file.
        seeds: of every row.
        folds: {recipe file: folds of its cross-validation}; of the others the splits are those that the data come in.
        at_a_time: runs trained side by side.
        quick: supervised training, a puzzle and its control, which a budget is for.
        chosen: {row: further settings among which validation chooses}.
        missing: {table or row: why the data do not allow it}.
        budget, steps: seconds, and {row: optimiser steps} that fit into them, of a reproduction within a budget.
        drawn: figures that are drawn of it when its runs are finished.
        further: seeds beside those that are shown where they are there.
    """

    name: str
    about: str
    parts: tuple[Part, ...]
    seeds: tuple[int, ...]
    folds: dict[str, int] = field(default_factory=dict)
    at_a_time: int = 1
    quick: tuple[str, ...] = ()
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    budget: float | None = None
    steps: dict[str, int] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()
    further: tuple[int, ...] = ()

    def with_all_seeds_of(self, folder: Path) -> "Reproduction":
        """It, and the further seeds of which there is anything in its folder, which other commands have trained."""
        found = {
            int(path.name.removeprefix("seed-"))
            for part in self.parts
            for path in part_folder(folder, part).glob("*/seed-*")
            if path.name.removeprefix("seed-").isdecimal()
        }
        return dataclasses.replace(self, further=tuple(sorted(found - {*self.seeds})))

    def command(self, *options: str) -> str:
        """What one types to go on with parts of it; within a budget, with all of it."""
        if self.budget is not None:
            options = ("--budget", f"{self.budget / 60:g}m")
        return " ".join(["hf-hmtl reproduce --on", self.name, *options])

    def part_of(self, original: str) -> Part | None:
        """The part whose rows stand for those of a file of the paper."""
        return next((part for part in self.parts if part.original == original), None)

    def comparison(self, part: Part, further: bool = False) -> Comparison:
        """What is trained of a part: of the rows of Figure 16 the weights of the lowest loss are kept too.

        Args:
            further: with the further seeds, which are shown only.
        """
        kept = ("--keep_lowest_loss",)
        changes = {row: kept for row in paper.BY_LOWEST_LOSS if part.original == paper.AFFECTNET}
        for row, steps in self.steps.items():
            changes[row] = (*changes.get(row, ()), *_of_steps(steps))
        seeds = (*self.seeds, *self.further) if further else self.seeds
        return part.comparison(seeds, self.folds.get(part.recipe), changes)

    def narrowed(self, tables: Sequence[str], figures: Sequence[str], rows: Sequence[str]) -> "Reproduction":
        """What some tables, figures and rows need; all there is where none are named.

        Args:
            rows: by name, of every part that has it, or as "file/row"; without the further settings among which
                validation chooses.

        Raises:
            ValueError: the data do not allow one, or there is none.
        """
        if not (tables or figures or rows):
            tables, figures = self.tables(), self.figures()
            beside = (*paper.IN_THE_TEXT, *paper.PRE_TRAININGS)
            rows = [row for row in beside if self._knows(paper.AFFECTNET, row)]
        wanted: dict[str, list[str]] = {part.original: [] for part in self.parts}
        for name in tables:
            self._require(name, paper.TABLES, self.tables(), "table")
            file = paper.TABLES[name].file
            of_table = paper.rows_of_table(name)
            wanted[file] += [*of_table, *(each for row in of_table for each in self.chosen.get(row, ()))]
        for name in figures:
            self._require(name, paper.FIGURES, self.figures(), "figure")
            wanted[paper.FIGURES[name][0]] += paper.rows_of_figure(name)
        for row in rows:
            if row in self.missing:
                raise ValueError(f"{row} on {self.name}: it {self.missing[row]}")
            known = [
                part for part in self.parts if row in (*part.rows, *(f"{part.recipe}/{each}" for each in part.rows))
            ]
            every = sorted({each for part in self.parts for each in part.rows})
            recipes.require_known([row] if not known else [], every, f"row of the reproduction on {self.name}")
            for part in known:
                wanted[part.original].append(row.rpartition("/")[2])
        parts = []
        for part in self.parts:
            kept = tuple(row for row in part.rows if row in wanted[part.original])
            parts += [dataclasses.replace(part, rows=kept)] * bool(kept)
        return dataclasses.replace(self, parts=tuple(parts), drawn=tuple(figures))

    def tables(self) -> list[str]:
        """The tables that the data allow."""
        allowed = {part.original for part in self.parts}
        return [name for name, table in paper.TABLES.items() if table.file in allowed and name not in self.missing]

    def figures(self) -> list[str]:
        """The figures that the data allow."""
        allowed = {part.original for part in self.parts}
        return [name for name, (file, _, _) in paper.FIGURES.items() if file in allowed]

    def typed(self, part: Part, row: str) -> str:
        """What one types for a row: its name, with its file where another part has a row of that name."""
        several = sum(row in each.rows for each in self.parts) > 1
        return f"{part.recipe}/{row}" if several else row

    def _knows(self, original: str, row: str) -> bool:
        part = self.part_of(original)
        return part is not None and row in part.rows

    def _require(self, name: str, every, allowed: list[str], what: str) -> None:
        if name in self.missing and what == "table":
            raise ValueError(f"table {name} on {self.name}: it {self.missing[name]}. Allowed: {', '.join(allowed)}")
        if name not in allowed:
            why = f"is not on {self.name}" if name in every else "is not of the paper or has no rows here"
            whole = [load(each) for each in available()]
            others = [each.name for each in whole if name in (each.tables() if what == "table" else each.figures())]
            elsewhere = f"; it is on {', '.join(others)}" if others else ""
            raise ValueError(f"{what} {name} {why}{elsewhere}. Allowed: {', '.join(allowed)}")


def _of_steps(steps: int) -> tuple[str, ...]:
    """Options of a training of so many steps: ten evaluations, and a rate that ends with it."""
    every = max(steps // 10, 1)
    return (
        f"--max_steps={steps}", "--eval_strategy=steps", f"--eval_steps={every}", "--save_strategy=steps",
        f"--save_steps={every}", f"--logging_steps={every}", "--lr_scheduler_type=cosine", "--decay_epochs=none",
    )  # fmt: skip


def available() -> list[str]:
    """Names of what the paper can be reproduced on."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Reproduction:
    """A reproduction of this package, with all rows that its recipe files have.

    Raises:
        ValueError: there is none of that name.
    """
    recipes.require_known([name], available(), "data set to reproduce on,")
    content = yaml_of(text_of(FOLDER / f"{name}.yaml"), f"{name}.yaml")
    recipes.require_known(content, FILE_KEYS, f"key in {name}.yaml")
    every = recipes.available()
    parts = tuple(Part(file, recipes.original_of(file), tuple(every[file])) for file in content["recipes"])
    return Reproduction(
        name,
        content["about"],
        parts,
        seeds_of(content["seeds"]),
        content.get("folds", {}),
        content.get("at_a_time", 1),
        tuple(content.get("quick", ())),
        {row: tuple(settings) for row, settings in content.get("chosen", {}).items()},
        content.get("missing", {}),
    )


def folder_of(name: str, root: Path) -> Path:
    """Where a reproduction goes unless it is told otherwise."""
    return root / f"reproduce-{name}"


def part_folder(folder: Path, part: Part) -> Path:
    """Where the runs of a part are, in the folder of its reproduction."""
    return folder / part.recipe


def runs_of(reproductions: Sequence[tuple[Reproduction, Path]], root: Path) -> list[Run]:
    """Every run of some reproductions, each after the runs whose models it begins with.

    Args:
        reproductions: with the folders that they go to.
        root: where reproductions lie that others begin with.

    Raises:
        ValueError: a run begins with the model of another reproduction, which is neither among these nor finished.
    """
    runs: dict[Path, Run] = {}
    for reproduction, folder in reproductions:
        whole = load(reproduction.name)
        for part in reproduction.parts:
            for run in planned(reproduction.comparison(part), part_folder(folder, part)):
                beside = dataclasses.replace(reproduction, parts=whole.parts, seeds=(run.seed,))
                origins = run.origins | _origins_elsewhere(run, beside, folder, root, runs)
                runs[run.folder] = dataclasses.replace(run, origins=origins)
    return list(runs.values())


def _origins_elsewhere(
    run: Run, reproduction: Reproduction, folder: Path, root: Path, runs: dict[Path, Run]
) -> dict[str, Run]:
    """{option: the run that a run begins with}, of rows of other recipe files.

    Args:
        reproduction: of the run, with all its parts, and of its seed; what the run begins with is put among `runs`.
    """
    recipe, origins = recipes.load(run.row.recipe), {}
    beside = {part.recipe: part for part in reproduction.parts}
    for option in ("pretrained", "teacher"):
        origin = getattr(recipe, option)
        if not (isinstance(origin, dict) and recipes.is_of_another_file(origin["row"])):
            continue
        file, _, row = origin["row"].partition("/")
        if file in beside:
            part = dataclasses.replace(beside[file], rows=(row,))
            for each in planned(reproduction.comparison(part), part_folder(folder, part)):
                origins[option] = runs.setdefault(each.folder, each)  # the last one is the row itself
            continue
        home = next(name for name in available() if file in (part.recipe for part in load(name).parts))
        place = run_folder(folder_of(home, root) / file, row, run.seed)
        if place not in runs and not (place / "result.json").is_file():
            raise ValueError(
                f"{run.row.recipe} begins with {origin['row']} of seed {run.seed}, which is not there. Type first: "
                f"hf-hmtl reproduce --on {home} --rows {row}"
            )
        origins[option] = runs.get(place) or Run(Row(row, origin["row"], (run.seed,)), run.seed, place)
    return origins


def write_steps(folder: Path, budget: float, steps: dict[str, int]) -> None:
    """Keep what fits into a budget, so that the command goes on to the same runs when it is typed again."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / STEPS) as temporary:
        temporary.write_text(json.dumps({"budget": budget, "steps": steps}, indent=1) + "\n", encoding="utf-8")


def kept_steps(folder: Path, budget: float) -> dict[str, int] | None:
    """{row: steps} of a folder, where it is that of a budget.

    Raises:
        ValueError: it was begun with another budget, or its file is not what `write_steps` wrote.
    """
    path = folder / STEPS
    if not path.is_file():
        return None
    begun_with, steps = _steps_of(path)
    if begun_with != budget:
        raise ValueError(
            f"{folder} was begun with a budget of {begun_with / 60:g} minutes; type that, or give another --output_dir"
        )
    return steps


def require_no_budget(folder: Path) -> None:
    """Raise where a folder was begun with a budget: its runs are none of a reproduction without one."""
    path = folder / STEPS
    if path.is_file():
        budget, _ = _steps_of(path)
        raise ValueError(
            f"{folder} was begun with a budget. Type --budget {budget / 60:g}m to go on with it, or give another "
            "--output_dir"
        )


def _steps_of(path: Path) -> tuple[float, dict[str, int]]:
    """The budget in seconds, and {row: steps} that fit into it."""
    content = read_json(path)
    budget, steps = (content.get(key) if isinstance(content, dict) else None for key in ("budget", "steps"))
    if not isinstance(budget, int | float) or not isinstance(steps, dict):
        raise ValueError(f"{path} does not hold a budget and the steps that fit into it; remove {path.parent}")
    return budget, steps
