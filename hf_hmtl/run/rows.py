"""From a recipe to its rows: one source or several, and the share of rows and labels that is learned from."""

import copy
import dataclasses
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, DatasetDict

from hf_hmtl.data.classes import without_classes
from hf_hmtl.data.crops import CROP
from hf_hmtl.data.identity import OF_CLIPS, RESERVED, readable
from hf_hmtl.data.ledger import BALANCING, TRAIN_FRACTION, Ledger
from hf_hmtl.data.mixture import Part, without_labels
from hf_hmtl.data.sources import Source
from hf_hmtl.data.splits import balanced, stratified_fraction, without
from hf_hmtl.recipe import Recipe
from hf_hmtl.results.groups import groups_of
from hf_hmtl.run.mixing import described, load_further, mixed, unlabelled_splits
from hf_hmtl.run.source_entry import columns_of, load_source


@dataclass(frozen=True)
class Rows:
    """What a recipe is trained and tested on.

    Attributes:
        source: the source, or what is to be known of several.
        splits: the rows of each split.
        names: of the sources, as recipes call them.
        parts: the sources of the training rows; none where there is only one.
        by_source: {source: {split: rows}} where there are several.
    """

    source: Source
    splits: DatasetDict
    names: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def several_are_tested(self) -> bool:
        """Whether validation or test hold rows of more than one source."""
        return sum(len(splits) > 1 for splits in self.by_source.values()) > 1


def load_rows(recipe: Recipe, data_dir: str | Path | None) -> Rows:
    """The rows of a recipe.

    Args:
        recipe: the recipe.
        data_dir: folder of its first source, where that needs one.

    Raises:
        ValueError: a source, a column or a share is not to be had.
    """
    further = load_further(recipe, data_dir)
    entry = {key: value for key, value in recipe.source.items() if key != "share" or not further}
    source = load_source(entry, recipe, data_dir)
    # A ledger of its own: the runs of a comparison share a source, and each leaves out what it leaves out.
    ledger = copy.deepcopy(source.ledger)
    source = dataclasses.replace(source, notes=(*source.notes, *_renamed_tasks(recipe)), ledger=ledger)
    learned = list(itertools.chain(*(columns_of(key, settings) for key, settings in recipe.supervised.items())))
    columns = [*learned, *recipe.kept_columns]
    splits = DatasetDict(source.splits)
    for column, left_out in recipe.without_classes.items():
        splits = without_classes(splits, column, left_out, ledger)
    known = [name for each in (source, *(other.source for other in further)) for name in each.splits["train"].features]
    for column in columns:
        require_column(known, column, recipe)
    for column in recipe.report_groups:  # before a training, not behind it
        if column in splits[source.report_split].features:
            groups_of(pa.table({column: readable(splits[source.report_split], column)}), column)
    splits["train"] = chosen_rows(splits["train"], learned, recipe, ledger)
    if recipe.label_fraction < 1:
        hidden = f"labels of {recipe.label_fraction:.0%} of the training rows are used (label_fraction)"
        source = dataclasses.replace(source, notes=(*source.notes, hidden))
    if not further:
        return Rows(source, splits, (str(recipe.source["name"]),))
    every = {str(recipe.source["name"]): splits} | {each.name: each.source.splits for each in further}
    together, parts = mixed(recipe, every, further, [*columns, *(f"{column}_shares" for column in learned)])
    by_source = {name: {split: len(rows) for split, rows in of_source.items()} for name, of_source in every.items()}
    source = dataclasses.replace(source, notes=(*source.notes, *unlabelled_splits(every, learned)))
    return Rows(described(source, further, parts), together, tuple(every), tuple(parts), by_source)


def chosen_rows(rows: Dataset, learned: list[str], recipe: Recipe, ledger: Ledger) -> Dataset:
    """The training rows that a recipe learns from: a share of them, or of their labels, with as many of each class.

    Args:
        rows: all training rows.
        learned: columns of the labels; the first is what shares are stratified by.
        recipe: the recipe.
        ledger: where it is noted what is left out.
    """
    first = next(iter(learned), None)
    for option in ("train_fraction", "label_fraction", "balancing"):
        if getattr(recipe, option) not in (1, "none") and first is not None:
            require_column(rows.column_names, first, recipe)
    if recipe.train_fraction < 1:
        whole, rows = rows, stratified_fraction(rows, first, recipe.train_fraction)
        ledger.leave_out("train", TRAIN_FRACTION, without(whole, rows))
    if recipe.label_fraction < 1:
        own = [column for column in learned if column in rows.column_names]
        rows = without_labels(rows, stratified_fraction(rows, first, recipe.label_fraction), own)
    if recipe.balancing != "none":
        whole, rows = rows, balanced(rows, str(first), recipe.balancing)
        ledger.leave_out("train", BALANCING, without(whole, rows))
    return rows


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


def require_column(known: list[str], column: str, recipe: Recipe) -> None:
    """Raise when no source has the column of a supervised task, or one that is to be reported."""
    if column not in known:
        columns = dict.fromkeys(name for name in known if name not in ("image", *RESERVED, *OF_CLIPS, *CROP))
        wants = "reports" if column in recipe.kept_columns else "learns"
        every = " and ".join(repr(each.get("name")) for each in (recipe.source, *recipe.mixed_with))
        raise ValueError(
            f"recipe {recipe.name} {wants} {column!r}, which the source{'s' * bool(recipe.mixed_with)} {every} "
            f"do{'es' * (not recipe.mixed_with)} not have. It has: {', '.join(columns)}"
        )
