"""From what is wished to runs, figures and a page."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm

from hf_hmtl.compare.cards import slimmed
from hf_hmtl.compare.reproduce import plan
from hf_hmtl.compare.reproduce.blocks import to_html, to_markdown
from hf_hmtl.compare.reproduce.drawing import draw_figures, path_of
from hf_hmtl.compare.reproduce.hours import CostOf, measuring, seconds_left
from hf_hmtl.compare.reproduce.page import finished, is_shown, page, picture_link, so_far
from hf_hmtl.compare.reproduce.plan import Reproduction
from hf_hmtl.compare.rows import Run, planned, require_free, require_seeds
from hf_hmtl.compare.runs import DIVERGED, is_finished, require_models, require_possible, train_all
from hf_hmtl.compare.table import markdown
from hf_hmtl.files import replacing, require_folder
from hf_hmtl.results import result as results
from hf_hmtl.run.command_line import parse

ROOT = Path("outputs")
PAGE = "reproduction.md"
FEWEST_STEPS = 50
QUICK_FIGURES = ("14",)
OF_BUDGET = dict.fromkeys(
    ("--max_steps", "--num_train_epochs", "--eval_strategy", "--eval_steps", "--save_strategy", "--save_steps",
     "--logging_steps", "--lr_scheduler_type", "--decay_epochs"),
    "which follows from the --budget",
)  # fmt: skip
"""Options of the command train that a budget decides."""
_START = 8.0  # seconds in which a run reads its data, is scored at its end, and writes its folder


@dataclass(frozen=True)
class Wish:
    """What is to be reproduced.

    Attributes:
        on: names of `plan.available`.
        tables, figures, rows: parts of it; everything where all are empty.
        seeds, at_a_time: in the place of those of the file.
        budget: seconds, for supervised training, a puzzle and its control alone.
        output_dir: in the place of outputs/reproduce-NAME, of one name.
        data_dir: folder of the data set, of one name.
    """

    on: tuple[str, ...]
    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    at_a_time: int | None = None
    budget: float | None = None
    output_dir: Path | None = None
    data_dir: str | None = None

    def __post_init__(self):
        if len(set(self.on)) < len(self.on):
            raise ValueError(f"--on names a data set once, and these are {' '.join(self.on)}")
        if self.seeds is not None:
            require_seeds(self.seeds)
        if self.budget is not None and (self.tables or self.figures or self.rows):
            raise ValueError(
                "--budget is for supervised training, a puzzle and its control; leave out what else is named"
            )

    def folder(self, name: str) -> Path:
        """Where a reproduction goes."""
        of_budget = "" if self.budget is None else f"-{self.budget / 60:g}m"
        return self.output_dir or plan.folder_of(f"{name}{of_budget}", ROOT)


def reproduce(
    wish: Wish,
    common: Sequence[str],
    dry_run: bool = False,
    train: bool = True,
    keep: Path | None = None,
    page: Path | None = None,
    say: Callable[[str], None] = print,
    cost_of: CostOf | None = None,
) -> None:
    """Train what is missing, draw the figures, and write the pages.

    Args:
        wish: what is to be reproduced.
        common: options of the command train for every run.
        dry_run: say what would be trained, and stop.
        train: or only report on what is there.
        keep: folder that the results are copied to, without what no page needs of their logs.
        page: of one reproduction, in the place of `PAGE` in its folder.
        say: told what is going on.
        cost_of: measures what a run costs; by real steps if not given.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    if page is not None and len(wish.on) > 1:
        raise ValueError("--page is of one data set; name one behind --on")
    if page is not None and page.suffix != ".md":
        raise ValueError(f"--page is {page}, and the page is Markdown; give a name that ends in .md")
    require_free(common, OF_BUDGET if wish.budget is not None else None)
    for folder, option in ((wish.output_dir, "--output_dir"), (keep, "--keep"), (page and page.parent, "--page")):
        if folder is not None:
            require_folder(folder, option)
    if not (train or dry_run):
        _require_something_to_report(wish)
    asked = [(_asked(name, wish, common, cost_of, keep_steps=not dry_run), wish.folder(name)) for name in wish.on]
    for narrowed, folder in asked:
        require_own_results(_whole(narrowed, wish, folder), folder, common)
    if keep is not None:
        _require_apart(keep, asked)
    at_a_time = max(each.at_a_time for each, _ in asked)
    if dry_run:
        runs = plan.runs_of(asked, ROOT)
        require_models([run for run in runs if not is_finished(run, common)])
        say(plan_text(runs, common, at_a_time, cost_of or measuring(at_a_time)))
        return
    if train:
        require_possible([run for run in plan.runs_of(asked, ROOT) if not is_finished(run, common)], common)
        runs, notes = with_weights(plan.runs_of(asked, ROOT), common)
        for note in notes:
            say(note)
        train_all(f"reproduction on {', '.join(wish.on)}", runs, at_a_time, common, go_on=True)
    for narrowed, folder in asked:
        whole = _whole(narrowed, wish, folder)
        for note in draw_figures(dataclasses.replace(narrowed, further=whole.further), folder, wish.data_dir):
            say(note)
        done = so_far(whole, finished(whole, folder))
        if keep is not None:
            kept = keep_results(whole, folder, keep / narrowed.name)
            say(f"results {kept}: {done} are finished" if kept.is_dir() else f"no results to keep in {kept}")
        say(f"page {write_pages(whole, folder, page)}: {done} are finished")


def _require_apart(keep: Path, asked: Sequence[tuple[Reproduction, Path]]) -> None:
    """Raise where copies of results would go among the results, which they would take the place of."""
    for reproduction, folder in asked:
        copies, originals = (keep / reproduction.name).resolve(), folder.resolve()
        if copies == originals or originals in copies.parents or copies in originals.parents:
            raise ValueError(
                f"--keep {keep} copies shortened results into {keep / reproduction.name}, and the results themselves "
                f"are in {folder}. Give a folder apart from it"
            )


def require_own_results(reproduction: Reproduction, folder: Path, common: Sequence[str]) -> None:
    """Raise where a result in a folder is not that of the row whose place it has: the page would pass it off as such.

    Args:
        reproduction: all that the page shows.
        common: options of the command train for every run.
    """
    for part in reproduction.parts:
        for run in planned(reproduction.comparison(part, further=True), plan.part_folder(folder, part)):
            is_finished(run, common, but_for=("precision",))  # another machine may report what a GPU has trained


def _require_something_to_report(wish: Wish) -> None:
    for name in wish.on:
        if not wish.folder(name).is_dir():
            raise ValueError(
                f"there is nothing to report: {wish.folder(name)} is not there. Without --report, hf-hmtl reproduce "
                f"--on {name} trains; --output_dir names another folder"
            )


def _asked(
    name: str, wish: Wish, common: Sequence[str], cost_of: CostOf | None, keep_steps: bool = True
) -> Reproduction:
    """What is wished of one data set.

    Args:
        keep_steps: write down how many steps fit into a budget, for the runs that follow.
    """
    whole = plan.load(name)
    whole = dataclasses.replace(
        whole,
        at_a_time=whole.at_a_time if wish.at_a_time is None else wish.at_a_time,
        seeds=whole.seeds if wish.seeds is None else wish.seeds,
    )
    if whole.at_a_time < 1:
        raise ValueError(f"--at_a_time is {whole.at_a_time}, allowed are whole numbers of runs from 1")
    if wish.budget is None:
        plan.require_no_budget(wish.folder(name))
        return whole.narrowed(wish.tables, wish.figures, wish.rows)
    if not whole.quick:
        raise ValueError(f"{name} has no rows for a --budget; leave it out")
    quick, folder = whole.narrowed((), (), whole.quick), wish.folder(name)
    steps = plan.kept_steps(folder, wish.budget)
    if steps is None:
        steps = steps_within(quick, wish.budget, common, cost_of or measuring(quick.at_a_time))
        if keep_steps:
            plan.write_steps(folder, wish.budget, steps)
    figures = tuple(name for name in QUICK_FIGURES if name in quick.figures())
    return dataclasses.replace(quick, budget=wish.budget, steps=steps, drawn=figures)


def steps_within(quick: Reproduction, budget: float, common: Sequence[str], cost_of: CostOf) -> dict[str, int]:
    """{row: optimiser steps} that fit into equal shares of a budget in seconds.

    Raises:
        ValueError: too few do.
    """
    (part,) = quick.parts
    runs = {row.label: Run(row, 1, Path()) for row in quick.comparison(part).rows}
    share = budget * quick.at_a_time / (len(runs) * len(quick.seeds))
    costs = {row: cost_of(run, common) for row, run in runs.items()}
    steps = {row: int((share - _START - 10 * cost.evaluation) / cost.step) for row, cost in costs.items()}
    fewest = min(steps, key=lambda row: steps[row])
    if steps[fewest] < FEWEST_STEPS:
        longest = _START + FEWEST_STEPS * costs[fewest].step + 10 * costs[fewest].evaluation
        needed = len(runs) * len(quick.seeds) * longest / quick.at_a_time
        raise ValueError(
            f"a budget of {budget / 60:.3g} minutes leaves {max(steps[fewest], 0)} steps of {fewest}, which would say "
            f"nothing. Type --budget {int(needed / 60) + 1}m or more"
        )
    return steps


def _whole(narrowed: Reproduction, wish: Wish, folder: Path) -> Reproduction:
    """What the page shows: all rows and all seeds that are there, whatever was asked for now; of a budget its own."""
    everything = plan.load(narrowed.name).narrowed((), (), ()) if wish.budget is None else narrowed
    return everything.with_all_seeds_of(folder)


def plan_text(runs: Sequence[Run], common: Sequence[str], at_a_time: int, cost_of: CostOf) -> str:
    """The plan: every row with its runs and hours, in the order in which they are trained."""
    seconds = seconds_left(runs, common, cost_of)
    of_row: dict[str, list[tuple[Run, float]]] = {}
    for run, each in zip(runs, seconds, strict=True):
        of_row.setdefault(run.row.recipe, []).append((run, each))
    rows = [["row", "begins with", "runs", "finished", "hours left"]]
    for recipe, of_recipe in of_row.items():
        origins = sorted({origin.row.recipe for run, _ in of_recipe for origin in run.origins.values()})
        done = sum(is_finished(run, common) for run, _ in of_recipe)
        hours = sum(each for _, each in of_recipe) / 3600
        rows.append([recipe, ", ".join(origins), str(len(of_recipe)), str(done), f"{hours:.2f}"])
    total = sum(seconds) / 3600 / at_a_time
    side_by_side = f", {at_a_time} at a time" if at_a_time > 1 else ", one after the other"
    weights = sorted({run.row.recipe for run in runs if _begins_with_imagenet(run, common)})
    needed = f"\n{', '.join(weights)}: ImageNet weights, which timm downloads" * bool(weights)
    return (
        f"{markdown(rows, left=2)}\n\n{len(runs)} runs, about {total:.1f} hours{side_by_side}, on this machine.{needed}"
    )


def _begins_with_imagenet(run: Run, common: Sequence[str]) -> bool:
    return parse(run.row.arguments(common))[0].pretrained is True


def with_weights(runs: Sequence[Run], common: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs whose ImageNet weights can be had, and sentences on the others: many hours do not end where a download
    fails."""
    missing: dict[str, str | None] = {}
    notes: dict[str, None] = {}
    kept = []
    for run in runs:
        if is_finished(run, common) or not _begins_with_imagenet(run, common):
            kept.append(run)
            continue
        backbone = parse(run.row.arguments(common))[0].backbone
        if backbone not in missing:
            missing[backbone] = _why_missing(backbone)
        if missing[backbone] is None:
            kept.append(run)
        else:
            notes[f"left out {run.row.recipe}: no ImageNet weights of {backbone} ({missing[backbone]})"] = None
    return kept, list(notes)


def _why_missing(backbone: str) -> str | None:
    try:
        timm.create_model(backbone, pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return None


def write_pages(reproduction: Reproduction, folder: Path, path: Path | None = None) -> Path:
    """Write the page in Markdown, and in the folder also as HTML with its pictures inside.

    Args:
        path: where it is published, in the place of `PAGE` in the folder; pictures are copied to `figures` beside it.
    """
    published = path is not None
    path = path or folder / PAGE
    blocks = page(reproduction, folder, path.parent if published else None)
    texts = {path: to_markdown(blocks)}
    if not published:
        texts[path.with_suffix(".html")] = to_html(blocks, f"The paper on {reproduction.name}")
    for target, text in texts.items():
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    for name in reproduction.figures() if published else ():
        picture = path_of(folder, name, "png")
        if picture.is_file() and is_shown(reproduction, name, published):
            with replacing(path.parent / picture_link(reproduction, name, published)) as temporary:
                temporary.write_bytes(picture.read_bytes())
    return path


def keep_results(reproduction: Reproduction, folder: Path, into: Path) -> Path:
    """Copy the results, without what no page needs of their logs, and the numbers of figures, so that they can be
    committed and give the same page again."""
    for part in reproduction.parts:
        for path in sorted(plan.part_folder(folder, part).rglob("result.json")):
            slimmed(results.read(path), of_losses=True).write(into / path.relative_to(folder))
        for path in sorted(plan.part_folder(folder, part).rglob(DIVERGED)):
            with replacing(into / path.relative_to(folder)) as temporary:
                temporary.write_bytes(path.read_bytes())
    for name in reproduction.figures():
        for ending in ("csv", "runs.json"):
            path = path_of(folder, name, ending)
            if path.is_file() and is_shown(reproduction, name, published=True):
                with replacing(path_of(into, name, ending)) as temporary:
                    temporary.write_bytes(path.read_bytes())
    return into
