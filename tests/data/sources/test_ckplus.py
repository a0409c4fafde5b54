"""CK+ on a miniature release: the label is one of the last frame, persons stay together."""

import os

import pytest
from data_trees import all_labels, encoded, write_images
from releases import CKPLUS, CKPLUS_FOLDERS, write_ckplus, write_ckplus_repack

from hf_hmtl.data.folds import cut_fold
from hf_hmtl.data.sources import ckplus

pytestmark = pytest.mark.filterwarnings("ignore:ckplus. labelled rows differ from the published counts")
LABELLED = {sequence: (frames, code) for sequence, (frames, code) in CKPLUS.items() if code is not None}
CLASSES = {code: name.replace("happy", "happiness") for code, name in enumerate(CKPLUS_FOLDERS)}


def every_row(source, *columns):
    return [row for data in source.splits.values() for row in zip(*(data[column] for column in columns), strict=True)]


def reasons(source):
    return {name: entry["count"] for name, entry in source.ledger.to_dict()["folder"].items()}


@pytest.mark.parametrize(
    ("images", "emotions"),
    [("cohn-kanade-images", "Emotion"), ("CKPlus_Images/extended-cohn-kanade-images", "Emotion_labels/Emotion"),
     ("cohn-kanade-images/cohn-kanade-images", "Emotion/Emotion")],
)  # fmt: skip
def test_the_last_frame_of_every_labelled_sequence_in_every_placement(tmp_path, images, emotions):
    source = ckplus.load(write_ckplus(tmp_path, images, emotions))
    found = {os.path.basename(file).removesuffix(".png"): label for file, label in all_labels(source).items()}
    assert found == {f"{name}_{frames[-1]:08d}": CLASSES[code] for name, (frames, code) in LABELLED.items()}
    for clip, frame, group, file in every_row(source, "_clip", "_frame", "_group", "_file"):
        assert os.path.basename(file) == f"{clip}_{frame:08d}.png" and clip.startswith(group)
    files = sum(len(names) for _, _, names in os.walk(tmp_path))
    used = len(found) * 3  # the image, its label and its landmarks
    assert files == used + source.ledger.count()
    assert reasons(source)["unlabelled_sequence"] == 2 and reasons(source)["system"] == 2


def test_the_last_three_frames_and_all_of_them(tmp_path):
    write_ckplus(tmp_path)
    three = ckplus.load(tmp_path, "last_three")
    assert len(every_row(three, "_id")) == 3 * len(LABELLED)
    assert {label for _, label in every_row(three, "_id", "emotion")} == set(range(7))
    whole = every_row(ckplus.load(tmp_path, "all"), "_clip", "_frame", "emotion")
    assert len(whole) == sum(len(frames) for frames, _ in LABELLED.values())
    for clip, frame, label in whole:
        frames, code = LABELLED[clip]
        assert label == (code - 1 if frame == frames[-1] else -1)


def test_the_box_is_the_square_around_the_landmarks_with_its_margin(tmp_path):
    source = ckplus.load(write_ckplus(tmp_path, corners=((100, 60), (180, 160))), margin=0.1)
    # 80 x 100 px around (140, 110): the longer side 100, a tenth of it on each side
    assert {tuple(box) for (box,) in every_row(source, "_box")} == {(80.0, 50.0, 200.0, 170.0)}
    with pytest.raises(ValueError, match="ckplus: margin is -0.1, allowed is a share"):
        ckplus.load(tmp_path, margin=-0.1)


def test_no_person_is_in_two_folds(tmp_path):
    source = ckplus.load(write_ckplus(tmp_path), "all")
    tested = []
    for number in (1, 2, 3):
        cut, _ = cut_fold(source.splits, (number, 3), "emotion")
        people = [set(data["_group"]) for data in cut.values()]
        assert sum(map(len, people)) == len(set.union(*people)) == 6
        tested += people[2]
    assert len(tested) == 6
    assert "fold 1 of 6, cut by group" in source.notes[-1]


def test_as_it_is_passed_on(tmp_path):
    source = ckplus.load(write_ckplus_repack(tmp_path), "last_three")
    found = {os.path.basename(file).removesuffix(".png"): label for file, label in all_labels(source).items()}
    assert found == {
        f"{name}_{frame:08d}": CLASSES[code] for name, (frames, code) in LABELLED.items() for frame in frames[-3:]
    }
    assert "there are no landmarks: whole pictures are used" in source.notes
    assert "_box" not in source.splits["train"].column_names
    peaks = ckplus.load(tmp_path)
    assert len(every_row(peaks, "_id")) == len(LABELLED) and reasons(peaks)["other_frames"] == 2 * len(LABELLED)


def test_what_is_odd_is_counted_and_not_guessed(tmp_path):
    write_ckplus(tmp_path)
    labels = tmp_path / "Emotion"
    (labels / "S005/001/S005_001_00000004_emotion.txt").write_text("")
    (labels / "S010/001/S010_001_00000003_emotion.txt").write_text("   8.0000000e+00\n")
    (labels / "S010/002/S010_002_00000005_emotion.txt").rename(labels / "S010/002/S010_002_00000009_emotion.txt")
    (tmp_path / "Landmarks/S026/001/S026_001_00000003_landmarks.txt").write_text("1.0 2.0\n3.0\n")
    write_images(tmp_path, "cohn-kanade-images/S005/copy/S005_001_00000001.png", kind="PNG")
    (tmp_path / "cohn-kanade-images/mean.png").write_bytes(encoded(1, "PNG"))
    allowed = ["no_annotation", "no_code", "missing_file", "no_box", "not_in_table"]
    with pytest.raises(ValueError, match="ckplus: of 5 in the folder, 1 .*--allow_left_out not_in_table"):
        ckplus.load(tmp_path)
    source = ckplus.load(tmp_path, allow_left_out=allowed)
    found = reasons(source)
    assert {name: found[name] for name in (*allowed, "copy")} == dict.fromkeys((*allowed, "copy"), 1)
    assert len(every_row(source, "_id")) == len(LABELLED) - 4


def test_counts_that_differ_warn_with_the_published_ones(tmp_path):
    with pytest.warns(UserWarning, match=r"anger 1 \(published 45\).*persons 6 \(published 118\)"):
        ckplus.load(write_ckplus(tmp_path))
    assert sum(ckplus.EXPECTED.values()) == 327


def test_a_wrong_folder_or_option_says_what_was_expected(tmp_path):
    write_images(tmp_path, "happy/1.jpg")
    with pytest.raises(FileNotFoundError, match=r"no labelled frame of CK\+ \(found: happy\)(.|\n)*--data_dir FOLDER"):
        ckplus.load(tmp_path)
    with pytest.raises(ValueError, match="frames is 'first', allowed are peak, last_three, all"):
        ckplus.load(tmp_path, "first")


def test_a_sequence_under_two_labels_is_refused_by_name(tmp_path):
    write_ckplus(tmp_path)
    sequence, (frames, code) = next(iter(LABELLED.items()))
    person, number = sequence.split("_")
    path = tmp_path / f"Emotion/{person}/{number}/{sequence}_{frames[-2]:08d}_emotion.txt"
    path.write_text(f"   {code % 7 + 1}.0000000e+00")
    with pytest.raises(
        ValueError, match=f"the sequence {sequence} has the label .* at frame {sequence}_{frames[-2]:08d}"
    ):
        ckplus.load(tmp_path)
