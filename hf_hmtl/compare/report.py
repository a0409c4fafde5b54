"""What came of a comparison, as far as it is finished: a table, a plot and plain values, in the comparison's folder."""

import json
from collections.abc import Iterator
from pathlib import Path

from hf_hmtl.compare import statistics
from hf_hmtl.compare.plot import plot_comparison
from hf_hmtl.compare.rows import Comparison, Row, folder_name
from hf_hmtl.compare.statistics import Groups
from hf_hmtl.compare.table import markdown_table, to_json
from hf_hmtl.files import replacing
from hf_hmtl.results import result as results


def finished_groups(comparison: Comparison, title: str, folder: Path) -> Groups:
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


def _best_on_validation(rows: list[Row], groups: Groups, task: str) -> str:
    """A sentence; it compares over the seeds that every row is to have, because some rows have more."""
    shared = set.intersection(*(set(row.seeds) for row in rows))
    runs = {label: {seed: run for seed, run in group.items() if seed in shared} for label, group in groups.items()}
    seeds = ", ".join(map(str, sorted(shared)))
    return f"Best on validation, of the seeds {seeds}: {statistics.select_on_validation(runs, task)}."


def report(comparison: Comparison, folder: Path) -> str:
    """Write comparison.md, comparison.json and plots (one a variant and task) of what is finished; return the text."""
    parts, values = [f"# {comparison.name}", comparison.about], {}
    several = len(comparison.baselines) > 1
    for title in comparison.variants:
        finished = finished_groups(comparison, title, folder)
        if not any(finished.values()):
            continue
        parts += [f"## {title}"] if title else []
        for task, baseline in comparison.baselines.items():
            rows = comparison.learning(task) if several else list(comparison.rows)
            groups = {row.label: finished[row.label] for row in rows}
            if not any(groups.values()):
                continue
            threshold = statistics.default_threshold(groups, baseline, task)
            lines = statistics.compare(groups, baseline, task, threshold)
            parts += [f"### {task}"] * several + [markdown_table(lines, threshold)]
            name = "-".join(part for part in ("comparison", folder_name(title), task * several) if part)
            values.setdefault(title, {}).update(
                {task: to_json(lines, threshold)} if several else to_json(lines, threshold)
            )
            plot_comparison(lines, groups, task, folder / f"{name}.png")
            parts += [_best_on_validation(rows, groups, task), f"![Scores and curves]({name}.png)"]
    if not values:
        raise ValueError(f"{folder} holds no finished run of {comparison.name}; run it without --report first")
    text = "\n\n".join(parts) + "\n"
    for name, content in (("comparison.md", text), ("comparison.json", json.dumps(values, indent=2) + "\n")):
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return text
