"""Both official releases of AffectNet on miniature trees with every quirk that has been seen."""

import math
import os
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_hmtl.data.sources import _affectnet_npy, _index, affectnet

pytestmark = pytest.mark.filterwarnings("ignore:affectnet. .* rows differ from the published counts")
HEADER = ",".join(
    ["subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks"]
    + ["expression", "valence", "arousal"]
)
# path, expression, valence, arousal: text as in the lists, with the mixed types that copies have
TRAIN = [
    ("1/a.jpg", "0", "-0.017253", "0.004313"),
    ("1/b.JPG", "1.0", "0.785714", "-0.055556"),
    ("2/c.tif", "6", "-0.5", "0.5"),
    ("2/d.bmp", "7", "-0.25", "0.25"),
    ("2/e.png", "8", "0.1", "0.2"),
    ("2/f.jpg", "9", "-2", "-2"),
    ("2/g.jpg", "10", "-2", "-2"),
    ("3/h.jpg", "2", "-2", "-2"),
    ("3/missing.jpg", "3", "0.5", "0.5"),
]
VALIDATION = [("1/v.jpg", "4", "0.5", "0.5"), ("4/w.bmp", "5", "-0.5", "1"), ("4/x.tif", "8", "0", "0")]


def load(folder, **options):
    """As with --allow_left_out: one row of these few is more than a tenth."""
    return affectnet.load(folder, allow_left_out=["missing_file", "no_code"], **options)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (10, 20, 30)).save(path)


def write_list(path, rows, header):
    box = '-1,error,100,"100",' + ";".join(["1.5"] * 136)
    lines = [f"{name},{box},{','.join(labels)}" for name, *labels in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER] * header + lines) + "\n")


def csv_release(root, lists="Manually_Annotated_file_lists", images="Manually_Annotated_Images", headers=(True, False)):
    for name, *_ in TRAIN + VALIDATION:
        if "missing" not in name:
            write_image(root / images / name)
    write_list(root / lists / "training.csv", TRAIN, headers[0])
    write_list(root / lists / "validation.csv", VALIDATION, headers[1])
    return root


def rows_of(source, split="train"):
    """{file name: (emotion name or None, valence, arousal)} with None for NaN."""
    data = source.splits[split]
    names = data.features["emotion"].names
    return {
        os.path.basename(row["image"]["path"]): (
            names[row["emotion"]] if row["emotion"] >= 0 else None,
            *(None if math.isnan(row[name]) else round(row[name], 6) for name in ("valence", "arousal")),
        )
        for row in data
    }


EXPRESSIONS = {
    "a.jpg": ("neutral", -0.017253, 0.004313),
    "b.JPG": ("happy", 0.785714, -0.055556),
    "c.tif": ("anger", -0.5, 0.5),
    "d.bmp": ("contempt", -0.25, 0.25),
    "h.jpg": ("sad", None, None),
}


@pytest.mark.parametrize(
    ("lists", "images"),
    [
        ("label", "Manually_Annotated_Images/Manually_Annotated_Images"),
        ("Manually_Annotated_file_lists", "Manually_Annotated_Images"),
        ("Manually_Annotated_file_lists/Manually_Annotated_file_lists", "Manually_Annotated_Images"),
        (".", "Manually_Annotated_Images"),
        ("Manually_Annotated", "Manually_Annotated/Manually_Annotated_Images"),
        (".", "Manually_Annotated/Manually_Annotated_Images"),
    ],
)
def test_csv_release_in_every_placement(tmp_path, lists, images):
    source = load(csv_release(tmp_path, lists, images))
    assert rows_of(source) == EXPRESSIONS
    assert rows_of(source, "validation") == {"v.jpg": ("fear", 0.5, 0.5), "w.bmp": ("disgust", -0.5, 1.0)}
    assert all(Path(row["image"]["path"]).is_file() for row in source.splits["train"])
    assert source.report_split == "validation"
    assert source.crop == {"train": 0.69, "eval": 0.80}


@pytest.mark.parametrize("headers", [(True, True), (False, False), (False, True)])
def test_headers_are_sniffed(tmp_path, headers):
    assert rows_of(load(csv_release(tmp_path, headers=headers))) == EXPRESSIONS


def test_images_may_stand_in_both_of_two_doubled_folders(tmp_path):
    csv_release(tmp_path, images="Manually_Annotated_Images/Manually_Annotated_Images")
    inner = tmp_path / "Manually_Annotated_Images/Manually_Annotated_Images/3"
    inner.rename(tmp_path / "Manually_Annotated_Images/3")
    write_image(tmp_path / "Manually_Annotated_Images/1/a.jpg")
    source = load(tmp_path)
    assert rows_of(source) == EXPRESSIONS
    first = source.splits["train"][0]["image"]["path"]
    assert first.endswith("Manually_Annotated_Images/Manually_Annotated_Images/1/a.jpg"), "the inner folder comes first"


def test_code_8_has_valence_and_arousal_but_no_emotion(tmp_path):
    source = load(csv_release(tmp_path), with_none=True)
    assert rows_of(source) == {**EXPRESSIONS, "e.png": (None, 0.1, 0.2)}
    assert rows_of(source, "validation")["x.tif"] == (None, 0.0, 0.0)


def test_uncertain_faces_are_kept_for_self_supervised_training(tmp_path):
    root = csv_release(tmp_path)
    with_none, faces = load(root, with_none=True), load(root, with_uncertain=True)
    assert len(faces.splits["train"]) == len(with_none.splits["train"]) + 1  # one row of code 9, none of code 10
    assert set(faces.ledger.to_dict()["train"]) == {"missing_file", "non_face"}
    added = set(rows_of(faces)) - set(rows_of(with_none))
    assert len(added) == 1 and rows_of(faces)[added.pop()][0] is None


def test_upstream_filter_leaves_out_what_the_authors_could_not_decode(tmp_path):
    source = load(csv_release(tmp_path), with_none=True, upstream_filter=True)
    assert set(rows_of(source)) == {"a.jpg", "b.JPG", "e.png", "h.jpg"}
    assert set(rows_of(source, "validation")) == {"v.jpg", "w.bmp"}
    assert source.ledger.to_dict()["train"]["upstream_filter"]["count"] == 2


def test_every_row_left_out_is_in_the_ledger(tmp_path):
    source = load(csv_release(tmp_path))
    left_out = source.ledger.to_dict()["train"]
    assert {reason: (entry["count"], entry["what"]) for reason, entry in left_out.items()} == {
        "missing_file": (1, "rows whose image file does not exist"),
        "none": (1, "rows of code 8 (none)"),
        "uncertain": (1, "rows of code 9 (uncertain)"),
        "non_face": (1, "rows of code 10 (non-face)"),
    }
    assert len(source.splits["train"]) + source.ledger.count("train") == len(TRAIN)
    assert {"train: 1 rows have no valence", "no public test split: validation is reported"} <= set(source.notes)


def test_files_that_no_list_names_are_in_the_ledger(tmp_path):
    csv_release(tmp_path, images="Manually_Annotated_Images/Manually_Annotated_Images")
    inner = "Manually_Annotated_Images/Manually_Annotated_Images"
    for name in (f"{inner}/1/stray.jpg", f"{inner}/9/other.png", "Manually_Annotated_Images/1/a.jpg", "sheet.jpg",
                 "Automatically_Annotated_Images/1/a.jpg", "Automatically_Annotated_Images/2/z.jpg"):  # fmt: skip
        write_image(tmp_path / name)
    (tmp_path / "Automatically_Annotated_file_lists").mkdir()
    (tmp_path / "Automatically_Annotated_file_lists/automatically_annotated.csv").write_text("1/a.jpg\n")
    (tmp_path / "Manually_Annotated.part01.rar").touch()
    with pytest.raises(ValueError, match="of .* 3 image files that no row .* --allow_left_out not_in_table"):
        load(tmp_path)
    source = affectnet.load(tmp_path, allow_left_out=["missing_file", "not_in_table"])
    left_out = source.ledger.to_dict()
    assert {name: entry["count"] for name, entry in left_out["folder"].items()} == {
        "not_in_table": 3, "doubled": 1, "automatic": 2, "table_passed_over": 1, "not_image": 1,
    }  # fmt: skip
    assert left_out["folder"]["not_in_table"]["names"][0] == f"{inner}/1/stray.jpg"
    files = sum(len(names) for _, _, names in os.walk(tmp_path))
    lists, missing = 2, 1
    assert files == lists + sum(map(len, source.splits.values())) + source.ledger.count() - missing


def test_files_among_the_npy_images_that_are_no_row_are_in_the_ledger(tmp_path):
    root = npy_release(tmp_path / "data")
    write_image(root / "train_set/images/3.png")
    source = affectnet.load(root, allow_left_out=["not_in_table"])
    assert source.ledger.to_dict()["train"]["not_in_table"]["names"] == ["train_set/images/3.png"]


def test_too_many_missing_images_raise_unless_allowed(tmp_path):
    with pytest.raises(
        ValueError, match=r"of 6 in the train split, 1 rows .*3/missing.jpg.*--allow_left_out missing_file"
    ):
        affectnet.load(csv_release(tmp_path))


def test_unusable_codes_are_left_out_and_counted(tmp_path):
    csv_release(tmp_path)
    rows = [("1/a.jpg", "0", "0", "0"), ("1/b.JPG", "happy", "0", "0"), ("2/c.tif", "11", "0", "7.5")]
    write_list(tmp_path / "Manually_Annotated_file_lists/training.csv", rows, True)
    source = affectnet.load(tmp_path, allow_left_out=["no_code", "not_in_table"])
    assert set(rows_of(source)) == {"a.jpg"}
    assert source.ledger.to_dict()["train"]["no_code"]["count"] == 2


def test_counts_that_differ_warn_with_the_published_ones(tmp_path):
    csv_release(tmp_path)
    with pytest.warns(UserWarning, match=r"happy 1 \(published 134,415\)"):
        load(tmp_path)


def test_published_counts_add_up():
    assert sum(affectnet.EXPECTED["csv"]["train"].values()) == 414_799
    assert sum(affectnet.EXPECTED["csv"]["validation"].values()) == 5_500
    assert sum(affectnet.EXPECTED["npy"]["train"].values()) == 287_651
    assert sum(affectnet.EXPECTED["npy"]["validation"].values()) == 3_999


def test_all_images_missing(tmp_path):
    csv_release(tmp_path)
    write_list(tmp_path / "Manually_Annotated_file_lists/training.csv", [("9/z.jpg", "0", "0", "0")], True)
    with pytest.raises(FileNotFoundError, match=r"none of the 1 images of .*training.csv .* the first is 9/z.jpg"):
        load(tmp_path)


def test_lists_without_an_image_folder(tmp_path):
    write_list(tmp_path / "training.csv", TRAIN, True)
    write_list(tmp_path / "validation.csv", VALIDATION, False)
    with pytest.raises(FileNotFoundError, match="there is no Manually_Annotated_Images/"):
        load(tmp_path)


def test_list_with_other_columns(tmp_path):
    csv_release(tmp_path)
    (tmp_path / "Manually_Annotated_file_lists/validation.csv").write_text("1/v.jpg,4\n")
    with pytest.raises(ValueError, match="expected are the 9 columns subDirectory_filePath"):
        load(tmp_path)


# The npy release


def npy_release(root, train="train_set", validation="val_set"):
    for place, ids in ((train, (0, 7, 10, 2)), (validation, (3, 5))):
        for number in ids:
            write_image(root / place / "images" / f"{number}.jpg")
            write_annotations(root / place / "annotations", number, number % 8, "-0.392238", "0.5")
    return root


def write_annotations(folder, number, *values):
    folder.mkdir(parents=True, exist_ok=True)
    for ending, value in zip(("exp", "val", "aro"), values, strict=True):
        np.save(folder / f"{number}_{ending}.npy", np.array(str(value)))  # text of no dimension, as released
    np.save(folder / f"{number}_lnd.npy", np.zeros(136))


NPY = {
    "0.jpg": ("neutral", -0.392238, 0.5),
    "2.jpg": ("sad", -0.392238, 0.5),
    "7.jpg": ("contempt", -0.392238, 0.5),
    "10.jpg": ("sad", -0.392238, 0.5),
}


@pytest.mark.parametrize(
    ("train", "validation"),
    [("train_set", "val_set"), ("train_set/train_set", "val_set/val_set"), (".", "val_set")],
)
def test_npy_release_in_every_placement(tmp_path, train, validation):
    source = load(npy_release(tmp_path, train, validation))
    assert rows_of(source) == NPY
    assert list(rows_of(source)) == list(NPY), "rows are in the order of their numbers"
    assert rows_of(source, "validation")["5.jpg"] == ("disgust", -0.392238, 0.5)
    assert source.crop == {"train": 1.0, "eval": 1.0}
    assert source.report_split == "validation"


def test_npy_labels_are_read_once_and_again_after_a_change(tmp_path, monkeypatch):
    root = npy_release(tmp_path / "data")
    reads, read = [], _affectnet_npy._label
    monkeypatch.setattr(_affectnet_npy, "_label", lambda file: reads.append(file) or read(file))
    first = rows_of(load(root))
    assert len(reads) == 6 * 3
    assert rows_of(load(root)) == first
    assert len(reads) == 6 * 3, "the second load opens no annotation"
    files = sorted(path.relative_to(tmp_path / "cache").as_posix() for path in (tmp_path / "cache").rglob("*.*"))
    assert len(files) == 2
    assert all(name.startswith("hf_hmtl/affectnet-npy-") and name.endswith(".parquet") for name in files)
    assert not list(root.rglob("*.parquet")), "the data folder is left alone"
    write_image(root / "train_set/images/8.jpg")
    write_annotations(root / "train_set/annotations", 8, 1, 0, 0)
    assert rows_of(load(root)) == {**first, "8.jpg": ("happy", 0.0, 0.0)}


def test_a_crash_while_the_index_is_written_leaves_none(tmp_path, monkeypatch):
    root = npy_release(tmp_path / "data")

    def full_disk(table, path):
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_index.pyarrow.parquet, "write_table", full_disk)
        assert rows_of(load(root)) == NPY
    assert not list((tmp_path / "cache").rglob("*.*"))
    assert rows_of(load(root)) == NPY


def test_npy_files_missing_or_broken(tmp_path):
    root = npy_release(tmp_path)
    (root / "train_set/annotations/0_val.npy").unlink()
    (root / "train_set/images/2.jpg").unlink()
    (root / "train_set/annotations/7_exp.npy").write_bytes(b"")
    np.save(root / "train_set/annotations/10_aro.npy", np.array("-2"))
    source = load(root)
    assert rows_of(source) == {"10.jpg": ("sad", -0.392238, None)}
    left_out = source.ledger.to_dict()["train"]
    assert {reason: (entry["count"], entry["names"]) for reason, entry in left_out.items()} == {
        "missing_file": (2, ["0.jpg", "2.jpg"]),
        "no_code": (1, ["train_set/images/7.jpg"]),
    }


def test_npy_release_without_one_split(tmp_path):
    npy_release(tmp_path)
    (tmp_path / "val_set").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="without its validation split. Unpack that archive into .*val_set"):
        load(tmp_path)


def test_npy_release_without_images(tmp_path):
    npy_release(tmp_path)
    for path in (tmp_path / "val_set/images").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no image with its labels"):
        load(tmp_path)


# What is not AffectNet


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["train/0-Anger/1.jpg", "train/1-Contempt/1.jpg", "train/2-Disgust/1.jpg"], "class folders"),
        (["anger/1.jpg", "fear/1.jpg", "happy/1.jpg"], "class folders"),
        (["labels.csv", "anger/1.jpg"], "a model made"),
        (["data/train-00000-of-00001.parquet"], "7 classes in another order"),
        (["human_annotated/train_set/images/1.jpg"], r"AffectNet\+"),
    ],
)
def test_repacks_are_refused_with_the_reason(tmp_path, names, reason):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"{reason}(.|\n)*source 'custom'"):
        load(tmp_path)


def test_unknown_layout_and_missing_folder_say_how_to_get_the_data(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HMTL_DATA", raising=False)
    (tmp_path / "part0.rar").touch()
    for folder in (tmp_path, tmp_path / "absent", None):
        with pytest.raises(FileNotFoundError, match=r"cannot be downloaded(.|\n)*signs the agreement(.|\n)*--data_dir"):
            load(folder)
