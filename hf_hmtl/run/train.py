"""One run, from its options to a finished folder: train, select on validation, report test once, write.

The output folder ends with the slim model (`model.safetensors`, `config.json`, `preprocessor_config.json` and the code
that loads them anywhere), `recipe.yaml`, `result.json`, `README.md` and `curves.png`; `checkpoint-N` keeps every head.
"""

import logging
import shutil
import time
from pathlib import Path

from hf_hmtl._version import __version__
from hf_hmtl.analysis.curves import plot_curves
from hf_hmtl.files import require_folder
from hf_hmtl.hub.push import Choices, plan, push, require_reachable
from hf_hmtl.locks import sole_writer
from hf_hmtl.results.card import FILES, write_card
from hf_hmtl.results.predictions import NAME as PREDICTIONS
from hf_hmtl.results.predictions import write_predictions
from hf_hmtl.run import lowest_loss, process
from hf_hmtl.run.dry_run import dry_run
from hf_hmtl.run.evaluation import evaluate, evaluate_probe
from hf_hmtl.run.experiment import Experiment, build
from hf_hmtl.run.options import RunOptions
from hf_hmtl.run.readable import require_pictures
from hf_hmtl.run.recipe_file import write_recipe
from hf_hmtl.run.record import check_unchanged, has_record, record, write_record
from hf_hmtl.run.report import report, summary_table
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.checkpoint import resume_point

logger = logging.getLogger(__name__)

FINAL_NAMES = ("result.json", "model.safetensors", PREDICTIONS)


def run(recipe, options: RunOptions, args: HMTLTrainingArguments) -> None:
    """Train a recipe and write its folder, which no other run writes to meanwhile.

    Raises:
        ValueError, OSError: a mistake of the user, another run in the folder, or no room for a file.
    """
    process.set_up(args.device.type == "cpu", options.cpu_threads)
    if args.process_index == 0:
        print(first_line(args), flush=True)
    if options.dry_run or args.process_index > 0:
        _run(recipe, options, args)
        return
    require_folder(Path(args.output_dir), "--output_dir")
    with sole_writer(args.output_dir):
        _run(recipe, options, args)


def _run(recipe, options: RunOptions, args: HMTLTrainingArguments) -> None:
    resume = resume_point(args.resume_from_checkpoint, args)
    begins_anew = bool(args.resume_from_checkpoint) and resume is None  # cut off before its first checkpoint
    # The trainer would publish before anything is measured; the run does when its folder is whole.
    publishes, args.push_to_hub = args.push_to_hub and not options.dry_run, False
    repo_id = args.hub_model_id or Path(args.output_dir).absolute().name
    if publishes and recipe.probe:
        raise ValueError("--push_to_hub: a probe saves no model that could be published. Leave it out")
    if publishes and args.process_index == 0:
        require_reachable(repo_id, args.hub_token)
    if not options.dry_run:
        require_free_folder(Path(args.output_dir), resume, options.overwrite, args.process_index == 0, begins_anew)
    experiment = build(recipe, args, options.data_dir)
    require_pictures(experiment)
    if options.tune_allocator:
        process.keep_large_blocks()
    if options.dry_run:
        if args.process_index == 0:
            dry_run(experiment)
        return
    written = record(experiment)
    if resume is not None or (begins_anew and not options.overwrite and has_record(args.output_dir)):
        check_unchanged(resume.parent if resume else Path(args.output_dir), written)
    if begins_anew:
        logger.warning(
            "--resume_from_checkpoint %s: %s has no whole checkpoint yet, so the run begins anew",
            args.resume_from_checkpoint,
            args.output_dir,
        )
    if resume is None and args.process_index == 0:
        write_record(Path(args.output_dir), written)
    for note in experiment.source.notes:
        logger.warning("%s: %s", experiment.source.name, note)
    for line in experiment.source.ledger.lines():
        logger.warning("%s: left out, %s", experiment.source.name, line)
    if args.process_index == 0:
        print(experiment.origin)
    if recipe.probe:
        fit_probe(experiment)
    else:
        fit(experiment, resume, options.keep_lowest_loss)
    if publishes and args.process_index == 0:
        how = Choices(private=args.hub_private_repo, token=args.hub_token)
        print(plan(args.output_dir, repo_id, how).why)
        print(f"published: {push(args.output_dir, repo_id, how).commit_url}")


def first_line(args: HMTLTrainingArguments) -> str:
    """Where and how a run computes: "1 process, cpu, float32, batch 32"."""
    how = args.execution
    processes = f"{how['processes']} process{'es' * (how['processes'] > 1)}"
    return f"{processes}, {how['device']}, {how['precision']}, batch {how['global_batch']}"


def fit(experiment: Experiment, resume: Path | None, keep_lowest_loss: bool = False) -> None:
    """Train, evaluate and write."""
    args, trainer = experiment.args, experiment.trainer()
    if keep_lowest_loss:
        if resume is not None and args.process_index == 0:
            lowest_loss.catch_up(Path(args.output_dir), resume)
        trainer.add_callback(lowest_loss.KeepLowestLoss())
    trainer.train(resume_from_checkpoint=resume)
    evaluation = evaluate(experiment, trainer)
    if args.process_index == 0:
        folder = Path(args.output_dir)
        trainer.save_final(folder)
        write_recipe(folder, experiment.recipe, args, __version__)
        if evaluation.predictions:
            write_predictions(evaluation.predictions, folder)
        result = report(experiment, trainer, evaluation, trainer.seconds)
        curves = folder / "curves.png"
        plot_curves(result.history, curves) if result.steps > 0 else curves.unlink(missing_ok=True)
        write_card(result, folder / "README.md", files=[name for name in FILES if (folder / name).is_file()])
        # Last, so that a folder with a result.json is a complete one.
        result.write(folder / "result.json")
        print(summary_table(result, folder))


def fit_probe(experiment: Experiment) -> None:
    """Fit the recipe's probe to the frozen backbone and write its result; nothing is trained, and no model is saved."""
    args = experiment.args
    if args.process_index > 0:
        return
    folder, started = Path(args.output_dir), time.perf_counter()
    evaluation, note = evaluate_probe(experiment, folder)
    seconds = time.perf_counter() - started
    write_predictions(evaluation.predictions, folder)
    write_recipe(folder, experiment.recipe, args, __version__)
    result = report(experiment, experiment.trainer(), evaluation, seconds, notes=[note])
    result.write(folder / "result.json")
    print(summary_table(result, folder))


def require_free_folder(
    folder: Path, resume: Path | None, overwrite: bool, main_process: bool, begins_anew: bool = False
) -> None:
    """Raise when the folder holds another run; with `overwrite`, remove what that run wrote.

    A run that was to be resumed and has no whole checkpoint loses those that it had begun to write, and what it had
    written before its result.
    """
    if resume is not None:
        return
    require_folder(folder, "--output_dir")
    finished = [folder / name for name in FINAL_NAMES if (folder / name).exists()]
    left = [*folder.glob("checkpoint-*"), *finished]
    cut_off = begins_anew and (not finished or (has_record(folder) and not (folder / "result.json").exists()))
    if left and not overwrite and not cut_off:
        raise FileExistsError(
            f"{folder} already holds a run ({left[0].name}). Go on with --resume_from_checkpoint last, start over with "
            "--overwrite, or choose another --output_dir"
        )
    if main_process:
        lowest_loss.remove(folder)
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
