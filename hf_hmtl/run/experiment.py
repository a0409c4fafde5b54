"""From a recipe to everything that a run needs: rows, tasks, collators, model, trainer."""

import copy
import dataclasses
import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, DatasetDict
from transformers import ProgressCallback, set_seed

from hf_hmtl import tasks as task_registry
from hf_hmtl.data import sources
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import EvaluationCollator, TrainingCollator
from hf_hmtl.data.crops import CROP
from hf_hmtl.data.identity import RESERVED, readable
from hf_hmtl.data.ledger import BALANCING, TRAIN_FRACTION
from hf_hmtl.data.own_faces import label_columns
from hf_hmtl.data.splits import balanced, fingerprint, stratified_fraction, without
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.option_types import require_types
from hf_hmtl.recipe import Recipe, require_known
from hf_hmtl.results.groups import groups_of
from hf_hmtl.run.earlier_run import load_teacher, located, take_backbone
from hf_hmtl.run.progress import ProgressLines
from hf_hmtl.tasks import Pretext, Supervised, Task
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.trainer import HMTLTrainer


@dataclass
class Experiment:
    """A recipe with its data, tasks and model, ready to be trained.

    Attributes:
        recipe: what was asked for.
        source: where the rows come from, with licence, citation and notes.
        splits: train (after `train_fraction` and `balancing`), and validation and test where the source has them.
        supervised, pretexts: the tasks.
        model: freshly initialised from the seed of `args`, with `recipe.pretrained` weights when asked for.
        processor: the image processor that evaluation and serving share.
        origin: a sentence on where the backbone's weights come from.
        teacher: network that a perceptual loss compares features with, or None.
    """

    recipe: Recipe
    args: HMTLTrainingArguments
    source: sources.Source
    splits: DatasetDict
    supervised: list[Supervised]
    pretexts: list[Pretext]
    model: HMTLForImageClassification
    processor: HMTLImageProcessor
    origin: str = "backbone started from random weights"
    teacher: HMTLForImageClassification | None = None

    @cached_property
    def fingerprint(self) -> str:
        """What tells whether another run saw the same data; see `data.splits.fingerprint`."""
        return fingerprint(self.splits, ignored=self.source.report_columns)

    @property
    def learned(self) -> list[Task]:
        """The tasks with a head: all but pretexts of weight 0."""
        return [task for task in [*self.supervised, *self.pretexts] if task.is_learned]

    def training_collator(self, **changes: Any) -> TrainingCollator:
        """Collator of augmented and corrupted batches; `changes` replace its settings."""
        settings = {
            "supervised": self.supervised,
            "image_size": self.recipe.image_size,
            "crop_fraction": self.recipe.crop["train"],
            "on_broken_image": self.recipe.on_broken_image,
            "pretexts": self.pretexts,
            "augmentation": Augmentation.of(self.recipe.augmentation),
            "seed": self.args.sampling_seed,
        }
        return TrainingCollator(**{**settings, **changes})

    def evaluation_collator(self) -> EvaluationCollator:
        """Collator of clean batches."""
        return EvaluationCollator(
            supervised=self.supervised,
            image_size=self.recipe.image_size,
            crop_fraction=self.recipe.crop["eval"],
            on_broken_image=self.recipe.on_broken_image,
        )

    def trainer(self) -> HMTLTrainer:
        """The trainer of this experiment."""
        trainer = HMTLTrainer(
            self.model,
            self.args,
            tasks=[*self.supervised, *self.pretexts],
            train_collator=self.training_collator(),
            eval_collator=self.evaluation_collator(),
            train_dataset=self.splits["train"],
            eval_dataset=self.splits.get("validation"),
            processing_class=self.processor,
            teacher=self.teacher,
            dynamic_weights=self.recipe.loss_weighting == "dynamic",
        )
        if trainer.pop_callback(ProgressCallback):  # absent with --disable_tqdm
            trainer.add_callback(ProgressLines())
        return trainer


def build(recipe: Recipe, args: HMTLTrainingArguments, data_dir: str | Path | None = None) -> Experiment:
    """Load the data and make the tasks and the model of a recipe.

    Args:
        recipe: the recipe.
        args: training arguments; their seed initialises the model.
        data_dir: folder of the dataset, for sources that need one.
    """
    recipe = dataclasses.replace(
        recipe,
        pretrained=located(recipe.pretrained, recipe, "pretrained"),
        teacher=located(recipe.teacher, recipe, "teacher"),
    )
    options = dict(recipe.source)
    name = options.pop("name", None)
    if name is None:
        raise ValueError(f"recipe {recipe.name} names no source; known sources: {', '.join(sources.available())}")
    if recipe.kept_columns and sources.takes(name, "report_columns"):
        options["report_columns"] = recipe.kept_columns
    if sources.takes(name, "label_kinds") and recipe.supervised:
        options["label_kinds"] = _label_kinds(recipe, options) | options.get("label_kinds", {})
    source = sources.load(name, data_dir, **options)
    if source.evaluation_only:
        raise ValueError(f"recipe {recipe.name}: {name} has no rows to train on. {source.notes[0]}")
    # A ledger of its own: the runs of a comparison share a source, and each leaves out what it leaves out.
    ledger = copy.deepcopy(source.ledger)
    source = dataclasses.replace(source, notes=(*source.notes, *_renamed_tasks(recipe)), ledger=ledger)
    splits = DatasetDict(source.splits)
    learned_columns = {name: _columns(name, settings) for name, settings in recipe.supervised.items()}
    for column in (*itertools.chain(*learned_columns.values()), *recipe.kept_columns):
        require_column(splits["train"], column, recipe)
    for column in recipe.report_groups:  # before a training, not behind it
        groups_of(pa.table({column: readable(splits[source.report_split], column)}), column)
    first = next(iter(learned_columns.values()), (None,))[0]
    if recipe.train_fraction < 1:
        whole = splits["train"]
        splits["train"] = stratified_fraction(whole, first, recipe.train_fraction)
        ledger.leave_out("train", TRAIN_FRACTION, without(whole, splits["train"]))
    if recipe.balancing != "none":
        whole = splits["train"]
        splits["train"] = balanced(whole, first, recipe.balancing)
        ledger.leave_out("train", BALANCING, without(whole, splits["train"]))
    supervised = [
        build_supervised(name, settings, splits["train"], recipe.name) for name, settings in recipe.supervised.items()
    ]
    for column in itertools.chain.from_iterable(task.columns for task in supervised):
        require_column(splits["train"], column, recipe)
    if recipe.probe and type(supervised[0]) is not Classification:
        raise ValueError(f"recipe {recipe.name}: a probe fits classes, and {supervised[0].name!r} is of another kind")
    pretexts = [
        build_pretext(name, settings, recipe.name).with_tasks(supervised) for name, settings in recipe.auxiliary.items()
    ]
    for pretext in pretexts:
        pretext.check_side(recipe.image_size)
    learned = [task for task in [*supervised, *pretexts] if task.is_learned]
    config = HMTLConfig(
        backbone=recipe.backbone,
        image_size=recipe.image_size,
        heads={task.name: task.head() for task in learned},
        loss_weighting="uncertainty" if recipe.loss_weighting == "uncertainty" else "static",
    )
    set_seed(args.seed)
    model = HMTLForImageClassification(config)
    processor = HMTLImageProcessor(size=recipe.image_size, crop_fraction=recipe.crop["eval"])
    experiment = Experiment(recipe, args, source, splits, supervised, pretexts, model, processor)
    if recipe.pretrained:
        experiment.origin = take_backbone(model, recipe.pretrained)
    if any(pretext.needs_teacher and pretext.is_learned for pretext in pretexts) and recipe.teacher:
        experiment.teacher = load_teacher(recipe.teacher, recipe, experiment.fingerprint)
    return experiment


def _label_kinds(recipe: Recipe, options: dict[str, Any]) -> dict[str, str]:
    """{label of the source: whether its task learns classes or numbers}."""
    labels = (options.get("task", "emotion"), *options.get("label_columns", ()))
    kinds = {}
    for key, settings in recipe.supervised.items():
        task = task_registry.get((settings or {}).get("task", "classification"))
        kind = label_columns.CLASSES if issubclass(task, Classification) else label_columns.NUMBERS
        kinds |= dict.fromkeys(_columns(key, settings), kind)
    return {name: kind for name, kind in kinds.items() if name in labels}


def _renamed_tasks(recipe: Recipe) -> list[str]:
    """Notes on tasks that are not called as the column they learn."""
    columns = {recipe.source.get("task", "label"): recipe.source.get("label_column")}
    columns |= recipe.source.get("label_columns") or {}
    names = {key: (settings or {}).get("name", key) for key, settings in recipe.supervised.items()}
    return [
        f"the task of the column {columns[key]!r} is called {name!r}"
        for key, name in names.items()
        if columns.get(key) not in (None, name)
    ]


def require_column(dataset: Dataset, column: str, recipe: Recipe) -> None:
    """Raise when the dataset lacks the column of a supervised task, or one that is to be reported."""
    if column not in dataset.column_names:
        columns = [name for name in dataset.column_names if name not in ("image", *RESERVED, *CROP)]
        wants = "reports" if column in recipe.kept_columns else "learns"
        raise ValueError(
            f"recipe {recipe.name} {wants} {column!r}, which the source {recipe.source['name']!r} does not have. "
            f"It has: {', '.join(columns)}"
        )


def _columns(name: str, settings: dict[str, Any] | None) -> tuple[str, ...]:
    """The columns that an entry of `supervised` learns: those of its `column`, else of the task itself or its name."""
    options = settings or {}
    of_task = getattr(task_registry.get(options.get("task", "classification")), "column", "")
    column = options.get("column") or of_task or name
    return (column,) if isinstance(column, str) else tuple(column)


def build_supervised(key: str, settings: dict[str, Any], train: Dataset, recipe_name: str) -> Supervised:
    """A supervised task from its recipe entry; class names and balanced weights come from the training rows."""
    options = dict(settings or {})
    name = options.pop("name", key)
    task = task_registry.get(options.pop("task", "classification"))
    known = {option.name for option in dataclasses.fields(task)} - {"name", "labels"}
    if issubclass(task, Classification):
        known -= {"column"}
    where = f"option of supervised task {key!r} in recipe {recipe_name}"
    require_known(options, known, where)
    require_types(task, {"name": name} | options, where, besides=("class_weights",))
    if issubclass(task, Pretext):
        raise ValueError(f"{key!r} is a pretext task; write it under `auxiliary` in recipe {recipe_name}")
    if not issubclass(task, Classification):
        if name != key and not (options.get("column") or task.column):
            options["column"] = key
        return task(name=name, **{option: _frozen(value) for option, value in options.items()})
    weights = options.get("class_weights")
    if isinstance(weights, list):
        options["class_weights"] = tuple(float(weight) for weight in weights)
    elif weights in (None, "none"):
        options["class_weights"] = None
    elif weights != "balanced":
        raise ValueError(
            f"{key}: class_weights is {weights!r}, allowed are none, balanced (n_max / n_c from the training rows) "
            "or a list with one number a class"
        )
    return task.of(train, key, name=name, **options)


def build_pretext(name: str, settings: dict[str, Any], recipe_name: str) -> Pretext:
    """A pretext task from its recipe entry."""
    options = dict(settings or {})
    task = task_registry.get(options.pop("task", name))
    if not issubclass(task, Pretext):
        raise ValueError(f"{name!r} is a supervised task; write it under `supervised` in recipe {recipe_name}")
    known = {option.name for option in dataclasses.fields(task)} - {"name"}
    where = f"option of auxiliary task {name!r} in recipe {recipe_name}"
    require_known(options, known, where)
    require_types(task, options, where)
    return task(name=name, **{key: _frozen(value) for key, value in options.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value


def targets_of(task: Supervised, dataset: Dataset) -> np.ndarray:
    """The labels of all rows of a dataset, as the task scores them."""
    return task.target(*(dataset[column][:] for column in task.columns)).numpy()


def parameter_counts(model: torch.nn.Module) -> dict[str, int]:
    """Parameters of the model: total, those that stay after training, and those of the auxiliary heads."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    auxiliary = sum(size for name, size in sizes.items() if name.startswith("auxiliary."))
    total = sum(sizes.values())
    return {"total": total, "supervised": total - auxiliary, "auxiliary": auxiliary}
