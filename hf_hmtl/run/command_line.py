"""The command line of training: a recipe, the options of a run, and every option of `TrainingArguments`."""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any

from transformers import HfArgumentParser

from hf_hmtl import recipe as recipes
from hf_hmtl import tasks
from hf_hmtl.option_types import require_types
from hf_hmtl.recipe import Recipe
from hf_hmtl.run.options import DESCRIPTION, USAGE, RunOptions
from hf_hmtl.run.source_options import source_changes, without_labels
from hf_hmtl.training.arguments import HMTLTrainingArguments


def parser_for(name: str) -> HfArgumentParser:
    """The parser of every option, with the recipe's training arguments as defaults."""
    parser = HfArgumentParser(
        [RunOptions, HMTLTrainingArguments],
        description=DESCRIPTION,
        allow_abbrev=False,
        prog="hf-hmtl train",
        usage=USAGE,
        formatter_class=_HelpFormatter,
    )
    training = recipes.load(name).training
    known = {action.dest for action in parser._actions}
    where = f"training argument in recipe {name}"
    recipes.require_known(training, known, where)
    # Texts go the way of what is typed: learning_rate: 1e-3, which YAML takes for text, is a number.
    numbers = {argument: value for argument, value in training.items() if not isinstance(value, str)}
    require_types(HMTLTrainingArguments, numbers, where)
    parser.set_defaults(**{"output_dir": recipes.default_folder(name), "report_to": "none", **training})
    return parser


def full_help(name: str) -> str:
    """Every option, with the recipe's training arguments as defaults, and the rows of all recipe files."""
    parser = parser_for(name)
    parser.epilog = "\n".join(f"{file}: {', '.join(rows)}" for file, rows in recipes.available().items())
    return parser.format_help()


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults behind every option, and the list of recipes line by line."""


def named_recipe(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The recipe that a command line begins with, quickstart where it begins with an option, and the options."""
    arguments = list(arguments)
    return (arguments.pop(0) if arguments and not arguments[0].startswith("-") else "quickstart"), arguments


def parse(arguments: Sequence[str]) -> tuple[Recipe, RunOptions, HMTLTrainingArguments]:
    """Recipe, options and training arguments of a command line.

    Raises:
        ValueError: unknown recipe, key or option; the message has the nearest known name.
    """
    name, arguments = named_recipe(arguments)
    parser = parser_for(name)
    given = {
        argument.split("=")[0].lstrip("-").replace("-", "_") for argument in arguments if argument.startswith("--")
    }
    if "num_train_epochs" in given and "max_steps" not in given:
        arguments += ["--max_steps", "-1"]  # the recipe's own would win over the epochs that were asked for
    options, args, unknown = parser.parse_args_into_dataclasses(
        arguments, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        raise ValueError(_unknown_option(unknown[0], parser))
    recipe = recipes.load(name, overrides(options, name))
    chosen = "metric_for_best_model" in recipe.training or "metric_for_best_model" in given
    if "greater_is_better" in given and not chosen:
        raise ValueError("--greater_is_better says nothing without --metric_for_best_model; give both or neither")
    if recipe.supervised and args.load_best_model_at_end and not chosen:
        name, settings = next(iter(recipe.supervised.items()))
        headline = tasks.get((settings or {}).get("task", "classification")).headline
        args.metric_for_best_model = f"eval_{(settings or {}).get('name', name)}_{headline.name}"
        args.greater_is_better = headline.greater_is_better
    return recipe, options, args


CALLED_ELSEWHERE = {
    **dict.fromkeys(
        ("train_dir", "train_data_dir", "validation_dir", "val_dir", "test_dir", "train_file", "data", "data_path",
         "data_root", "dataset", "dataset_dir", "dataset_path", "root", "folder", "images", "input", "input_dir"),
        "data_dir",
    ),
    **dict.fromkeys(("dataset_name", "hub_dataset", "repo_id"), "hub_id"),
    **dict.fromkeys(("epochs", "num_epochs", "n_epochs", "max_epochs", "nb_epochs", "epoch"), "num_train_epochs"),
    **dict.fromkeys(("steps", "num_steps", "iterations", "max_iter", "max_train_steps"), "max_steps"),
    **dict.fromkeys(("batch_size", "batch", "bs", "train_batch_size"), "per_device_train_batch_size"),
    **dict.fromkeys(("eval_batch_size", "test_batch_size", "val_batch_size"), "per_device_eval_batch_size"),
    **dict.fromkeys(("lr", "rate"), "learning_rate"),
    **dict.fromkeys(("wd", "decay"), "weight_decay"),
    **dict.fromkeys(("model", "arch", "architecture", "model_name", "model_name_or_path", "network"), "backbone"),
    **dict.fromkeys(("weights", "init", "checkpoint_path", "from_pretrained"), "pretrained"),
    **dict.fromkeys(("resume", "checkpoint", "resume_from", "ckpt"), "resume_from_checkpoint"),
    **dict.fromkeys(("workers", "num_workers", "jobs"), "dataloader_num_workers"),
    **dict.fromkeys(("out", "out_dir", "output", "save_dir", "log_dir", "logging_dir", "work_dir"), "output_dir"),
    **dict.fromkeys(("size", "img_size", "imgsz", "input_size", "resolution"), "image_size"),
    **dict.fromkeys(("label", "labels", "target", "target_column", "label_column_name"), "label_column"),
    **dict.fromkeys(("image_column_name", "file_column", "path_column"), "image_column"),
    **dict.fromkeys(("group", "subject", "subject_column", "person_column"), "group_column"),
    **dict.fromkeys(("opt", "optimizer"), "optim"),
    **dict.fromkeys(("sched", "scheduler"), "lr_scheduler_type"),
    **dict.fromkeys(("amp", "mixed_precision", "half"), "bf16"),
    **dict.fromkeys(("cpu", "no_cuda", "device"), "use_cpu"),
    **dict.fromkeys(("patience", "early_stopping"), "early_stopping_patience"),
    **dict.fromkeys(("accumulation_steps", "accum", "grad_accum"), "gradient_accumulation_steps"),
    **dict.fromkeys(("logger", "log_with", "wandb", "tensorboard"), "report_to"),
    **dict.fromkeys(("config", "cfg", "override", "overrides", "param"), "set"),
    **dict.fromkeys(("force", "overwrite_output_dir"), "overwrite"),
    **dict.fromkeys(("dry", "test_run", "check"), "dry_run"),
}  # fmt: skip
"""{what an option is called in other programs: what it is called here}."""

_RECIPE_KEYS = (
    "train_fraction", "label_fraction", "balancing", "image_size", "backbone", "teacher", "probe", "loss_weighting",
    "on_broken_image", "report_batch_norm", "report_train", "report_columns",
)  # fmt: skip


def overrides(options: RunOptions, name: str) -> dict[str, Any]:
    """What the options change in the recipe `name`."""
    changes: dict[str, Any] = {}
    for key in _RECIPE_KEYS:
        if getattr(options, key) is not None:
            changes[key] = getattr(options, key)
    if options.report_groups is not None:
        entries = [part.strip() for given in options.report_groups for part in given.split(",")]
        changes["report_groups"] = [entry for entry in entries if entry]
    if options.pretrained is not None:
        switches = {"true": True, "false": False}
        changes["pretrained"] = switches.get(options.pretrained.lower(), options.pretrained)
    if options.unlabelled is not None:
        changes["mixed_with"] = [*recipes.load(name).mixed_with, without_labels(options.unlabelled, name)]
    changes = recipes.merged(changes, source_changes(options, name))
    entries = recipes.override(options.set)
    if "training" in entries:
        given = entries["training"]
        option, value = next(iter(given.items())) if isinstance(given, dict) and given else ("max_steps", "900")
        raise ValueError(f"--set training: training arguments are options themselves, as --{option} {value}")
    return recipes.merged(changes, entries)


def _unknown_option(option: str, parser: HfArgumentParser) -> str:
    known = [name for action in parser._actions for name in action.option_strings]
    name = option.split("=")[0]
    meant = CALLED_ELSEWHERE.get(name.lstrip("-").replace("-", "_").lower())
    close = [f"--{meant}"] if meant else difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"unknown option {option!r}.{hint} See all of them with --help all"
