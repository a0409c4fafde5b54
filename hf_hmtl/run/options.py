"""The command line of training: a recipe, the options of a run, and every option of `TrainingArguments`."""

import difflib
import sys
from dataclasses import dataclass, field
from typing import Any

from transformers import HfArgumentParser

from hf_hmtl import recipe as recipes
from hf_hmtl.recipe import Recipe
from hf_hmtl.training.arguments import HMTLTrainingArguments

DESCRIPTION = """\
Train a supervised face task together with self-supervised auxiliary heads, which vanish from the saved model.

recipe: FILE/ROW, e.g. quickstart, fer2013/puzzle-3x3, affectnet/puzzle-3x3-weak, or my.yaml:row. {recipes}
"""


@dataclass
class RunOptions:
    """Options of one run, beside the training arguments."""

    data_dir: str | None = field(
        default=None,
        metadata={"help": "Folder of the dataset; without it, $HF_HMTL_DATA/<source>. The drawn faces need none."},
    )
    hub_id: str | None = field(
        default=None, metadata={"help": "Dataset on the Hugging Face Hub, for the recipes of `custom`."}
    )
    label_column: str | None = field(
        default=None, metadata={"help": "Column of the labels, for the recipes of `custom`."}
    )
    image_column: str | None = field(
        default=None,
        metadata={"help": "Column of the images, for the recipes of `custom`; found by its type if unset."},
    )
    train_fraction: float | None = field(
        default=None,
        metadata={"help": "Share of the training rows, stratified by label, with a fixed seed of its own."},
    )
    image_size: int | None = field(default=None, metadata={"help": "Side of the images, pixels."})
    backbone: str | None = field(default=None, metadata={"help": "Any timm model."})
    pretrained: str | None = field(
        default=None,
        metadata={
            "help": "Weights that the backbone starts from: 'true' for timm's ImageNet weights, a local file of them, "
            "the folder or Hub name of a model of ours, or 'false' for random ones.",
            "nargs": "?",
            "const": "true",
        },
    )
    teacher: str | None = field(
        default=None,
        metadata={"help": "Folder or Hub name of the supervised model that a perceptual loss compares features with."},
    )
    probe: str | None = field(
        default=None,
        metadata={"help": "Fit a classifier to the frozen backbone instead of training: linear, nonlinear or knn."},
    )
    loss_weighting: str | None = field(
        default=None,
        metadata={"help": "static, uncertainty (learned weights of the losses), or dynamic (from epoch to epoch)."},
    )
    balancing: str | None = field(
        default=None, metadata={"help": "Balance the classes of the training rows: none, down or up."}
    )
    on_broken_image: str | None = field(
        default=None, metadata={"help": "What to do with a broken image: skip, replace or raise."}
    )
    report_batch_norm: bool | None = field(
        default=None,
        metadata={
            "help": "Also report accuracy on corrupted validation images, and with batch-norm statistics re-estimated "
            "on clean training images.",
            "nargs": "?",
            "const": True,
        },
    )
    report_train: bool | None = field(
        default=None,
        metadata={"help": "Also report the scores on clean training images.", "nargs": "?", "const": True},
    )
    set: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Any other change to the recipe, as in --set auxiliary.puzzle.weight=0.1 source.seed=1",
            "action": "extend",
        },
    )
    dry_run: bool = field(
        default=False,
        metadata={"help": "Print rows, classes, heads, loss weights, steps and estimated minutes, draw a batch, stop."},
    )
    overwrite: bool = field(
        default=False, metadata={"help": "Replace what an earlier run left in --output_dir (its checkpoints too)."}
    )
    cpu_threads: int | None = field(
        default=None, metadata={"help": "Threads of one process on the CPU; all cores it may use if unset."}
    )
    tune_allocator: bool = field(
        default=True, metadata={"help": "On Linux, keep large freed blocks for the next batch (faster on CPUs)."}
    )


def parser_for(name: str) -> HfArgumentParser:
    """The parser, with the recipe's training arguments as defaults."""
    listed = "; ".join(f"{file}: {', '.join(rows)}" for file, rows in recipes.available().items())
    parser = HfArgumentParser(
        [RunOptions, HMTLTrainingArguments],
        description=DESCRIPTION.format(recipes=f"Known: {listed}"),
        allow_abbrev=False,
        prog="train.py",
        usage="train.py [recipe] [--data_dir DIR] [--option value ...]",
    )
    training = recipes.load(name).training
    known = {action.dest for action in parser._actions}
    recipes.require_known(training, known, f"training argument in recipe {name}")
    parser.set_defaults(**{"output_dir": recipes.default_folder(name), "report_to": "none", **training})
    return parser


def parse(arguments: list[str] | None = None) -> tuple[Recipe, RunOptions, HMTLTrainingArguments]:
    """Recipe, options and training arguments of a command line.

    Raises:
        ValueError: unknown recipe, key or option; the message has the nearest known name.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = arguments.pop(0) if arguments and not arguments[0].startswith("-") else "quickstart"
    parser = parser_for(name)
    options, args, unknown = parser.parse_args_into_dataclasses(
        arguments, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        raise ValueError(_unknown_option(unknown[0], parser))
    recipe = recipes.load(name, overrides(options, name))
    if recipe.supervised and args.load_best_model_at_end and "metric_for_best_model" not in recipe.training:
        chosen = any(argument.split("=")[0] in _METRIC_OPTIONS for argument in arguments)
        if not chosen:
            args.metric_for_best_model = f"eval_{next(iter(recipe.supervised))}_accuracy"
            args.greater_is_better = True
    return recipe, options, args


_RECIPE_KEYS = (
    "train_fraction", "balancing", "image_size", "backbone", "teacher", "probe", "loss_weighting", "on_broken_image",
    "report_batch_norm", "report_train",
)  # fmt: skip
_METRIC_OPTIONS = ("--metric_for_best_model", "--metric-for-best-model")


def overrides(options: RunOptions, name: str) -> dict[str, Any]:
    """What the options change in the recipe `name`."""
    changes: dict[str, Any] = {}
    for key in _RECIPE_KEYS:
        if getattr(options, key) is not None:
            changes[key] = getattr(options, key)
    if options.pretrained is not None:
        switches = {"true": True, "false": False}
        changes["pretrained"] = switches.get(options.pretrained.lower(), options.pretrained)
    source = {key: getattr(options, key) for key in ("hub_id", "label_column", "image_column")}
    source = {key: value for key, value in source.items() if value is not None}
    if source:
        row = recipes.load(name)
        if row.source.get("name") != "custom":
            raise ValueError(
                f"--{next(iter(source))} belongs to the recipes of `custom`; {row.name} reads "
                f"{row.source.get('name')!r}, whose columns are known. Type: train.py custom/puzzle-3x3 --data_dir ..."
            )
        changes["source"] = source
        if options.label_column:
            if not row.supervised:
                raise ValueError(
                    f"--label_column {options.label_column}: {row.name} learns from images alone. Leave it out, or "
                    "choose a row with labels, such as custom/supervised"
                )
            # The task takes the column's name, so that scores read eval_gender_accuracy and not eval_label_accuracy.
            old, settings = next(iter(row.supervised.items()))
            source["task"] = options.label_column
            changes["supervised"] = {old: None, options.label_column: settings}
    return recipes.merged(changes, recipes.override(options.set))


def _unknown_option(option: str, parser: HfArgumentParser) -> str:
    known = [name for action in parser._actions for name in action.option_strings]
    close = difflib.get_close_matches(option.split("=")[0], known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"unknown option {option!r}.{hint} See all of them with --help"
