"""One entry of a recipe's sources: the labels that are read of it, and its rows."""

import dataclasses
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from hf_hmtl import tasks
from hf_hmtl.data import sources
from hf_hmtl.data.folds import checked_fold, cut_fold
from hf_hmtl.data.mixture import with_classes_called
from hf_hmtl.data.own_faces import label_columns
from hf_hmtl.data.sources import Source
from hf_hmtl.recipe import Recipe
from hf_hmtl.tasks.classification import Classification

OF_A_MIXTURE = ("share", "labels", "data_dir")
"""Keys of an entry that say how it is mixed with others, and are no options of the source."""


def columns_of(key: str, settings: dict[str, Any] | None) -> tuple[str, ...]:
    """The columns that an entry of `supervised` learns: those of its `column`, else of the task itself or its name."""
    options = settings or {}
    of_task = getattr(tasks.get(options.get("task", "classification")), "column", "")
    column = options.get("column") or of_task or key
    return (column,) if isinstance(column, str) else tuple(column)


def label_kinds(recipe: Recipe, options: dict[str, Any]) -> dict[str, str]:
    """{label of a source with these options: whether its task learns classes or numbers}."""
    labels = (options.get("task", "emotion"), *options.get("label_columns", ()))
    kinds = {}
    for key, settings in recipe.supervised.items():
        task = tasks.get((settings or {}).get("task", "classification"))
        kind = label_columns.CLASSES if issubclass(task, Classification) else label_columns.NUMBERS
        kinds |= dict.fromkeys(columns_of(key, settings), kind)
    return {name: kind for name, kind in kinds.items() if name in labels}


def load_source(entry: dict[str, Any], recipe: Recipe, data_dir: str | Path | None) -> Source:
    """The source of an entry.

    Args:
        entry: {name, and options of the source}; `class_map` and `fold` for every source.
        recipe: whose columns are kept, and whose tasks say what a label is.
        data_dir: its folder, for sources that need one.

    Raises:
        ValueError: it has no name, or nothing to train on; or as the source.
    """
    name, options, fold = _parted(entry, recipe)
    if recipe.kept_columns and sources.takes(name, "report_columns"):
        options["report_columns"] = recipe.kept_columns
    reads_labels = options.get("label_column", "label") is not None
    if sources.takes(name, "label_kinds") and recipe.supervised and reads_labels:
        options["label_kinds"] = label_kinds(recipe, options) | options.get("label_kinds", {})
    called = {} if name not in sources.available() or sources.takes(name, "class_map") else options.pop("class_map", {})
    source = sources.load(name, data_dir, **options)
    if called:
        renamed = {split: with_classes_called(rows, called) for split, rows in source.splits.items()}
        source = dataclasses.replace(source, splits=DatasetDict(renamed))
    if source.evaluation_only:
        raise ValueError(f"recipe {recipe.name}: {name} has no rows to train on. {source.notes[0]}")
    return source if fold is None else _of_fold(source, fold, recipe)


def check_options(entry: dict[str, Any], recipe: Recipe) -> None:
    """Raise where an entry names no source, or one without these options; nothing is read.

    Args:
        entry: as `load_source` takes it, and with what a recipe says of sources that it mixes.
        recipe: that it stands in.

    Raises:
        ValueError: the message names the nearest.
    """
    name, options, _ = _parted(entry, recipe)
    options = {key: value for key, value in options.items() if key not in OF_A_MIXTURE}
    if not sources.takes(name, "class_map"):
        options.pop("class_map", None)
    sources.check_options_of(name, options)


def _parted(entry: dict[str, Any], recipe: Recipe) -> tuple[str, dict[str, Any], tuple[int, int] | None]:
    """The name of a source, its options, and the fold."""
    options = dict(entry)
    name, fold = options.pop("name", None), options.pop("fold", None)
    if fold is not None:
        fold = checked_fold(fold)
    if name is None:
        raise ValueError(f"recipe {recipe.name} names no source; known sources: {', '.join(sources.available())}")
    return name, options, fold


def _of_fold(source: Source, fold: tuple[int, int], recipe: Recipe) -> Source:
    """The source, whose rows are divided anew as one fold of a cross-validation has them."""
    if len(source.splits) < 2:
        raise ValueError(
            f"fold {fold[0]} of {fold[1]}: {source.name} was read without labels and has no split to test on, so its "
            "rows would be cut in another way than where labels and persons are known. Leave fold out"
        )
    learned = [column for key, settings in recipe.supervised.items() for column in columns_of(key, settings)]
    known = [column for column in learned if column in source.splits["train"].column_names]
    try:
        splits, note = cut_fold(source.splits, fold, next(iter(known), None))
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from error
    return dataclasses.replace(source, splits=splits, notes=(*source.notes, note))
