"""Training the runs of a comparison, one by one or several at a time.

A run whose result.json exists is not repeated, and one that was cut off goes on from its last checkpoint. One that has
diverged stops the others, or of a reproduction is noted in its folder: that is a finding too.
"""

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hf_hmtl.compare.rows import Comparison, Row, Run, planned, require_free
from hf_hmtl.compare.side_by_side import side_by_side
from hf_hmtl.ending import told
from hf_hmtl.files import replacing, require_folder, without_place
from hf_hmtl.results import result as results
from hf_hmtl.run import process, train
from hf_hmtl.run.checking import check
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.earlier_run import is_saved_model
from hf_hmtl.run.record import DECISIVE
from hf_hmtl.run.record import NAME as RUN_RECORD
from hf_hmtl.training.checkpoint import last_complete_checkpoint
from hf_hmtl.training.finite_steps import Diverged
from hf_hmtl.workers import pool

LOG = "train.log"
DIVERGED = "diverged.txt"
"""Why a run of a reproduction came to nothing; it is not tried again while this lies in its folder."""
SETTINGS = (
    "source", "backbone", "image_size", "augmentation", "crop", "supervised", "auxiliary", "train_fraction",
    "balancing", "loss_weighting", "probe", "pretrained", "teacher", "label_fraction", "mixed_with",
    "without_classes",
)  # fmt: skip
ARGUMENTS = (*DECISIVE, "per_device_train_batch_size")


def run_all(comparison: Comparison, folder: Path, common: Sequence[str]) -> None:
    """Train what is missing; report after every run how long the rest will take.

    Args:
        common: options of the command train for every run, such as ["--data_dir", DIR].
    """
    require_folder(folder, "--output_dir")
    train_all(comparison.name, planned(comparison, folder), comparison.at_a_time, common)


def train_all(name: str, runs: Sequence[Run], at_a_time: int, common: Sequence[str], go_on: bool = False) -> None:
    """The same of any runs, each after its origins.

    Args:
        name: of all of them, for readers.
        at_a_time: how many are trained side by side.
        go_on: note a run that diverges in its folder, and train what does not begin with it.
    """
    require_free(common)
    unfinished = [run for run in runs if not is_finished(run, common)]
    noted = [run for run in unfinished if go_on and has_diverged(run)]
    waiting = [run for run in unfinished if run not in noted]
    require_models(waiting)
    require_possible(waiting, common)
    left_out = f", {len(noted)} left out, which have diverged or begin with one that has" if noted else ""
    print(f"{name}: {len(runs)} runs, {len(runs) - len(unfinished)} of them finished{left_out}", flush=True)
    started = time.monotonic()
    call = _train_or_note if go_on else _train
    trained = _side_by_side(waiting, common, at_a_time, call) if at_a_time > 1 else _one_by_one(waiting, common, call)
    for number, run in enumerate(trained, 1):
        minutes = (time.monotonic() - started) / 60
        left = minutes_left(minutes, number, len(waiting), at_a_time)
        print(
            f"[{number}/{len(waiting)}] finished {run.title}; {minutes:.0f} minutes so far, about {left:.0f} left",
            flush=True,
        )


def minutes_left(minutes: float, finished: int, of: int, at_a_time: int) -> float:
    """An estimate from the time so far; what is at work beside the one that has just finished counts half."""
    done = finished + min(at_a_time - 1, of - finished) / 2
    return minutes / done * (of - done)


def require_models(unfinished: Sequence[Run]) -> None:
    """Raise where a run begins with one of which only the result is there, as in a folder of kept results.

    Without this it would come out after the hours of the runs before it.
    """
    for run in unfinished:
        for origin in run.origins.values():
            if (origin.folder / "result.json").is_file() and not is_saved_model(origin.folder):
                raise ValueError(
                    f"{run.title} begins with the model of {origin.title}, and {origin.folder} holds its result "
                    "without the model. Delete that folder, and it is trained again, or give another --output_dir"
                )


def require_possible(unfinished: Sequence[Run], common: Sequence[str]) -> None:
    """Raise where a row has an option that is unknown or not allowed, as far as that can be told without its data.

    Without this it would come out after the hours of the runs before it.
    """
    for row in dict.fromkeys(run.row for run in unfinished):
        recipe, _, _ = parse(row.arguments(common))
        try:
            check(recipe)
        except ValueError as error:
            raise ValueError(f"nothing was trained, since {row.label} cannot be: {error}") from error


def _one_by_one(waiting: list[Run], common: Sequence[str], call: Callable[..., None]) -> Iterator[Run]:
    for run in waiting:
        print(f"\n{run.title}", flush=True)
        call(run, common)
        yield run


def _side_by_side(
    waiting: list[Run], common: Sequence[str], at_a_time: int, call: Callable[..., None]
) -> Iterator[Run]:
    """In processes of their own, whose output goes to `train.log` in the folder of the run."""
    threads = max(1, process.cores_of_this_process() // at_a_time)
    options = ["--cpu_threads", str(threads), "--disable_tqdm", "true", *common]
    into_log = functools.partial(_into_log, call=call, common=options)
    runs = {run.folder: run for run in waiting}
    needs = {folder: {origin.folder for origin in run.origins.values()} for folder, run in runs.items()}
    with pool(at_a_time) as trainers:
        for folder in side_by_side(into_log, runs, needs, trainers, at_a_time):
            yield runs[folder]


def _into_log(run: Run, call: Callable[..., None], common: Sequence[str]) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    with (
        open(run.folder / LOG, "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        told(),
    ):
        call(run, common)


def _train(run: Run, common: Sequence[str]) -> None:
    if not is_finished(run, common):  # it may be meanwhile, by another process
        train.run(*parse([*run.arguments(common), *_way_on(run)]))


def has_diverged(run: Run) -> bool:
    """Whether a run, or one that it begins with, is noted to have come to nothing."""
    return (run.folder / DIVERGED).is_file() or any(has_diverged(origin) for origin in run.origins.values())


def _train_or_note(run: Run, common: Sequence[str]) -> None:
    if has_diverged(run):
        print(f"{run.title} is left out: a run that it begins with has diverged", flush=True)
        return
    try:
        _train(run, common)
    except Diverged as error:
        print(f"{run.title} has diverged: {error}", flush=True)
        with replacing(run.folder / DIVERGED) as temporary:
            temporary.write_text(f"{error}\n", encoding="utf-8")


def _way_on(run: Run) -> list[str]:
    if (run.folder / RUN_RECORD).is_file() and last_complete_checkpoint(run.folder):
        return ["--resume_from_checkpoint", "last"]
    return ["--overwrite"]


def is_finished(run: Run, common: Sequence[str], but_for: Sequence[str] = ()) -> bool:
    """Whether the run has a result of the same seed and settings.

    Args:
        common: options of the command train for every run.
        but_for: settings that may differ.

    Raises:
        ValueError: it has one of another seed or other settings, or one that cannot be read.
    """
    path = run.folder / "result.json"
    if not path.is_file():
        return False
    remedy = f"Remove {run.folder}, or compare into another --output_dir"
    try:
        result = results.read(path)
    except ValueError as error:
        raise ValueError(f"{str(error).rstrip('.')}. {remedy}") from error
    wanted = dict(_settings(run.row, tuple(common)))
    made = decisive(result.recipe) | {"seed": result.seeds["training"]}
    wanted["seed"] = run.seed
    if result.execution:  # files of version 1 do not tell
        made["precision"] = result.execution["precision"]
    for option in ("pretrained", "teacher"):
        if isinstance(wanted.get(option), dict):  # the recipe says {row: NAME}, the result where that lay
            wanted[option] = made.get(option)
    for key, value in made.items():
        if value != wanted.get(key) and key not in but_for:
            raise ValueError(
                f"{path} was made with {key} = {value}, and this comparison wants {wanted.get(key)}. {remedy}"
            )
    return True


@functools.cache
def _settings(row: Row, common: tuple[str, ...]) -> dict[str, Any]:
    recipe, _, args = parse(row.arguments(common))
    plain = results.without_folders(recipe.to_dict() | {"training": args.to_dict()})
    return decisive(json.loads(json.dumps(plain))) | {"precision": args.precision}


def decisive(recipe: dict[str, Any]) -> dict[str, Any]:
    """What decides a result, of a recipe as result.json keeps it: {entry: value} and {training.argument: value}."""
    of_training = {f"training.{key}": value for key, value in recipe["training"].items() if key in ARGUMENTS}
    settings = {key: recipe[key] for key in SETTINGS if key in recipe}
    for option in ("pretrained", "teacher"):  # written without the place where it lies
        if isinstance(settings.get(option), str):
            settings[option] = without_place(settings[option])
    return settings | of_training
