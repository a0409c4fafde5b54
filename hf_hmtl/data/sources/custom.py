"""Faces of the user's own: class folders, image files with a table, CSV, parquet, or a dataset on the Hub."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import pyarrow as pa

from hf_hmtl.data.identity import FEATURES, GROUP, ID, has_groups, identity
from hf_hmtl.data.sources import SPLITS, Source, did_you_mean, resolve
from hf_hmtl.data.sources._building import IMAGE
from hf_hmtl.data.sources._labels import check_classes, class_column, find_column, is_numeric, number_column
from hf_hmtl.data.sources._tables import LAYOUTS, from_csv, from_folder, from_hub
from hf_hmtl.data.splits import SPLIT_SEED, carve, cross_split_duplicates

LICENCE = "The user's own data: its terms are not known to hf_hmtl"
CITATION = "The user's own data: none known"
HOMEPAGE = ""
GROUP_COLUMNS = (GROUP, "subject")  # the first that is there says who a row is of
DUPLICATES_UP_TO = 50_000  # rows; beyond, reading every file to compare it would hold up the start


def load(
    data_dir: str | Path | None = None,
    label_column: str | None = "label",
    image_column: str | None = None,
    hub_id: str | None = None,
    csv: str | Path | None = None,
    task: str = "emotion",
    label_columns: Mapping[str, str] | None = None,
    report_columns: Sequence[str] = (),
    validation_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = SPLIT_SEED,
) -> Source:
    """Any faces with labels, in the splits they come in; what is absent is carved from the training rows.

    Given train, validation and test are used as they are. Without validation, it is carved from train. Without test,
    it is carved too when there is only train; with train and validation there is no test, and validation is reported.
    A column `subject` (or `_group`) keeps each person in one split of those carved. The notes say what was done.

    Args:
        data_dir: folder with one of the layouts; None means ${HF_HMTL_DATA}/custom.
        label_column: column of the classes; class folders give the column `label`. None for self-supervised training:
            every image below the folder, or every row of its tables, is a training row, but for those of splits named
            validation or test, which stay unseen; nothing is carved.
        image_column: column of the images; None finds it by type or by name.
        hub_id: a dataset on the Hugging Face Hub instead of a folder.
        csv: one CSV file instead of the layouts, absolute or relative to data_dir; its column `split` is used.
        task: name of the label in the result, such as emotion or gender.
        label_columns: further labels, {task: column}. Columns of numbers become numbers with NaN for missing; text,
            truth values and ClassLabels become classes with -1 for missing.
        report_columns: further columns to keep beside every answer in predictions.parquet; they are no labels.
        validation_fraction, test_fraction: shares of the training rows to carve.
        seed: seed of the carving, apart from the seed of training.

    Raises:
        FileNotFoundError: no folder, no layout in it, or none of its image files exists.
        ConnectionError: the Hub dataset cannot be reached.
        ValueError: an absent column, an empty split, one class only, classes spelled in two ways, a class that
            training never shows, or too few rows to carve a split.
    """
    name, tables, layout, folder = _read(data_dir, hub_id, csv, image_column, labelled=label_column is not None)
    tables = {split: tables[split] for split in SPLITS if split in tables}
    for column in report_columns:
        find_column(tables, column, "--report_columns NAME ...")
    if label_column is None:
        return _without_labels(name, tables, layout, folder, report_columns)
    labels = {task: label_column, **(label_columns or {})}
    find_column(tables, label_column, "--label_column NAME")
    for extra in labels.values():
        find_column(tables, extra, "label_columns: {task: NAME}")
    _require_train(tables, name)
    for split, table in tables.items():
        if len(table) == 0:
            raise ValueError(f"custom: the {split} split of {name} is empty; add images to it or remove it")
    notes = [f"layout: {layout}"]
    tables, left_out = _without_missing_images(tables)
    columns, found = _label_columns(tables, labels, task)
    kept = [column for column in report_columns if column not in labels]
    splits = _contract(tables, columns, name, folder, kept)
    notes += left_out + found
    check_classes(splits, task)
    splits, carved = _complete(splits, task, validation_fraction, test_fraction, seed)
    check_classes(splits, task)
    notes += carved + _leaks(splits)
    return Source(name, splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), report_columns=tuple(kept))


def _require_train(tables: dict[str, datasets.Dataset], name: str) -> None:
    if "train" not in tables:
        raise ValueError(f"custom: {name} has the splits {', '.join(tables)} but no train split")


def _without_labels(
    name: str, tables: dict[str, datasets.Dataset], layout: str, folder: Path | None, report_columns: Sequence[str]
) -> Source:
    """Training rows without labels; the splits that a fine-tuned model will be selected and tested on stay unseen."""
    _require_train(tables, name)
    held_out = [f"{split}: {len(table):,} images left out" for split, table in tables.items() if split != "train"]
    if held_out:
        unseen = f"{', '.join(held_out)}, so that a model fine-tuned from this one is tested on images it never saw"
    else:
        unseen = (
            "no validation or test split was given: a later run that carves them out of the same images is tested on "
            "images that this one saw, without their labels"
        )
    tables, left_out = _without_missing_images({"train": tables["train"]})
    splits = _contract(tables, {"train": {}}, name, folder, report_columns)
    notes = (f"layout: {layout}", "labels were not read", unseen, *left_out)
    return Source(name, splits, LICENCE, CITATION, HOMEPAGE, notes, report_columns=tuple(report_columns))


def _read(data_dir, hub_id, csv, image_column, labelled) -> tuple[str, dict[str, datasets.Dataset], str, Path | None]:
    """The name of the data, its tables, the name of its layout, and the folder that its paths are relative to."""
    if hub_id is not None:
        if data_dir is not None or csv is not None:
            raise ValueError(f"custom: hub_id {hub_id!r} was given together with data_dir or csv; give one of them")
        return hub_id, from_hub(hub_id, image_column), f"Hub dataset {hub_id}", None
    if csv is not None:
        path = Path(data_dir or "", csv).expanduser()
        if not path.is_file():
            others = [file.name for file in path.parent.glob("*.csv")] if path.parent.is_dir() else []
            raise FileNotFoundError(f"custom: there is no file {path}.{did_you_mean(path.name, others)}\n{LAYOUTS}")
        tables, layout = from_csv([path], image_column), f"CSV and image files ({path.name})"
        return path.stem, tables, layout, path.parent.resolve()
    folder = resolve("custom", data_dir, LAYOUTS).resolve()
    return folder.name, *from_folder(folder, image_column, labelled), folder


def _without_missing_images(tables: dict[str, datasets.Dataset]) -> tuple[dict[str, datasets.Dataset], list[str]]:
    """Rows whose image exists: an image is absent where its cell is empty or no file of that path exists."""
    kept, notes = {}, []
    for split, table in tables.items():
        batches = table.with_format("arrow").iter(1000)  # encoded images of a large table do not fit in memory at once
        exists = [_exists(image) for batch in batches for image in batch["image"].to_pylist()]
        keep = [row for row, there in enumerate(exists) if there]
        if not keep:
            raise FileNotFoundError(
                f"custom: none of the {len(table):,} images of {split} exists; the first is {table[0]['image']}. Paths "
                "are relative to the table that names them"
            )
        if len(keep) < len(table):
            notes.append(f"{split}: {len(table) - len(keep):,} rows left out whose image file is missing")
        kept[split] = table if len(keep) == len(table) else table.select(keep)
    return kept, notes


def _exists(image: dict | None) -> bool:
    if image is None or (image["bytes"] is None and image["path"] is None):
        return False
    return image["bytes"] is not None or Path(image["path"]).is_file()


def _label_columns(
    tables: dict[str, datasets.Dataset], labels: dict[str, str], task: str
) -> tuple[dict[str, dict[str, tuple]], list[str]]:
    """{split: {task: (feature, values)}} of the labels, and notes."""
    columns: dict[str, dict[str, tuple]] = {split: {} for split in tables}
    notes = []
    for name, column in labels.items():
        if name != task and is_numeric(tables["train"], column):
            for split, table in tables.items():
                columns[split][name] = (datasets.Value("float32"), number_column(table, column))
        else:
            names, numbers, found = class_column(tables, column)
            notes += found
            for split in tables:
                columns[split][name] = (datasets.ClassLabel(names=names), numbers[split])
    return columns, notes


def _contract(
    tables: dict[str, datasets.Dataset],
    labels: dict[str, dict[str, tuple]],
    name: str,
    folder: Path | None,
    report_columns: Sequence[str],
) -> datasets.DatasetDict:
    """The splits with image, labels, the reserved columns and those to report; no other column."""
    splits = datasets.DatasetDict()
    for split, table in tables.items():
        kept = [column for column in report_columns if column not in labels[split]]
        plain = table.select_columns(["image", *kept]).cast_column("image", IMAGE)
        for column, (feature, values) in labels[split].items():
            plain = plain.add_column(column, values, feature=feature)
        for column, texts in _identity(table, split, name, folder).items():
            plain = plain.add_column(column, texts, feature=FEATURES[column])
        splits[split] = plain
    return splits


def _identity(table: datasets.Dataset, split: str, name: str, folder: Path | None) -> dict[str, pa.Array]:
    """Who the rows are: by their files' paths in the folder, or by split and row; `_id` and groups of their own win."""
    files = _files(table, folder)
    ids = files or [f"{split}/{row}" for row in range(len(table))]
    if ID in table.column_names:
        ids = list(map(str, table[ID][:]))
    column = next((column for column in GROUP_COLUMNS if column in table.column_names), None)
    groups = None if column is None else [None if value is None else str(value) for value in table[column][:]]
    return identity(name, ids, files, groups)


def _files(table: datasets.Dataset, folder: Path | None) -> list[str] | None:
    """Path of every image relative to the folder; None where the images are not files."""
    prefix, files = f"{(folder or Path()).as_posix()}/", []
    for batch in table.select_columns("image").with_format("arrow").iter(1000):
        content, paths = batch["image"].combine_chunks().flatten()[:2]
        if content.null_count < len(content):
            return None
        files += [path.replace("\\", "/").removeprefix(prefix) for path in paths.to_pylist()]
    return files


def _complete(
    splits: datasets.DatasetDict, task: str, validation_fraction: float, test_fraction: float, seed: int
) -> tuple[datasets.DatasetDict, list[str]]:
    """The splits with a validation split, and a test split when only train was given."""
    train, notes = splits["train"], []
    how = f"{'by group' if has_groups(train) else 'stratified by class'}, split seed {seed}"
    parts = dict(splits)
    if "validation" in splits and "test" not in splits:
        notes.append("no test split was given: validation is both selected on and reported")
    if len(splits) == 1:
        train, parts["test"] = carve(train, task, test_fraction, seed)
        notes.append(f"test: {len(parts['test']):,} rows carved from train ({how})")
        if not 0 < validation_fraction < 1 - test_fraction:
            raise ValueError(
                f"custom: validation_fraction {validation_fraction} and test_fraction {test_fraction} leave no "
                "training rows; their sum must stay below 1"
            )
        validation_fraction /= 1 - test_fraction  # a share of the whole, not of what is left
    if "validation" not in splits:
        parts["train"], parts["validation"] = carve(train, task, validation_fraction, seed)
        notes.append(f"validation: {len(parts['validation']):,} rows carved from train ({how})")
    return datasets.DatasetDict({split: parts[split] for split in SPLITS if split in parts}), notes


def _leaks(splits: datasets.DatasetDict) -> list[str]:
    """Notes on persons and images that occur in two splits."""
    notes = []
    groups = {split: set(data[GROUP][:]) - {None} for split, data in splits.items()}
    for split in list(groups)[1:]:
        if shared := len(groups[split] & groups["train"]):
            notes.append(f"{shared} groups are in train and in {split}: scores flatter the model")
    if sum(map(len, splits.values())) > DUPLICATES_UP_TO:
        return [*notes, f"identical images across splits were not looked for: over {DUPLICATES_UP_TO:,} rows"]
    for (earlier, later), count in cross_split_duplicates(splits).items():
        if count:
            notes.append(f"{count} {later} images also occur, byte for byte, in {earlier}")
    return notes
