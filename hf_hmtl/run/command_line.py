"""The command line of training: a recipe, the options of a run, and every option of `TrainingArguments`."""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any

from transformers import HfArgumentParser

from hf_hmtl import recipe as recipes
from hf_hmtl import tasks
from hf_hmtl.recipe import Recipe
from hf_hmtl.run.options import DESCRIPTION, USAGE, RunOptions
from hf_hmtl.run.source_options import source_changes
from hf_hmtl.training.arguments import HMTLTrainingArguments


def parser_for(name: str) -> HfArgumentParser:
    """The parser of every option, with the recipe's training arguments as defaults."""
    parser = HfArgumentParser(
        [RunOptions, HMTLTrainingArguments],
        description=DESCRIPTION,
        epilog="\n".join(f"{file}: {', '.join(rows)}" for file, rows in recipes.available().items()),
        allow_abbrev=False,
        prog="hf-hmtl train",
        usage=USAGE,
        formatter_class=_HelpFormatter,
    )
    training = recipes.load(name).training
    known = {action.dest for action in parser._actions}
    recipes.require_known(training, known, f"training argument in recipe {name}")
    parser.set_defaults(**{"output_dir": recipes.default_folder(name), "report_to": "none", **training})
    return parser


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


_RECIPE_KEYS = (
    "train_fraction", "balancing", "image_size", "backbone", "teacher", "probe", "loss_weighting", "on_broken_image",
    "report_batch_norm", "report_train", "report_columns",
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
    changes = recipes.merged(changes, source_changes(options, name))
    return recipes.merged(changes, recipes.override(options.set))


def _unknown_option(option: str, parser: HfArgumentParser) -> str:
    known = [name for action in parser._actions for name in action.option_strings]
    close = difflib.get_close_matches(option.split("=")[0], known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"unknown option {option!r}.{hint} See all of them with --help all"
