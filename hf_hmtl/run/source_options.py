"""What the options of the data change in a recipe."""

from pathlib import Path
from typing import Any

from hf_hmtl import recipe as recipes
from hf_hmtl.data import sources
from hf_hmtl.run.label_options import label_changes
from hf_hmtl.run.options import RunOptions
from hf_hmtl.tasks.base import head_name

_OF_CUSTOM = (
    "hub_id", "label_column", "label_columns", "image_column", "image_dir", "split_column", "group_column",
    "group_pattern", "class_map", "merge_case", "missing_labels", "layout",
)  # fmt: skip


def source_changes(options: RunOptions, name: str) -> dict[str, Any]:
    """What the options of the data change in the recipe `name`.

    Raises:
        ValueError: the recipe's source has no such option, or the row learns no label.
    """
    given = {key: getattr(options, key) for key in (*_OF_CUSTOM, "allow_left_out")}
    source = {key: value for key, value in given.items() if value is not None}
    if not source:
        return {}
    row = recipes.load(name)
    reads = row.source.get("name")
    for key in source:
        if key in _OF_CUSTOM and not (reads in sources.available() and sources.takes(reads, key)):
            raise ValueError(
                f"--{key} belongs to the recipes of `custom`; {row.name} reads {reads!r}, whose columns are known. "
                "Type: hf-hmtl train custom --data_dir ..."
            )
        if key == "allow_left_out" and not sources.takes(reads, key):
            raise ValueError(f"--{key}: {row.name} reads {reads!r}, which leaves nothing out")
    if "class_map" in source:
        source["class_map"] = dict(map(_renamed, source["class_map"]))
    several = source.pop("label_columns", None)
    changes: dict[str, Any] = {"source": source}
    for option, given in (("label_column", options.label_column), ("label_columns", several)):
        if given and not row.supervised:
            raise ValueError(
                f"--{option} {given if option == 'label_column' else ' '.join(given)}: {row.name} learns from images "
                "alone. Leave it out, or choose a row with labels, such as custom/supervised"
            )
    if several and options.label_column:
        raise ValueError(
            f"give --label_column or --label_columns, not both; a further task is one more entry: --label_columns "
            f"{head_name(options.label_column)}={options.label_column}:classification {' '.join(several)}"
        )
    if several:
        return recipes.merged(changes, label_changes(several, row))
    if options.label_column:
        # The task is called as the column, so that scores read eval_gender_accuracy and not eval_label_accuracy; the
        # recipe's own key stays, so that --set supervised.label.class_weights=balanced works whatever the column.
        task = head_name(options.label_column, avoided=row.auxiliary)
        changes["supervised"] = {next(iter(row.supervised)): {"name": task}}
    return changes


def without_labels(place: str, name: str) -> dict[str, Any]:
    """The source that `--unlabelled` adds to the recipe `name`: a folder or a table, whose images alone are used.

    Raises:
        ValueError: the recipe has no pretext, so that nothing could be learned from them.
    """
    row = recipes.load(name)
    if not row.auxiliary:
        raise ValueError(
            f"--unlabelled {place}: {row.name} has no pretext task, which is all that learns from images without "
            f"labels. Choose a hybrid row, such as {recipes.other_row(name, 'puzzle-2x2')}"
        )
    return {"name": "custom", "labels": "none", "data_dir": str(Path(place).expanduser().absolute())}


def _renamed(entry: str) -> tuple[str, str]:
    text, separator, label = entry.rpartition("=")
    if not separator or not text or not label:
        raise ValueError(f"--class_map {entry!r} must read TEXT=CLASS, as in happiness=happy")
    return text, label
