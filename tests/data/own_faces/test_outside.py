"""No table of a folder leads out of it; a table that is named itself leads where it says."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest
from data_trees import all_labels, encoded, write_images, write_text

from hf_hmtl.data.sources import custom


@pytest.fixture
def place(tmp_path):
    """A folder of faces with a table, and a private picture beside it."""
    write_images(tmp_path, "private/secret.jpg", *[f"faces/{number}.jpg" for number in range(20)])
    return tmp_path


def rows_of(place, *more):
    lines = [f"{number}.jpg,{'happy' if number % 2 else 'sad'}" for number in range(20)]
    return ["file_name,label", *lines, *more]


WAYS_OUT = [
    "../private/secret.jpg",
    "x/../../private/secret.jpg",
    "..\\private\\secret.jpg",
    "{place}/private/secret.jpg",
]


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize("table", ["metadata.csv", "deep/labels.csv", "labels.jsonl"])
def test_a_path_that_leads_out_of_the_folder_is_left_out_by_its_reason(place, way, table):
    written = way.format(place=place)
    if table.endswith("jsonl"):
        cells = [line.split(",") for line in rows_of(place, f"{written},happy")[1:]]
        lines = [json.dumps({"file_name": name, "label": label}) for name, label in cells]
    else:
        lines = rows_of(place, f"{written},happy")
    write_text(place / "faces" / table, *lines)
    source = custom.load(place / "faces")
    assert len(all_labels(source)) == 20 and not any("secret" in name for name in all_labels(source))
    reasons = {reason for of_split in source.ledger.to_dict().values() for reason in of_split}
    assert reasons == {"outside_folder"}


def test_many_of_them_stop_the_run_and_say_how_to_name_the_folder(place):
    write_text(place / "faces/metadata.csv", *rows_of(place, *["../private/secret.jpg,happy"] * 5))
    with pytest.raises(ValueError, match=r"outside the folder \(--image_dir names another\).*outside_folder"):
        custom.load(place / "faces")


def test_the_folder_that_is_named_by_image_dir_is_inside(place):
    write_text(place / "faces/metadata.csv", *rows_of(place, "../private/secret.jpg,happy"))
    assert len(all_labels(custom.load(place / "faces", image_dir=place))) == 21


def test_a_table_that_is_named_itself_leads_where_it_says(place):
    write_text(place / "faces/list.csv", *rows_of(place, f"{place}/private/secret.jpg,happy"))
    assert len(all_labels(custom.load(place / "faces/list.csv"))) == 21


def test_links_are_followed_because_people_and_the_hub_make_folders_of_them(place):
    (place / "faces/linked.jpg").symlink_to(place / "private/secret.jpg")
    write_text(place / "faces/metadata.csv", *rows_of(place, "linked.jpg,happy"))
    assert len(all_labels(custom.load(place / "faces"))) == 21


def test_paths_in_parquet_files_stay_inside_too(place):
    images = [{"bytes": None, "path": f"{number}.jpg"} for number in range(20)]
    images += [{"bytes": None, "path": str(place / "private/secret.jpg")}]
    table = pa.table({"image": images, "label": ["happy", "sad"] * 10 + ["happy"]})
    pyarrow.parquet.write_table(table, place / "faces/train.parquet")
    source = custom.load(place / "faces")
    assert sum(map(len, source.splits.values())) == 20
    assert source.ledger.to_dict()["train"]["outside_folder"]["count"] == 1


def saved(place, images):
    features = datasets.Features(
        {"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=["a", "b"])}
    )
    rows = {"image": images, "label": [number % 2 for number in range(len(images))]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(place / "saved"))
    return place / "saved"


def test_what_save_to_disk_wrote_names_no_file_elsewhere(place):
    inside = [{"bytes": encoded(number), "path": None} for number in range(20)]
    folder = saved(place, inside)
    assert sum(map(len, custom.load(folder).splits.values())) == 20
    state = json.loads((folder / "state.json").read_text())
    for files in ([{"filename": "../../other.arrow"}], [{"filename": "/etc/passwd"}], [{}], "x", None):
        (folder / "state.json").write_text(json.dumps(state | {"_data_files": files}))
        with pytest.raises(ValueError, match="state.json names no files of its folder"):
            custom.load(folder)
    (folder / "state.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        custom.load(folder)


def test_splits_of_save_to_disk_are_folders_of_its_own(place):
    (place / "faces/dataset_dict.json").write_text(json.dumps({"splits": ["../private"]}))
    with pytest.raises(ValueError, match="names of folders elsewhere"):
        custom.load(place / "faces")


def test_images_that_save_to_disk_left_where_they_were_are_not_read(place):
    folder = saved(place, [{"bytes": encoded(number), "path": None} for number in range(20)])
    table = datasets.load_from_disk(str(folder))
    arrow = table.data.table.to_pydict()
    arrow["image"][3] = {"bytes": None, "path": str(place / "private/secret.jpg")}
    (name,) = folder.glob("*.arrow")
    with pa.OSFile(str(name), "wb") as file, pa.ipc.new_stream(file, table.data.schema) as writer:
        writer.write_table(pa.table(arrow, schema=table.data.schema))
    source = custom.load(folder)
    assert source.ledger.to_dict()["train"]["outside_folder"]["count"] == 1
