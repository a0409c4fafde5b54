"""Files of the user's own -> the rows of each split, columns as they are and an `image` column.

Folders, CSV and JSON are read here, in memory, and not by `load_dataset`: its cache can serve files that have changed.
"""

import dataclasses
import os
from pathlib import Path

import datasets
import pyarrow as pa
from huggingface_hub.constants import HF_HUB_CACHE

from hf_hmtl.data.ledger import FOLDER, NOT_IN_TABLE, UNLABELLED_SPLIT, VIDEO, Ledger
from hf_hmtl.data.own_faces.candidates import Candidate, candidates, chosen, split_of_table, table_paths
from hf_hmtl.data.own_faces.dividing import divide
from hf_hmtl.data.own_faces.images import find_image_column, with_images
from hf_hmtl.data.own_faces.layouts import SPLIT_NAMES, class_folders, split_of
from hf_hmtl.data.own_faces.paths import Within
from hf_hmtl.data.own_faces.prepared import leave_out_missing, take_records
from hf_hmtl.data.own_faces.reading import HELP, Found, Reading
from hf_hmtl.data.own_faces.tree import PARQUET, SPREADSHEETS, TEXT_TABLES, Tree, shortened, walk
from hf_hmtl.data.sources._building import IMAGE, images_of_paths
from hf_hmtl.parsing import read_json, shown

_NO_TEXT = frozenset((*range(1, 9), *range(14, 32)))  # bytes that texts lack; a line ends, and a page breaks, by others
_FIRST_BYTES = 1000
UNLABELLED = "image files without labels"


def from_folder(folder: Path, reading: Reading, ledger: Ledger) -> Found:
    """The rows of a folder in whichever layout it has.

    Raises:
        FileNotFoundError: no layout fits.
        ValueError: a file or column does not fit.
    """
    if is_saved(folder):
        return from_saved(folder, reading, ledger)
    tree = walk(folder)
    if not tree.images and (saved := _saved_below(tree)):
        found = from_saved(tree.root / saved, reading, ledger)
        found.notes.append(f"the data are in the folder {saved}")
        for path, reason in [*tree.others, *tree.unread_tables]:
            if not path.startswith(f"{saved}/"):
                ledger.leave_out(FOLDER, reason, [path])
        return found
    prepared = take_records(tree, ledger)
    tables = []
    if reading.layout in (None, "table"):
        tables = candidates(tree, table_paths(tree), reading)
    if any(each.refused is None for each in tables):
        found = _of_tables(tables, str(folder), tree, reading, ledger)
        found.notes += _passed_over(tables) + prepared.notes
        found.face_margin = prepared.face_margin
        return found
    if (reading.layout == "table" or not tree.images) and tables:
        raise ValueError(_refusal(tables))
    if not tree.images:
        kinds = f"; found were {shortened(path for path, _ in tree.others)}" if tree.others else ""
        if any(reason is VIDEO for _, reason in tree.others):
            kinds += f". The faces of videos are cut out once: hf-hmtl prepare {folder} {folder.name}-faces"
        raise FileNotFoundError(f"custom: {folder} holds no image file and no table{kinds}.\n{HELP}")
    if reading.label_column is None:
        found = _unlabelled(tree, ledger)
    else:
        try:
            found = _of_class_folders(tree, reading, ledger)
        except FileNotFoundError as error:
            if tables:
                raise ValueError(_refusal(tables)) from error
            raise FileNotFoundError(f"{error}\n{HELP}") from error
        if len({label for table in found.tables.values() for label in table.unique("label")}) < 2:
            _require_no_table(tree, tables)  # the folder may be that of its images, and no class
    found.notes = _passed_over(tables) + found.notes + tree.notes
    return found


def from_file(path: Path, reading: Reading, ledger: Ledger) -> Found:
    """The rows of one table; images are looked for beside it, below its folder, or in `image_dir`.

    Raises:
        ValueError: it is no table, or does not fit.
    """
    _require_table(path)
    place, reading = reading.image_dir or path.parent, dataclasses.replace(reading, anywhere=True)
    # Paths that lead to their files by themselves need no look at what else lies around, which may be very much.
    tree = Tree(Path(os.path.abspath(place)))
    (candidate,) = candidates(tree, [path], reading)
    if candidate.rows is None or candidate.rows.names:
        tree = walk(place)
        (candidate,) = candidates(tree, [path], reading)
    if candidate.refused is not None:
        raise ValueError(candidate.refused)
    tree.images, tree.tables, tree.others = [], [], []  # the table alone was given
    found = _of_tables([candidate], str(path), tree, reading, ledger)
    found.folder = Path(reading.image_dir or path.parent)
    return found


def _require_table(path: Path) -> None:
    """Raise where a file of another ending is no text: a picture, or a table that is packed or of another kind."""
    known = (*TEXT_TABLES, PARQUET)
    if path.suffix.lower() in known:
        return
    with open(path, "rb") as file:
        if _NO_TEXT.intersection(file.read(_FIRST_BYTES)):
            raise ValueError(
                f"custom: {path} is no table. Tables that are read end in {', '.join(known)}: unpack what is packed, "
                "and save other kinds as one of these. Of pictures give the folder"
            )


def with_every_column(place: Path, reading: Reading) -> tuple[Found, Ledger]:
    """The rows of a folder or table with all that is known of them, and what is left out: every column of its tables;
    else the class of its class folders, as `label`; else, of photographs that lie about, nothing.

    Args:
        place: folder or table.
        reading: how; its label column does not count.

    Raises:
        FileNotFoundError: there is no image.
        ValueError: a file or column does not fit.
    """
    ledger = Ledger()
    if place.is_file():
        return from_file(place, reading, ledger), ledger
    found = from_folder(place, dataclasses.replace(reading, label_column=None), ledger)
    if found.layout != UNLABELLED:
        return found, ledger
    of_classes = Ledger()
    try:
        classes = _of_class_folders(walk(place), reading, of_classes)
    except FileNotFoundError:  # no class folders
        return found, ledger
    classes.notes = found.notes + classes.notes
    return classes, of_classes


def is_saved(folder: Path) -> bool:
    """Whether `datasets` wrote the folder with save_to_disk."""
    return (folder / "dataset_dict.json").is_file() or all(
        (folder / name).is_file() for name in ("dataset_info.json", "state.json")
    )


def _saved_below(tree: Tree) -> str | None:
    """The one folder below that `save_to_disk` wrote, whose splits are such folders themselves."""
    saved = [path for path in tree.folders if is_saved(tree.root / path)]
    outer = [path for path in saved if not any(path.startswith(f"{other}/") for other in saved)]
    return outer[0] if len(outer) == 1 else None


def from_saved(folder: Path, reading: Reading, ledger: Ledger) -> Found:
    """The rows that `save_to_disk` wrote.

    Raises:
        ValueError: it is damaged, or names files outside of the folder.
    """
    _require_inside(folder)
    try:
        loaded = datasets.load_from_disk(str(folder))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, pa.ArrowException) as error:
        raise ValueError(f"custom: {folder} is not as save_to_disk writes it ({shown(str(error))})") from error
    splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
    return _of_datasets(dict(splits), str(folder), "datasets' save_to_disk", Within([folder]), reading, ledger)


def _require_inside(folder: Path) -> None:
    """Raise where a folder of `save_to_disk` names a file or a split that lies elsewhere."""
    places = [folder]
    if (folder / "dataset_dict.json").is_file():
        content = read_json(folder / "dataset_dict.json")
        splits = content.get("splits") if isinstance(content, dict) else None
        if not isinstance(splits, list) or not all(map(_is_name, splits)):
            raise ValueError(f"custom: {folder / 'dataset_dict.json'} has no splits, or names of folders elsewhere")
        places = [folder / split for split in splits]
    for path in (place / "state.json" for place in places if (place / "state.json").is_file()):
        content = read_json(path)
        files = content.get("_data_files") if isinstance(content, dict) else None
        if not isinstance(files, list) or not all(isinstance(e, dict) and _is_name(e.get("filename")) for e in files):
            raise ValueError(f"custom: {path} names no files of its folder in _data_files, or files elsewhere")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")


def from_hub(hub_id: str, reading: Reading, ledger: Ledger) -> Found:
    """The rows of a dataset on the Hugging Face Hub, or of a local clone of one.

    Raises:
        ConnectionError: the Hub cannot be reached and the dataset is not in the cache.
        ValueError: splits of unknown names.
    """
    try:
        loaded = datasets.load_dataset(hub_id)
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        raise ConnectionError(
            f"custom: the dataset {hub_id!r} could not be loaded ({error}). Check its name; a private one needs "
            f"`hf auth login`. Without a network, fetch it elsewhere with `hf download --repo-type dataset {hub_id} "
            "--local-dir FOLDER`, carry the folder over and type --data_dir FOLDER"
        ) from error
    within = Within([HF_HUB_CACHE, datasets.config.HF_DATASETS_CACHE, datasets.config.DOWNLOADED_DATASETS_PATH, hub_id])
    return _of_datasets(dict(loaded), hub_id, f"Hub dataset {hub_id}", within, reading, ledger)


def _of_datasets(
    loaded: dict[str, datasets.Dataset], where: str, layout: str, within: Within, reading: Reading, ledger: Ledger
) -> Found:
    """The rows of datasets whose images are inside, one a split, or one that a column divides."""
    found = Found({}, layout)
    splits = {name: split_of(name) for name in loaded} if len(loaded) > 1 else dict.fromkeys(loaded, None)
    if len(loaded) > 1:
        _require_splits(splits, where)
    for name, data in loaded.items():
        column, notes = find_image_column(data, reading.image_column, where)
        rows = with_images(data, column, None, None, within)
        divide(rows, splits[name], where, reading, ledger, found)
        found.notes += notes
    return found


def _require_splits(splits: dict[str, str | None], where: str) -> None:
    """Raise where a split of a dataset is called as none that is known, or two are called as one."""
    unknown = [name for name, split in splits.items() if split is None]
    twice = [name for name, split in splits.items() if list(splits.values()).count(split) > 1]
    if named := unknown or twice:
        wrong = "is none of" if len(named) == 1 else "are none of" if unknown else "mean one of"
        raise ValueError(
            f"custom: {where!r} has the splits {', '.join(splits)}, and {', '.join(map(repr, named))} {wrong} "
            f"{', '.join(SPLIT_NAMES)}. Rename or leave out, as in data['test'] = data.pop({named[-1]!r}), and save it "
            "again"
        )


def _of_tables(candidates: list[Candidate], where: str, tree: Tree, reading: Reading, ledger: Ledger) -> Found:
    fitting = [each for each in candidates if each.refused is None]
    tables, notes = chosen(fitting, where)
    unlabelled = _unlabelled_tests(candidates, tables)
    parquet = tables[0].path.suffix.lower() == PARQUET
    names = ", ".join(each.path.name for each in tables)
    found = Found({}, "parquet files" if parquet else f"table and image files ({names})", tree.root, notes)
    several = len({each.split for each in tables}) > 1
    for each in tables:
        found.notes += each.notes
        split = each.split if several or reading.split_column is None else None
        divide(each.rows, split, str(each.path), reading, ledger, found, tree)
    used = set().union(*map(_paths, [*found.tables.values(), *(each.rows.data for each in unlabelled)]))
    for each in unlabelled:
        ledger.leave_out(
            "test", UNLABELLED_SPLIT, [f"{each.path.name}, row {row + 1}" for row in range(len(each.rows.data))]
        )
    prefix = f"{tree.root.as_posix()}/"
    unused = [path for path in tree.images if prefix + path not in used]
    ledger.leave_out(FOLDER, NOT_IN_TABLE, unused)
    read = {each.path for each in [*tables, *unlabelled]}
    if parquet:  # of a split, all together
        leave_out_missing([path for path in tree.tables if path.lower().endswith(PARQUET)], ledger)
        passed_over = {each.split for each in candidates if each.refused} - {each.split for each in unlabelled}
        read = {path for path in table_paths(tree) if split_of_table(path, tree.root) not in passed_over}
    unread = [(path, reason) for path, reason in tree.unread_tables if tree.root / path not in read]
    for path, reason in [*tree.others, *unread]:
        if prefix + path not in used:
            ledger.leave_out(FOLDER, reason, [path])
    return found


def _paths(data: datasets.Dataset) -> list[str]:
    """The files of the rows' images; images inside a table are no files, whatever they are called."""
    paths: list[str] = []
    for chunk in data.with_format("arrow")[:]["image"].chunks:
        content, names = chunk.flatten()[:2]
        paths += names.filter(content.is_null()).drop_null().to_pylist()
    return paths


def _unlabelled_tests(candidates: list[Candidate], tables: list[Candidate]) -> list[Candidate]:
    """Tables of a test split that have no labels, as competitions give them.

    Raises:
        ValueError: a table of another split has none, or that of a split is none.
    """
    for each in candidates:
        of_split = each.split and any(table.split for table in tables)
        if each.refused and each.rows is None and of_split and each.path.suffix.lower() not in (".txt", ".json"):
            raise ValueError(each.refused)
    lacking = [each for each in candidates if each.refused and each.rows is not None and each.split]
    for each in lacking:
        if each.split != "test" and any(table.split for table in tables):
            raise ValueError(each.refused)
    return [each for each in lacking if each.split == "test"]


def _of_class_folders(tree: Tree, reading: Reading, ledger: Ledger) -> Found:
    arranged = class_folders(tree, ledger, reading.layout)
    tables = {}
    for split, files in arranged.files.items():
        images = images_of_paths([f"{tree.root.as_posix()}/{path}" for path in files])
        tables[split] = _dataset(pa.table({"image": images, "label": pa.array(arranged.classes[split], pa.string())}))
    return Found(tables, arranged.name, tree.root, arranged.notes)


def _unlabelled(tree: Tree, ledger: Ledger) -> Found:
    splits: dict[str, list[str]] = {}
    for path in tree.images:
        top = path.split("/")[:-1][:1]
        splits.setdefault((split_of(top[0]) if top else None) or "train", []).append(f"{tree.root.as_posix()}/{path}")
    for path, reason in [*tree.others, *tree.unread_tables]:
        ledger.leave_out(FOLDER, reason, [path])
    tables = {split: _dataset(pa.table({"image": images_of_paths(files)})) for split, files in splits.items()}
    return Found(tables, UNLABELLED, tree.root)


def _dataset(table: pa.Table) -> datasets.Dataset:
    features = datasets.Features.from_arrow_schema(table.schema)
    features["image"] = IMAGE
    return datasets.Dataset(table.cast(features.arrow_schema), info=datasets.DatasetInfo(features=features))


def _require_no_table(tree: Tree, tables: list[Candidate]) -> None:
    """Raise where a table lies about that was not read."""
    if tables:
        raise ValueError(_refusal(tables))
    sheets = [path for path, _ in tree.others if path.lower().endswith(SPREADSHEETS)]
    if sheets:
        raise ValueError(f"custom: {tree.root / sheets[0]} is a spreadsheet, which is not read. Save it as CSV")


def _refusal(tables: list[Candidate]) -> str:
    """Why the table that comes nearest is not the one."""
    return next((each for each in tables if each.rows is not None), tables[0]).refused or ""


def _passed_over(tables: list[Candidate]) -> list[str]:
    return [
        f"{each.path.name} was passed over: {each.refused.removeprefix('custom: ')}"
        for each in tables
        if each.refused and each.path.suffix.lower() not in (".txt", ".json")
    ]
