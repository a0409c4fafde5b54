"""The user's own faces in every layout, and every error that foresees a mistake."""

import io
import json
import math
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_hmtl.data.identity import RESERVED
from hf_hmtl.data.sources import custom
from hf_hmtl.data.splits import class_counts


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def jpeg_of(number):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()


def write_images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg_of(sum(name.encode())))


def write_classes(folder, count=10, classes=("happy", "sad")):
    write_images(folder, *[f"{label}/{number}.jpg" for label in classes for number in range(count)])


def write_table(path, columns, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([columns, *rows]) + "\n")


def labels(source, split="train", task="emotion"):
    data = source.splits[split]
    return [None if value < 0 else data.features[task].names[value] for value in data[task]]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    return folder


# Layouts


def test_class_folders_without_splits_are_carved_by_class(root):
    write_classes(root, 20)
    source = custom.load(root, validation_fraction=0.2, test_fraction=0.1)
    assert source.name == "faces"
    assert [class_counts(source.splits[split], "emotion") for split in ("train", "validation", "test")] == [
        {"happy": 14, "sad": 14},
        {"happy": 4, "sad": 4},
        {"happy": 2, "sad": 2},
    ]
    assert source.report_split == "test"
    assert "test: 4 rows carved from train (stratified by class, split seed 2106)" in source.notes
    paths = [row["image"]["path"] for data in source.splits.values() for row in data]
    assert len(set(paths)) == 40
    again = custom.load(root, validation_fraction=0.2, test_fraction=0.1)
    assert [row["image"]["path"] for data in again.splits.values() for row in data] == paths


def test_given_splits_are_used_under_any_of_their_names(root):
    for name, count in (("Training", 4), ("valid", 2), ("testing", 1)):
        write_classes(root / name, count)
    source = custom.load(root)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 8, "validation": 4, "test": 2}
    assert not [note for note in source.notes if "carved" in note]


def test_train_and_test_get_a_validation_split(root):
    write_classes(root / "train", 10)
    write_classes(root / "test", 3)
    source = custom.load(root, validation_fraction=0.2)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 16, "validation": 4, "test": 6}


def test_train_and_validation_report_on_validation(root):
    write_classes(root / "train", 4)
    write_classes(root / "val", 2)
    source = custom.load(root)
    assert list(source.splits) == ["train", "validation"]
    assert source.report_split == "validation"
    assert "no test split was given: validation is both selected on and reported" in source.notes


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata_beside_the_images(root, kind):
    names = [f"{number}.jpg" for number in range(12)]
    write_images(root, *names)
    if kind == "csv":
        write_table(root / "metadata.csv", "file_name,mood", *[f"{name},{'ab'[int(name[0]) % 2]}" for name in names])
    else:
        rows = [json.dumps({"file_name": name, "mood": "ab"[int(name[0]) % 2]}) for name in names]
        (root / "metadata.jsonl").write_text("\n".join(rows))
    source = custom.load(root, label_column="mood", task="mood")
    assert sum(map(len, source.splits.values())) == 12
    assert set(labels(source, task="mood")) == {"a", "b"}
    for row in source.splits["train"]:
        name = row["image"]["path"].rsplit("/", 1)[1]
        assert row["mood"] == int(name[0]) % 2


def test_one_metadata_file_for_split_folders(root):
    names = [f"{split}/{label}{number}.jpg" for split in ("train", "test") for label in "ab" for number in range(5)]
    write_images(root, *names)
    write_table(root / "metadata.csv", "file_name,label", *[f"{name},{name.split('/')[1][0]}" for name in names])
    source = custom.load(root, validation_fraction=0.4)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 6, "validation": 4, "test": 10}


def test_metadata_in_each_split_folder(root):
    for split in ("train", "validation"):
        write_images(root / split, "1.jpg", "2.jpg")
        write_table(root / split / "metadata.csv", "file_name,label", "1.jpg,a", "2.jpg,b")
    assert labels(custom.load(root), "validation") == ["a", "b"]


def test_csv_a_split_with_paths_relative_to_the_csv(root):
    write_images(root, "images/1.jpg", "images/2.jpg")
    for split in ("train", "val", "test"):
        write_table(root / f"{split}.csv", "path,label", "images/1.jpg,a", "images/2.jpg,b")
    source = custom.load(root)
    assert source.splits["test"][1]["image"] == {"bytes": None, "path": str((root / "images/2.jpg").resolve())}
    assert "2 test images also occur, byte for byte, in train" in source.notes


def test_one_csv_with_a_split_column_and_a_byte_order_mark(root):
    write_images(root, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    rows = ["1.jpg,a,train", "2.jpg,b,train", "3.jpg,a,dev", "4.jpg,b,test"]
    (root / "list.csv").write_text("\n".join(["image,label,split", *rows]), encoding="utf-8-sig")
    source = custom.load(csv=root / "list.csv")
    assert [labels(source, split) for split in source.splits] == [["a", "b"], ["a"], ["b"]]
    assert [labels(custom.load(root, csv="list.csv"), "test")] == [["b"]]


def write_parquet(path, label, feature, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": jpeg_of(number), "path": None} for number in range(len(label))]
    features = datasets.Features({"image": datasets.Image(), "label": feature})
    data = datasets.Dataset.from_dict({"image": images, "label": label}, features=features)
    for name, values in columns.items():
        data = data.add_column(name, values)
    data.to_parquet(path)


def test_parquet_keeps_encoded_bytes_and_class_order(root):
    feature = datasets.ClassLabel(names=["sad", "happy"])
    for split in ("train", "validation", "test"):
        write_parquet(root / "data" / f"{split}-00000-of-00001.parquet", [1, 0, 1], feature)
    source = custom.load(root)
    assert source.splits["train"].features["emotion"].names == ["sad", "happy"]
    assert labels(source, "test") == ["happy", "sad", "happy"]
    assert source.splits["test"][2]["image"]["bytes"] == jpeg_of(2)


def test_parquet_changed_in_place_is_read_again(root):
    for split in ("train", "test", "validation"):
        write_parquet(root / f"{split}.parquet", ["a", "b"], datasets.Value("string"))
    custom.load(root)
    write_parquet(root / "train.parquet", ["a", "b", "b"], datasets.Value("string"))
    assert labels(custom.load(root)) == ["a", "b", "b"]


def test_class_numbers_of_splits_are_matched_by_name(root):
    write_parquet(root / "train.parquet", [0, 1], datasets.ClassLabel(names=["happy", "sad"]))
    write_parquet(root / "validation.parquet", [0, 1], datasets.ClassLabel(names=["sad", "happy"]))
    source = custom.load(root)
    assert labels(source) == ["happy", "sad"]
    assert labels(source, "validation") == ["sad", "happy"]


def hub(monkeypatch, **splits):
    images = [{"bytes": jpeg_of(number), "path": None} for number in range(20)]
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.Value("string")})
    data = datasets.Dataset.from_dict({"picture": images, "label": ["a", "b"] * 10}, features=features)
    loaded = datasets.DatasetDict({name: data.select(range(count)) for name, count in splits.items()})
    monkeypatch.setattr(datasets, "load_dataset", lambda name: loaded)


def test_hub_dataset(monkeypatch):
    hub(monkeypatch, train=20, valid=4)
    source = custom.load(hub_id="someone/faces")
    assert source.name == "someone/faces"
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 20, "validation": 4}
    hub(monkeypatch, full=20)
    assert set(custom.load(hub_id="someone/faces").splits) == {"train", "validation", "test"}
    hub(monkeypatch, train=20, extra=4)
    with pytest.raises(ValueError, match="splits train, extra, and 'extra' is none of train, validation, test"):
        custom.load(hub_id="someone/faces")


def test_hub_dataset_offline_says_what_to_do():
    with pytest.raises(ConnectionError, match=r"hf download --repo-type dataset someone/absent .*--data_dir FOLDER"):
        custom.load(hub_id="someone/absent")


def test_hub_id_and_folder_exclude_each_other(root):
    with pytest.raises(ValueError, match="give one of them"):
        custom.load(root, hub_id="someone/faces")


# Labels


def table(root, column, *values, extra="", image="image"):
    """One CSV whose rows all train, twice over for validation."""
    write_images(root, "1.jpg")
    head = f"{image},{column},split" if not extra else f"{image},{column},split,{extra}"
    cells = [str(value).split("|") for value in values]
    rows = [",".join(["1.jpg", cell[0], split, *cell[1:]]) for split in ("train", "validation") for cell in cells]
    write_table(root / "list.csv", head, *rows)
    return root


def test_missing_labels_stay_in_as_missing(root):
    source = custom.load(table(root, "label", "a", "b", "", "NA"))
    assert labels(source) == ["a", "b", None, "NA"]
    assert "train: 1 of 4 rows have no label in 'label'" in source.notes
    told = "column 'label': 'NA' (2 rows) is a class like any other; only an empty cell is a missing label"
    assert told in source.notes


def test_whole_numbers_without_names(root):
    source = custom.load(table(root, "label", 10, 2, "", -1, 2))
    assert source.splits["train"].features["emotion"].names == ["2", "10"]
    assert labels(source) == ["10", "2", None, None, "2"]
    assert "column 'label' holds numbers without names: the classes are called 2, 10" in source.notes


def test_whole_numbers_written_with_a_point(root):
    assert labels(custom.load(table(root, "label", "1.0", "", "0.0"))) == ["1", None, "0"]


def test_truth_values(root):
    source = custom.load(table(root, "smiling", "true", "false", ""), label_column="smiling", task="smile")
    assert source.splits["train"].features["smile"].names == ["false", "true"]
    assert labels(source, task="smile") == ["true", "false", None]


def test_measures_are_no_classes(root):
    with pytest.raises(ValueError, match="holds 0.5, so it is a measure and not a class"):
        custom.load(table(root, "label", "0.5", "1"))


def test_further_labels_under_their_tasks_names(root):
    table(root, "label", "a|0.25|f|x", "b||m|x", "a|-1|f|x", extra="v,sex,unused")
    source = custom.load(root, label_columns={"valence": "v", "gender": "sex"})
    train = source.splits["train"]
    assert train.column_names == ["image", "emotion", "valence", "gender", *RESERVED]
    assert train["valence"][0] == 0.25
    assert math.isnan(train["valence"][1])
    assert labels(source, task="gender") == ["f", "m", "f"]


def test_subjects_are_kept_apart(root):
    write_images(root, *[f"{number}.jpg" for number in range(40)])
    rows = [f"{number}.jpg,{'ab'[number % 2]},{number // 4}" for number in range(40)]
    write_table(root / "list.csv", "image,label,subject", *rows)
    source = custom.load(root)
    people = [set(data["_group"]) for data in source.splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 10
    assert any("by group" in note for note in source.notes)


def test_subjects_in_two_given_splits_are_noted(root):
    table(root, "label", "a|1", "b|2", extra="subject")
    assert "2 groups are in train and in validation: scores flatter the model" in custom.load(root).notes


# Mistakes


def test_absent_label_column_names_the_nearest(root):
    table(root, "emotions", "a", "b")
    with pytest.raises(ValueError, match=r"no column 'emotion'. Did you mean 'emotions'\? .*--label_column NAME"):
        custom.load(root, label_column="emotion")
    with pytest.raises(ValueError, match="no column 'v'.* --label_columns"):
        custom.load(root, label_column="emotions", label_columns={"valence": "v"})


def test_absent_image_column_names_the_nearest(root):
    table(root, "label", "a", "b", image="portrait")
    with pytest.raises(ValueError, match=r"no image column 'portraits'. Did you mean 'portrait'\?"):
        custom.load(root, image_column="portraits")
    assert len(custom.load(root, image_column="portrait").splits["train"]) == 2
    assert "list.csv: column 'portrait' names the images; --image_column NAME else" in custom.load(root).notes
    (root / "1.jpg").unlink()
    with pytest.raises(ValueError, match="no column of images. Its columns are portrait, label, split"):
        custom.load(root)


def test_missing_folder_and_file(root):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*/nothing(.|\n)*--data_dir FOLDER"):
        custom.load(root / "nothing")
    write_table(root / "faces.csv", "image,label")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*Did you mean 'faces.csv'\?"):
        custom.load(root, csv="face.csv")


def test_folder_without_images(root):
    with pytest.raises(FileNotFoundError, match="holds no image file and no table"):
        custom.load(root)


def test_empty_split(root):
    write_classes(root / "train")
    (root / "test" / "happy").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="test holds no class folder with images"):
        custom.load(root)


def test_empty_tables(root):
    (root / "list.csv").touch()
    with pytest.raises(ValueError, match="is empty; needed are a header"):
        custom.load(root)
    write_table(root / "list.csv", "image,label")
    with pytest.raises(ValueError, match="the train split of faces is empty"):
        custom.load(root)


def test_no_train_split(root):
    write_classes(root / "test")
    with pytest.raises(FileNotFoundError, match="the folders test, but no train folder"):
        custom.load(root)


def test_one_class_or_no_label(root):
    with pytest.raises(ValueError, match="only the class 'a' in 'emotion'"):
        custom.load(table(root, "label", "a", "a"))
    with pytest.raises(ValueError, match="no label at all in 'emotion'"):
        write_table(root / "list.csv", "image,label,split", "1.jpg,,train", "1.jpg,,train", "1.jpg,a,validation")
        custom.load(root)


def test_classes_that_differ_by_case(root):
    write_classes(root / "train", classes=("happy", "sad"))
    write_classes(root / "test", classes=("Happy", "sad"))
    with pytest.raises(ValueError, match="'Happy' and 'happy'.*--class_map happy=Happy, or --merge_case"):
        custom.load(root)


def test_class_that_training_never_shows(root):
    write_classes(root / "train", classes=("happy", "sad"))
    write_classes(root / "test", 3, classes=("happy", "fear"))
    with pytest.raises(ValueError, match=r"training never shows: 'fear' \(3 rows\); training has happy, sad"):
        custom.load(root)


def test_missing_image_files_are_left_out_and_noted(root):
    write_images(root, "1.jpg", "2.jpg")
    rows = [f"{number}.jpg,{'ab'[number % 2]},{split}" for split in ("train", "validation") for number in (1, 2, 3)]
    write_table(root / "list.csv", "image,label,split", *rows)
    with pytest.raises(ValueError, match=r"of 3 in the train split, 1 rows whose image file does not exist \(3.jpg\)"):
        custom.load(root)
    source = custom.load(root, allow_left_out=["missing_file"])
    assert len(source.splits["train"]) == 2
    what = {"count": 1, "names": ["3.jpg"], "what": "rows whose image file does not exist"}
    assert source.ledger.to_dict() == {split: {"missing_file": what} for split in ("train", "validation")}
    (root / "1.jpg").unlink()
    (root / "2.jpg").unlink()
    with pytest.raises(ValueError, match="the train split has no row left of the class 'a', 'b': 3 rows whose image"):
        custom.load(root)


def test_unknown_split_word(root):
    write_images(root, "1.jpg")
    write_table(root / "list.csv", "image,label,split", "1.jpg,a,train", "1.jpg,b,holdout")
    with pytest.raises(ValueError, match="column 'split' holds holdout"):
        custom.load(root)


def test_files_of_unknown_splits(root):
    write_images(root, "1.jpg")
    for name in ("first", "second"):
        write_table(root / f"{name}.csv", "image,label", "1.jpg,a")
    with pytest.raises(
        ValueError, match=r"first.csv, second.csv say no split.*--data_dir FILE, or name them train.csv"
    ):
        custom.load(root)


@pytest.mark.parametrize("option", ["validation_fraction", "test_fraction"])
@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_out_of_its_range_is_told_by_its_name(root, option, fraction):
    write_classes(root)
    with pytest.raises(ValueError, match=f"custom: {option} is {fraction}, allowed is 0 < fraction < 1, as in 0.15"):
        custom.load(root, **{option: fraction})


def test_fractions_that_leave_no_training_rows(root):
    write_classes(root)
    with pytest.raises(ValueError, match="their sum must stay below 1"):
        custom.load(root, validation_fraction=0.5, test_fraction=0.5)
    with pytest.raises(ValueError, match="0 < fraction < 1"):
        custom.load(root, test_fraction=0)


def test_without_a_label_column_every_image_is_a_training_row(tmp_path):
    write_images(tmp_path / "faces", "a.jpg", "b.jpg")
    write_images(tmp_path / "faces" / "deeper" / "still", "c.jpg")
    write_images(tmp_path / "faces" / ".hidden_is_a_folder", "d.jpg")
    source = custom.load(tmp_path / "faces", label_column=None)
    assert list(source.splits) == ["train"] and source.splits["train"].column_names == ["image", *RESERVED]
    names = {Path(row["path"]).name for row in source.splits["train"]["image"][:]}
    assert names == {"a.jpg", "b.jpg", "c.jpg"}
    assert source.ledger.to_dict()["folder"]["system"]["names"] == [".hidden_is_a_folder/d.jpg"]
    assert any("tested on images that this one saw" in note for note in source.notes)


def test_without_a_label_column_the_splits_to_come_stay_unseen(root):
    write_classes(root / "train", 7)
    write_classes(root / "val", 4)
    write_classes(root / "test", 5)
    write_images(root / "found elsewhere", "loose.jpg")
    source = custom.load(root, label_column=None)
    seen = {Path(row["path"]).relative_to(root.resolve()).parts[0] for row in source.splits["train"]["image"][:]}
    assert list(source.splits) == ["train"] and len(source.splits["train"]) == 15
    assert seen == {"train", "found elsewhere"}
    left_out = source.ledger.to_dict()
    assert [left_out[split]["held_out"]["count"] for split in ("validation", "test")] == [8, 10]
    labelled = custom.load(root)
    held_out = {row["path"] for split in ("validation", "test") for row in labelled.splits[split]["image"][:]}
    assert not held_out & {row["path"] for row in source.splits["train"]["image"][:]}


def test_without_a_label_column_tables_keep_their_splits_unseen_too(root):
    names = [f"{number}.jpg" for number in range(6)]
    write_images(root, *names)
    write_table(root / "all.csv", "file_name,split", *[f"{n},{'test' if n < '2' else 'train'}" for n in names])
    source = custom.load(root, label_column=None)
    assert {Path(row["path"]).name for row in source.splits["train"]["image"][:]} == set(names[2:])
    with pytest.raises(ValueError, match="no train split"):
        write_images(root / "only" / "test", "a.jpg")
        custom.load(root / "only", label_column=None)


def test_without_a_label_column_an_empty_folder_says_so(root):
    with pytest.raises(FileNotFoundError, match="holds no image file"):
        empty = root / "empty"
        empty.mkdir()
        custom.load(empty, label_column=None)


# Identity


def test_rows_are_known_by_their_files_wherever_the_folder_lies(root, tmp_path):
    write_classes(root / "train", 3)
    write_classes(root / "test", 2)
    source = custom.load(root, validation_fraction=0.3)
    rows = {row["_id"]: row for data in source.splits.values() for row in data}
    assert sorted(rows) == sorted(
        [f"train/{label}/{number}.jpg" for label in ("happy", "sad") for number in range(3)]
        + [f"test/{label}/{number}.jpg" for label in ("happy", "sad") for number in range(2)]
    )
    for name, row in rows.items():
        assert (row["_file"], row["_source"], row["_group"]) == (name, "faces", None)
        assert row["image"]["path"] == str(root / name)
    root.rename(tmp_path / "elsewhere")
    moved = custom.load(tmp_path / "elsewhere", validation_fraction=0.3)
    assert {row["_id"] for data in moved.splits.values() for row in data} == set(rows)


def test_rows_of_embedded_images_are_known_by_split_and_row(root):
    images = [{"bytes": jpeg_of(number), "path": None} for number in range(4)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    for split in ("train", "validation"):
        rows = {"image": images, "label": [0, 1, 0, 1]}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(root / f"{split}.parquet")
    source = custom.load(root)
    assert source.splits["train"]["_id"][:] == ["train/0", "train/1", "train/2", "train/3"]
    assert source.splits["validation"]["_file"][:] == [None] * 4


def test_an_image_named_twice_is_two_rows(root):
    found = custom.load(table(root, "label", "x", "y", "x")).splits["train"]
    assert found["_id"][:] == ["1.jpg", "1.jpg#2", "1.jpg#3"] and found["_file"][:] == ["1.jpg"] * 3


def test_columns_to_report_and_identities_of_ones_own_are_kept(root):
    write_images(root, *[f"{number}.jpg" for number in range(8)])
    lines = [f"{number}.jpg,{'ab'[number % 2]},s{number // 2},{20 + number},row {number}" for number in range(8)]
    for split in ("train", "validation"):
        write_table(root / f"{split}.csv", "image,label,_group,age,_id", *lines)
    source = custom.load(root, report_columns=["age"])
    train = source.splits["train"]
    assert train["age"][:] == list(range(20, 28)) and source.report_columns == ("age",)
    assert train["_id"][:] == [f"row {number}" for number in range(8)]
    assert train["_group"][:] == ["s0", "s0", "s1", "s1", "s2", "s2", "s3", "s3"]
    assert set(train.column_names) == {"image", "emotion", "age", "_id", "_file", "_source", "_group"}
    with pytest.raises(ValueError, match=r"no column 'aeg'. Did you mean 'age'.*--report_columns"):
        custom.load(root, report_columns=["aeg"])
    unlabelled = custom.load(root, label_column=None, report_columns=["age"])
    assert unlabelled.splits["train"]["age"][:] == list(range(20, 28))
