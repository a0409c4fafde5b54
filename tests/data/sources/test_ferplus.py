"""FER+ in both of its layouts; what votes mean, worked by hand from the rules of the paper and the authors' code."""

import io
import os

import numpy as np
import pytest
from data_trees import labels, write_images
from PIL import Image
from releases import FERPLUS, FERPLUS_HEADER, write_ferplus, write_ferplus_folders

from hf_hmtl.data.sources import ferplus
from hf_hmtl.data.sources._votes import NO_FACE, UNKNOWN, distribution, majority, several

pytestmark = pytest.mark.filterwarnings("ignore:ferplus. .* rows differ from the published counts")
LAYOUTS = {"lists": write_ferplus, "folders": write_ferplus_folders}
MAJORITY = {  # number of the row: class; rows 0 and 3 have none, 10 is no face, 14 and 15 are unknown
    1: "neutral", 2: "neutral", 4: "neutral", 5: "neutral", 6: "sadness", 7: "happiness", 8: "happiness", 9: "surprise",
    11: "fear", 12: "contempt", 13: "disgust",
}  # fmt: skip


def numbered(data):
    """Numbers of the rows, as their names have them."""
    return [int(name[-11:-4]) for name in data["_id"]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_majority_keeps_fear_and_contempt(tmp_path, layout):
    """The authors' reader has lost both: it compares the class with `emotion_count - 2`."""
    source = ferplus.load(LAYOUTS[layout](tmp_path))
    train = source.splits["train"]
    assert dict(zip(numbered(train), labels(source), strict=True)) == MAJORITY
    assert labels(source, "validation") == ["anger", "surprise"]
    assert labels(source, "test") == ["contempt", "fear"]
    assert train.features["emotion"].names == FERPLUS_HEADER.split(",")[2:10]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [  # without single votes: 4 neutral, 3 anger, 2 disgust: 7 of 9 are three quarters
        ("cross_entropy", {0: [4 / 7, 0, 0, 0, 3 / 7, 0, 0, 0], 2: [5 / 8, 0, 0, 3 / 8, 0, 0, 0, 0]}),
        ("cross_entropy", {3: [0.5, 0, 0, 0.5, 0, 0, 0, 0], 9: [0, 0, 0.6, 0, 0, 0, 0.4, 0]}),
        ("cross_entropy", {1: [1, 0, 0, 0, 0, 0, 0, 0], 5: [1, 0, 0, 0, 0, 0, 0, 0]}),
        ("probability", {0: [4 / 7, 0, 0, 0, 3 / 7, 0, 0, 0]}),
        # 30 % of 9 are 2.7: neutral and anger; of 10 are 3: both; of 8 are 2.4
        ("multi_target", {0: [0.5, 0, 0, 0, 0.5, 0, 0, 0], 2: [0.5, 0, 0, 0.5, 0, 0, 0, 0]}),
        ("multi_target", {9: [0, 0, 0.5, 0, 0, 0, 0.5, 0], 6: [0, 0, 0, 1, 0, 0, 0, 0]}),
        ("majority", {1: [1, 0, 0, 0, 0, 0, 0, 0], 12: [0, 0, 0, 0, 0, 0, 0, 1]}),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_shares_of_training_rows(tmp_path, layout, votes, expected):
    train = ferplus.load(LAYOUTS[layout](tmp_path), votes).splits["train"]
    shares = dict(zip(numbered(train), train["emotion_shares"], strict=True))
    for number, wanted in expected.items():
        np.testing.assert_allclose(shares[number], wanted, atol=1e-6)
    np.testing.assert_allclose(np.sum(list(shares.values()), axis=1), 1, atol=1e-6)


def test_rows_that_are_reported_are_by_majority_whatever_the_way(tmp_path):
    write_ferplus(tmp_path)
    whole = ferplus.load(tmp_path)
    for votes in ("cross_entropy", "probability", "multi_target"):
        source = ferplus.load(tmp_path, votes)
        for split in ("validation", "test"):
            assert source.splits[split][:] == whole.splits[split][:]
        assert len(source.splits["train"]) > len(whole.splits["train"])


# neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, no face
CASES = {
    "single votes count as none": ([6, 1, 1, 1, 1, 0, 0, 0, 0, 0], [0], [0], [0]),
    "half is no majority": ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], [UNKNOWN], [0, 1], [0, 1]),
    "four are too many": ([3, 2, 2, 2, 0, 0, 0, 0, 0, 0], [UNKNOWN], [UNKNOWN], [UNKNOWN]),  # 30 % of 9 are 2.7
    "unknown leads": ([3, 0, 0, 0, 0, 0, 0, 0, 7, 0], [UNKNOWN], [UNKNOWN], [UNKNOWN]),
    "no face leads": ([2, 0, 0, 0, 0, 0, 0, 0, 0, 8], [NO_FACE], [NO_FACE], [NO_FACE]),
    "unknown as often as the first": ([5, 0, 0, 0, 0, 0, 0, 0, 5, 0], [UNKNOWN], [UNKNOWN], [0]),
    "nothing behind unknown": ([6, 0, 2, 0, 0, 0, 0, 0, 2, 0], [0], [0, 2], [0]),
    "behind unknown": ([6, 0, 2, 0, 0, 0, 0, 0, 3, 0], [0], [0], [0]),
    "nobody agrees": ([1] * 10, [UNKNOWN], [UNKNOWN], [UNKNOWN]),
    "nobody voted": ([0] * 10, [UNKNOWN], [UNKNOWN], [UNKNOWN]),
}


@pytest.mark.parametrize("case", CASES)
def test_which_classes_get_a_share(case):
    votes, *expected = CASES[case]
    found = [np.flatnonzero(way(np.array([votes]))[0]).tolist() for way in (majority, distribution, several)]
    assert found == expected


def test_every_row_belongs_to_one_and_only_one_of_emotions_unknown_and_no_face():
    votes = np.random.default_rng(0).multinomial(10, [0.1] * 10, size=5000)
    for way in (majority, distribution, several):
        shares = way(votes)
        np.testing.assert_allclose(shares.sum(1), 1)
        others = shares[:, UNKNOWN:].sum(1)
        assert set(np.round(others, 9)) <= {0.0, 1.0}
        assert (shares[:, :UNKNOWN] > 0)[votes[:, :UNKNOWN] < 2].sum() == 0, "no single vote has a share"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_row_is_used_or_in_the_ledger(tmp_path, layout):
    source = ferplus.load(LAYOUTS[layout](tmp_path))
    left_out = source.ledger.to_dict()["train"]
    rows = sum(map(len, source.splits.values())) + source.ledger.count()
    if layout == "lists":
        assert {name: entry["count"] for name, entry in left_out.items()} == {"unknown": 4, "no_face": 1}
        assert rows == len(FERPLUS)
    else:
        assert {name: entry["count"] for name, entry in left_out.items()} == {"unknown": 4}
        assert rows == sum(name.endswith(".png") for _, _, names in os.walk(tmp_path) for name in names)


def test_files_and_lines_of_the_folders_that_do_not_meet_are_counted(tmp_path):
    write_ferplus_folders(tmp_path)
    (tmp_path / "FER2013Train/fer0000001.png").unlink()
    write_images(tmp_path, "FER2013Test/other.png", "other.png", kind="PNG")
    with pytest.raises(ValueError, match="--allow_left_out not_in_table"):
        ferplus.load(tmp_path)
    source = ferplus.load(tmp_path, allow_left_out=["not_in_table", "missing_file", "no_split"])
    counts = {
        split: {name: entry["count"] for name, entry in found.items()}
        for split, found in source.ledger.to_dict().items()
    }
    assert counts == {
        "train": {"missing_file": 1, "unknown": 4}, "test": {"not_in_table": 1}, "folder": {"no_split": 1},
    }  # fmt: skip


def test_pixels_are_those_of_the_row_and_may_lie_elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HMTL_DATA", raising=False)
    write_ferplus(tmp_path / "one", pixels="../two/icml_face_data.csv")
    with pytest.raises(FileNotFoundError, match="no fer2013.csv or icml_face_data.csv.*source.fer2013_dir=FOLDER"):
        ferplus.load(tmp_path / "one")
    test = ferplus.load(tmp_path / "one", fer2013_dir=tmp_path / "two").splits["test"]
    monkeypatch.setenv("HF_HMTL_DATA", str(tmp_path / "root"))
    with pytest.raises(FileNotFoundError, match=r"into \$HF_HMTL_DATA/fer2013"):
        ferplus.load(tmp_path / "one")
    (tmp_path / "root/fer2013").mkdir(parents=True)
    (tmp_path / "two/icml_face_data.csv").rename(tmp_path / "root/fer2013/icml_face_data.csv")
    assert ferplus.load(tmp_path / "one").splits["test"][:] == test[:], "where the source fer2013 has it"
    assert numbered(test) == [18, 19]
    shown = np.asarray(Image.open(io.BytesIO(test[1]["image"]["bytes"])))
    assert np.array_equal(shown.ravel(), np.random.default_rng(19).integers(0, 256, 48 * 48))


def test_the_image_name_column_may_be_absent(tmp_path):
    write_ferplus(tmp_path)
    lines = [",".join([line.split(",")[0], *line.split(",")[2:]]) for line in (FERPLUS_HEADER, *FERPLUS)]
    (tmp_path / "fer2013new.csv").write_text("\n".join(lines) + "\n")
    assert labels(ferplus.load(tmp_path)) == list(MAJORITY.values())


def changed(folder, old, new, name="fer2013new.csv"):
    path = folder / name
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("neutral,happiness", "calm,happiness", "lacks the columns neutral; needed are usage, neutral"),
        ("fer0000000.png,4,", "fer0000000.png,four,", "line 2: 'four, 0, .* are no 10 numbers of votes"),
        ("fer0000000.png,4,0", "fer0000000.png,4,-1", "line 2: .* are no 10 numbers of votes"),
        ("Training,fer0000000", "Train,fer0000000", "line 2: Usage is 'Train', known are Training"),
        ("Training,fer0000000", "PublicTest,fer0000000", "line 2 is a validation row and .* a train row"),
        (f"{FERPLUS[-1]}\n", "", "have not the same number of rows"),
        (FERPLUS[-1], "\n".join([FERPLUS[-1]] * 2), "have not the same number of rows"),
    ],
)
def test_lists_that_are_damaged_or_do_not_belong_together(tmp_path, old, new, message):
    write_ferplus(tmp_path)
    changed(tmp_path, old, new)
    with pytest.raises(ValueError, match=message):
        ferplus.load(tmp_path)


def test_a_wrong_folder_says_what_was_expected_and_what_was_found(tmp_path):
    (tmp_path / "fer2013.csv").touch()
    with pytest.raises(
        FileNotFoundError, match=r"no fer2013new.csv and no .*found: fer2013.csv(.|\n)*--data_dir FOLDER"
    ):
        ferplus.load(tmp_path)
    with pytest.raises(
        ValueError, match="votes is 'mean', allowed are majority, probability, cross_entropy, multi_target"
    ):
        ferplus.load(tmp_path, "mean")


def test_counts_that_differ_warn_with_the_published_ones(tmp_path):
    with pytest.warns(UserWarning, match=r"rows 16 \(published 28,709\)"):
        ferplus.load(write_ferplus(tmp_path))
    assert sum(ferplus.EXPECTED.values()) == 35_887
