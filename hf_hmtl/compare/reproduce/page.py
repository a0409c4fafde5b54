"""The page of a reproduction: the paper's tables beside ours, its figures, and its claims with their verdicts.

Everything is read off result.json files and the numbers of figures, so that the same files give the same page.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hf_hmtl.compare import folds
from hf_hmtl.compare.report import finished_groups
from hf_hmtl.compare.reproduce import claims, paper, tables
from hf_hmtl.compare.reproduce.blocks import Block, Heading, Paragraph, Picture, Table
from hf_hmtl.compare.reproduce.departures import blocks_of_departures
from hf_hmtl.compare.reproduce.drawing import FIGURES, drawn_of, path_of, rows_of, runs_of
from hf_hmtl.compare.reproduce.evidence import FEWEST_SEEDS, LATE, Evidence
from hf_hmtl.compare.reproduce.plan import Reproduction, part_folder
from hf_hmtl.compare.runs import DIVERGED
from hf_hmtl.compare.statistics import Groups
from hf_hmtl.parsing import text_of
from hf_hmtl.results.result import Result

SHOWS_FACES = ("11",)
MAY_BE_SHOWN = ("drawn",)
"""Data sets whose faces may stand on a published page; of others, figures of `SHOWS_FACES` stay where they are."""
ATTACKED = ("method", "seed", "attack", "radius", "accuracy")
"""What is read off the numbers of Figure 16."""


def finished(reproduction: Reproduction, folder: Path) -> dict[str, Groups]:
    """{file of the paper's rows: {row: {seed: Result}}} of what is there."""
    found = {}
    for part in reproduction.parts:
        comparison, place = reproduction.comparison(part, further=True), part_folder(folder, part)
        if comparison.folds is None:
            found[part.original] = finished_groups(comparison, "", place)
            continue
        found[part.original] = {
            row.label: folds.pooled_results(comparison, row, place, folds.finished_folds(comparison, row, place))
            for row in comparison.rows
        }
    return found


def page(reproduction: Reproduction, folder: Path, published: Path | None = None) -> list[Block]:
    """The blocks of the page.

    Args:
        reproduction: what is shown, whole or narrowed.
        folder: where its runs are, or copies of their results.
        published: the folder in which the page stands beside those of other data sets, where others see it.
    """
    groups = finished(reproduction, folder)
    every = [run for of_file in groups.values() for runs in of_file.values() for run in runs.values()]
    blocks: list[Block] = [
        Heading(f"The paper on {reproduction.name}", 1),
        Paragraph(
            "Made by hf-hmtl reproduce of the result.json files of these runs, and never edited by hand. The paper is "
            "arXiv 2105.06421."
        ),
        Paragraph(reproduction.about),
        *_budget(reproduction),
        Paragraph(f"{so_far(reproduction, groups)} are finished{_machines(every)}."),
        *_came_to_nothing(reproduction, folder),
        *_verdicts(reproduction, groups, folder),
        Heading("Tables"),
        Paragraph(tables.explanation(reproduction)),
    ]
    for name in reproduction.tables():
        blocks += tables.blocks_of_table(name, reproduction, groups[paper.TABLES[name].file])
    if left_out := [*_missing(reproduction)]:
        blocks.append(Paragraph(f"Not on {reproduction.name}: {'; '.join(left_out)}."))
    blocks += _figures(reproduction, groups, folder, published)
    blocks += blocks_of_departures(reproduction)
    return blocks


def so_far(reproduction: Reproduction, groups: dict[str, Groups]) -> str:
    """How many runs of how many are there, and beside them."""
    each = len(reproduction.seeds)
    of_rows = [len(runs) for of_file in groups.values() for runs in of_file.values()]
    beside = sum(max(number - each, 0) for number in of_rows)
    words = f"{sum(of_rows) - beside} of {each * len(of_rows)} runs"
    return f"{words}, and {beside} of further seeds," if beside else words


def _missing(reproduction: Reproduction) -> Iterator[str]:
    """What the data do not allow, and why: tables and rows, and the figures of what such a table is about."""
    for name, why in reproduction.missing.items():
        if name not in paper.TABLES:
            yield f"{name} {why}"
            continue
        yield f"table {name} {why}"
        for figure, (file, _, _) in paper.FIGURES.items():
            if file == paper.TABLES[name].file and figure not in reproduction.figures():
                yield f"figure {figure} {why}"


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


def _verdicts(reproduction: Reproduction, groups: dict[str, Groups], folder: Path) -> list[Block]:
    parts = {part.original: part_folder(folder, part) for part in reproduction.parts}
    judged = [claim for claim in claims.CLAIMS if claim.file in parts]
    if not judged:
        return []
    attacked = attacked_of(folder)
    evidence = {
        file: Evidence(
            groups[file], attacked, diverged(parts[file]), metric=paper.metric_of(file), missing=reproduction.missing
        )
        for file in dict.fromkeys(claim.file for claim in judged)
    }
    words = (
        "A claim holds, or does not, where the whole 95 % paired t interval over seeds says so, and is open between; "
        "intervals cover what the seed changes, and are not corrected for the number of claims. It is tested with "
        f"{FEWEST_SEEDS} seeds or more of each row, and where these matter with puzzles of which 80 % of the tiles are "
        f"right, a supervised loss on validation that falls no more ({LATE:.0%} of its fall or less came in the last "
        "quarter of the steps before the rate drops, which lowers any loss; in the mean over seeds), and answers above "
        f"chance. {claims.AS_ROUNDED}"
    )
    blocks: list[Block] = [Heading("What the paper claims"), _judged(judged, evidence), Paragraph(words)]
    of_settings = [claim for claim in judged if claim.takes_settings]
    if reproduction.chosen and of_settings:
        words = "The same with the puzzle that is best on validation, of the paper's own and further settings:"
        chosen = {file: replace(each, settings=reproduction.chosen) for file, each in evidence.items()}
        blocks += [Paragraph(words), _judged(of_settings, chosen)]
    return blocks


def _judged(of: Sequence[claims.Claim], evidence: dict[str, Evidence]) -> Table:
    rows = [["claim", "where", "verdict", "numbers, or why not"]]
    for claim in of:
        verdict = claims.judge(claim, evidence[claim.file])
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


def picture_link(reproduction: Reproduction, figure: str, published: bool) -> str:
    """Where a page finds the picture of a figure."""
    return f"{FIGURES}/{f'{reproduction.name}-' * published}figure-{figure}.png"


def is_shown(reproduction: Reproduction, figure: str, published: bool) -> bool:
    """Whether a figure may stand on the page."""
    return not (published and figure in SHOWS_FACES and reproduction.name not in MAY_BE_SHOWN)


def _figures(
    reproduction: Reproduction, groups: dict[str, Groups], folder: Path, published: Path | None
) -> list[Block]:
    blocks: list[Block] = []
    missing = []
    for name in reproduction.figures():
        if not is_shown(reproduction, name, published is not None):
            words = f"Figure {name} shows faces of people, and is on the page in the folder of the runs alone."
            blocks.append(Paragraph(words))
            continue
        title = f"Figure {name}, {paper.FIGURES[name][1]}"
        picture, link = path_of(folder, name, "png"), picture_link(reproduction, name, published is not None)
        # Of kept results there are only numbers, and the pictures lie beside the published page.
        is_there = picture.is_file() or (published is not None and (published / link).is_file())
        if path_of(folder, name, "csv").is_file() and is_there:
            blocks += [Heading(title, 3), Picture(title, link, picture)]
            blocks += _drawn_of(reproduction, name, groups.get(paper.FIGURES[name][0], {}), folder)
        else:
            missing.append(name)
    if missing and not reproduction.steps:
        command = reproduction.command("--figures", *missing)
        figures = f"figure{'s' * (len(missing) > 1)} {', '.join(missing)}"
        blocks.append(
            Paragraph(f"Not drawn yet: {figures}. What draws {'them' if len(missing) > 1 else 'it'}:", command)
        )
    return [Heading("Figures"), *blocks] if blocks else []


def _drawn_of(reproduction: Reproduction, figure: str, groups: Groups, folder: Path) -> list[Block]:
    """What a picture does not show: rows that lack runs, and runs that came after it."""
    drawn, there = drawn_of(folder, figure), runs_of(reproduction, figure, groups)
    if drawn != there:
        command = reproduction.command("--figures", figure, "--report")
        return [Paragraph("Drawn of other runs than those of the tables. What draws it anew:", command)]
    without = [row for row in rows_of(reproduction, figure) if not groups.get(row)]
    words = f"Without {', '.join(without)}: no run of theirs is finished. What trains them:"
    return [Paragraph(words, reproduction.command("--figures", figure))] if without else []
