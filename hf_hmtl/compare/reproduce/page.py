"""The page of a reproduction: the paper's tables beside ours, its figures, and its claims with their verdicts.

Everything is read off result.json files and the numbers of figures, so that the same files give the same page.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_hmtl.compare import folds
from hf_hmtl.compare.report import finished_groups
from hf_hmtl.compare.reproduce import claims, paper
from hf_hmtl.compare.reproduce.blocks import Block, Heading, Paragraph, Picture, Table
from hf_hmtl.compare.reproduce.drawing import FIGURES, drawn_of, path_of, rows_of, runs_of
from hf_hmtl.compare.reproduce.evidence import FEWEST_SEEDS, LATE, Evidence
from hf_hmtl.compare.reproduce.plan import Part, Reproduction, part_folder
from hf_hmtl.compare.runs import DIVERGED
from hf_hmtl.compare.statistics import PREFIXES, Groups, by_seed, paired_difference, select_on_validation, spread
from hf_hmtl.compare.table import with_deviation, with_interval
from hf_hmtl.parsing import text_of
from hf_hmtl.results.intervals import of_mean
from hf_hmtl.results.result import Result

NOTHING = "-"
SHOWS_FACES = ("11",)
MAY_BE_SHOWN = ("drawn",)
"""Data sets whose faces may stand on a published page; of others, figures of `SHOWS_FACES` stay where they are."""
ATTACKED = ("method", "seed", "attack", "radius", "accuracy")
"""What is read off the numbers of Figure 16."""
BEST_OF = 3
"""The paper reports the best of so many seeds, by the score that it reports (section 4.2)."""


def finished(reproduction: Reproduction, folder: Path) -> dict[str, Groups]:
    """{file of the paper's rows: {row: {seed: Result}}} of what is there."""
    found = {}
    for part in reproduction.parts:
        comparison, place = reproduction.comparison(part), part_folder(folder, part)
        if comparison.folds is None:
            found[part.original] = finished_groups(comparison, "", place)
            continue
        found[part.original] = {
            row.label: folds.pooled_results(comparison, row, place, folds.finished_folds(comparison, row, place))
            for row in comparison.rows
        }
    return found


def page(reproduction: Reproduction, folder: Path, published: bool = False) -> list[Block]:
    """The blocks of the page.

    Args:
        reproduction: what is shown, whole or narrowed.
        folder: where its runs are, or copies of their results.
        published: whether the page stands beside those of other data sets, where others see it.
    """
    groups = finished(reproduction, folder)
    every = [run for of_file in groups.values() for runs in of_file.values() for run in runs.values()]
    wanted = sum(len(part.rows) * len(reproduction.seeds) for part in reproduction.parts)
    blocks: list[Block] = [
        Heading(f"The paper on {reproduction.name}", 1),
        Paragraph(
            "Made by hf-hmtl reproduce of the result.json files of these runs, and never edited by hand. The paper is "
            "arXiv 2105.06421."
        ),
        Paragraph(reproduction.about),
        *_budget(reproduction),
        Paragraph(f"{len(every)} of {wanted} runs are finished{_machines(every)}."),
        *_came_to_nothing(reproduction, folder),
        *_verdicts(reproduction, groups.get(paper.AFFECTNET, {}), folder),
        Heading("Tables"),
        Paragraph(_explanation(reproduction)),
    ]
    for name in reproduction.tables():
        blocks += _table(name, reproduction, groups[paper.TABLES[name].file])
    if reproduction.missing:
        left_out = "; ".join(f"table {name} {why}" for name, why in reproduction.missing.items())
        blocks.append(Paragraph(f"Not on {reproduction.name}: {left_out}."))
    blocks += _figures(reproduction, groups, folder, published)
    return blocks


def _budget(reproduction: Reproduction) -> list[Block]:
    """What is not the paper's of a reproduction within a budget."""
    steps = ", ".join(f"{row} {steps:,}" for row, steps in reproduction.steps.items())
    words = (
        f"Within a budget: every row has the same time, in which so many optimiser steps fit: {steps}. The rate "
        "follows a cosine that ends with them, in place of the paper's epochs and steps."
    )
    return [Paragraph(words)] if steps else []


def _came_to_nothing(reproduction: Reproduction, folder: Path) -> list[Block]:
    found = {row: n for part in reproduction.parts for row, n in diverged(part_folder(folder, part)).items()}
    words = ", ".join(f"{number} of {row}" for row, number in found.items())
    return [Paragraph(f"Diverged, and so without a score: {words}.")] if found else []


def _machines(runs: Sequence[Result]) -> str:
    if not runs:
        return ""
    minutes = sum(run.seconds["total"] for run in runs) / 60
    machines = dict.fromkeys(
        ", ".join([run.hardware["cpu"], f"{run.hardware['cores']} cores", *_cards(run)]) for run in runs
    )
    versions = ", ".join(dict.fromkeys(run.packages["hf_hmtl"] for run in runs))
    return f", {minutes:,.0f} minutes of training in all, on {' and '.join(machines)}; hf_hmtl {versions}"


def _cards(run: Result) -> list[str]:
    return run.hardware["gpus"] if (run.execution or {}).get("device") == "cuda" else []


def _verdicts(reproduction: Reproduction, groups: Groups, folder: Path) -> list[Block]:
    part = reproduction.part_of(paper.AFFECTNET)
    if part is None:
        return []
    evidence = Evidence(groups, attacked_of(folder), diverged(part_folder(folder, part)))
    words = (
        "A claim holds, or does not, where the whole 95 % paired t interval over seeds says so, and is open between; "
        "intervals cover what the seed changes, and are not corrected for the number of claims. It is tested with "
        f"{FEWEST_SEEDS} seeds or more of each row, and where these matter with puzzles of which 80 % of the tiles are "
        f"right, an emotion loss on validation that falls no more (its last quarter brought {LATE:.0%} of its fall or "
        "less, in the mean over seeds), and answers above chance."
    )
    blocks: list[Block] = [Heading("What the paper claims"), _judged(claims.CLAIMS, evidence), Paragraph(words)]
    if reproduction.chosen:
        of_settings = [claim for claim in claims.CLAIMS if claim.takes_settings]
        words = "The same with the puzzle that is best on validation, of the paper's own and further settings:"
        blocks += [Paragraph(words), _judged(of_settings, replace(evidence, settings=reproduction.chosen))]
    return blocks


def _judged(of: Sequence[claims.Claim], evidence: Evidence) -> Table:
    rows = [["claim", "where", "verdict", "numbers, or why not"]]
    for claim in of:
        verdict = claims.judge(claim, evidence)
        rows.append([claim.sentence, claim.place, verdict.word, verdict.why])
    return Table(rows, texts=tuple(rows[0]))


def diverged(folder: Path) -> dict[str, int]:
    """{row: how many of its trainings came to nothing} of the folder of a part, those of which any did."""
    found: dict[str, int] = {}
    for path in sorted(folder.rglob(DIVERGED)):
        row = path.relative_to(folder).parts[0]
        found[row] = found.get(row, 0) + 1
    return found


def attacked_of(folder: Path) -> list[dict[str, str]]:
    """The numbers of Figure 16 that was drawn into a folder; none where it was not.

    Raises:
        ValueError: the file is another table, or has been cut off.
    """
    path = path_of(folder, "16", "csv")
    if not path.is_file():
        return []
    text = text_of(path)
    header, *rows = csv.reader(text.splitlines() or [""])
    whole = text.endswith("\n") and set(ATTACKED) <= set(header) and all(len(row) == len(header) for row in rows)
    if not whole:
        raise ValueError(
            f"{path} is cut off, or is no table of {', '.join(ATTACKED)}. Remove it; hf-hmtl reproduce --figures 16 "
            "draws the figure anew"
        )
    return [dict(zip(header, row, strict=True)) for row in rows]


def _explanation(reproduction: Reproduction) -> str:
    same = all(part.recipe == part.original for part in reproduction.parts)
    levels = " Levels of two data sets cannot be compared; differences to the baseline tell which way it goes."
    return (
        "Scores are means over seeds ± their sample standard deviation, of the split that is reported, with Student's "
        f"95 % interval of the mean; a cell with fewer than {FEWEST_SEEDS} seeds has a dash. Best of {BEST_OF} is the "
        f"paper's protocol: of the first {BEST_OF} seeds the one that is best on validation. Differences are paired by "
        "seed, with their 95 % interval. Chosen on validation is the best of the paper's own setting and further ones, "
        f"by mean validation score.{levels * (not same)}"
    )


def _table(name: str, reproduction: Reproduction, groups: Groups) -> list[Block]:
    table, part = paper.TABLES[name], reproduction.part_of(paper.TABLES[name].file)
    labels = [row for row in paper.rows_of_table(name) if part is not None and row in part.rows]
    if part is None or len(labels) < 2:
        return []
    metric = _metric(part, labels)
    chosen = any(row in reproduction.chosen for row in labels)
    same = part.recipe == part.original
    baseline = table.baseline
    header = [
        "row", "of the paper", "paper", f"paper, to {baseline}", "ours", "seeds", "interval", f"best of {BEST_OF}",
        f"ours, to {baseline}", *["ours - paper"] * same,
        *["chosen on validation", "its score", f"its difference to {baseline}"] * chosen, "what fills it",
    ]  # fmt: skip
    rows = [header]
    for row in labels:
        cells = _cells(row, part, groups, metric, baseline, same)
        if chosen:
            cells += _chosen_cells(row, reproduction, groups, metric, baseline)
        seeds = len(_scores(groups.get(row, {}), metric))
        command = f"hf-hmtl reproduce --on {reproduction.name} --rows {reproduction.typed(part, row)}"
        rows.append([*cells, command if seeds < len(reproduction.seeds) else ""])
    texts = ("row", "of the paper", "chosen on validation", "what fills it")
    heading = Heading(f"{_called(name)}: {table.title}, {metric.replace('_', ' ')}", 3)
    return [heading, Table(rows, texts=texts, code="what fills it")]


def _called(name: str) -> str:
    return f"Table {name}" if name.isdigit() else f"Appendix {name}"


def _metric(part: Part, labels: Sequence[str]) -> str:
    """The measure of a table; that of its first row, which all of them share."""
    return paper.figures_printed(part.original)[labels[0]]["metric"]


def _scores(runs: dict[int, Result], metric: str) -> dict[int, float]:
    """{seed: score on the reported split}, those that there are."""
    found = {}
    for seed, run in runs.items():
        value = run.metrics.get(f"{PREFIXES[run.protocol['reported_on']]}{metric}", math.nan)
        if math.isfinite(value):
            found[seed] = value
    return found


def _cells(row: str, part: Part, groups: Groups, metric: str, baseline: str, same: bool) -> list[str]:
    printed = paper.figures_printed(part.original)
    value, base = printed[row]["value"], printed[baseline]["value"]
    runs = groups.get(row, {})
    scores, of_baseline = _scores(runs, metric), _scores(groups.get(baseline, {}), metric)
    enough = len(scores) >= FEWEST_SEEDS
    is_baseline = row == baseline
    compared = enough and len(of_baseline) >= FEWEST_SEEDS and not is_baseline
    mean = sum(scores.values()) / len(scores) if scores else math.nan
    low, high = of_mean(list(scores.values()))
    return [
        row,
        printed[row]["row"],
        _number(value),
        NOTHING if is_baseline else _signed(value - base),
        with_deviation(spread(scores.values())) if enough else NOTHING,
        f"{len(scores)}",
        f"[{low:.3f}, {high:.3f}]" if enough else NOTHING,
        _number(_best_of(runs, metric)) if enough else NOTHING,
        with_interval(paired_difference(scores, of_baseline), len(scores)) if compared else NOTHING,
        *[_signed(mean - value) if enough else NOTHING] * same,
    ]


def _best_of(runs: dict[int, Result], metric: str) -> float:
    """The reported score of that of the first seeds that is best on validation."""
    first = sorted(runs)[:BEST_OF]
    validation = by_seed({seed: runs[seed] for seed in first}, f"eval_{metric}")
    task = next(name for name in runs[first[0]].measures if metric.startswith(f"{name}_"))
    # That of one column, such as affect_rmse_valence, is judged like that of all: affect_rmse.
    measure = next(each for each in runs[first[0]].measures_of(task) if f"{metric}_".startswith(f"{task}_{each.name}_"))
    known = {seed: value for seed, value in validation.items() if math.isfinite(value)}
    if not known:
        return math.nan
    best = measure.best(known.values())
    chosen = next(seed for seed, value in known.items() if value == best)
    return _scores(runs, metric).get(chosen, math.nan)


def _chosen_cells(row: str, reproduction: Reproduction, groups: Groups, metric: str, baseline: str) -> list[str]:
    settings = reproduction.chosen.get(row)
    if settings is None:
        return [NOTHING] * 3
    candidates = {each: groups.get(each, {}) for each in (row, *settings)}
    if any(len(_scores(runs, metric)) < FEWEST_SEEDS for runs in candidates.values()):
        return [NOTHING] * 3
    best = select_on_validation(candidates, metric.partition("_")[0])
    scores, of_baseline = _scores(groups[best], metric), _scores(groups.get(baseline, {}), metric)
    compared = len(of_baseline) >= FEWEST_SEEDS
    difference = with_interval(paired_difference(scores, of_baseline), len(scores)) if compared else NOTHING
    return [best, with_deviation(spread(scores.values())), difference]


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.3f}"


def _signed(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{round(value, 3) + 0.0:+.3f}"


def picture_link(reproduction: Reproduction, figure: str, published: bool) -> str:
    """Where a page finds the picture of a figure."""
    return f"{FIGURES}/{f'{reproduction.name}-' * published}figure-{figure}.png"


def is_shown(reproduction: Reproduction, figure: str, published: bool) -> bool:
    """Whether a figure may stand on the page."""
    return not (published and figure in SHOWS_FACES and reproduction.name not in MAY_BE_SHOWN)


def _figures(reproduction: Reproduction, groups: dict[str, Groups], folder: Path, published: bool) -> list[Block]:
    blocks: list[Block] = []
    missing = []
    for name in reproduction.figures():
        if not is_shown(reproduction, name, published):
            continue
        title = f"Figure {name}, {paper.FIGURES[name][1]}"
        picture = path_of(folder, name, "png")
        # Published pictures lie beside the page, and of kept results there are only numbers.
        if path_of(folder, name, "csv").is_file() and (published or picture.is_file()):
            blocks += [Heading(title, 3), Picture(title, picture_link(reproduction, name, published), picture)]
            blocks += _drawn_of(reproduction, name, groups.get(paper.FIGURES[name][0], {}), folder)
        else:
            missing.append(name)
    if missing and not reproduction.steps:
        command = f"hf-hmtl reproduce --on {reproduction.name} --figures {' '.join(missing)}"
        blocks.append(Paragraph(f"Not drawn yet: figures {', '.join(missing)}. What draws them:", command))
    return [Heading("Figures"), *blocks] if blocks else []


def _drawn_of(reproduction: Reproduction, figure: str, groups: Groups, folder: Path) -> list[Block]:
    """What a picture does not show: rows without a run, and runs that came after it."""
    drawn, there = drawn_of(folder, figure), runs_of(reproduction, figure, groups)
    if drawn != there:
        command = f"hf-hmtl reproduce --on {reproduction.name} --figures {figure} --report"
        return [Paragraph("Drawn of other runs than those of the tables. What draws it anew:", command)]
    without = [row for row in rows_of(reproduction, figure) if not groups.get(row)]
    return [Paragraph(f"Without {', '.join(without)}: no run of theirs is finished.")] if without else []
