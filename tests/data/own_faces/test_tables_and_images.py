"""Tables that name images: paths in every writing, columns under every name, and what a table does not name."""

import gzip
import zipfile

import datasets
import numpy as np
import pyarrow.feather
import pytest
from data_trees import all_labels, encoded, labels, write_classes, write_images, write_text
from PIL import Image

from hf_hmtl.data.own_faces import tables
from hf_hmtl.data.own_faces.candidates import _of_parquet
from hf_hmtl.data.sources import custom

WORDS = ("happy", "sad")


def noted(source, part):
    return any(part in note for note in source.notes)


def names(count=24):
    return [f"images/{number}.png" for number in range(count)]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "faces"
    write_images(folder, *names(), kind="PNG")
    return folder


def write_labels(path, written, header="file_name,label", delimiter=","):
    rows = [f"{name}{delimiter}{WORDS[number % 2]}" for number, name in enumerate(written)]
    write_text(path, header.replace(",", delimiter), *rows)


def expected(count=24):
    return {name: WORDS[number % 2] for number, name in enumerate(names(count))}


@pytest.mark.parametrize(
    ("way", "note"),
    [
        (lambda name: name, None),
        (lambda name: name.replace("/", "\\"), "24 images were found with / for \\"),
        (lambda name: f"./{name}", None),
        (lambda name: f"/{name}", "24 images were found with / for \\"),
        (lambda name: f" {name} ", None),
        (lambda name: name.upper(), "24 images were found by their names below the folder"),
        (lambda name: name.split("/")[1], "24 images were found by their names below the folder"),
        (lambda name: name.split("/")[1][:-4], "24 images were found without suffix"),
        (lambda name: f"C:\\data\\faces\\{name}", "24 images were found without the folders of another machine"),
        (lambda name: f"/home/anna/{name}", "24 images were found without the folders of another machine"),
    ],
)
def test_paths_in_every_writing(root, way, note):
    write_labels(root / "labels.csv", map(way, names()))
    source = custom.load(root)
    assert all_labels(source) == expected()
    assert note is None or noted(source, note)
    assert sum("images were found" in told for told in source.notes) == (note is not None), "ways that found nothing"


def test_a_missing_image_is_never_another_of_the_same_name(root):
    write_images(root, "train/0.png", "train/1.png", "test/0.png", "test/2.png", kind="PNG")
    write_text(root / "labels.csv", "file_name,label", "train/0.png,a", "train/1.png,b", "train/2.png,a")
    with pytest.raises(ValueError, match=r"1 rows whose image file does not exist \(train/2.png\)"):
        custom.load(root, allow_left_out=["not_in_table"])


def test_a_bare_name_of_two_images_raises(root):
    write_images(root, "more/3.png")
    write_labels(root / "labels.csv", [name.split("/")[1] for name in names()])
    with pytest.raises(ValueError, match=r"names '3.png', which may be images/3.png, more/3.png.*--image_dir FOLDER"):
        custom.load(root)
    source = custom.load(root, image_dir="images")
    assert all_labels(source) == expected()
    assert source.ledger.to_dict()["folder"]["not_in_table"]["names"] == ["more/3.png"]
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere; --image_dir"):
        custom.load(root, image_dir="nowhere")


def test_a_table_beside_its_image_folder(root):
    write_labels(
        root / "data" / "legend.csv",
        [name.split("/")[1] for name in names()],
        "image,emotion",
    )
    source = custom.load(root, label_column="emotion")
    assert all_labels(source) == expected()
    alone = custom.load(root / "data" / "legend.csv", label_column="emotion", image_dir=root / "images")
    assert len(all_labels(alone)) == 24 and alone.ledger.count() == 0


def test_a_table_can_be_given_itself(root):
    write_labels(root / "labels.csv", names())
    write_labels(root / "other.csv", names())
    with pytest.raises(ValueError, match="several tables, labels.csv, other.csv, of which .* say no split"):
        custom.load(root)
    assert all_labels(custom.load(root / "labels.csv")) == expected()
    assert all_labels(custom.load(root, csv="labels.csv")) == expected()


def test_the_table_that_names_every_image_of_the_others_is_read(root):
    write_labels(root / "labels.csv", names())
    write_labels(root / "first_ten.csv", names()[:10])
    source = custom.load(root)
    assert len(all_labels(source)) == 24 and noted(source, "labels.csv names every image that first_ten.csv names")


@pytest.mark.parametrize("suffix", [".CSV", ".tsv", ".txt", ".Json", ".jsonl"])
def test_tables_of_every_suffix(root, suffix):
    if suffix.lower().startswith(".json"):
        lines = [f'{{"file_name": "{name}", "label": "{label}"}}' for name, label in expected().items()]
        write_text(root / f"labels{suffix}", *lines)
    else:
        write_labels(root / f"labels{suffix}", names(), delimiter="\t" if suffix == ".tsv" else ";")
    assert all_labels(custom.load(root)) == expected()


def test_a_column_is_known_by_its_cells(root):
    write_labels(root / "labels.csv", names(), "portrait,label")
    source = custom.load(root)
    assert all_labels(source) == expected() and noted(source, "column 'portrait' names the images")


def test_images_that_no_row_names_are_counted(root):
    write_labels(root / "labels.csv", names()[:23])
    assert custom.load(root).ledger.to_dict()["folder"]["not_in_table"]["names"] == ["images/23.png"]
    write_labels(root / "labels.csv", names()[:20])
    with pytest.raises(ValueError, match="4 image files that no row of the table names .*--allow_left_out not_in"):
        custom.load(root)


def test_a_stray_table_beside_class_folders_is_passed_over(tmp_path):
    write_classes(tmp_path / "faces", 12)
    write_text(tmp_path / "faces" / "sizes.csv", "name,width", "0.jpg,8")
    source = custom.load(tmp_path / "faces")
    assert set(all_labels(source).values()) == set(WORDS) and noted(source, "sizes.csv was passed over")
    assert source.ledger.to_dict()["train"]["table_passed_over"]["names"] == ["sizes.csv"]


def test_a_table_with_labels_wins_over_the_folders_unless_told(tmp_path):
    folder = tmp_path / "faces"
    write_classes(folder, 12)
    rows = [f"{label}/{number}.jpg,{'xy'[number % 2]}" for label in WORDS for number in range(12)]
    write_text(folder / "labels.csv", "file_name,label", *rows)
    assert set(all_labels(custom.load(folder)).values()) == {"x", "y"}
    assert set(all_labels(custom.load(folder, layout="classes")).values()) == set(WORDS)


@pytest.mark.parametrize("kind", ["lists", "arrays", "structs"])
def test_arrays_of_pixels_are_told_how_they_become_pictures(tmp_path, kind):
    arrays = [np.full((8, 8), number, dtype=np.uint8) for number in range(20)]
    cells = [{"pixels": array.tolist()} for array in arrays] if kind == "structs" else arrays
    features = datasets.Features(img=datasets.Array2D((8, 8), "uint8"), label=datasets.Value("string"))
    rows = {"img": cells, "label": WORDS[:2] * 10}
    data = datasets.Dataset.from_dict(rows, features=features if kind == "arrays" else None)
    data.to_parquet(tmp_path / "faces.parquet")
    with pytest.raises(ValueError, match=r"column 'img' holds .*Save arrays as such: .*PIL.Image.fromarray\(array\)"):
        custom.load(tmp_path / "faces.parquet")
    rows["img"] = [Image.fromarray(array) for array in arrays]
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "faces.parquet")
    assert sum(map(len, custom.load(tmp_path / "faces.parquet").splits.values())) == 20


def test_lists_divide_no_rows(tmp_path):
    rows = {"image": [encoded(number) for number in range(20)], "label": WORDS[:2] * 10, "set": [[1], [2]] * 10}
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "faces.parquet")
    assert noted(custom.load(tmp_path / "faces.parquet"), "carved")
    with pytest.raises(ValueError, match=r"column 'set' is List\(Value\('int64'\)\); splits are words"):
        custom.load(tmp_path / "faces.parquet", split_column="set")


def test_split_columns(root):
    rows = [
        f"{name},{WORDS[n % 2]},{('Training', 'PublicTest', 'PrivateTest')[n // 2 % 3]}"
        for n, name in enumerate(names())
    ]
    write_text(root / "labels.csv", "file_name,label,Usage", *rows)
    source = custom.load(root)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 8, "validation": 8, "test": 8}
    assert noted(source, "column 'Usage' divides the rows")
    write_text(root / "labels.csv", "file_name,label,part_of", *rows)
    assert noted(custom.load(root), "carved")
    assert {len(data) for data in custom.load(root, split_column="part_of").splits.values()} == {8}
    with pytest.raises(ValueError, match=r"no column 'part'. Did you mean 'part_of'\?.*--split_column NAME"):
        custom.load(root, split_column="part")
    with pytest.raises(ValueError, match="column 'label' holds happy, sad; known are train"):
        custom.load(root, split_column="label")


def test_several_tables_of_one_split_are_put_together(root):
    write_labels(root / "train_1.csv", names()[:10])
    write_labels(root / "train_2.csv", names()[10:20])
    write_labels(root / "val.csv", names()[20:])
    source = custom.load(root)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 20, "validation": 4}
    assert noted(source, "train: the tables train_1.csv, train_2.csv were put together")


def test_what_save_to_disk_wrote_is_read(tmp_path):
    feature = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(WORDS))})
    rows = {"image": [{"bytes": encoded(n), "path": None} for n in range(20)], "label": [0, 1] * 10}
    data = datasets.Dataset.from_dict(rows, features=feature)
    datasets.DatasetDict(train=data, test=data.select(range(4))).save_to_disk(tmp_path / "saved")
    source = custom.load(tmp_path / "saved")
    assert labels(source, "test") == ["happy", "sad"] * 2
    data.save_to_disk(tmp_path / "one")
    assert sum(map(len, custom.load(tmp_path / "one").splits.values())) == 20


def test_rows_without_an_image_are_told_from_rows_whose_image_is_missing(root):
    rows = [f"{name},{WORDS[n % 2]}" for n, name in enumerate(names())]
    write_text(root / "labels.csv", "file_name,label", ",happy", "gone.png,sad", *rows)
    source = custom.load(root)
    left_out = source.ledger.to_dict()["train"]
    assert left_out["no_image"]["names"] == ["row 1"] and left_out["missing_file"]["names"] == ["gone.png"]


def test_parquet_files_without_a_split_are_shards(tmp_path):
    feature = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    (tmp_path / "faces").mkdir()
    for shard in range(2):
        rows = {"image": [{"bytes": encoded(10 * shard + n), "path": None} for n in range(10)], "label": ["a", "b"] * 5}
        datasets.Dataset.from_dict(rows, features=feature).to_parquet(tmp_path / "faces" / f"data-0000{shard}.parquet")
    source = custom.load(tmp_path / "faces")
    assert sum(map(len, source.splits.values())) == 20 and noted(source, "train: 2 parquet files were put together")


def test_a_table_whose_paths_lead_to_their_files_needs_no_look_around(tmp_path, monkeypatch):
    """There may be a hundred thousand files beside it."""
    write_images(tmp_path, *[f"images/{number}.jpg" for number in range(30)], "images/stray.jpg")
    rows = [f"images/{number}.jpg,{('happy', 'sad')[number % 2]}" for number in range(30)]
    write_text(tmp_path / "faces.csv", "file_name,label", *rows)
    walked, walk = [], tables.walk
    monkeypatch.setattr(tables, "walk", lambda folder: (walked.append(folder), walk(folder))[1])
    direct = custom.load(tmp_path / "faces.csv")
    assert walked == [] and sum(map(len, direct.splits.values())) == 30 and direct.ledger.count() == 0
    write_text(tmp_path / "faces.csv", "file_name,label", *[row.removeprefix("images/") for row in rows])
    found = custom.load(tmp_path / "faces.csv")
    assert len(walked) == 1 and all_labels(found) == all_labels(direct)


@pytest.mark.parametrize(("size", "pieces"), [(10, 1), (80_000, 2)])
def test_a_table_of_small_images_is_converted_in_few_pieces(tmp_path, size, pieces):
    """Of 100 rows at least and 32 MB at most; `datasets` alone makes a piece of every 100 rows."""
    generator = np.random.default_rng(0)
    rows = {"image": [{"bytes": generator.bytes(size), "path": None} for _ in range(450)], "label": ["a"] * 450}
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "faces.parquet")
    table = _of_parquet([tmp_path / "faces.parquet"])
    assert table.data.column("label").num_chunks == pieces


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("split", ["val", "test"])
def test_a_table_of_a_split_that_cannot_be_read_does_not_vanish(root, suffix, split):
    for name in ("train", split):
        if suffix == ".csv":
            write_labels(root / f"{name}.csv", names())
        else:
            content = {"image": [encoded(row) for row in range(24)], "label": [WORDS[row % 2] for row in range(24)]}
            datasets.Dataset.from_dict(content).to_parquet(root / f"{name}.parquet")
    whole = (root / f"{split}{suffix}").read_bytes()
    damaged = whole + b"images/0.png,happy,sad\n" if suffix == ".csv" else whole[: len(whole) // 2]
    (root / f"{split}{suffix}").write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"{split}{suffix}(, line 26: 3 cells| cannot be read as parquet)"):
        custom.load(root)
    if suffix == ".csv":
        write_text(root / f"{split}.csv", "note,label", *["none,happy"] * 3)
        with pytest.raises(ValueError, match=f"{split}.csv has no column of images"):
            custom.load(root)


def test_a_parquet_file_without_images_beside_those_with_them_is_left_out_by_name(root):
    content = {"image": [encoded(row) for row in range(24)], "label": [WORDS[row % 2] for row in range(24)]}
    datasets.Dataset.from_dict(content).to_parquet(root / "train.parquet")
    datasets.Dataset.from_dict({"vector": [1.0, 2.0]}).to_parquet(root / "embeddings.parquet")
    source = custom.load(root, allow_left_out=["not_in_table"])
    assert source.ledger.to_dict()["folder"]["table_passed_over"]["names"] == ["embeddings.parquet"]
    assert noted(source, "embeddings.parquet was passed over")


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        (
            "labels.csv",
            ["# made by hand", *[f"{name},happy" for name in names()], "a,b,c"],
            "labels.csv, line 26: 3 cells",
        ),
        (
            "labels.csv",
            [f"{name},{number % 2}" for number, name in enumerate(names())],
            "labels.csv has no column 'label'",
        ),
        (
            "labels.csv",
            ["file,sad", *[f"{name},1" for name in names()]],
            "Its label columns are sad; type --label_column",
        ),
        ("labels.json", ['{"images/0.png": "sad"}'], "labels.json is no table: needed is a list of objects"),
        ("labels.xlsx", ["PK"], "labels.xlsx is a spreadsheet, which is not read. Save it as CSV"),
    ],
)
def test_the_folder_of_its_images_is_no_class_of_a_table_that_was_not_read(root, name, lines, message):
    write_text(root / name, *lines)
    with pytest.raises(ValueError, match=message):
        custom.load(root)


def test_columns_that_may_divide_the_rows_and_do_not_are_told(root):
    lines = [f"{name},{WORDS[n % 2]},{n % 5},{'AB'[n % 2]}" for n, name in enumerate(names())]
    write_text(root / "labels.csv", "file_name,label,fold,Set", *lines)
    source = custom.load(root)
    assert noted(source, "column 'fold' does not divide the rows; write train, validation or test")
    assert noted(source, "column 'Set' holds A, B, and does not divide the rows; known are train, validation, test")
    lines = [f"{name},{WORDS[n % 2]},{'train' if n < 20 else ''}" for n, name in enumerate(names())]
    write_text(root / "labels.csv", "file_name,label,split", *lines)
    with pytest.raises(ValueError, match="column 'split' holds empty cells; known are train, validation, test"):
        custom.load(root)


def saved(count, first=0):
    rows = range(first, first + count)
    return datasets.Dataset.from_dict(
        {"image": [{"bytes": encoded(row), "path": None} for row in rows], "label": [WORDS[row % 2] for row in rows]},
        datasets.Features(image=datasets.Image(), label=datasets.Value("string")),
    )


def test_a_shard_that_is_not_there_is_missed(tmp_path):
    for number in (0, 2):
        (tmp_path / "data").mkdir(exist_ok=True)
        saved(20, 20 * number).to_parquet(tmp_path / f"data/train-{number:05d}-of-00003.parquet")
    with pytest.raises(ValueError, match=r"1 parquet files are missing .*\(data/train-00001-of-00003.parquet\)"):
        custom.load(tmp_path)
    source = custom.load(tmp_path, allow_left_out=["missing_shard"])
    assert sum(map(len, source.splits.values())) == 40
    assert source.ledger.to_dict()["folder"]["missing_shard"]["count"] == 1
    saved(20, 20).to_parquet(tmp_path / "data/train-00001-of-00003.parquet")
    assert sum(map(len, custom.load(tmp_path).splits.values())) == 60


def test_a_folder_around_what_save_to_disk_wrote_is_passed_through(tmp_path):
    datasets.DatasetDict(train=saved(30), dev=saved(10, 50)).save_to_disk(tmp_path / "outer/inner/faces")
    (tmp_path / "outer/about.md").write_text("x")
    source = custom.load(tmp_path / "outer")
    assert source.ledger.to_dict()["folder"]["not_image"]["names"] == ["about.md"]
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 30, "validation": 10}
    assert noted(source, "the data are in the folder inner/faces")


def test_bare_names_are_those_of_the_folder_of_their_table(tmp_path):
    for split in ("train", "test"):
        write_images(tmp_path, *[f"{split}/images/{number}.png" for number in range(20)], kind="PNG")
        write_labels(tmp_path / f"{split}/labels.csv", [f"{number}.png" for number in range(20)])
    source = custom.load(tmp_path)
    assert {name.split("/")[0] for name in source.splits["test"]["_file"]} == {"test"}
    assert {name.split("/")[0] for name in source.splits["train"]["_file"]} == {"train"}


KINDS = {
    "0.png": lambda path: path.write_bytes(encoded(kind="PNG")),
    "0.jpg": lambda path: path.write_bytes(encoded()),
    "labels.feather": lambda path: pyarrow.feather.write_feather(pyarrow.table({"label": ["happy"]}), str(path)),
    "labels.csv.gz": lambda path: path.write_bytes(gzip.compress(b"file_name,label\n0.png,happy\n")),
    "labels.zip": lambda path: zipfile.ZipFile(path, "w").writestr("labels.csv", "file_name,label"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_no_table_is_told_with_those_that_are(tmp_path, name):
    KINDS[name](tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} is no table. Tables that are read end in \.csv, .*\.parquet"):
        custom.load(tmp_path / name)


@pytest.mark.parametrize("name", ["labels.dat", "labels", "labels.csv"])
def test_a_table_of_another_ending_is_read(root, name):
    write_labels(root / name, names())
    assert all_labels(custom.load(root / name)) == expected()


@pytest.mark.parametrize(
    "splits, message",
    [
        (("train", "valid", "holdout"), "and 'holdout' is none of train, validation, test. .*pop\\('holdout'\\)"),
        (("train", "holdout", "extra"), "and 'holdout', 'extra' are none of train, validation, test"),
        (("train", "valid", "dev"), "and 'valid', 'dev' mean one of train, validation, test"),
    ],
)
def test_the_split_that_nobody_knows_is_singled_out(tmp_path, splits, message):
    rows = datasets.Dataset.from_dict({"image": [encoded()] * 2, "label": [0, 1]})
    datasets.DatasetDict(dict.fromkeys(splits, rows)).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=f"has the splits {', '.join(splits)}, {message}"):
        custom.load(tmp_path / "saved")
