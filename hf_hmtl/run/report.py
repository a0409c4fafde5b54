"""From a finished run to its `Result`, and from that to the table at the end."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from hf_hmtl.data.splits import class_counts
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.results.calibration import calibration_of
from hf_hmtl.results.end import end_in_words
from hf_hmtl.results.groups import by_groups
from hf_hmtl.results.predictions import SPLIT
from hf_hmtl.results.result import Result, environment
from hf_hmtl.run.earlier_run import known_of
from hf_hmtl.run.evaluation import Evaluation
from hf_hmtl.run.experiment import Experiment, parameter_counts
from hf_hmtl.run.recipe_file import without_places
from hf_hmtl.run.timing import seconds_an_image
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.training.trainer import HMTLTrainer

ABSENT = "No row of the classes"


def report(
    experiment: Experiment, trainer: HMTLTrainer, evaluation: Evaluation, seconds: float, notes: Sequence[str] = ()
) -> Result:
    """The result of a run.

    Args:
        experiment: what was trained.
        trainer: its trainer, after training.
        evaluation: the scores.
        seconds: duration of the training, evaluation during it included.
        notes: sentences for the protocol.
    """
    args, state, source = experiment.args, trainer.state, experiment.source
    measures = {task.name: [task.headline, *task.beside] for task in experiment.supervised}
    reported_on = "test" if "test" in experiment.splits else "validation"
    columns = experiment.recipe.report_groups
    answers = next((table for table in evaluation.predictions if set(table[SPLIT].to_pylist()) == {reported_on}), None)
    backbone = experiment.recipe.backbone
    started_from = known_of(experiment.recipe.pretrained, backbone)
    return Result(
        name=experiment.recipe.name,
        recipe=without_places(experiment.recipe) | {"training": _changed_arguments(experiment)},
        model={
            "backbone": backbone,
            "image_size": experiment.recipe.image_size,
            "base_model": started_from["base_model"] if started_from else None,
            "primary": experiment.primary,
            "supervised": [task.name for task in experiment.supervised],
            "auxiliary": [task.name for task in experiment.pretexts if task.is_learned],
        },
        metrics=evaluation.metrics,
        baselines=evaluation.baselines,
        confusion=evaluation.confusion,
        rows={split: _row_counts(experiment, split) for split in experiment.splits},
        protocol={
            "selection": _selection(args, state),
            "reported_on": reported_on,
            "notes": [*notes, *_protocol_notes(experiment), *_absent_classes(evaluation)],
        },
        seeds={"training": args.seed, "data": args.data_seed if args.data_seed is not None else args.seed},
        data={
            "source": source.name,
            "fingerprint": experiment.fingerprint,
            "licence": source.licence,
            "citation": source.citation,
            "notes": list(source.notes),
        },
        **environment(),
        execution=args.execution,
        seconds={"total": seconds, "per_step": seconds / max(state.global_step, 1)},
        parameters=parameter_counts(experiment.model),
        steps=state.global_step,
        epochs=float(state.epoch or 0),
        broken_images=evaluation.broken_images,
        scored=evaluation.scored,
        left_out=source.ledger.to_dict(),
        fold=_fold(experiment),
        sources=experiment.rows.by_source,
        groups=by_groups(answers, columns, list(measures)) if answers is not None and columns else {},
        calibration=calibration_of(answers, _classes(experiment)) if answers is not None else {},
        left_out_steps=trainer.finite_steps.left_out,
        measures={task: [vars(each) for each in of_task] for task, of_task in measures.items()},
        history=state.log_history,
        paper=experiment.recipe.paper,
        started_from=started_from,
        heads={task.name: _answers(task.head()) for task in experiment.supervised},
        seconds_an_image=seconds_an_image(experiment.model) if _is_saved(experiment) else None,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _is_saved(experiment: Experiment) -> bool:
    """Whether the run leaves a network that answers about images."""
    return bool(experiment.supervised) and not experiment.recipe.probe and not experiment.in_time


def _changed_arguments(experiment: Experiment) -> dict:
    """The training arguments that the recipe names, with the values of this run, and those that decide the batches."""
    names = {
        *experiment.recipe.training,
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "num_train_epochs",
    }
    names |= {"max_steps", "learning_rate", "optim"}
    args = experiment.args.to_dict()
    return {name: args[name] for name in sorted(names) if name in args}


def _fold(experiment: Experiment) -> dict | None:
    fold = experiment.recipe.source.get("fold")
    return {"number": fold[0], "of": fold[1]} if fold else None


def _row_counts(experiment: Experiment, split: str) -> dict:
    dataset = experiment.answered(split)
    named = [task for task in experiment.supervised if isinstance(task, Classification)]
    return {"rows": len(dataset), "classes": {task.name: class_counts(dataset, task.column) for task in named}}


def _answers(head: dict) -> dict:
    """What a reader has to know of a head's answer."""
    return {key: head[key] for key in ("kind", "labels", "names", "unit", "range") if head.get(key)}


def _classes(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    return {task.name: task.labels for task in experiment.supervised if isinstance(task, Classification)}


def _selection(args, state) -> dict | None:
    if not args.load_best_model_at_end or not state.best_global_step:
        return None
    steps_an_epoch = state.max_steps / max(state.num_train_epochs, 1)
    return {
        "metric": args.metric_for_best_model,
        "split": "validation",
        "step": state.best_global_step,
        "epoch": round(state.best_global_step / steps_an_epoch, 2),
    }


def _protocol_notes(experiment: Experiment) -> list[str]:
    notes = []
    if "test" not in experiment.splits:
        notes.append(
            "The source has no test split, so scores are reported on the validation split that the weights were "
            "selected on, as the paper does; they are optimistic."
        )
    if experiment.recipe.train_fraction < 1:
        notes.append(f"Trained on a stratified {experiment.recipe.train_fraction:.0%} of the training rows.")
    if experiment.recipe.label_fraction < 1:
        notes.append(
            f"Used a stratified {experiment.recipe.label_fraction:.0%} of the labels; the other training images taught "
            "the pretexts alone. No row of the paper does so."
        )
    if experiment.rows.parts:
        others = " and ".join(part.name for part in experiment.rows.parts[1:])
        notes.append(f"Mixed with {others} in every batch. No row of the paper mixes sources.")
    if experiment.recipe.balancing != "none":
        notes.append(f"The classes of the training rows were balanced by sampling them {experiment.recipe.balancing}.")
    if experiment.recipe.pretrained:
        notes.append(f"{experiment.origin[0].upper()}{experiment.origin[1:]}.")
    return notes


def _absent_classes(evaluation: Evaluation) -> list[str]:
    """Which classes a split has no row of, so that nothing was measured on them."""
    notes = []
    for split, tasks in evaluation.confusion.items():
        for task, found in tasks.items():
            pairs = zip(found["labels"], found["matrix"], strict=True)
            absent = [label for label, answers in pairs if not sum(answers)]
            if absent and len(absent) < len(found["labels"]):
                notes.append(
                    f"{ABSENT} of {task} in {split}: {', '.join(absent)}. Macro F1 is the mean over the classes that "
                    "occur or were answered, as scikit-learn computes it."
                )
    return notes


def summary_table(result: Result, folder: Path) -> str:
    """The short table at the end of a run."""
    prefix = {"test": "test", "validation": "eval"}[result.protocol["reported_on"]]
    if result.model["supervised"]:
        lines = ["", f"{result.name}: {result.protocol['reported_on']}"]
    else:
        lines = ["", f"{result.name}: no label was learned; probe it or fine-tune it with --pretrained {folder}"]
    shown: list[Measure] = []
    widths: list[int] = []
    for task in result.model["supervised"]:
        if result.measures_of(task) != shown:
            shown = result.measures_of(task)
            widths = [max(10, len(measure.words) + 2) for measure in shown]
            lines.append(f"{'':24}" + "".join(f"{each.words:>{n}}" for each, n in zip(shown, widths, strict=True)))
        constant = "majority class" if task in result.rows["train"]["classes"] else "constant answer"
        for name, scores in ((task, result.metrics), (f"  {constant}", result.baselines)):
            measured = [scores.get(f"{prefix}_{task}_{measure.name}", float("nan")) for measure in shown]
            lines.append(f"{name:24}" + "".join(f"{value:{n}.4f}" for value, n in zip(measured, widths, strict=True)))
    last = {key: value for entry in result.history for key, value in entry.items()}
    for task in result.model["auxiliary"]:
        progress = {key: value for key, value in last.items() if key.startswith(f"{task}_")}
        for key, value in progress.items():
            lines.append(f"{key.replace('_', ' '):24}{value:10.4f}  (training images, last log)")
    lines += [note for note in result.protocol["notes"] if note.startswith(ABSENT)]
    lines += [end] if (end := end_in_words(result)) else []
    for split, broken in result.broken_images.items():
        if broken:
            lines.append(f"{broken} {split} images are broken; the log above names them")
    if result.left_out_steps:
        steps = ", ".join(map(str, result.left_out_steps[:8])) + ", ..." * (len(result.left_out_steps) > 8)
        lines.append(f"{len(result.left_out_steps)} steps were left out, whose numbers were not finite: {steps}")
    minutes = result.seconds["total"] / 60
    if result.recipe.get("probe"):
        lines.append(f"{result.protocol['notes'][0]} {minutes:.1f} minutes; result.json in {folder}/")
    else:
        written = "model, result.json, README.md" + " and curves.png" * (result.steps > 0)
        lines.append(f"{result.steps} steps in {minutes:.1f} minutes; {written} in {folder}/")
    return "\n".join(lines)
