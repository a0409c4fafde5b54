"""The options of a run, beside the training arguments, and the help that shows those that most people need."""

import argparse
import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hf_hmtl import recipe as recipes

USAGE = "hf-hmtl train [RECIPE] [--option value ...]"
DESCRIPTION = (
    "Train a supervised face task together with self-supervised auxiliary heads, which vanish from the saved model."
)


def _option(description: str, metavar: str | None = None, default: Any = None, **more: Any):
    return field(default=default, metadata={"help": description, **({"metavar": metavar} if metavar else {}), **more})


@dataclass
class RunOptions:
    """Options of one run, beside the training arguments."""

    _argument_group_name: ClassVar[str] = "recipe, data and run"

    data_dir: str | None = _option(
        "Folder of the data set, or a table; $HF_HMTL_DATA/<source> if unset. Drawn faces need none.", "FOLDER"
    )
    hub_id: str | None = _option("Data set on the Hugging Face Hub (recipes of `custom`).", "NAME")
    label_column: str | None = _option("Column of the labels (recipes of `custom`).", "NAME")
    label_columns: list[str] | None = _option(
        "Several (`custom`): emotion=mood:classification pose=yaw,pitch,roll:head_pose",
        "ENTRY",
    )
    image_column: str | None = _option(
        "Column of the images (recipes of `custom`); found by its type if unset.", "NAME"
    )
    image_dir: str | None = _option("Folder that the paths of a table are relative to (`custom`).", "FOLDER")
    split_column: str | None = _option(
        "Column that says train, validation or test (`custom`); `split`, `Usage` and the like if unset.", "NAME"
    )
    group_column: str | None = _option(
        "Column of the persons, whom no split tears apart (`custom`); `subject`, `person_id` and the like if unset.",
        "NAME",
    )
    group_pattern: str | None = _option(
        r"Regular expression that finds the person in the path of an image (`custom`), as in 'S(\d+)_'.", "PATTERN"
    )
    class_map: list[str] | None = _option(
        "How labels are called (`custom`, `clips`): --class_map happiness=happy anger=angry.", "TEXT=CLASS"
    )
    merge_case: bool | None = _option(
        "Labels that differ in case alone are one class (`custom`, `clips`).", nargs="?", const=True
    )
    missing_labels: str | None = _option(
        "Rows without a label (`custom`): keep them for other tasks, leave_out, or raise.", "HOW"
    )
    layout: str | None = _option(
        "How to read the folder (`custom`): table, classes, splits, inner_classes or inner_splits; found out if unset.",
        "LAYOUT",
    )
    allow_left_out: list[str] | None = _option(
        "Reasons that may leave out a class, a split, or more than a tenth of the data; an error names them.", "REASON"
    )
    train_fraction: float | None = _option(
        "Share of the training rows, stratified by label; the same rows for every --seed.", "SHARE"
    )
    label_fraction: float | None = _option(
        "Share of the labels that are used; the other rows stay, and teach pretexts alone.", "SHARE"
    )
    unlabelled: str | None = _option(
        "Further faces without labels: half of every batch, which teach pretexts alone.", "FOLDER"
    )
    image_size: int | None = _option("Side of the images.", "PIXELS")
    backbone: str | None = _option("Any timm model.", "NAME")
    pretrained: str | None = _option(
        "What the backbone starts from: timm's ImageNet weights if nothing follows, a file of weights, the folder or "
        "Hub name of one of our models, or 'false'.",
        "WEIGHTS",
        nargs="?",
        const="true",
    )
    teacher: str | None = _option(
        "Supervised model that a perceptual loss compares features with; folder or Hub name.", "MODEL"
    )
    probe: str | None = _option("Fit a classifier to the frozen backbone: linear, nonlinear or knn.", "KIND")
    loss_weighting: str | None = _option(
        "Weights of the losses: static, uncertainty (learned) or dynamic (every epoch).", "HOW"
    )
    balancing: str | None = _option("Balance the classes of the training rows: none, down or up.", "HOW")
    on_broken_image: str | None = _option("What to do with a broken image: replace it by another row, or raise.", "HOW")
    report_batch_norm: bool | None = _option(
        "Also report accuracy on corrupted validation images, and with batch-norm statistics re-estimated on clean "
        "training images.",
        nargs="?",
        const=True,
    )
    report_train: bool | None = _option("Also report the scores on clean training images.", nargs="?", const=True)
    report_columns: list[str] | None = _option(
        "Further columns of the data to keep beside every answer in predictions.parquet.", "NAME"
    )
    report_groups: list[str] | None = _option(
        "Columns of the data by whose values the scores are reported too: race,gender,age.", "NAME"
    )
    keep_lowest_loss: bool = _option(
        "Also keep the weights of the lowest validation loss, beside those that another measure selects.", default=False
    )
    set: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Any change to the recipe: --set auxiliary.puzzle.weight=0.1 source.seed=1",
            "metavar": "ENTRY=VALUE",
            "action": "extend",
        },
    )
    dry_run: bool = _option("Print rows, classes, heads, steps and minutes, draw a batch, stop.", default=False)
    overwrite: bool = _option("Replace what an earlier run left there, its checkpoints too.", default=False)
    cpu_threads: int | None = _option("Threads of one process on the CPU; all cores it may use if unset.", "N")
    tune_allocator: bool = _option(
        "On Linux, keep large freed blocks for the next batch (faster on CPUs).", default=True
    )


OF_TRAINING = {
    "num_train_epochs": ("N", "Passes over the training rows."),
    "max_steps": ("N", "Optimiser steps, in place of epochs."),
    "per_device_train_batch_size": ("N", "Rows a process and step."),
    "learning_rate": ("RATE", "The largest; --lr_scheduler_type and --warmup_steps shape it."),
    "optim": ("NAME", "Any optimizer of transformers, or adabelief with the authors' settings."),
    "seed": ("N", "Of the first weights and of every draw."),
    "early_stopping_patience": ("N", "Stop after so many evaluations without a better score."),
    "dataloader_num_workers": ("N", "Processes that decode and augment."),
    "bf16": (None, "Train in bfloat16, on a GPU."),
    "resume_from_checkpoint": ("WHERE", "Go on with a run that was cut off: last, or a checkpoint-N."),
    "output_dir": ("FOLDER", "Where everything goes; outputs/<recipe> if unset."),
    "report_to": ("NAME", "Also log to tensorboard, wandb and the like."),
}
"""{training argument: (value, description)} of those that most people need, in fewer words than transformers has."""

FIRST_SCREEN = {
    "what": ("dry_run", "set"),
    "data": ("data_dir", "hub_id", "label_column", "label_columns", "train_fraction", "unlabelled"),
    "network": ("backbone", "image_size", "pretrained", "probe"),
    "tasks": ("loss_weighting", "teacher"),
    "training": (
        "num_train_epochs", "max_steps", "per_device_train_batch_size", "learning_rate", "optim", "seed",
        "early_stopping_patience", "dataloader_num_workers", "bf16", "resume_from_checkpoint",
    ),
    "output": ("output_dir", "overwrite", "report_to"),
}  # fmt: skip


def first_screen() -> str:
    """The help that fits on a screen. It needs neither torch nor transformers, so that it comes at once."""
    parser = argparse.ArgumentParser(
        usage=USAGE,
        description=DESCRIPTION,
        epilog="Everything else, with the defaults of the recipe: hf-hmtl train [RECIPE] --help all",
        add_help=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34),
    )
    described = {
        option.name: (option.metadata.get("metavar"), option.metadata["help"])
        for option in dataclasses.fields(RunOptions)
    }
    described |= OF_TRAINING
    for title, names in FIRST_SCREEN.items():
        group = parser.add_argument_group(title)
        if title == "what":
            files = ", ".join(file for file in recipes.available() if recipes.original_of(file) == file)
            row = f"FILE/ROW or my.yaml:ROW; quickstart if left out. Files: {files}."
            group.add_argument("RECIPE", help=row)
        for name in names:
            metavar, description = described[name]
            takes = {"metavar": metavar} if metavar else {"action": "store_true"}
            group.add_argument(f"--{name}", help=description.replace("%", "%%"), **takes)
    return parser.format_help()
