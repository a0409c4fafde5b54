"""Is hybrid learning worth it on these faces? Trainings of equal time, in rounds, until one sentence can be said.

1. Every setting is trained with one seed, and the three best hybrid ones with another (successive halving, Jamieson and
   Talwalkar 2016, arXiv 1502.07943, over seeds and on validation).
2. The best hybrid setting and supervised training are trained with new seeds, which chose nothing: their paired
   difference is the answer. Where the hybrid setting takes longer a step, supervised training is also cut to its steps.

The plan is written down first, with the steps that were measured to fit into the time, so that a run that was stopped
goes on to the same answer.
"""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_hmtl import recipe as recipes
from hf_hmtl.compare.advice import Advice, best_of, difference
from hf_hmtl.compare.arms import SUPERVISED, arm, settings_for
from hf_hmtl.compare.plot import plot_comparison
from hf_hmtl.compare.report import finished_groups
from hf_hmtl.compare.rows import Comparison, Row, folder_name, require_free
from hf_hmtl.compare.runs import run_all
from hf_hmtl.compare.statistics import Groups, compare, default_threshold, measures_of
from hf_hmtl.files import replacing, require_folder
from hf_hmtl.parsing import read_json
from hf_hmtl.results.end import at_its_end
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build
from hf_hmtl.run.recipe_file import NAME as RECIPE_OF_RUN
from hf_hmtl.run.timing import seconds_in_turn

PLAN, ANSWER, RECIPE, PICTURE = "plan.json", "advice.json", "advice.yaml", "advice.png"
EQUAL_STEPS = f"{SUPERVISED}, equal steps"
CHOOSING_SEEDS = (1, 2)
FIRST_JUDGING_SEED = 101
KEPT = 3  # hybrid settings of the second seed
EVALUATIONS = 10
FEWEST_STEPS = 50
OF_BUDGET = dict.fromkeys(
    ("--max_steps", "--num_train_epochs", "--eval_strategy", "--eval_steps", "--save_strategy", "--save_steps",
     "--logging_steps", "--save_total_limit", "--load_best_model_at_end"),
    "which follows from the --budget",
)  # fmt: skip
"""Options of the command train that are decided here."""
_TIMED = 9
_FORWARD = 1 / 3  # what a row costs in an evaluation, as a share of what it costs in a step
_DEARER = 1.05  # a step that takes so many times as long is worth a comparison at equal steps


@dataclass(frozen=True)
class Cost:
    """Seconds of an optimiser step, and of an evaluation."""

    step: float
    evaluation: float


CostsOf = Callable[[Sequence[Row], Sequence[str]], dict[str, Cost]]


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        recipe: the supervised row.
        budget: of all, seconds.
        run: of one training, seconds.
        steps: {setting: optimiser steps that fit into it}.
        seeds: that judge.
        changes: to every training, as a `Row` has them.
    """

    recipe: str
    budget: float
    run: float
    steps: dict[str, int]
    seeds: tuple[int, ...]
    changes: tuple[str, ...]

    @property
    def hybrid(self) -> list[str]:
        """Labels of the hybrid settings."""
        return [label for label in self.steps if label != SUPERVISED]

    def row(self, label: str, seeds: Sequence[int], like: str | None = None) -> Row:
        """A setting with its steps, or those of another one."""
        steps = self.steps[like or label.partition(",")[0]]
        every = max(steps // EVALUATIONS, 1)
        of_steps = (
            f"--max_steps={steps}", "--eval_strategy=steps", f"--eval_steps={every}", "--save_strategy=steps",
            f"--save_steps={every}", f"--logging_steps={every}", "--save_total_limit=1",
            "--load_best_model_at_end=true",
        )  # fmt: skip
        return arm(label, self.recipe, tuple(seeds), (*self.changes, *of_steps))


def advise(
    recipe: str,
    folder: Path,
    common: Sequence[str],
    budget: float,
    seeds: int,
    say: Callable[[str], None] = print,
    costs_of: CostsOf | None = None,
) -> Advice:
    """Train, decide, and write advice.json, advice.png and advice.yaml, the recipe to go on with.

    Args:
        recipe: the supervised row of a recipe file, "custom/supervised".
        folder: where all of it goes; what is finished there is not done again.
        common: options of the command train for every run, such as ["--data_dir", DIR].
        budget: seconds of all trainings.
        seeds: that judge, two or more.
        say: told what is going on.
        costs_of: measures what rows cost; by real steps if not given.

    Raises:
        ValueError: the recipe learns no label, or so small a budget would say nothing.
    """
    require_free(common, OF_BUDGET)
    require_folder(folder, "--output_dir")
    task = _task_of(recipe, common)
    plan = planned(recipe, folder, common, budget, seeds, say, costs_of or measured)

    def trained(rows: Sequence[Row]) -> Groups:
        """The results of some rows, trained where they are not yet."""
        comparison = Comparison(
            f"advise, {', '.join(dict.fromkeys(row.label for row in rows))}", "", {task: rows[0].label}, {"": ()},
            tuple(rows),
        )  # fmt: skip
        run_all(comparison, folder, common)
        return finished_groups(comparison, "", folder)

    first, *others = CHOOSING_SEEDS
    supervised = plan.row(SUPERVISED, [first])
    supervised = dataclasses.replace(supervised, changes=(*supervised.changes, "--report_train"))  # for its end
    groups = trained([supervised, *(plan.row(label, [first]) for label in plan.hybrid)])
    measure = measures_of(groups, task)[0]
    metric = f"eval_{task}_{measure.name}"
    end = at_its_end(groups[SUPERVISED][first], task, measure)
    kept = best_of(groups, plan.hybrid, metric, measure, KEPT)
    say(f"of one seed, the best on validation: {', '.join(kept)}")
    chosen = trained([plan.row(label, [first, *others]) for label in kept])
    (hybrid,) = best_of(chosen, kept, metric, measure, 1)
    say(f"the best hybrid setting is {hybrid}; new seeds judge it")
    rows = [plan.row(SUPERVISED, plan.seeds), plan.row(hybrid, plan.seeds)]
    dearer = plan.steps[hybrid] * _DEARER < plan.steps[SUPERVISED]
    if dearer:
        rows.append(plan.row(EQUAL_STEPS, plan.seeds, like=hybrid))
    judged = trained(rows)
    advice = Advice(
        task,
        measure,
        hybrid,
        difference(judged, hybrid, SUPERVISED, metric, measure),
        difference(judged, hybrid, SUPERVISED, f"test_{task}_{measure.name}", measure),
        difference(judged, hybrid, EQUAL_STEPS, metric, measure) if dearer else None,
        end,
        plan.run / 60,
    )
    _write(advice, plan, folder, judged, groups | {label: groups[label] | runs for label, runs in chosen.items()})
    return advice


def planned(
    recipe: str,
    folder: Path,
    common: Sequence[str],
    budget: float,
    seeds: int,
    say: Callable[[str], None],
    costs_of: CostsOf,
) -> Plan:
    """The plan of the folder, or a new one, measured here.

    Raises:
        ValueError: the folder's plan is of something else, or the budget is too small.
    """
    if seeds < 2:
        raise ValueError(f"--seeds is {seeds}, allowed are 2 or more: one pair of trainings has no interval")
    asked = {"recipe": recipe, "budget": budget, "seeds": seeds, "options": list(common)}
    path = folder / PLAN
    if path.is_file():
        content = read_json(path)
        if content["asked"] != asked:
            differing = ", ".join(key for key in asked if content["asked"].get(key) != asked[key])
            raise ValueError(
                f"{folder} was begun with another {differing}. Type what was typed then to go on, or give another "
                "--output_dir"
            )
        given = content["plan"]
        return Plan(**given | {"seeds": tuple(given["seeds"]), "changes": tuple(given["changes"])})
    plan = _new_plan(recipe, common, budget, seeds, say, costs_of)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"asked": asked, "plan": vars(plan)}, indent=1) + "\n", encoding="utf-8")
    return plan


def _new_plan(
    recipe: str, common: Sequence[str], budget: float, seeds: int, say: Callable[[str], None], costs_of: CostsOf
) -> Plan:
    changes = _even_side(recipe, common)
    labels = (SUPERVISED, *settings_for(parse([recipe, *common])[0].supervised))
    say(f"measuring a step of {len(labels)} settings")
    costs = costs_of([arm(label, recipe, (1,), changes) for label in labels], common)
    supervised = costs[SUPERVISED]
    runs = len(labels) + KEPT * (len(CHOOSING_SEEDS) - 1) + 2 * seeds
    runs += seeds * any(cost.step > _DEARER * supervised.step for cost in costs.values())
    of_run = budget / runs
    steps = {label: int((of_run - EVALUATIONS * supervised.evaluation) / cost.step) for label, cost in costs.items()}
    fewest = min(steps, key=lambda label: steps[label])
    if steps[fewest] < FEWEST_STEPS:
        needed = runs * (FEWEST_STEPS * costs[fewest].step + EVALUATIONS * supervised.evaluation)
        raise ValueError(
            f"a budget of {budget / 60:.3g} minutes leaves {max(steps[fewest], 0)} steps for each of {runs} trainings, "
            f"which would say nothing. Type --budget {math.ceil(needed / 60)}m or more, or give fewer --seeds, or a "
            "smaller --backbone or --image_size behind --"
        )
    judges = tuple(range(FIRST_JUDGING_SEED, FIRST_JUDGING_SEED + seeds))
    say(f"{runs} trainings of {of_run / 60:.2g} minutes: {', '.join(f'{n} {steps[n]} steps' for n in labels)}")
    return Plan(recipe, budget, of_run, steps, judges, changes)


def measured(rows: Sequence[Row], common: Sequence[str]) -> dict[str, Cost]:
    """{label: what a step and an evaluation take here}, by a few real steps of all rows in turn."""
    experiments = {}
    for row in rows:
        recipe, options, args = parse(row.arguments(common))
        experiments[row.label] = build(recipe, args, options.data_dir)
    first = next(iter(experiments.values()))
    count = len(first.splits["validation"]) if "validation" in first.splits else 0
    if not count:
        raise ValueError(
            f"{first.recipe.name}: advice is given by a validation split, and {first.source.name} has none"
        )
    steps = seconds_in_turn(experiments, _TIMED)
    of_a_row = _FORWARD / (first.args.train_batch_size * first.args.gradient_accumulation_steps)
    return {label: Cost(step, count * of_a_row * step) for label, step in steps.items()}


def _even_side(recipe: str, common: Sequence[str]) -> tuple[str, ...]:
    """A puzzle of 2 x 2 and the quadrants of a rotation need an even side: all settings get it."""
    side = parse([recipe, *common])[0].image_size
    return (f"image_size={side - 1}",) if side % 2 else ()


def _task_of(recipe: str, common: Sequence[str]) -> str:
    loaded = parse([recipe, *common])[0]
    if loaded.sequence:
        raise ValueError(
            f"{recipe} reads clips, and advice is given on single pictures; compare rows of clips by compare"
        )
    if not loaded.supervised or loaded.auxiliary or loaded.probe:
        raise ValueError(
            f"{recipe}: advice begins with a row that learns labels and nothing else, such as "
            f"{recipes.other_row(recipe, SUPERVISED)}"
        )
    name, settings = next(iter(loaded.supervised.items()))
    return (settings or {}).get("name", name)


def _write(advice: Advice, plan: Plan, folder: Path, judged: Groups, choosing: Groups) -> None:
    """The answer as values, as a picture of all trainings, and as the recipe to go on with."""
    every = {label: choosing.get(label, {}) | judged.get(label, {}) for label in {**choosing, **judged}}
    lines = compare(every, SUPERVISED, advice.task, default_threshold(every, SUPERVISED, advice.task))
    plot_comparison(lines, every, advice.task, folder / PICTURE)
    winner = advice.hybrid if advice.pays else SUPERVISED
    with replacing(folder / RECIPE) as temporary:
        shutil.copyfile(folder / folder_name(winner) / f"seed-{plan.seeds[0]}" / RECIPE_OF_RUN, temporary)
    content: dict[str, Any] = advice.to_dict() | {
        "winner": winner,
        "steps": plan.steps,
        "seeds": {"choosing": list(CHOOSING_SEEDS), "judging": list(plan.seeds)},
        "scores": {
            label: {str(seed): run.metrics[f"eval_{advice.task}_{advice.measure.name}"] for seed, run in runs.items()}
            for label, runs in every.items()
        },
    }
    with replacing(folder / ANSWER) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
