"""RAF-DB's basic subset on a miniature release, and as it is passed on."""

import os

import pytest
from data_trees import all_labels, write_images
from releases import RAFDB, write_rafdb, write_rafdb_repack

from hf_hmtl.data.sources import rafdb

pytestmark = pytest.mark.filterwarnings("ignore:rafdb. .* rows differ from the published counts")
NAMES = {1: "surprise", 2: "fear", 3: "disgust", 4: "happiness", 5: "sadness", 6: "anger", 7: "neutral"}


def by_name(source):
    """{name of the face: its class}, of all splits."""
    return {os.path.basename(file).split(".")[0].removesuffix("_aligned"): label
            for file, label in all_labels(source).items()}  # fmt: skip


@pytest.mark.parametrize("images", ["aligned", "original"])
@pytest.mark.parametrize("place", ["basic", ".", "RAF-DB/basic"])
def test_the_official_release_in_every_placement(tmp_path, place, images):
    source = rafdb.load(write_rafdb(tmp_path, place), images, validation_fraction=0)
    assert by_name(source) == {name: NAMES[code] for name, code in RAFDB.items()}
    assert {len(data) for data in source.splits.values()} == {8, 2}
    endings = {file.endswith("_aligned.jpg") for data in source.splits.values() for file in data["_file"]}
    assert endings == {images == "aligned"}


def test_every_file_is_used_or_in_the_ledger(tmp_path):
    write_rafdb(tmp_path)
    with open(tmp_path / "basic/EmoLabel/list_patition_label.txt", "a") as file:
        file.write("train_00009.jpg 4\ntrain_00010.jpg 8\n\n")
    write_images(tmp_path, "basic/Image/aligned/train_00010_aligned.jpg", "basic/Image/aligned/train_00011_aligned.jpg")
    write_images(tmp_path, "contact_sheet.jpg")
    source = rafdb.load(
        tmp_path, validation_fraction=0, allow_left_out=["missing_file", "no_code", "not_in_table", "no_split"]
    )
    counts = {
        split: {name: entry["count"] for name, entry in found.items()}
        for split, found in source.ledger.to_dict().items()
    }
    assert counts == {
        "train": {"missing_file": 1, "no_code": 1, "not_in_table": 1},
        "folder": {"other_images": 10, "no_split": 1, "not_image": 1},
    }
    files = sum(len(names) for _, _, names in os.walk(tmp_path))
    assert files == 1 + sum(map(len, source.splits.values())) + source.ledger.count() - 1  # one of the list has no file


def test_as_it_is_passed_on(tmp_path):
    source = rafdb.load(write_rafdb_repack(tmp_path), validation_fraction=0)
    assert by_name(source) == {name: NAMES[code] for name, code in RAFDB.items()}
    with pytest.raises(FileNotFoundError, match="none of the original images"):
        rafdb.load(tmp_path, "original")


def test_validation_is_carved_and_the_test_split_is_the_official_one(tmp_path):
    source = rafdb.load(write_rafdb(tmp_path), validation_fraction=0.25)
    files = {split: set(data["_file"]) for split, data in source.splits.items()}
    assert {split: len(names) for split, names in files.items()} == {"train": 7, "validation": 1, "test": 2}
    assert all("test_" in name for name in files["test"])
    assert not files["train"] & files["validation"] and source.report_split == "test"
    assert rafdb.load(tmp_path, validation_fraction=0).report_split == "validation"


@pytest.mark.parametrize(("line", "seen"), [("train_00009.jpg", "train_00009.jpg"), ("a b 3", "a b 3")])
def test_a_line_that_is_none_is_named(tmp_path, line, seen):
    write_rafdb(tmp_path)
    with open(tmp_path / "basic/EmoLabel/list_patition_label.txt", "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ValueError, match=f"list_patition_label.txt, line 11: '{seen}'; needed are a name and a code"):
        rafdb.load(tmp_path)


def test_a_wrong_folder_says_what_was_expected_and_what_was_found(tmp_path):
    write_images(tmp_path, "happy/1.jpg")
    with pytest.raises(FileNotFoundError, match=r"neither list_patition_label.txt nor .*found: happy(.|\n)*--data_dir"):
        rafdb.load(tmp_path)
    with pytest.raises(ValueError, match="images is 'cropped', allowed are aligned and original"):
        rafdb.load(tmp_path, "cropped")
    with pytest.raises(ValueError, match="validation_fraction is -1, allowed is 0 <= fraction < 1"):
        rafdb.load(tmp_path, validation_fraction=-1)


def test_counts_that_differ_warn_with_the_published_ones(tmp_path):
    with pytest.warns(UserWarning, match=r"rows 8 \(published 12,271\)"):
        rafdb.load(write_rafdb(tmp_path), validation_fraction=0)
    assert sum(rafdb.EXPECTED.values()) == 15_339
