"""What can be told of a recipe in a moment, without its data: before the hours of other runs and not behind them."""

from typing import Any

import datasets

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.model.backbone_hmtl import require_backbone
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.recipe import Recipe
from hf_hmtl.run.clips import InTime
from hf_hmtl.run.experiment import build_pretext, build_supervised
from hf_hmtl.run.source_entry import check_options
from hf_hmtl.tasks import Supervised


def check(recipe: Recipe) -> None:
    """Raise on what `build` would raise on whatever the data are; nothing is read, downloaded or trained.

    Raises:
        ValueError: an option of a task, a source, the augmentation or `sequence` is unknown or not allowed, there is no
            such backbone, or a pretext cannot corrupt images of this size.
    """
    require_backbone(recipe.backbone)
    InTime.of(recipe)
    Augmentation.of(recipe.augmentation)
    for entry in (recipe.source, *recipe.mixed_with):
        check_options(entry, recipe)
    supervised = [_of_any_classes(key, settings, recipe.name) for key, settings in recipe.supervised.items()]
    pretexts = [
        build_pretext(name, settings, recipe.name).with_tasks(supervised) for name, settings in recipe.auxiliary.items()
    ]
    for pretext in pretexts:
        pretext.check_side(recipe.image_size)
    heads = {task.name: task.head() for task in [*supervised, *pretexts] if task.is_learned}
    HMTLConfig(backbone=recipe.backbone, image_size=recipe.image_size, heads=heads)


def _of_any_classes(key: str, settings: dict[str, Any] | None, recipe_name: str) -> Supervised:
    """The task with classes of no meaning, as many as it has weights for: which there are, only the data tell."""
    options = dict(settings or {})
    weights = options.get("class_weights")
    if weights == "balanced":
        del options["class_weights"]
    names = [str(number) for number in range(len(weights) if isinstance(weights, list) else 2)]
    features = datasets.Features({key: datasets.ClassLabel(names=names)})
    return build_supervised(key, options, datasets.Dataset.from_dict({key: []}, features), recipe_name)
