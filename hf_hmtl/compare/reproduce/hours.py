"""How long a reproduction takes: the time of runs that are finished, and of the others by a few real steps."""

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from hf_hmtl.compare.rows import Run
from hf_hmtl.compare.runs import is_finished
from hf_hmtl.results import result as results
from hf_hmtl.run import process
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build
from hf_hmtl.run.timing import seconds_a_step, steps_of

_TIMED = 5
_FORWARD = 1 / 3  # what a row costs in an evaluation, as a share of what it costs in a step
_TEACHER = 1.0  # two forward passes of a teacher and one backward pass are about a step more, of those of in-painting
_OF_COST = ("backbone", "image_size", "supervised", "auxiliary", "augmentation", "balancing", "source", "probe")


@dataclass(frozen=True)
class Cost:
    """What a run takes.

    Attributes:
        step, steps: seconds of an optimiser step, and how many there are.
        evaluation, evaluations: seconds of an evaluation during the training, and how many there are.
        beside: seconds of all else, such as a probe's features.
    """

    step: float
    steps: int
    evaluation: float
    evaluations: int
    beside: float = 0.0

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return self.step * self.steps + self.evaluation * self.evaluations + self.beside


CostOf = Callable[[Run, Sequence[str]], Cost]


def seconds_left(runs: Sequence[Run], common: Sequence[str], cost_of: CostOf) -> list[float]:
    """Seconds that each run will take, one after the other: 0 of a finished one, that of another seed where one is.

    Args:
        runs: of a plan.
        common: options of the command train for all of them.
        cost_of: measures what a run costs, asked once a row.
    """
    finished = {run.folder: is_finished(run, common) for run in runs}
    taken = {
        run.row.recipe: results.read(run.folder / "result.json").seconds["total"]
        for run in runs
        if finished[run.folder]
    }
    waiting = {run.row.recipe: run for run in runs if not finished[run.folder] and run.row.recipe not in taken}
    for recipe, run in tqdm(waiting.items(), desc="measuring steps", disable=None, leave=False):
        taken[recipe] = cost_of(run, common).seconds
    return [0.0 if finished[run.folder] else taken[run.row.recipe] for run in runs]


def measuring(at_a_time: int) -> CostOf:
    """A function that measures costs, once of rows that cost alike.

    Args:
        at_a_time: runs side by side, each on its share of the cores.
    """
    known: dict[str, float] = {}
    threads = max(1, process.cores_of_this_process() // at_a_time)

    def cost_of(run: Run, common: Sequence[str]) -> Cost:
        """Of one run, by real steps on its data.

        Raises:
            ValueError, OSError: a mistake of the user, such as a folder that is not there.
        """
        process.set_up(cpu_threads=threads)
        process.keep_large_blocks()
        arguments = run.row.arguments(common)
        with tempfile.TemporaryDirectory() as folder:  # a trainer makes its folder when it is made
            return cost(*parse([*arguments, "--pretrained", "false", "--output_dir", folder]))

    def cost(recipe, options, args) -> Cost:
        """Of what a command line says; what another run would give it, weights or a teacher, is reckoned with."""
        is_pupil = any((task or {}).get("loss") == "perceptual" for task in recipe.auxiliary.values())
        auxiliary = {
            name: (settings or {}) | {"loss": "rmse", "softmax": True} if (settings or {}).get("loss") == "perceptual"
            else settings
            for name, settings in recipe.auxiliary.items()
        }  # fmt: skip
        recipe = dataclasses.replace(recipe, auxiliary=auxiliary, teacher=None)
        experiment = build(recipe, args, options.data_dir)
        batch = args.train_batch_size * args.gradient_accumulation_steps
        key = json.dumps([batch, *(getattr(recipe, name) for name in _OF_COST)], default=str, sort_keys=True)
        if key not in known:
            known[key] = seconds_a_step(experiment, _TIMED)
        step = known[key]
        rows = {name: len(split) for name, split in experiment.splits.items()}
        if recipe.probe:
            return Cost(0.0, 0, 0.0, 0, beside=sum(rows.values()) * _FORWARD * step / batch)
        steps = steps_of(experiment)
        evaluations = _evaluations(args, steps, rows["train"], batch)
        evaluation = rows.get("validation", 0) * _FORWARD * step / batch
        return Cost(step * (1 + _TEACHER * is_pupil), steps, evaluation, evaluations)

    return cost_of


def _evaluations(args, steps: int, rows: int, batch: int) -> int:
    if args.eval_strategy == "no":
        return 0
    if args.eval_strategy == "steps":
        return steps // max(int(args.eval_steps or args.logging_steps), 1)
    return math.ceil(steps / math.ceil(rows / batch))
