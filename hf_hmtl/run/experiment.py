"""From a recipe to everything that a run needs: rows, tasks, collators, model, trainer."""

import dataclasses
import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers import ProgressCallback, set_seed

from hf_hmtl import tasks as task_registry
from hf_hmtl.analysis.features import kept_features
from hf_hmtl.data import sources
from hf_hmtl.data.arrow_columns import selected
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.clips import Windows
from hf_hmtl.data.collator import Collator, EvaluationCollator, TrainingCollator
from hf_hmtl.data.identity import SOURCE
from hf_hmtl.data.mixture import Mixture
from hf_hmtl.data.splits import fingerprint
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.model.modeling_sequence_hmtl import HMTLSequenceModel
from hf_hmtl.option_types import require_types
from hf_hmtl.recipe import Recipe, require_known
from hf_hmtl.run.clips import InTime
from hf_hmtl.run.earlier_run import known_of, load_teacher, located, take_backbone
from hf_hmtl.run.progress import ProgressLines
from hf_hmtl.run.rows import Rows, load_rows, require_column
from hf_hmtl.tasks import Pretext, Supervised, Task
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.clips import ClipTrainer
from hf_hmtl.training.trainer import HMTLTrainer


@dataclass
class Experiment:
    """A recipe with its data, tasks and model, ready to be trained.

    Attributes:
        recipe: what was asked for.
        source: where the rows come from, with licence, citation and notes; of several, what is to be known of all.
        splits: train (after `train_fraction` and `balancing`), and validation and test where the source has them.
        supervised, pretexts: the tasks.
        model: freshly initialised from the seed of `args`, with `recipe.pretrained` weights when asked for.
        processor: the image processor that evaluation and serving share.
        in_time: how frames are learned in time; None where images are.
        rows: source and splits, and whose the rows are where there are several sources.
        origin: a sentence on where the backbone's weights come from.
        teacher: network that a perceptual loss compares features with, or None.
    """

    recipe: Recipe
    args: HMTLTrainingArguments
    source: sources.Source
    splits: DatasetDict
    supervised: list[Supervised]
    pretexts: list[Pretext]
    model: HMTLForImageClassification | HMTLSequenceModel
    processor: HMTLImageProcessor
    rows: Rows
    in_time: InTime | None = None
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

    @cached_property
    def training_rows(self) -> Dataset | Mixture | Windows:
        """The training rows: with their sources where they are several, as windows where they are learned in time."""
        train = self.splits["train"]
        if self.in_time:
            return self.in_time.learned(train, self.features.get("train"), self.args.sampling_seed)
        return Mixture(train, self.rows.parts) if self.rows.parts else train

    def evaluated(self, split: str) -> Dataset | Windows:
        """The rows of a split as the trainer scores them."""
        rows = self.splits[split]
        return self.in_time.evaluated(rows, self.features.get(split)) if self.in_time else rows

    def answered(self, split: str) -> Dataset:
        """The rows of a split that have an answer each: of clips with one answer their last frames."""
        rows = self.splits[split]
        return selected(rows, self.answered_rows(split)) if self.in_time and self.in_time.whole else rows

    def answered_rows(self, split: str) -> np.ndarray:
        """Their numbers in the split."""
        rows = self.splits[split]
        return Windows(rows, None).last_rows if self.in_time and self.in_time.whole else np.arange(len(rows))

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """{split: features of its frames} of a frozen backbone; nothing where it is trained."""
        if self.in_time is None or not self.in_time.frozen:
            return {}
        images = EvaluationCollator([], self.recipe.image_size, self.recipe.crop["eval"], self.recipe.on_broken_image)
        self.model.to(self.args.device)
        with self.args.main_process_first(desc="features"):
            return kept_features(self.model.hmtl, self.splits, images)

    @property
    def primary(self) -> str | None:
        """Name of the task that is announced first."""
        return self.supervised[0].name if self.in_time else self.model.config.primary

    def training_collator(self, **changes: Any) -> Collator:
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
        settings |= changes
        return self.in_time.training_collator(settings) if self.in_time else TrainingCollator(**settings)

    def evaluation_collator(self) -> Collator:
        """Collator of clean batches."""
        settings = {
            "supervised": self.supervised,
            "image_size": self.recipe.image_size,
            "crop_fraction": self.recipe.crop["eval"],
            "on_broken_image": self.recipe.on_broken_image,
        }
        return self.in_time.evaluation_collator(settings) if self.in_time else EvaluationCollator(**settings)

    def trainer(self) -> HMTLTrainer:
        """The trainer of this experiment."""
        given = {
            "train_collator": self.training_collator(),
            "eval_collator": self.evaluation_collator(),
            "train_dataset": self.training_rows,
            "eval_dataset": self.evaluated("validation") if "validation" in self.splits else None,
            "processing_class": self.processor,
        }
        if self.in_time:
            trainer: HMTLTrainer = ClipTrainer(self.model, self.args, self.supervised[0], self.pretexts, **given)
        else:
            dynamic = self.recipe.loss_weighting == "dynamic"
            tasks = [*self.supervised, *self.pretexts]
            trainer = HMTLTrainer(self.model, self.args, tasks, teacher=self.teacher, dynamic_weights=dynamic, **given)
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
    in_time = InTime.of(recipe)
    rows = load_rows(recipe, data_dir)
    source, splits = rows.source, rows.splits
    if rows.several_are_tested and SOURCE not in recipe.report_groups:
        recipe = dataclasses.replace(recipe, report_groups=[*recipe.report_groups, SOURCE])
    supervised = [
        build_supervised(name, settings, splits["train"], recipe.name) for name, settings in recipe.supervised.items()
    ]
    for column in itertools.chain.from_iterable(task.columns for task in supervised):
        require_column(splits["train"].column_names, column, recipe)
    if recipe.probe and type(supervised[0]) is not Classification:
        raise ValueError(f"recipe {recipe.name}: a probe fits classes, and {supervised[0].name!r} is of another kind")
    pretexts = [
        build_pretext(name, settings, recipe.name).with_tasks(supervised) for name, settings in recipe.auxiliary.items()
    ]
    for pretext in pretexts:
        pretext.check_side(recipe.image_size)
    learned = [task for task in [*supervised, *pretexts] if task.is_learned]
    set_seed(args.seed)
    of_frames = {"learned_from": list(rows.names), "face_margin": source.face_margin}
    if in_time:
        model = in_time.model(recipe, supervised[0], pretexts, of_frames)
        network, config = model.hmtl, model.hmtl.config
    else:
        config = HMTLConfig(
            backbone=recipe.backbone,
            image_size=recipe.image_size,
            heads={task.name: task.head() for task in learned},
            loss_weighting="uncertainty" if recipe.loss_weighting == "uncertainty" else "static",
            **of_frames,
        )
        network = model = HMTLForImageClassification(config)
    processor = HMTLImageProcessor(size=recipe.image_size, crop_fraction=recipe.crop["eval"])
    experiment = Experiment(recipe, args, source, splits, supervised, pretexts, model, processor, rows, in_time)
    if recipe.pretrained:
        experiment.origin = take_backbone(network, recipe.pretrained)
        earlier = known_of(recipe.pretrained, recipe.backbone)
        config.learned_from = list(dict.fromkeys([*rows.names, *(earlier["sources"] if earlier else ())]))
    if any(pretext.needs_teacher and pretext.is_learned for pretext in pretexts) and recipe.teacher:
        experiment.teacher = load_teacher(recipe.teacher, recipe, experiment.fingerprint)
    return experiment


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
        options["class_weights"] = tuple(weights)
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
