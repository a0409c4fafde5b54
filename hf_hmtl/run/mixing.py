"""Further sources beside the first: other labels, more faces of the same, or faces without any label."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from hf_hmtl.data import sources
from hf_hmtl.data.crops import CROP
from hf_hmtl.data.identity import OF_CLIPS, RESERVED
from hf_hmtl.data.mixture import Part, laid_together, parts_of
from hf_hmtl.data.own_faces.leaks import leaks
from hf_hmtl.data.sources import Source
from hf_hmtl.recipe import Recipe
from hf_hmtl.run.source_entry import load_source

NO_LABELS = "none"
_OF_EVERY_ROW = ("image", *RESERVED, *OF_CLIPS, *CROP)


@dataclass(frozen=True)
class Ingredient:
    """One of several sources.

    Attributes:
        name: that of the source; a second one of the same name has a number behind it.
        source: its rows.
        share: of every batch, as a weight beside the others.
    """

    name: str
    source: Source
    share: float


def load_further(recipe: Recipe, data_dir: str | Path | None) -> list[Ingredient]:
    """The sources that a recipe is mixed with.

    Args:
        data_dir: folder of the first source; further ones of the same name lie there too unless they say otherwise.

    Raises:
        ValueError: an entry names no source, its `labels` are anything but `none`, or its share is not above 0.
    """
    found: list[Ingredient] = []
    names = [str(recipe.source.get("name"))]
    for entry in recipe.mixed_with:
        options = dict(entry)
        share, labels, folder = options.pop("share", 1), options.pop("labels", None), options.pop("data_dir", None)
        if labels not in (None, NO_LABELS):
            raise ValueError(
                f"labels of a source of recipe {recipe.name} is {labels!r}, allowed is none: its images alone are used"
            )
        _check_share(share, recipe)
        name = str(options.get("name"))
        if folder is None and name == recipe.source.get("name"):
            folder = data_dir
            if "fold" in recipe.source:  # the same rows, which would show what the fold is tested on
                options.setdefault("fold", recipe.source["fold"])
        if labels and name in sources.available() and sources.takes(name, "label_column"):
            options["label_column"] = None
        source = load_source(options, recipe, folder)
        names.append(name)
        of_its_own = name if names.count(name) == 1 else f"{name}-{names.count(name)}"
        found.append(Ingredient(of_its_own, _images_of(source) if labels else source, share))
    _check_share(recipe.source.get("share", 1), recipe)
    return found


def _check_share(share: Any, recipe: Recipe) -> None:
    if isinstance(share, bool) or not isinstance(share, int | float) or not share > 0:
        raise ValueError(f"share of a source of recipe {recipe.name} is {share!r}, allowed is a number above 0")


def _images_of(source: Source) -> Source:
    """Its training images alone."""
    return dataclasses.replace(source, splits=DatasetDict({"train": _narrowed(source.splits["train"], _OF_EVERY_ROW)}))


def _narrowed(rows: Dataset, columns: Collection[str]) -> Dataset:
    return rows.select_columns([name for name in rows.column_names if name in columns])


def mixed(
    recipe: Recipe, every: Mapping[str, DatasetDict], further: Sequence[Ingredient], columns: Sequence[str]
) -> tuple[DatasetDict, list[Part]]:
    """The splits of all sources laid together, and which rows of training are whose.

    Validation and test hold the rows of every source that has them.

    Args:
        recipe: whose `source` is the first.
        every: {source: its splits}, the first source first.
        further: the others.
        columns: those that are learned or kept; what else a source has is left behind.

    Raises:
        ValueError: as `laid_together`.
    """
    wanted = {*_OF_EVERY_ROW, *columns}
    names = dict.fromkeys(split for of_source in every.values() for split in of_source)
    together = {
        split: laid_together(
            {name: _narrowed(of_source[split], wanted) for name, of_source in every.items() if split in of_source}
        )
        for split in names
    }
    shares = {each.name: each.share for each in further}
    shares = {name: shares.get(name, recipe.source.get("share", 1)) for name in every}
    return DatasetDict(together), parts_of({name: len(each["train"]) for name, each in every.items()}, shares)


def unlabelled_splits(every: Mapping[str, DatasetDict], learned: Collection[str]) -> list[str]:
    """Notes on labels that no source has in a split beside train, so that nothing is measured of them there.

    Args:
        every: {source: its splits}.
        learned: columns of labels.
    """
    splits = dict.fromkeys(split for of_source in every.values() for split in of_source if split != "train")
    notes = []
    for split in splits:
        known = {name for of_source in every.values() if split in of_source for name in of_source[split].column_names}
        if absent := [column for column in learned if column not in known]:
            notes.append(f"{split} has no labels of {', '.join(absent)}, of which nothing is measured there")
    return notes


def described(source: Source, further: Sequence[Ingredient], parts: Sequence[Part]) -> Source:
    """The first source with what a reader has to know of the others: terms, citations, notes, what was left out."""
    notes, total = list(source.notes), sum(part.share for part in parts)
    shares = ", ".join(f"{part.share / total:.0%} {part.name} ({part.rows:,} rows)" for part in parts)
    notes.append(f"a batch is {shares}; an epoch is a pass of {parts[0].name}")
    unseen = {split: rows for split, rows in source.splits.items() if split != "train"}
    for each in further:
        source.ledger.add(each.source.ledger, each.name)
        train = each.source.splits["train"]
        beside = [note for split in unseen for note in leaks(DatasetDict({"train": train, split: unseen[split]}), [])]
        notes += [f"{each.name}: {note}" for note in each.source.notes]
        notes += [f"{each.name} as train beside {parts[0].name}: {note}" for note in beside]
    every = [source, *(each.source for each in further)]
    return dataclasses.replace(
        source,
        name=" + ".join(part.name for part in parts),
        licence="; ".join(dict.fromkeys(each.licence for each in every)),
        citation="; ".join(dict.fromkeys(each.citation for each in every)),
        notes=tuple(notes),
    )
