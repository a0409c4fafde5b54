"""recipe.yaml: the recipe of a run as a file that reproduces it, with its training arguments and without any place."""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from hf_hmtl.files import is_local, replacing, without_place
from hf_hmtl.recipe import Recipe
from hf_hmtl.results.card import data_option
from hf_hmtl.run.record import DECISIVE, plain
from hf_hmtl.training.arguments import HMTLTrainingArguments

NAME = "recipe.yaml"
# Beside what decides the steps: what chooses the weights that are kept, and how the log is cut.
TRAINING = (
    *(name for name in DECISIVE if name != "precision"), "bf16", "fp16", "tf32", "per_device_train_batch_size",
    "per_device_eval_batch_size", "eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "save_strategy",
    "save_steps", "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "on_nonfinite",
    "logging_strategy", "logging_steps", "logging_first_step", "torch_compile", "full_determinism",
)  # fmt: skip
_HEAD = """\
# The recipe of one run, and the training arguments that decide its result. With hf_hmtl {version}:
#   hf-hmtl train {name}{data}
# makes the same steps on {processes} process{plural}.
"""


def write_recipe(folder: Path, recipe: Recipe, args: HMTLTrainingArguments, version: str) -> None:
    """Write the file into the folder of a run.

    Args:
        recipe: as it was trained.
        args: with which it was trained.
        version: of hf_hmtl.
    """
    row = recipe.name.partition(" with ")[0].replace(":", "/").rpartition("/")[2]
    fields = {key: value for key, value in without_places(recipe).items() if key != "name" and value is not None}
    content = {"default_row": row, "rows": {row: fields | {"training": _training(args)}}}
    head = _HEAD.format(
        version=version,
        name=NAME,
        data=data_option(recipe.to_dict()),
        processes=args.world_size,
        plural="es" * (args.world_size > 1),
    )
    for option in ("pretrained", "teacher"):
        if isinstance(value := getattr(recipe, option), str) and is_local(value):
            head += f"# {without_place(value)} was on the machine of this run; give yours: --{option} PLACE\n"
    with replacing(folder / NAME) as temporary:
        temporary.write_text(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def without_places(recipe: Recipe) -> dict[str, Any]:
    """All fields of a recipe; models and files of tasks that lie on this machine by their last part alone."""
    fields = recipe.to_dict()
    for option in ("pretrained", "teacher"):
        if isinstance(fields[option], str):
            fields[option] = without_place(fields[option])
    for option in ("csv", "image_dir", "faces", "labels"):
        if isinstance(fields["source"].get(option), str):
            fields["source"][option] = without_place(fields["source"][option])
    for entry in fields["mixed_with"]:
        for option in ("data_dir", "csv", "image_dir"):
            if isinstance(entry.get(option), str):
                entry[option] = without_place(entry[option])
    for settings in (*fields["supervised"].values(), *fields["auxiliary"].values()):
        if settings and str(settings.get("task")).endswith(".py"):
            settings["task"] = without_place(settings["task"])
    return fields


def _training(args: HMTLTrainingArguments) -> dict[str, Any]:
    """The decisive arguments that differ from what they are by themselves."""
    usual = {
        each.name: each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
        for each in dataclasses.fields(HMTLTrainingArguments)
    }
    given = {name: plain(getattr(args, name)) for name in TRAINING}
    return {name: value for name, value in given.items() if value != plain(usual[name])}
