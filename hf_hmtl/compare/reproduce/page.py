"""The page of a reproduction: the paper's tables beside ours, its figures, and its claims with their verdicts.

Everything is read off result.json files and the numbers of figures, so that the same files give the same page.
"""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_hmtl.compare import folds
from hf_hmtl.compare.report import finished_groups
from hf_hmtl.compare.reproduce import claims, paper, tables
from hf_hmtl.compare.reproduce.blocks import Block, Heading, Paragraph, Picture, Table
from hf_hmtl.compare.reproduce.evidence import FEWEST_SEEDS, LATE, Evidence
from hf_hmtl.compare.reproduce.plan import Reproduction, part_folder
from hf_hmtl.compare.runs import DIVERGED
from hf_hmtl.compare.statistics import Groups
from hf_hmtl.results.result import Result

FIGURES = "figures"
SHOWS_FACES = ("11",)
MAY_BE_SHOWN = ("drawn",)
"""Data sets whose faces may stand on a published page; of others, figures of `SHOWS_FACES` stay where they are."""


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
        Paragraph(f"{len(every)} of {wanted} runs are finished{_machines(every)}."),
        *_came_to_nothing(reproduction, folder),
        *_verdicts(reproduction, groups.get(paper.AFFECTNET, {}), folder),
        Heading("Tables"),
        Paragraph(tables.explanation(reproduction)),
    ]
    for name in reproduction.tables():
        blocks += tables.blocks_of_table(name, reproduction, groups[paper.TABLES[name].file])
    if reproduction.missing:
        left_out = "; ".join(f"table {name} {why}" for name, why in reproduction.missing.items())
        blocks.append(Paragraph(f"Not on {reproduction.name}: {left_out}."))
    blocks += _figures(reproduction, folder, published)
    return blocks


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
    evidence = Evidence(groups, numbers_of(folder, "16"), diverged(part_folder(folder, part)))
    words = (
        "A claim holds, or does not, where the whole 95 % paired t interval over seeds says so, and is open between; "
        "intervals cover what the seed changes, and are not corrected for the number of claims. It is tested with "
        f"{FEWEST_SEEDS} seeds or more of each row, and where these matter with puzzles of which 80 % of the tiles are "
        f"right, a supervised loss that falls no more (its last quarter brought {LATE:.0%} of its fall or less, in the "
        "mean over seeds), and answers above chance."
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


def numbers_of(folder: Path, figure: str) -> list[dict[str, str]]:
    """The numbers of a figure that was drawn into a folder; none where it was not."""
    path = folder / FIGURES / f"figure-{figure}.csv"
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def picture_link(reproduction: Reproduction, figure: str, published: bool) -> str:
    """Where a page finds the picture of a figure."""
    return f"{FIGURES}/{f'{reproduction.name}-' * published}figure-{figure}.png"


def is_shown(reproduction: Reproduction, figure: str, published: bool) -> bool:
    """Whether a figure may stand on the page."""
    return not (published and figure in SHOWS_FACES and reproduction.name not in MAY_BE_SHOWN)


def _figures(reproduction: Reproduction, folder: Path, published: bool) -> list[Block]:
    blocks: list[Block] = []
    missing = []
    for name in reproduction.figures():
        if not is_shown(reproduction, name, published):
            continue
        title = f"Figure {name}, {paper.FIGURES[name][1]}"
        if (folder / FIGURES / f"figure-{name}.csv").is_file():
            link = picture_link(reproduction, name, published)
            blocks += [Heading(title, 3), Picture(title, link, folder / FIGURES / f"figure-{name}.png")]
        else:
            missing.append(name)
    if missing and not reproduction.steps:
        command = f"hf-hmtl reproduce --on {reproduction.name} --figures {' '.join(missing)}"
        blocks.append(Paragraph(f"Not drawn yet: figures {', '.join(missing)}; {command} draws them."))
    return [Heading("Figures"), *blocks] if blocks else []
