"""FairFace on a miniature release: both paddings, and lists that a spreadsheet has damaged."""

import os

import pytest
from data_trees import labels, write_images
from releases import FAIRFACE, FAIRFACE_FOLDER, write_fairface

from hf_hmtl.data.sources import fairface

pytestmark = pytest.mark.filterwarnings("ignore:fairface. .* rows differ from the published counts")
AGES = ["50-59", "30-39", "0-2", "3-9", "10-19", "more than 70"]
BOTH = [FAIRFACE_FOLDER.format("025"), FAIRFACE_FOLDER.format("125")]


def files_below(folder):
    return sum(len(files) for _, _, files in os.walk(folder))


def test_labels_are_those_of_the_lists(tmp_path):
    source = fairface.load(write_fairface(tmp_path))
    assert labels(source, task="gender") == ["Male", "Female", "Female", "Female", "Male", "Male"]
    assert labels(source, task="age") == AGES
    assert labels(source, task="race") == [
        "East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic",
    ]  # fmt: skip
    assert labels(source, "validation", "race") == ["Southeast Asian", "East Asian"]
    assert source.report_split == "validation"
    assert source.splits["train"].features["gender"].names == ["Male", "Female"], "the numbers of the copies on the Hub"
    assert files_below(tmp_path) == 2 + sum(map(len, source.splits.values()))


@pytest.mark.parametrize(
    ("places", "sides", "padding", "side"),
    [
        ([""], [224], None, 224),
        ([""], [448], None, 448),
        (["fairface"], [448], 1.25, 448),
        (BOTH[:1], [8], None, 8),
        (BOTH[1:], [8], None, 8),
        (BOTH, [224, 448], None, 224),
        (BOTH, [224, 448], 0.25, 224),
        (BOTH, [224, 448], 1.25, 448),
    ],
)
def test_both_paddings_in_every_placement(tmp_path, places, sides, padding, side):
    source = fairface.load(write_fairface(tmp_path, places, sides), padding)
    assert len(source.splits["train"]) == 6 and len(source.splits["validation"]) == 2
    row = source.splits["train"].cast_column("image", fairface.datasets.Image())[0]
    assert row["image"].size == (side, side)
    wide = padding == 1.25 or BOTH[1:] == places or sides == [448]
    assert source.face_margin == (1.25 if wide else 0.25)
    assert source.crop == {"train": 3 / 7, "eval": 3 / 7} if wide else {"train": 1.0, "eval": 1.0}
    left_out = source.ledger.to_dict()
    assert (left_out["folder"]["other_padding"]["count"] == 8) if len(places) == 2 else not left_out


def test_the_wide_padding_cropped_shows_what_the_narrow_one_shows():
    """dlib's chips are 1 + 2 * padding face widths wide: 1.5 and 3.5."""
    assert fairface.CROPS[1.25]["eval"] * (1 + 2 * 1.25) == pytest.approx(1 + 2 * 0.25)


@pytest.mark.parametrize(
    ("three", "ten"),
    [
        ("9-Mar", "19-Oct"),
        ("09-Mar", "Oct-19"),
        ("3-Sep", "10-19"),
        ("Mar-09", "Oct-19"),
        ("2021-03-09", "2019-10-19"),
        ("3/9/2021", "10/19/2021"),
        ("9. März", "19. Oktober"),
        ("09. Mrz", "19. Okt"),
        ("3–9", "10–19"),
        ("03-09", "10-19 "),
    ],
)
def test_ages_that_a_spreadsheet_made_dates_of_are_mended(tmp_path, three, ten):
    damaged = {
        split: [line.replace(",3-9,", f",{three},").replace(",10-19,", f",{ten},") for line in lines]
        for split, lines in FAIRFACE.items()
    }
    assert labels(fairface.load(write_fairface(tmp_path, lists=damaged)), task="age") == AGES


def test_mended_ages_are_counted(tmp_path):
    damaged = {split: [line.replace(",3-9,", ",9-Mar,") for line in lines] for split, lines in FAIRFACE.items()}
    notes = fairface.load(write_fairface(tmp_path, lists=damaged)).notes
    assert "train: 1 ages that a spreadsheet made dates of are mended: 9-Mar to 3-9" in notes
    assert "validation: 1 ages that a spreadsheet made dates of are mended: 9-Mar to 3-9" in notes


@pytest.mark.parametrize("age", ["9-Apr", "old", "", "9", "31-Oct", "2021-03-10", "90-99"])
def test_other_ages_are_none_and_said(tmp_path, age):
    lists = {**FAIRFACE, "train": [line.replace(",50-59,", f",{age},") for line in FAIRFACE["train"]]}
    source = fairface.load(write_fairface(tmp_path, lists=lists))
    assert labels(source, task="age") == [None, *AGES[1:]]
    assert f"train: 1 rows have no age: {age!r}" in source.notes


def test_lists_saved_by_a_spreadsheet_of_another_country(tmp_path):
    write_fairface(tmp_path)
    for split, lines in FAIRFACE.items():
        text = "\r\n".join(["file,age,gender,race,service_test", *lines]).replace(",", ";").replace("True", "WAHR")
        (tmp_path / f"fairface_label_{split}.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("/", "\\").encode())
    assert labels(fairface.load(tmp_path), task="age") == AGES


def test_every_file_and_row_is_used_or_in_the_ledger(tmp_path):
    lists = {
        "train": [*FAIRFACE["train"], "train/7.jpg,20-29,Male,White,True", "train/8.jpg,20-29,Other,White,True"],
        "val": FAIRFACE["val"],
    }
    root = write_fairface(tmp_path, BOTH, [8, 8])
    (root / "fairface_label_train.csv").write_text("\n".join(["file,age,gender,race,service_test", *lists["train"]]))
    write_images(root / BOTH[0], "train/8.jpg", "train/9.jpg", "val/9.jpg", "elsewhere/10.jpg")
    (root / "README.md").touch()
    allowed = ["missing_file", "no_code", "not_in_table", "no_split"]
    source = fairface.load(root, allow_left_out=allowed)
    counts = {
        split: {name: entry["count"] for name, entry in found.items()}
        for split, found in source.ledger.to_dict().items()
    }
    assert counts == {
        "train": {"missing_file": 1, "no_code": 1, "not_in_table": 1},
        "validation": {"not_in_table": 1},
        "folder": {"other_padding": 8, "no_split": 1, "not_image": 1},
    }
    assert files_below(root) == 2 + sum(map(len, source.splits.values())) + source.ledger.count() - 1
    with pytest.raises(ValueError, match="--allow_left_out missing_file"):
        fairface.load(root, allow_left_out=allowed[1:])


def test_a_wrong_folder_says_what_was_expected_and_what_was_found(tmp_path):
    write_images(tmp_path, "happy/1.jpg")
    with pytest.raises(
        FileNotFoundError, match=r"no fairface_label_train.csv \(found: happy\)(.|\n)*--data_dir FOLDER"
    ):
        fairface.load(tmp_path)
    for split in ("train", "val"):
        (tmp_path / f"fairface_label_{split}.csv").write_text("file,age,sex,race\ntrain/1.jpg,0-2,Male,White\n")
    with pytest.raises(FileNotFoundError, match=r"no train/ and val/ with images \(found: fairface_label_train.csv, "):
        fairface.load(tmp_path)
    write_images(tmp_path, "train/1.jpg")
    with pytest.raises(
        ValueError, match="columns file, age, sex, race; needed are file, age, gender, race, of which it"
    ):
        fairface.load(tmp_path)
    with pytest.raises(ValueError, match="padding is 0.5, allowed are 0.25 and 1.25"):
        fairface.load(tmp_path, 0.5)
    with pytest.raises(FileNotFoundError, match="no images of padding 1.25, but of 0.25"):
        fairface.load(tmp_path, 1.25)


def test_counts_that_differ_warn_with_the_published_ones(tmp_path):
    with pytest.warns(UserWarning, match=r"rows 6 \(published 86,744\)"):
        fairface.load(write_fairface(tmp_path))
    assert sum(fairface.EXPECTED.values()) == 97_698
