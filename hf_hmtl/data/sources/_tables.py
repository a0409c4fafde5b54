"""Files of the user's own -> one table a split, columns as they are and an `image` column: folders, CSV, parquet, Hub.

Folders and CSV are read here, in memory, and not by `load_dataset`: its cache can serve files that have changed since.
"""

from pathlib import Path, PurePosixPath

import datasets
import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from hf_hmtl.data.sources import did_you_mean
from hf_hmtl.data.sources._building import IMAGE, image_files, images_of_bytes, images_of_paths

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
IMAGE_COLUMNS = ("image", "img", "file_name", "filename", "image_path", "path", "file", "image_file")
SPLIT_COLUMN = "split"

LAYOUTS = """Your own data is read as one of
  FOLDER/<class>/*.jpg                      or FOLDER/train/<class>/*.jpg, FOLDER/validation/..., FOLDER/test/...
  FOLDER/metadata.csv (or .jsonl)           with file_name and label columns, in FOLDER or in each split's folder
  FOLDER/train.csv, validation.csv, ...     or one CSV: an image path column, relative to the CSV, and label columns
  FOLDER/train*.parquet, test*.parquet      an image column and label columns
Type --data_dir FOLDER; --label_column names the labels, --image_column the images."""


def split_of(name: str) -> str | None:
    """train, validation or test for a file or folder name such as Train, val-00000-of-00001 or testing; else None."""
    word = name.lower().replace("-", "_").split("_")[0]
    return next((split for split, names in SPLIT_NAMES.items() if word in names), None)


def from_folder(
    folder: Path, image_column: str | None, labelled: bool = True
) -> tuple[dict[str, datasets.Dataset], str]:
    """The tables of a folder in whichever layout it has, and the name of that layout.

    Without `labelled`, image files may lie anywhere below the folder; those below a folder of a split's name are of
    that split, all others of train.

    Raises:
        FileNotFoundError: no layout fits.
        ValueError: a file or column does not fit.
    """
    parquet = sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")])
    if parquet:
        return _from_parquet(parquet, image_column), "parquet files"
    tables = sorted(path for path in folder.glob("*.csv") if path.stem != "metadata")
    if tables:
        return from_csv(tables, image_column), f"CSV and image files ({', '.join(path.name for path in tables)})"
    if not labelled and not _metadata(folder):
        paths = image_files(folder, below=True)
        if not paths:
            raise FileNotFoundError(f"custom: {folder} holds no image file.\n{LAYOUTS}")
        splits: dict[str, list[str]] = {}
        for path in paths:
            top = path.relative_to(folder).parts[:-1][:1]
            splits.setdefault((split_of(top[0]) if top else None) or "train", []).append(str(path.resolve()))
        tables = {split: _dataset(pa.table({"image": images_of_paths(files)})) for split, files in splits.items()}
        return tables, "image files without labels"
    return _from_images(folder, image_column)


def from_csv(paths: list[Path], image_column: str | None) -> dict[str, datasets.Dataset]:
    """Tables of CSV files: one file a split, or one file, whose column `split` divides it where it has one."""
    if len(paths) == 1 and not split_of(paths[0].stem):
        return _divided(_with_images(_table(paths[0]), paths[0].parent, image_column, str(paths[0])), str(paths[0]))
    return {
        split: _with_images(_table(path), path.parent, image_column, str(path))
        for path, split in _by_split(paths).items()
    }


def from_hub(hub_id: str, image_column: str | None) -> dict[str, datasets.Dataset]:
    """The tables of a dataset on the Hugging Face Hub, or of a local clone of one.

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
    if len(loaded) == 1:
        return _divided(_as_image_column(next(iter(loaded.values())), None, image_column, hub_id), hub_id)
    splits = {name: split_of(name) for name in loaded}
    if None in splits.values() or len(set(splits.values())) < len(splits):
        raise ValueError(f"custom: {hub_id!r} has the splits {', '.join(loaded)}; known are {', '.join(SPLIT_NAMES)}")
    return {splits[name]: _as_image_column(data, None, image_column, hub_id) for name, data in loaded.items()}


def _from_parquet(paths: list[Path], image_column: str | None) -> dict[str, datasets.Dataset]:
    files: dict[str, list[str]] = {}
    for path in paths:
        files.setdefault("train" if len(paths) == 1 else _known_split(path), []).append(str(path))
    # Given as data_files, their modification times are part of the cache's key. Loaded split by split, because one load
    # of all files reads the class numbers of every file with the class names of the first.
    loaded = {
        split: datasets.load_dataset("parquet", data_files=paths, split="train") for split, paths in files.items()
    }
    tables = {
        split: _as_image_column(data, paths[0].parent, image_column, files[split][0]) for split, data in loaded.items()
    }
    return _divided(tables["train"], files["train"][0]) if len(paths) == 1 else tables


def _from_images(folder: Path, image_column: str | None) -> tuple[dict[str, datasets.Dataset], str]:
    """Tables of image files: labels from a metadata file, or from the names of the folders."""
    split_folders = {path: split_of(path.name) for path in sorted(folder.iterdir()) if path.is_dir()}
    split_folders = {path: split for path, split in split_folders.items() if split}
    if metadata := _metadata(folder):
        raw = _table(metadata)
        table = _with_images(raw, folder, image_column or "file_name", str(metadata))
        if not split_folders or SPLIT_COLUMN in table.column_names:
            return _divided(table, str(metadata)), metadata.name
        paths = raw[image_column or "file_name"].to_pylist()
        words = [split_of(PurePosixPath(str(path).replace("\\", "/")).parts[0]) for path in paths]
        return _divided(
            table.add_column(SPLIT_COLUMN, [word or "train" for word in words]), str(metadata)
        ), metadata.name
    places = {split: path for path, split in split_folders.items()} or {"train": folder}
    if "train" not in places:
        raise FileNotFoundError(f"custom: {folder} has {', '.join(places)} but no train folder.\n{LAYOUTS}")
    tables = {}
    for split, place in places.items():
        if metadata := _metadata(place):
            tables[split] = _with_images(_table(metadata), place, image_column or "file_name", str(metadata))
        else:
            tables[split] = _class_folders(place)
    return tables, "image files with metadata" if any(map(_metadata, places.values())) else "class folders"


def _class_folders(folder: Path) -> datasets.Dataset:
    paths, labels = [], []
    for class_folder in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = image_files(class_folder)
        paths += [str(path.resolve()) for path in files]
        labels += [class_folder.name] * len(files)
    if not paths:
        raise FileNotFoundError(f"custom: {folder} holds no class folder with images.\n{LAYOUTS}")
    return _dataset(pa.table({"image": images_of_paths(paths), "label": pa.array(labels)}))


def _metadata(folder: Path) -> Path | None:
    return next((path for path in (folder / "metadata.csv", folder / "metadata.jsonl") if path.is_file()), None)


def _table(path: Path) -> pa.Table:
    """A CSV or JSON-lines file; empty cells are missing values."""
    if path.stat().st_size == 0:
        raise ValueError(f"custom: {path} is empty; needed are a header and one row an image")
    if path.suffix == ".jsonl":
        return pyarrow.json.read_json(path)
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    return pyarrow.csv.read_csv(path, convert_options=options)


def _with_images(table: pa.Table, folder: Path, image_column: str | None, where: str) -> datasets.Dataset:
    return _as_image_column(datasets.Dataset(table), folder, image_column, where)


def _as_image_column(
    dataset: datasets.Dataset, folder: Path | None, image_column: str | None, where: str
) -> datasets.Dataset:
    """The dataset with its images under `image`, as encoded bytes or absolute paths."""
    name = _find_image_column(dataset, image_column, where)
    if name != "image" and "image" in dataset.column_names:
        dataset = dataset.remove_columns("image")
    if isinstance(dataset.features[name], datasets.Image):
        dataset = dataset.cast_column(name, IMAGE)
    else:
        values = dataset.with_format("arrow")[:][name].to_pylist()
        if isinstance(values[0] if values else None, bytes):
            images = images_of_bytes(values)
        elif isinstance(values[0] if values else "", str):
            images = images_of_paths(
                [None if path is None else str((folder or Path()).resolve() / path) for path in values]
            )
        else:
            images = pa.array(values, IMAGE.pa_type)
        table = dataset.with_format("arrow")[:]
        table = table.set_column(table.schema.get_field_index(name), "image", images)
        return _dataset(table, dataset.features)
    return dataset if name == "image" else dataset.rename_column(name, "image")


def _find_image_column(dataset: datasets.Dataset, image_column: str | None, where: str) -> str:
    columns = dataset.column_names
    if image_column is not None:
        if image_column not in columns:
            raise ValueError(
                f"custom: {where} has no image column {image_column!r}.{did_you_mean(image_column, columns)} Its "
                f"columns are {', '.join(columns)}; type --image_column NAME"
            )
        return image_column
    typed = [name for name in columns if isinstance(dataset.features[name], datasets.Image)]
    by_name = {name.lower(): name for name in columns}
    named = [by_name[name] for name in IMAGE_COLUMNS if name in by_name]
    if not typed and not named:
        raise ValueError(
            f"custom: {where} has no column of images. Its columns are {', '.join(columns)}; looked for were "
            f"{', '.join(IMAGE_COLUMNS)}. Type --image_column NAME"
        )
    return (typed or named)[0]


def _dataset(table: pa.Table, known: datasets.Features | None = None) -> datasets.Dataset:
    """A dataset in memory whose `image` column is IMAGE and whose other columns keep the types known of them."""
    features = datasets.Features.from_arrow_schema(table.schema)
    features.update({name: feature for name, feature in (known or {}).items() if name in features})
    features["image"] = IMAGE
    return datasets.Dataset(table.cast(features.arrow_schema), info=datasets.DatasetInfo(features=features))


def _divided(dataset: datasets.Dataset, where: str) -> dict[str, datasets.Dataset]:
    """One table, divided by its column `split` where it has one, all of it train where not."""
    if SPLIT_COLUMN not in dataset.column_names:
        return {"train": dataset}
    words = dataset[SPLIT_COLUMN][:]
    unknown = sorted({str(word) for word in words if split_of(str(word)) is None})
    if unknown:
        raise ValueError(
            f"custom: {where}: column {SPLIT_COLUMN!r} holds {', '.join(unknown[:5])}; known are "
            f"{', '.join(SPLIT_NAMES)}"
        )
    rows: dict[str, list[int]] = {}
    for row, word in enumerate(words):
        rows.setdefault(split_of(str(word)), []).append(row)
    return {split: dataset.select(rows[split]) for split in SPLIT_NAMES if split in rows}


def _known_split(path: Path) -> str:
    split = split_of(path.stem)
    if split is None:
        raise ValueError(
            f"custom: {path} belongs to no split by its name; name the files train, validation and test, for example "
            f"train{path.suffix}"
        )
    return split


def _by_split(paths: list[Path]) -> dict[Path, str]:
    found = {path: _known_split(path) for path in paths}
    if len(set(found.values())) < len(found):
        raise ValueError(f"custom: several files of one split: {', '.join(map(str, paths))}; keep one CSV a split")
    return found
