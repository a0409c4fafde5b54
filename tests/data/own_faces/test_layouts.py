"""Folders of every shape: each file is used or named, and each choice is said."""

import os
import unicodedata

import pytest
from data_trees import all_labels, encoded, labels, write_classes, write_images, write_text
from PIL import Image, features

from hf_hmtl.data.own_faces import tree
from hf_hmtl.data.sources import custom


def left_out(source, where="folder"):
    return {reason: entry["count"] for reason, entry in source.ledger.to_dict().get(where, {}).items()}


def noted(source, part):
    return any(part in note for note in source.notes)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    return folder


def test_a_wrapping_folder_is_passed_through(root):
    write_classes(root / "archive" / "faces", 10)
    source = custom.load(root)
    assert set(all_labels(source).values()) == {"happy", "sad"}
    assert noted(source, "the images are in the folder archive/faces")


def test_a_wrapping_folder_of_splits_is_passed_through(root):
    write_classes(root / "data" / "train", 6)
    write_classes(root / "data" / "test" / "images", 3)
    source = custom.load(root)
    assert len(source.splits["test"]) == 6 and set(all_labels(source).values()) == {"happy", "sad"}


def test_several_folders_of_one_split_are_put_together(root):
    write_classes(root / "train", 4)
    write_classes(root / "training_more", 3)
    write_classes(root / "val", 2)
    source = custom.load(root)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 14, "validation": 4}
    assert noted(source, "train: the folders train, training_more were put together")


def test_an_empty_folder_of_a_split_hides_nothing(root):
    write_classes(root / "train", 4)
    write_classes(root / "val", 2)
    (root / "train_extra").mkdir()
    source = custom.load(root)
    assert len(source.splits["train"]) == 8
    assert noted(source, "1 folders hold no file: train_extra")


def test_class_folders_may_be_deeper_and_shallower(root):
    write_images(root, *[f"{name}/{number}.jpg" for name in ("happy", "happy/S01", "sad/S01/a") for number in range(6)])
    source = custom.load(root)
    found = all_labels(source)
    assert len(found) == 18 and all(name.startswith(label) for name, label in found.items())
    assert noted(source, "the classes are the outer folders; what lies deeper is read too (happy/S01, sad/S01/a)")


def test_persons_above_their_expressions_are_seen(root):
    write_images(
        root, *[f"{who}/{label}/{n}.jpg" for who in ("S1", "S2") for label in ("happy", "sad") for n in range(6)]
    )
    source = custom.load(root)
    assert set(all_labels(source).values()) == {"happy", "sad"}
    assert noted(source, "the classes are the inner folders (happy, sad)")
    assert set(all_labels(custom.load(root, layout="classes")).values()) == {"S1", "S2"}


def test_inner_classes_on_demand(root):
    write_images(root, *[f"{who}/{label}/{n}.jpg" for who in ("S1", "S2") for label in ("a", "b") for n in range(6)])
    assert set(all_labels(custom.load(root)).values()) == {"S1", "S2"}
    assert set(all_labels(custom.load(root, layout="inner_classes")).values()) == {"a", "b"}


def test_splits_inside_the_classes(root):
    for label in ("happy", "sad"):
        write_images(root / label, "train/1.jpg", "train/2.jpg", "val/3.jpg", "test/4.jpg")
    source = custom.load(root)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 4, "validation": 2, "test": 2}
    assert noted(source, "the folders inside the class folders are called train")
    assert len(custom.load(root, layout="classes").splits["train"]) < 8


def test_split_words_are_classes_where_images_lie_in_them(root):
    write_classes(root, 8, ("test", "train"))
    source = custom.load(root)
    assert set(all_labels(source).values()) == {"test", "train"}
    assert noted(source, "train, test are classes here") or noted(source, "test, train are classes here")


def test_a_split_word_beside_classes_that_may_be_either_raises(root):
    write_classes(root, 8)
    write_classes(root / "test", 2)
    with pytest.raises(ValueError, match=r"beside the folders happy, sad lies test, which may be a class or a split"):
        custom.load(root)
    assert set(all_labels(custom.load(root, layout="classes")).values()) == {"happy", "sad", "test"}


def test_files_outside_the_folders_are_counted(root):
    write_classes(root, 30)
    write_images(root, "loose.jpg")
    write_text(root / "happy" / "notes.md", "x")
    assert custom.load(root).ledger.to_dict()["train"]["no_class"]["names"] == ["loose.jpg"]
    write_images(root, *[f"loose_{number}.jpg" for number in range(9)])
    with pytest.raises(ValueError, match="10 image files outside the class folders .*--allow_left_out no_class"):
        custom.load(root)
    assert sum(map(len, custom.load(root, allow_left_out=["no_class"]).splits.values())) == 60


def test_a_folder_beside_the_splits_is_counted(root):
    write_classes(root / "train", 30)
    write_images(root / "backup" / "happy", "1.jpg")
    source = custom.load(root)
    assert left_out(source) == {"no_split": 1}


def test_a_test_folder_without_classes_is_left_out_and_validation_reported(root):
    write_classes(root / "train", 20)
    write_images(root / "test", "1.jpg", "2.jpg")
    source = custom.load(root)
    assert source.report_split == "validation"
    assert left_out(source, "test") == {"unlabelled_split": 2}


def test_a_validation_folder_without_classes_raises(root):
    write_classes(root / "train", 20)
    write_images(root / "val", "1.jpg", "2.jpg")
    with pytest.raises(ValueError, match="the validation split has no row left"):
        custom.load(root)


def test_every_suffix_that_pillow_opens_is_read(root):
    kinds = {".jfif": "JPEG", ".jpe": "JPEG", ".jp2": "JPEG2000", ".webp": "WEBP", ".GIF": "GIF", ".tiff": "TIFF",
             ".bmp": "BMP", ".ppm": "PPM", ".tga": "TGA", ".pcx": "PCX"}  # fmt: skip
    for label in ("happy", "sad"):
        for number, (suffix, kind) in enumerate(kinds.items()):
            if kind == "JPEG2000" and not features.check("jpg_2000"):
                continue
            (root / label).mkdir(exist_ok=True)
            (root / label / f"{number}{suffix}").write_bytes(encoded(number, kind))
    source = custom.load(root)
    assert sum(map(len, source.splits.values())) == 20


def test_files_without_a_suffix_are_told_by_their_content(root):
    write_classes(root, 12)
    (root / "happy" / "portrait").write_bytes(encoded(1, "PNG"))
    (root / "happy" / "face.of.anna").write_bytes(encoded(2))
    write_text(root / "happy" / "README", "no picture")
    source = custom.load(root)
    assert sum(map(len, source.splits.values())) == 26
    assert noted(source, "2 files are images by their content alone (happy/face.of.anna, happy/portrait)")
    assert source.ledger.to_dict()["train"]["not_image"]["names"] == ["happy/README"]


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [(".heic", "unreadable_format"), (".nef", "unreadable_format"), (".mp4", "video"), (".txt", "not_image")],
)
def test_a_class_of_files_that_cannot_be_read_raises(root, suffix, reason):
    write_classes(root, 12)
    (root / "calm").mkdir()
    for number in range(2):
        (root / "calm" / f"{number}{suffix}").write_bytes(b"x")
    with pytest.raises(ValueError, match=f"no row left of the class 'calm'.*--allow_left_out {reason}"):
        custom.load(root)
    assert set(all_labels(custom.load(root, allow_left_out=[reason])).values()) == {"happy", "sad"}


def test_nothing_below_hidden_and_system_folders(root):
    write_classes(root, 12)
    for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "#recycle", "happy/.thumbs", "sad/@eaDir/1.jpg"):
        write_images(root / name, "x/1.jpg")
    (root / "happy" / "._0.jpg").write_bytes(b"x")
    (root / "Thumbs.db").write_bytes(b"x")
    source = custom.load(root)
    assert sum(map(len, source.splits.values())) == 24
    assert source.ledger.count() == 8 and {each.reason.name for each in source.ledger.entries.values()} == {"system"}


def test_a_class_folder_in_two_forms_of_unicode_is_one_class(root):
    for number, form in enumerate(("NFC", "NFD")):
        write_images(root, *[f"{unicodedata.normalize(form, 'fröhlich')}/{number}{n}.jpg" for n in range(6)])
    write_images(root, *[f"traurig/{number}.jpg" for number in range(6)])
    if len(os.listdir(root)) < 3:
        pytest.skip("this file system keeps one form")
    source = custom.load(root)
    assert source.splits["train"].features["emotion"].names == ["fröhlich", "traurig"]
    assert noted(source, "folders that write fröhlich in two ways of Unicode are one")


def test_links_are_followed_once(root, tmp_path):
    write_classes(tmp_path / "elsewhere", 12)
    for label in ("happy", "sad"):
        (root / label).symlink_to(tmp_path / "elsewhere" / label)
    (root / "happy" / "loop").symlink_to(root)
    (root / "happy" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    source = custom.load(root)
    assert sum(map(len, source.splits.values())) == 24
    assert source.ledger.to_dict()["train"]["broken_link"]["names"] == ["happy/gone.jpg"]


def test_images_side_by_side_say_what_is_missing(root):
    write_images(root, "1.jpg", "2.jpg")
    with pytest.raises(FileNotFoundError, match="there is no class folder: all 2 images lie side by side"):
        custom.load(root)


def test_layout_is_one_of_the_known(root):
    write_classes(root)
    with pytest.raises(ValueError, match="layout is 'class', allowed are table, classes, splits, inner_classes"):
        custom.load(root, layout="class")


def test_suffixes_are_those_of_pillow():
    Image.init()
    assert {".jpg", ".png", ".jfif", ".mpo", ".tif", ".webp"} <= tree.suffixes()
    assert not {".eps", ".pdf", ".h5", ".mpg", ".wmf"} & tree.suffixes()


def test_labels_of_rows_stay_with_their_files(root):
    write_classes(root / "train", 9)
    write_classes(root / "test", 3)
    source = custom.load(root)
    assert all(name.split("/")[1] == label for name, label in all_labels(source).items())
    assert labels(source, "test") == ["happy"] * 3 + ["sad"] * 3
