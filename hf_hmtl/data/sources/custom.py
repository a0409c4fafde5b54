"""Faces of the user's own: class folders, tables with image files, parquet, or a dataset on the Hub."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from hf_hmtl.data.identity import FEATURES, ID, has_groups, identity, numbered
from hf_hmtl.data.ledger import HELD_OUT, NO_LABEL, UNLABELLED_SPLIT, Ledger
from hf_hmtl.data.own_faces.groups import Grouping
from hf_hmtl.data.own_faces.images import files_of
from hf_hmtl.data.own_faces.label_columns import LabelColumns, classes_among, has_label
from hf_hmtl.data.own_faces.labels import ClassNames, check_classes, find_column, notes_on_absent_classes
from hf_hmtl.data.own_faces.layouts import LAYOUTS
from hf_hmtl.data.own_faces.leaks import leaks
from hf_hmtl.data.own_faces.reading import HELP, Found, Reading, image_folder
from hf_hmtl.data.own_faces.tables import from_file, from_folder, from_hub
from hf_hmtl.data.sources import SPLITS, Source, did_you_mean, resolve
from hf_hmtl.data.sources._building import in_memory
from hf_hmtl.data.splits import SPLIT_SEED, carve, class_counts

LICENCE = "The user's own data: its terms are not known to hf_hmtl"
CITATION = "The user's own data: none known"
HOMEPAGE = ""
MISSING_LABELS = ("keep", "leave_out", "raise")


def load(
    data_dir: str | Path | None = None,
    label_column: str | None = "label",
    image_column: str | None = None,
    hub_id: str | None = None,
    csv: str | Path | None = None,
    task: str = "emotion",
    label_columns: Mapping[str, str] | None = None,
    label_kinds: Mapping[str, str] | None = None,
    report_columns: Sequence[str] = (),
    image_dir: str | Path | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    group_pattern: str | None = None,
    class_map: Mapping[str, str] | None = None,
    merge_case: bool = False,
    missing_labels: str = "keep",
    layout: str | None = None,
    encoding: str | None = None,
    allow_left_out: Sequence[str] = (),
    validation_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = SPLIT_SEED,
) -> Source:
    """Any faces with labels, in the splits they come in; what is absent is carved from the training rows.

    Given train, validation and test are used as they are. Without validation, it is carved from train. Without test,
    it is carved too when there is only train; with train and validation there is no test, and validation is reported.
    A column `subject` (or `_group`, `person_id`, ...) keeps each person in one split of those carved. The notes say
    what was done, and the ledger what was left out.

    Args:
        data_dir: folder with one of the layouts, or a table in it; None means ${HF_HMTL_DATA}/custom.
        label_column: column of the labels; class folders give the column `label`. None for self-supervised training:
            every image below the folder, or every row of its tables, is a training row, but for those of splits named
            validation or test, which stay unseen; nothing is carved.
        image_column: column of the images; None finds it by type, by name or by its cells.
        hub_id: a dataset on the Hugging Face Hub instead of a folder.
        csv: one table instead of the layouts, absolute or relative to data_dir; its column `split` is used.
        task: name of the label in the result, such as emotion or gender.
        label_columns: further labels, {task: column}.
        label_kinds: {task: classes, numbers or words}. Classes have -1 for missing, numbers NaN; words are classes, but
            whole numbers raise. Where it is not said, `label_column` holds classes, and of the further ones columns of
            numbers become numbers, and text, truth values and ClassLabels classes. In a recipe, the task says it.
        report_columns: further columns to keep beside every answer in predictions.parquet; they are no labels.
        image_dir: folder that the paths of a table are relative to, absolute or relative to data_dir.
        split_column: column that says train, validation or test; None takes `split`, `Usage` and the like.
        group_column, group_pattern: who a row is of: a column, or what a regular expression finds in its path.
        class_map: {text: class}: how texts of the columns of classes are called.
        merge_case: whether texts that differ in case are one class.
        missing_labels: keep rows without any label (they teach pretexts), leave_out, or raise.
        layout: table, classes, splits, inner_classes or inner_splits, instead of what the folder suggests.
        encoding: of text tables, where they are neither UTF-8 nor Windows-1252.
        allow_left_out: names of reasons that may take a class, a split or more than a tenth of the data.
        validation_fraction, test_fraction: shares of the training rows to carve.
        seed: seed of the carving, apart from the seed of training.

    Raises:
        FileNotFoundError: no folder, no layout in it, or none of its image files exists.
        ConnectionError: the Hub dataset cannot be reached.
        ValueError: an absent column, an empty split, one class only, classes spelled in two ways, a class that
            training never shows, too much that would be left out, or too few rows to carve a split.
    """
    for option, given, allowed in (
        ("layout", layout, (None, *LAYOUTS)),
        ("missing_labels", missing_labels, MISSING_LABELS),
    ):
        if given not in allowed:
            raise ValueError(f"custom: {option} is {given!r}, allowed are {', '.join(map(str, allowed[-5:]))}")
    ledger, grouping = Ledger(allow_left_out), Grouping(group_column, group_pattern)
    reading = Reading(image_column, label_column, split_column, None, layout, encoding)
    name, found = _read(data_dir, hub_id, csv, image_dir, reading, ledger)
    found.tables = {split: found.tables[split] for split in SPLITS if split in found.tables}
    for column in report_columns:
        find_column(found.tables, column, "--report_columns NAME ...")
    if "train" not in found.tables:
        raise ValueError(f"custom: {name} has the splits {', '.join(found.tables)} but no train split")
    if label_column is None:
        unused = {"group_column": group_column, "group_pattern": group_pattern, "class_map": class_map}
        unused |= {"merge_case": merge_case, "label_columns": label_columns, "label_kinds": label_kinds}
        given = [option for option, value in unused.items() if value]
        return _without_labels(name, found, report_columns, ledger, given)
    labels = LabelColumns(
        {task: label_column, **(label_columns or {})}, label_kinds or {}, ClassNames(class_map or {}, merge_case)
    )
    labels.require(found.tables)
    for split, table in found.tables.items():
        if len(table) == 0 and not ledger.count(split):
            raise ValueError(f"custom: the {split} split of {name} is empty; add images to it or remove it")
    notes = [f"layout: {found.layout}", *found.notes]
    columns, told = labels.read(found.tables)
    kept = [column for column in report_columns if column not in labels.columns]
    files = {split: files_of(table, found.folder) for split, table in found.tables.items()}
    groups = grouping.of(found.tables, files, list(labels.columns.values()))
    splits = datasets.DatasetDict(
        {
            split: _contract(table, split, name, files[split], groups[split], columns, kept)
            for split, table in found.tables.items()
        }
    )
    splits, unlabelled = _labelled(splits, labels, missing_labels, ledger)
    notes += told + unlabelled + grouping.notes
    classes = classes_among(splits["train"], labels.columns)
    counted = {split: class_counts(data, task) if task in classes else {} for split, data in splits.items()}
    ledger.check(counted, _lengths(splits), "custom")
    learned = [task, *(each for each in labels.kinds if each in classes and each != task)]
    checked = [each for each in learned if each in classes]
    for each in checked:
        check_classes(splits, each)
    unlabelled_test = ("test", UNLABELLED_SPLIT.name) in ledger.entries
    try:
        splits, carved = _complete(splits, task, validation_fraction, None if unlabelled_test else test_fraction, seed)
    except ValueError as error:
        grouped = f" ({'; '.join(grouping.notes)})" * has_groups(splits["train"])
        raise ValueError(f"custom: {str(error).removeprefix('custom: ')}{grouped}") from error
    notes += carved
    for each in checked:
        check_classes(splits, each)
        notes += notes_on_absent_classes(splits, each)
    notes += leaks(splits, classes)
    return _source(name, splits, notes, kept, ledger, found)


def _source(
    name: str,
    splits: datasets.DatasetDict,
    notes: Sequence[str],
    report_columns: Sequence[str],
    ledger: Ledger,
    found: Found,
) -> Source:
    return Source(
        name,
        splits,
        LICENCE,
        CITATION,
        HOMEPAGE,
        tuple(notes),
        face_margin=found.face_margin,
        report_columns=tuple(report_columns),
        ledger=ledger,
    )


def _lengths(splits: Mapping[str, datasets.Dataset]) -> dict[str, int]:
    return {split: len(data) for split, data in splits.items()}


def _without_labels(
    name: str, found: Found, report_columns: Sequence[str], ledger: Ledger, unused: Sequence[str]
) -> Source:
    """Training rows without labels; the splits that a fine-tuned model will be selected and tested on stay unseen.

    Args:
        unused: options that were given and are for labels or for carving splits, neither of which is done.
    """
    held_out = [split for split in found.tables if split != "train"]
    for split in held_out:
        ledger.leave_out(split, HELD_OUT, files_of(found.tables[split], found.folder) or _numbered(found, split))
    if held_out:
        told = f"{' and '.join(held_out)} stay unseen, so that a model fine-tuned from this one is tested on new images"
    else:
        told = (
            "no validation or test split was given: a later run that carves them out of the same images is tested on "
            "images that this one saw, without their labels"
        )
    train = found.tables["train"]
    files = files_of(train, found.folder)
    split = _contract(train, "train", name, files, None, {}, report_columns)
    splits = datasets.DatasetDict({"train": split})
    ledger.check({}, _lengths(splits), "custom")
    notes = (f"layout: {found.layout}", *found.notes, "labels were not read", told)
    if unused:
        options = " and ".join(f"--{option}" for option in unused)
        notes += (f"{options} did nothing: no label was read, and no split carved that could tear persons apart",)
    return _source(name, splits, notes, report_columns, ledger, found)


def _numbered(found: Found, split: str) -> list[str]:
    return [f"{split}/{row}" for row in range(len(found.tables[split]))]


def _read(data_dir, hub_id, csv, image_dir, reading: Reading, ledger: Ledger) -> tuple[str, Found]:
    """The name of the data, and its rows."""
    if hub_id is not None:
        if data_dir is not None or csv is not None:
            raise ValueError(f"custom: hub_id {hub_id!r} was given together with data_dir or csv; give one of them")
        return hub_id, from_hub(hub_id, reading, ledger)
    given = None if data_dir is None else Path(data_dir).expanduser()
    if csv is not None or (given is not None and given.is_file()):
        path = Path(given or "", csv).expanduser() if csv is not None else given
        if not path.is_file():
            others = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
            raise FileNotFoundError(f"custom: there is no file {path}.{did_you_mean(path.name, others)}\n{HELP}")
        reading.image_dir = image_folder(image_dir, path.parent)
        return path.stem, from_file(path.resolve(), reading, ledger)
    folder = resolve("custom", data_dir, HELP).resolve()
    reading.image_dir = image_folder(image_dir, folder)
    return folder.name, from_folder(folder, reading, ledger)


def _contract(
    table: datasets.Dataset,
    split: str,
    name: str,
    files: list[str] | None,
    groups: pa.Array | None,
    columns: dict[str, dict[str, tuple]],
    report_columns: Sequence[str],
) -> datasets.Dataset:
    """The rows with image, labels, the reserved columns and those to report; no other column."""
    kept = ["image", *report_columns]
    plain = table.select_columns(kept)
    features = datasets.Features({name: plain.features[name] for name in kept})
    arrays = plain.with_format("arrow")[:]
    arrays = {name: arrays[name] for name in kept}
    for task, of_splits in columns.items():
        features[task], values = of_splits[split]
        arrays[task] = pa.array(values)
    ids = table[ID][:] if ID in table.column_names else files
    who = identity(name, ids, files, groups) if ids is not None else numbered(name, split, len(table), groups)
    features.update({column: FEATURES[column] for column in who})
    return in_memory(pa.table({**arrays, **who}), features)


def _labelled(
    splits: datasets.DatasetDict, labels: LabelColumns, missing_labels: str, ledger: Ledger
) -> tuple[datasets.DatasetDict, list[str]]:
    """The splits without what has no label, as far as that is wanted, and notes.

    Raises:
        ValueError: validation has no label that weights can be selected by, or rows without one are not allowed.
    """
    kept, notes = datasets.DatasetDict(), []
    column, every = labels.columns[labels.first], " or ".join(map(repr, dict.fromkeys(labels.columns.values())))
    for split, data in splits.items():
        missing = np.flatnonzero(~has_label(data, labels.columns))
        if split == "validation" and len(data) and not has_label(data, [labels.first]).any():
            raise ValueError(
                f"custom: none of the {len(data):,} validation rows has a label in {column!r}, so no weights can "
                "be selected by them. Add the labels, or leave validation out: it is then carved from train"
            )
        if len(missing) == len(data) and split != "train" and len(data):
            ledger.leave_out(split, UNLABELLED_SPLIT, data[ID][:])
            continue
        if len(missing) and missing_labels == "raise":
            raise ValueError(
                f"custom: {len(missing):,} of {len(data):,} rows of {split} have no label in {every} (first "
                f"{data[ID][int(missing[0])]}). Type --missing_labels keep, which uses them for other tasks alone, or "
                "--missing_labels leave_out"
            )
        if len(missing) and missing_labels == "leave_out":
            ledger.leave_out(split, NO_LABEL, data.select(missing)[ID][:])
            data = data.select(np.setdiff1d(np.arange(len(data)), missing))
        kept[split] = data
    return kept, notes


def _complete(
    splits: datasets.DatasetDict, task: str, validation_fraction: float, test_fraction: float | None, seed: int
) -> tuple[datasets.DatasetDict, list[str]]:
    """The splits with a validation split, and a test split when only train was given; None for no test split."""
    train, notes = splits["train"], []
    wanted = {"validation_fraction": validation_fraction} if "validation" not in splits else {}
    wanted |= {"test_fraction": test_fraction} if len(splits) == 1 and test_fraction is not None else {}
    for option, fraction in wanted.items():
        if not 0 < fraction < 1:
            raise ValueError(
                f"custom: {option} is {fraction}, allowed is 0 < fraction < 1, as in 0.15; a split that is "
                "not given is carved from train"
            )
    how = "by group, stratified by class as far as groups allow" if has_groups(train) else "stratified by class"
    how += f", split seed {seed}"
    parts = dict(splits)
    if test_fraction is None:
        notes.append("the test split has no labels and is left out: validation is both selected on and reported")
    elif "validation" in splits and "test" not in splits:
        notes.append("no test split was given: validation is both selected on and reported")
    if len(splits) == 1 and test_fraction is not None:
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
