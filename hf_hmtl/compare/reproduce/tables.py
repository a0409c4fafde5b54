"""The paper's tables beside ours: a row of each is the paper's figure, our scores and what they differ by."""

import math
from collections.abc import Sequence
from decimal import Decimal

from hf_hmtl.compare.reproduce import measures, paper
from hf_hmtl.compare.reproduce.blocks import Block, Heading, Paragraph, Table
from hf_hmtl.compare.reproduce.evidence import FEWEST_SEEDS
from hf_hmtl.compare.reproduce.plan import Part, Reproduction
from hf_hmtl.compare.statistics import PREFIXES, Groups, by_seed, paired_difference, select_on_validation, spread
from hf_hmtl.compare.table import with_deviation, with_interval
from hf_hmtl.results.intervals import of_mean
from hf_hmtl.results.result import Result

NOTHING = "-"
BEST_OF = 3
"""The paper reports the best of so many seeds, by the score that it reports (section 4.2)."""


def explanation(reproduction: Reproduction) -> str:
    """What the columns are."""
    same = all(part.recipe == part.original for part in reproduction.parts)
    levels = " Levels of two data sets cannot be compared; differences to the baseline tell which way it goes."
    return (
        "Scores are means over seeds ± their sample standard deviation, of the split that is reported, with Student's "
        f"95 % interval of the mean; a cell with fewer than {FEWEST_SEEDS} seeds has a dash. Best of {BEST_OF} is the "
        f"paper's protocol: of the first {BEST_OF} seeds the one that is best on validation. Differences are paired by "
        "seed, with their 95 % interval. Chosen on validation is the best of the paper's own setting and further ones, "
        f"by mean validation score.{levels * (not same)} The paper's figures are not rounded, and are shares where "
        "it prints percent. Rows of other publications in its tables (ResNet50, ESR-9, RAN, PSR, HopeNet and others) "
        "are left out."
    )


def blocks_of_table(name: str, reproduction: Reproduction, groups: Groups) -> list[Block]:
    """A table under its heading; none where the reproduction has fewer than two of its rows."""
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
    wanted = max(len(reproduction.seeds), FEWEST_SEEDS)
    for row in labels:
        cells = _cells(name, row, groups, metric, same)
        if chosen:
            cells += _chosen_cells(row, reproduction, groups, metric, baseline)
        few = [each for each in _needed(row, baseline, reproduction) if _is_short(groups.get(each, {}), metric, wanted)]
        typed = [reproduction.typed(part, each) for each in few]
        rows.append([*cells, reproduction.command("--rows", *typed) if few else ""])
    texts = ("row", "of the paper", "chosen on validation", "what fills it")
    return [
        Heading(f"{_called(name)}: {table.title}", 3),
        Paragraph(measures.sentence(metric)),
        Table(rows, texts=texts, code="what fills it"),
        *_further_measures(name, labels, groups),
        *[Paragraph(table.note)] * bool(table.note),
    ]


def _needed(row: str, baseline: str, reproduction: Reproduction) -> list[str]:
    """The rows whose runs the cells of a row are made of, in whole or in part."""
    return list(dict.fromkeys([row, baseline, *reproduction.chosen.get(row, ())]))


def _is_short(runs: dict[int, Result], metric: str, wanted: int) -> bool:
    """Whether a row has a score of too few seeds."""
    return len(_scores(runs, metric)) < wanted


def _further_measures(name: str, labels: Sequence[str], groups: Groups) -> list[Block]:
    """What else a table prints of its rows, the paper's beside ours; nothing where it prints one measure."""
    printed = {row: paper.printed_in(name, row).get("also", {}) for row in labels}
    shown = list(dict.fromkeys(measure for of_row in printed.values() for measure in of_row))
    if not shown:
        return []
    rows = [["row", *(f"{measures.title(each)}, {whose}" for each in shown for whose in ("paper", "ours"))]]
    for row, of_row in printed.items():
        runs = groups.get(row, {})
        pairs = [(as_printed(of_row.get(each)), _mean_over_seeds(_scores(runs, each))) for each in shown]
        rows += [[row, *(cell for pair in pairs for cell in pair)]] * bool(of_row)
    explained = "; ".join(dict.fromkeys(measures.score_of(each).explained() for each in shown))
    return [Paragraph(f"{_called(name)} also prints: {explained}."), Table(rows, texts=("row",))]


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


def _cells(name: str, row: str, groups: Groups, metric: str, same: bool) -> list[str]:
    baseline = paper.TABLES[name].baseline
    printed, base = paper.printed_in(name, row), paper.printed_in(name, baseline)["value"]
    runs = groups.get(row, {})
    scores, of_baseline = _scores(runs, metric), _scores(groups.get(baseline, {}), metric)
    enough = len(scores) >= FEWEST_SEEDS
    is_baseline = row == baseline
    compared = enough and len(of_baseline) >= FEWEST_SEEDS and not is_baseline
    mean = sum(scores.values()) / len(scores) if scores else math.nan
    low, high = of_mean(list(scores.values()))
    return [
        row,
        printed["row"],
        as_printed(printed["value"], printed.get("plus_minus")),
        NOTHING if is_baseline else printed_difference(printed["value"], base),
        _mean_over_seeds(scores),
        f"{len(scores)}",
        f"[{low:.3f}, {high:.3f}]" if enough else NOTHING,
        _number(_best_of(runs, metric)) if enough else NOTHING,
        with_interval(paired_difference(scores, of_baseline), len(scores)) if compared else NOTHING,
        *[_signed(mean - printed["value"]) if enough else NOTHING] * same,
    ]


def _mean_over_seeds(scores: dict[int, float]) -> str:
    return with_deviation(spread(scores.values())) if len(scores) >= FEWEST_SEEDS else NOTHING


def as_printed(value: float | None, plus_minus: float | None = None) -> str:
    """A figure of the paper with all of its digits, and what stands behind its ±; a dash for none."""
    if value is None:
        return NOTHING
    figure = f"{Decimal(str(value)):f}"
    return figure if plus_minus is None else f"{figure} ± {Decimal(str(plus_minus)):f}"


def printed_difference(value: float, baseline: float) -> str:
    """What two figures of the paper differ by, with the digits of the finer one."""
    return f"{Decimal(str(value)) - Decimal(str(baseline)):+f}"


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
