"""What is compared: rows of a recipe file x seeds x folds, as a preset says or a sweep.

A row that begins with another row's model (`pretrained` or `teacher: {row: NAME}`) gets the one of its own seed and
fold; the model of a row of another file is taken from where that was trained.
`runs` trains them, `report` sets side by side what came of them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_hmtl import recipe as recipes
from hf_hmtl.option_types import require_mapping, require_types
from hf_hmtl.parsing import shown, text_of, yaml_of

FOLDER = Path(__file__).parents[1] / "comparisons"
FILE_KEYS = ("about", "recipe", "baseline", "tasks", "seeds", "folds", "rows", "variants", "at_a_time", "options")
ROW_KEYS = ("row", "seeds", "set")
FIRST_SEED = 1
_MOST_SEEDS = 10_000
_DECIDED = {
    "--seed": "which --seeds sets", "--output_dir": "which every run has its own of",
    "--overwrite": "for what is finished stays", "--resume_from_checkpoint": "for what was stopped goes on by itself",
    "--dry_run": "with which nothing would be trained",
}  # fmt: skip
"""Options of the command train that a comparison decides itself, and so has no use for behind its lone `--`."""


@dataclass
class _File:
    """The types of what stands in the file of a comparison."""

    about: str
    recipe: str
    seeds: int
    rows: dict[str, dict[str, Any]]
    baseline: str | None = None
    tasks: dict[str, str] | None = None
    folds: int | None = None
    variants: dict[str, list[str]] | None = None
    at_a_time: int = 1
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class _RowOfFile:
    """The types of what stands in one of its rows."""

    row: str
    seeds: int
    set: list[str]


@dataclass(frozen=True)
class Row:
    """One label of the table: a row of the recipe file, its seeds, and changes to it: entries as --set takes them, and
    options of the command train, such as "--max_steps=900". Of a cross-validation also which fold it tests, (k, n)."""

    label: str
    recipe: str
    seeds: tuple[int, ...]
    changes: tuple[str, ...] = ()
    fold: tuple[int, int] | None = None

    def arguments(self, common: Sequence[str]) -> list[str]:
        """The part of the command line of train that all seeds share; `common` are options of every row."""
        options = [change for change in self.changes if change.startswith("--")]
        return [self.recipe, *common, *options, *(["--set", *self.entries] if self.entries else [])]

    @property
    def entries(self) -> list[str]:
        """The changes to the recipe."""
        of_fold = [f"source.fold={list(self.fold)}"] if self.fold else []
        return [*(change for change in self.changes if not change.startswith("--")), *of_fold]


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

    @property
    def title(self) -> str:
        """For readers: "supervised, seed 1, fold 3 of 10"."""
        of_fold = f", fold {self.row.fold[0]} of {self.row.fold[1]}" if self.row.fold else ""
        return f"{self.row.label}, seed {self.seed}{of_fold}"

    def arguments(self, common: Sequence[str]) -> list[str]:
        """The command line of train."""
        origins = [part for option, run in self.origins.items() for part in (f"--{option}", str(run.folder))]
        own = [*origins, "--seed", str(self.seed), "--output_dir", str(self.folder)]
        return [*self.row.arguments(common), *own]


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        name, about: for readers.
        baselines: {task: label that the others are compared with by what they score in it}; one table each.
        variants: {title: changes to every row}; one table each. The empty title stands for no change.
        rows: in the order of the table.
        options: of the command train, for every run.
        folds: of a cross-validation of every row and seed; None for the splits that the data come in.
        at_a_time: runs trained side by side, each on its share of the cores. A small network makes poor use of two
            cores, and two of them good use.
    """

    name: str
    about: str
    baselines: dict[str, str]
    variants: dict[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    at_a_time: int = 1
    options: tuple[str, ...] = ()
    folds: int | None = None

    def __post_init__(self):
        if self.folds is not None and not (type(self.folds) is int and self.folds >= 2):
            raise ValueError(f"folds is {self.folds!r}, allowed are whole numbers from 2")
        if not (isinstance(self.at_a_time, int) and self.at_a_time >= 1):
            raise ValueError(f"at_a_time is {self.at_a_time!r}, allowed are whole numbers of runs from 1")

    def of_each_fold(self, row: Row) -> list[Row]:
        """The row, once for each fold; itself where there are none."""
        if self.folds is None:
            return [row]
        return [dataclasses.replace(row, fold=(number, self.folds)) for number in range(1, self.folds + 1)]

    def learning(self, task: str) -> list[Row]:
        """The rows that learn a supervised task, or probe for it."""
        return [row for row in self.rows if task in _tasks_of(row)]

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
            rows = [Row(row.label, row.recipe, require_seeds(seeds), row.changes) for row in rows]
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
    content = yaml_of(text_of(path), path)
    require_mapping(content, str(path))
    recipes.require_known(content, FILE_KEYS, f"key in {path.name}")
    if lacking := [key for key in ("about", "recipe", "seeds", "rows") if not content.get(key)]:
        raise ValueError(f"{path} lacks {', '.join(lacking)}; a comparison needs about, recipe, seeds and rows")
    require_types(_File, content, str(path))
    rows = []
    for label, options in content["rows"].items():
        recipes.require_known(options, ROW_KEYS, f"key of row {shown(label)} in {path.name}")
        require_types(_RowOfFile, options, f"row {shown(label)} of {path}")
        rows.append(
            Row(
                label,
                recipes.other_row(content["recipe"], options.get("row", label)),
                seeds_of(options.get("seeds", content["seeds"])),
                tuple(options.get("set", ())),
            )
        )
    variants = {title: tuple(changes) for title, changes in (content.get("variants") or {"": ()}).items()}
    options = [part for name, value in content.get("options", {}).items() for part in (f"--{name}", str(value))]
    if ("baseline" in content) == ("tasks" in content):
        raise ValueError(f"{path.name} needs `baseline`, a row, or `tasks`, a baseline for each task; not both")
    named = content.get("tasks") or {"": content["baseline"]}
    recipes.require_known(named.values(), [row.label for row in rows], f"baseline in {path.name}")
    baselines = {task or _first_task(rows, label): label for task, label in named.items()}
    at_a_time = content.get("at_a_time", 1)
    return Comparison(
        path.stem, content["about"], baselines, variants, tuple(rows), at_a_time, tuple(options), content.get("folds")
    )


def _tasks_of(row: Row) -> list[str]:
    """Names of the supervised tasks of a row, the primary one first."""
    learned = recipes.load(row.recipe, recipes.override(row.entries)).supervised
    return [(settings or {}).get("name", key) for key, settings in learned.items()]


def _first_task(rows: Sequence[Row], label: str) -> str:
    tasks = _tasks_of(next(row for row in rows if row.label == label))
    if not tasks:
        raise ValueError(
            f"the baseline {label!r} learns no label, so there is nothing to compare by; choose another row"
        )
    return tasks[0]


def require_several(names: Sequence[str], folds: int | None) -> None:
    """Raise where one row alone was named, and is not cross-validated.

    Raises:
        ValueError: the message says what to add.
    """
    if len(names) == 1 and folds is None:
        raise ValueError(
            f"there is nothing that {names[0]} could be compared with. Name more rows behind it, or --sweep "
            f"ENTRY=A,B,...; --folds N cross-validates it alone, and hf-hmtl train {names[0]} trains it"
        )


def of_rows(names: Sequence[str], seeds: tuple[int, ...]) -> Comparison:
    """Rows of recipe files, the first of which the others are compared with.

    Args:
        names: "file/row"; rows of one file are called by what follows it.

    Raises:
        ValueError: a row is named twice, does not exist, or the first learns no label.
    """
    if len(set(names)) < len(names):
        raise ValueError(f"rows of a comparison are named once, and these are {', '.join(names)}")
    called = [recipes.load(name).name for name in names]
    files = {name.partition("/")[0] for name in called}
    labels = [name if len(files) > 1 else name.partition("/")[2] for name in called]
    rows = tuple(Row(label, name, seeds) for label, name in zip(labels, names, strict=True))
    title = "-".join([*files, *labels] if len(files) == 1 else labels).replace("/", "-")
    return Comparison(title, f"{', '.join(names)}.", {_first_task(rows, labels[0]): labels[0]}, {"": ()}, rows)


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
    return Comparison(
        name, f"{path} of {recipe}", {_first_task(rows, "supervised"): "supervised"}, {"": ()}, tuple(rows)
    )


def seeds_of(count: int) -> tuple[int, ...]:
    """The first seeds: 1, 2, ..., count."""
    if not 1 <= count <= _MOST_SEEDS:
        raise ValueError(f"seeds is {shown(count)}, allowed are whole numbers from 1 to {_MOST_SEEDS:,}")
    return tuple(range(FIRST_SEED, FIRST_SEED + count))


def require_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """Seeds that were typed, which have to be different ones.

    Raises:
        ValueError: one occurs twice, or is none that torch and numpy take.
    """
    if len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
        raise ValueError(
            f"--seeds are {' '.join(map(str, seeds))}, allowed are different whole numbers from 0 to {2**32 - 1}"
        )
    return tuple(seeds)


def require_free(common: Sequence[str], decided: Mapping[str, str] | None = None) -> None:
    """Raise where options for every run name what is decided otherwise, and so would do nothing.

    Args:
        common: options of the command train, as they were typed behind a lone `--`.
        decided: {option: by what}, beside those that every comparison decides.
    """
    reasons = {**_DECIDED, **(decided or {})}
    for option in (part.partition("=")[0] for part in common):
        if option in reasons:
            raise ValueError(f"{option} behind -- is of no use here, {reasons[option]}; leave it out")


def planned(comparison: Comparison, folder: Path) -> list[Run]:
    """Every run in an order in which each one's origins come before it; seed by seed and fold by fold, so that an
    unfinished comparison is a smaller one and not a lopsided one."""
    runs: dict[Path, Run] = {}
    for title in comparison.variants:
        rows = comparison.rows_of(title)
        for seed in sorted({seed for row in rows for seed in row.seeds}):
            taking_part = [comparison.of_each_fold(row) for row in rows if seed in row.seeds]
            for of_fold in zip(*taking_part, strict=True):
                for row in of_fold:
                    _plan(row, seed, folder / folder_name(title), runs)
    return list(runs.values())


def _plan(row: Row, seed: int, folder: Path, runs: dict[Path, Run]) -> Run:
    recipe = recipes.load(row.recipe, recipes.override(row.entries))
    origins = {}
    for option in ("pretrained", "teacher"):
        origin = getattr(recipe, option)
        if isinstance(origin, dict) and not recipes.is_of_another_file(origin["row"]):
            label = origin["row"]
            earlier = Row(label, recipes.other_row(row.recipe, label), (seed,), _data_changes(row.changes), row.fold)
            origins[option] = _plan(earlier, seed, folder, runs)
    run = Run(row, seed, run_folder(folder, row.label, seed, row.fold), origins)
    return runs.setdefault(run.folder, run)


def run_folder(folder: Path, label: str, seed: int, fold: tuple[int, int] | None = None) -> Path:
    """Where a run goes, in the folder of its variant; without a fold, the place of all folds of its seed."""
    of_seed = folder / folder_name(label) / f"seed-{seed}"
    return of_seed / f"fold-{fold[0]}" if fold else of_seed


def _data_changes(changes: tuple[str, ...]) -> tuple[str, ...]:
    """Changes that an earlier stage shares: all but those of this row's own tasks."""
    return tuple(change for change in changes if not change.startswith(("auxiliary.", "supervised.")))


def folder_name(title: str) -> str:
    """A label or title as the name of a folder."""
    return "".join(letter if letter.isalnum() or letter in "-_.=" else "-" for letter in title)
