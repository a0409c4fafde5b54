"""What came of a comparison, as far as it is finished: a table, a plot and plain values, in the comparison's folder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_hmtl import recipe as recipes
from hf_hmtl.compare import folds, statistics
from hf_hmtl.compare.across import across_table, plot_across, quantities
from hf_hmtl.compare.plot import plot_comparison
from hf_hmtl.compare.rows import Comparison, Row, folder_name, run_folder
from hf_hmtl.compare.statistics import Groups, Line
from hf_hmtl.compare.table import markdown_table, pooled_table, to_json
from hf_hmtl.files import replacing
from hf_hmtl.results import result as results
from hf_hmtl.results.result import Result


def finished_groups(comparison: Comparison, title: str, folder: Path) -> Groups:
    """{label: {seed: Result}} of what is there so far."""
    return {
        row.label: {seed: results.read(path) for seed, path in _results(row, folder / folder_name(title))}
        for row in comparison.rows
    }


def _results(row: Row, folder: Path) -> Iterator[tuple[int, Path]]:
    for seed in row.seeds:
        path = run_folder(folder, row.label, seed) / "result.json"
        if path.is_file():
            yield seed, path


@dataclass(frozen=True)
class Validated:
    """A cross-validation of one variant and task, beside what its folds come to together.

    Attributes:
        folds: how many there are.
        groups: {label: {fold: Result}}, each a mean over seeds, as far as they are finished.
        lines, threshold: of these, as `statistics.compare` gives and takes them.
        papers: {label: the paper's figure of the headline measure}, of the labels that have one.
    """

    folds: int
    groups: Groups
    lines: list[Line]
    threshold: float
    papers: dict[str, float]


@dataclass(frozen=True)
class Table:
    """What is finished of one variant and task.

    Attributes:
        title, task: of which it is; the title of a comparison without variants is empty.
        rows: that learn the task.
        groups: {label: {seed: Result}}, as far as they are finished; of a cross-validation, all folds together.
        lines, threshold: as `statistics.compare` gives and takes them.
        heading: of the task, where the comparison has several; else empty.
        runs: all that are finished.
        validated: the folds, where it is a cross-validation.
    """

    title: str
    task: str
    rows: list[Row]
    groups: Groups
    lines: list[Line]
    threshold: float
    heading: str
    runs: list[Result] = field(default_factory=list)
    validated: Validated | None = None

    @property
    def name(self) -> str:
        """Of its picture, without suffix."""
        return "-".join(part for part in ("comparison", folder_name(self.title), self.heading) if part)

    def text(self) -> str:
        """The table in Markdown, what it means, and which row is best."""
        heading = f"### {self.heading}\n\n" * bool(self.heading)
        if self.validated is None:
            return f"{heading}{markdown_table(self.lines, self.threshold)}\n{self._best_on_validation()}"
        together = pooled_table(self.lines, self.validated.folds, self.validated.papers)
        each = markdown_table(self.validated.lines, self.validated.threshold, "fold")
        best = statistics.select_on_validation(self.validated.groups, self.task)
        return f"{heading}{together}\n{each}\nBest on validation, a mean over folds: {best}."

    def draw(self, path: Path) -> None:
        """The picture of the table: of seeds, or of folds."""
        if self.validated is None:
            plot_comparison(self.lines, self.groups, self.task, path)
        else:
            plot_comparison(self.validated.lines, self.validated.groups, self.task, path, "fold")

    def values(self) -> dict:
        """The lines as strict JSON holds them; of a cross-validation those of folds, and beside them `pooled`."""
        if self.validated is None:
            return to_json(self.lines, self.threshold)
        together = to_json(self.lines, self.threshold)["lines"]
        return to_json(self.validated.lines, self.validated.threshold) | {"pooled": together}

    def _best_on_validation(self) -> str:
        """A sentence; it compares over the seeds that every row is to have, because some rows have more."""
        shared = set.intersection(*(set(row.seeds) for row in self.rows))
        runs = {
            label: {seed: run for seed, run in group.items() if seed in shared} for label, group in self.groups.items()
        }
        seeds = ", ".join(map(str, sorted(shared)))
        return f"Best on validation, of the seeds {seeds}: {statistics.select_on_validation(runs, self.task)}."


def tables(comparison: Comparison, folder: Path) -> list[Table]:
    """Variant by variant and task by task, of what is finished in the folder.

    Raises:
        ValueError: nothing is.
    """
    found, several = [], len(comparison.baselines) > 1
    for title in comparison.variants:
        if comparison.folds is None:
            finished, parts = finished_groups(comparison, title, folder), {}
        else:
            finished, parts = _cross_validated(comparison, title, folder)
        for task, baseline in comparison.baselines.items():
            rows = comparison.learning(task) if several else list(comparison.rows)
            groups = {row.label: finished[row.label] for row in rows}
            of_folds = {row.label: parts[row.label] for row in rows if parts}
            runs = _all_of(of_folds if parts else groups)
            if runs:
                validated = _validated(comparison, title, of_folds, task, baseline) if parts else None
                threshold = statistics.default_threshold(groups, baseline, task)
                lines = statistics.compare(groups, baseline, task, threshold)
                heading = task * several
                found.append(Table(title, task, rows, groups, lines, threshold, heading, runs, validated))
    if not found:
        raise ValueError(f"{folder} holds no finished run of {comparison.name}; run it without --report first")
    return found


Folds = dict[str, dict[int, dict[int, Result]]]
"""{label: {seed: {fold: Result}}}."""


def _cross_validated(comparison: Comparison, title: str, folder: Path) -> tuple[Groups, Folds]:
    """The results of all folds together, and those of each."""
    place, rows = folder / folder_name(title), comparison.rows
    finished = {row.label: folds.finished_folds(comparison, row, place) for row in rows}
    pooled = {row.label: folds.pooled_results(comparison, row, place, finished[row.label]) for row in rows}
    return pooled, finished


def _validated(comparison: Comparison, title: str, finished: Folds, task: str, baseline: str) -> Validated:
    groups = {label: folds.over_seeds(of_label) for label, of_label in finished.items()}
    threshold = statistics.default_threshold(groups, baseline, task)
    lines = statistics.compare(groups, baseline, task, threshold, shared=1 / (comparison.folds - 1))
    papers = {}
    for row in comparison.rows_of(title):
        paper = recipes.load(row.recipe, recipes.override(row.entries)).paper
        changed = any(" with " in folds.name_without_fold(run) for run in groups.get(row.label, {}).values())
        if paper and not changed and paper["metric"] == f"{task}_{lines[0].measure.name}":
            papers[row.label] = paper["value"]
    return Validated(comparison.folds, groups, lines, threshold, papers)


def _all_of(found: Any) -> list[Result]:
    """The results that nested dictionaries hold."""
    return [found] if isinstance(found, Result) else [run for inner in found.values() for run in _all_of(inner)]


def with_titles(parts: list[tuple[str, str]], marks: str = "##") -> list[str]:
    """The texts of (title, text), with the title as a heading above the first of each."""
    seen, texts = {""}, []
    for title, text in parts:
        texts += [f"{marks} {title}"] * (title not in seen) + [text]
        seen.add(title)
    return texts


def report(comparison: Comparison, folder: Path) -> str:
    """Write comparison.md, comparison.json and plots (one a variant and task) of what is finished; return the text."""
    values: dict[str, dict] = {}
    parts = []
    found_tables = tables(comparison, folder)
    for table in found_tables:
        found = table.values()
        values.setdefault(table.title, {}).update({table.task: found} if table.heading else found)
        table.draw(folder / f"{table.name}.png")
        parts.append((table.title, f"{table.text()}\n\n![Scores and curves]({table.name}.png)"))
    text = "\n\n".join([f"# {comparison.name}", comparison.about, *across(found_tables, folder), *with_titles(parts)])
    for name, content in (("comparison.md", f"{text}\n"), ("comparison.json", json.dumps(values, indent=2) + "\n")):
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return f"{text}\n"


def across(found: list[Table], pictures: Path | None, name: str = "comparison", place: str = "") -> list[str]:
    """All variants in one table and picture, task by task, where there are several.

    Args:
        found: all tables of a comparison.
        pictures: folder to draw into; nothing is drawn without one.
        name: of the pictures, before "-across.png".
        place: of the pictures, as the text has to link them.
    """
    texts = []
    for task in dict.fromkeys(table.task for table in found):
        of_task = [table for table in found if table.task == task]
        split = of_task[0].lines[0].split
        if len(of_task) < 2 or split is None:
            continue
        variants = {table.title: table.groups for table in of_task}
        baseline = next(line.label for line in of_task[0].lines if line.is_baseline)
        line = of_task[0].lines[0]
        runs = [run for table in of_task for run in table.runs]
        shown = quantities(task, split, [line.measure.name, *line.beside], runs)
        picture = f"{name}-across{f'-{task}' * bool(of_task[0].heading)}.png"
        if pictures is not None:
            plot_across(variants, baseline, shown, pictures / picture)
        texts.append(f"{across_table(variants, baseline, shown)}\n![From variant to variant]({place}{picture})")
    return texts
