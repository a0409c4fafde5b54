"""FER2013 in its three layouts, on miniature trees; and the real files where HF_HMTL_DATA holds them."""

import io
import os
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_hmtl.data.sources import fer2013, get
from hf_hmtl.data.splits import class_counts

pytestmark = pytest.mark.filterwarnings("ignore:fer2013. .* rows differ from the published counts")
NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
ROOT = os.environ.get("HF_HMTL_DATA")
REAL = Path(ROOT, "fer2013") if ROOT else None


def pixels_of(number):
    return np.random.default_rng(number).integers(0, 256, (48, 48), dtype=np.uint8)


def jpeg_of(number):
    file = io.BytesIO()
    Image.fromarray(pixels_of(number)).save(file, "JPEG")
    return file.getvalue()


ROWS = [(3, 0, "Training"), (0, 1, "Training"), (6, 2, "PublicTest"), (4, 3, "PrivateTest"), (5, 0, "PrivateTest")]


def write_csv(path, header="emotion,pixels,Usage", rows=ROWS):
    order = [name.strip() for name in header.split(",")]
    lines = [header]
    for code, number, usage in rows:
        cells = {"emotion": str(code), "pixels": " ".join(map(str, pixels_of(number).ravel())), "Usage": usage}
        lines.append(",".join(f'"{cells[name]}"' if name == "pixels" else cells[name] for name in order))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def labels(source, split):
    data = source.splits[split]
    return [data.features["emotion"].names[number] for number in data["emotion"]]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("fer2013.csv", "emotion,pixels,Usage"),
        ("fer2013/fer2013.csv", "emotion,pixels,Usage"),
        ("icml_face_data.csv", "emotion, Usage, pixels"),
    ],
)
def test_csv(tmp_path, name, header):
    write_csv(tmp_path / name, header)
    source = fer2013.load(tmp_path)
    assert source.report_split == "test"
    assert source.splits["train"].features["emotion"].names == NAMES
    assert [labels(source, split) for split in source.splits] == [["happy", "angry"], ["neutral"], ["sad", "surprise"]]
    shown = Image.open(io.BytesIO(source.splits["train"][1]["image"]["bytes"]))
    assert np.array_equal(np.asarray(shown), pixels_of(1)), "PNG keeps every pixel of the CSV"


def test_duplicates_are_counted_and_dropped_only_when_asked(tmp_path):
    write_csv(tmp_path / "fer2013.csv")
    kept = fer2013.load(tmp_path)
    assert "1 test images also occur, byte for byte, in train" in kept.notes
    assert len(kept.splits["train"]) == 2
    dropped = fer2013.load(tmp_path, remove_duplicates=True)
    assert labels(dropped, "train") == ["angry"]
    assert dropped.ledger.to_dict()["train"]["duplicates"]["count"] == 1


def test_counts_that_differ_warn(tmp_path):
    write_csv(tmp_path / "fer2013.csv")
    with pytest.warns(UserWarning, match=r"angry 1 \(published 3,995\)"):
        fer2013.load(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(7, 0, "Training")], "line 2: emotion is 7, known codes are 0 to 6"),
        ([("sad", 0, "Training")], "line 2: emotion is sad, known codes are 0 to 6"),
        ([(1, 0, "Training"), (1, 0, "Test")], "line 3: Usage is 'Test', known are Training, PublicTest"),
    ],
)
def test_csv_with_bad_cells(tmp_path, rows, message):
    write_csv(tmp_path / "fer2013.csv", rows=rows)
    with pytest.raises(ValueError, match=message):
        fer2013.load(tmp_path)


@pytest.mark.parametrize("pixels", ["1 2 3", "", " ".join(["300"] * 2304), " ".join(["x"] * 2304)])
def test_csv_with_bad_pixels(tmp_path, pixels):
    (tmp_path / "fer2013.csv").write_text(f'emotion,pixels,Usage\n1,"{pixels}",Training\n')
    with pytest.raises(ValueError, match="line 2: .* needed are 2304 values of 0 to 255"):
        fer2013.load(tmp_path)


def test_csv_with_blank_and_short_lines(tmp_path):
    write_csv(tmp_path / "fer2013.csv")
    content = (tmp_path / "fer2013.csv").read_text()
    (tmp_path / "fer2013.csv").write_text(content.replace("\n", "\n\n"))
    assert labels(fer2013.load(tmp_path), "train") == ["happy", "angry"]
    (tmp_path / "fer2013.csv").write_text(f"{content}3\n")
    with pytest.raises(ValueError, match="line 7 has 1 cells, and the header 3"):
        fer2013.load(tmp_path)


def test_csv_without_the_splits(tmp_path):
    write_csv(tmp_path / "fer2013.csv", "emotion,pixels")
    with pytest.raises(ValueError, match="columns emotion, pixels; needed are emotion, pixels and Usage"):
        fer2013.load(tmp_path)


def write_images(root, *names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg_of(number))


def test_folders_are_mapped_by_name_and_split_by_prefix(tmp_path):
    write_images(
        tmp_path,
        "train/Neutral/Training_1.jpg",
        "train/sad/Training_2.jpg",
        "train/sad/PublicTest_9.jpg",
        "test/surprise/PublicTest_3.jpg",
        "test/angry/PrivateTest_4.jpg",
    )
    (tmp_path / "train" / "sad" / "Thumbs.db").touch()
    source = fer2013.load(tmp_path)
    assert labels(source, "train") == ["neutral", "sad"]
    assert sorted(labels(source, "validation")) == ["sad", "surprise"]
    assert labels(source, "test") == ["angry"]
    assert "1 files split by their prefix: train/ -> validation" in source.notes


def test_three_folders_need_no_prefix(tmp_path):
    write_images(tmp_path, "train/sad/1.jpg", "validation/sad/2.jpg", "test/fear/3.jpg")
    assert labels(fer2013.load(tmp_path), "test") == ["fear"]


def test_merged_test_folder_is_refused(tmp_path):
    write_images(tmp_path, "train/sad/Training_1.jpg", "test/sad/im1.png")
    with pytest.raises(ValueError, match="two official test sets are merged"):
        fer2013.load(tmp_path)


def test_unknown_class_folder(tmp_path):
    write_images(tmp_path, "train/suprise/Training_1.jpg", "test/sad/PublicTest_1.jpg")
    with pytest.raises(ValueError, match=r"unknown class 'suprise'. Did you mean 'surprise'\?"):
        fer2013.load(tmp_path)


def write_parquet(folder, feature, values, column="label"):
    for split in ("train", "validation", "test"):
        data = datasets.Dataset.from_dict(
            {"image": [{"bytes": jpeg_of(split), "path": None} for split in range(len(values))], column: values},
            features=datasets.Features({"image": datasets.Image(), column: feature}),
        )
        data.to_parquet(folder / f"{split}.parquet")


@pytest.mark.parametrize(
    ("feature", "values", "column"),
    [
        (datasets.ClassLabel(names=sorted(NAMES)), [5, 0], "label"),  # alphabetical: 5 is sad
        (datasets.Value("string"), ["Sad", "angry"], "emotion"),
        (datasets.Value("int64"), [4, 0], "label"),
    ],
)
def test_parquet_is_mapped_by_name(tmp_path, feature, values, column):
    write_parquet(tmp_path, feature, values, column)
    source = fer2013.load(tmp_path)
    assert labels(source, "train") == ["sad", "angry"]
    assert source.splits["test"][0]["image"]["bytes"] == jpeg_of(0)


def test_parquet_without_labels(tmp_path):
    write_parquet(tmp_path, datasets.Value("int64"), [1, 0], "target")
    with pytest.raises(ValueError, match="columns image, target; needed are image and label"):
        fer2013.load(tmp_path)


def test_unknown_layout_lists_what_is_accepted(tmp_path):
    (tmp_path / "faces.zip").touch()
    with pytest.raises(FileNotFoundError, match=r"found: faces.zip(.|\n)*--data_dir FOLDER"):
        fer2013.load(tmp_path)


@pytest.mark.skipif(REAL is None or not REAL.is_dir(), reason="HF_HMTL_DATA holds no fer2013 folder")
def test_real_files_have_the_official_counts():
    source = get("fer2013").load()
    for split in ("validation", "test"):
        assert class_counts(source.splits[split], "emotion") == fer2013.EXPECTED[split]
    drifted = [
        abs(count - fer2013.EXPECTED["train"][name])
        for name, count in class_counts(source.splits["train"], "emotion").items()
    ]
    assert sum(drifted) <= 5, "copies lack a few of the 28,709 training rows"
    assert any("test images also occur, byte for byte, in train" in note for note in source.notes)
