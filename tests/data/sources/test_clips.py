"""Clips of one's own: folders of frames and prepared videos, labels of frames and of clips, splits and persons."""

import pandas as pd
import pytest
from data_trees import picture
from face_detectors import picture_of, write_network
from videos import write_video

from hf_hmtl.data import sources
from hf_hmtl.data.faces.cutting import Cutting
from hf_hmtl.data.faces.shards import Method
from hf_hmtl.data.faces.videos import prepare_videos

COUNT, FRAMES = 10, 3


@pytest.fixture
def frames(tmp_path):
    """Ten clips of three frames, whose numbers begin at 8 and cross the tens."""
    folder = tmp_path / "frames"
    for clip in range(COUNT):
        (folder / f"c{clip}").mkdir(parents=True)
        for number in range(FRAMES):
            picture(clip, side=32).save(folder / f"c{clip}" / f"frame_{8 + number}.png")
    return folder


def table(path, **columns):
    pd.DataFrame(columns).to_csv(path, index=False)


def of_frames(name, first):
    clips = [name.format(clip) for clip in range(COUNT) for _ in range(FRAMES)]
    numbers = [first + number for _ in range(COUNT) for number in range(FRAMES)]
    return {"clip": clips, "frame": numbers, "valence": [number / 30 for number in range(COUNT * FRAMES)]}


def rows_of(source):
    return [row for data in source.splits.values() for row in data.remove_columns("image").to_list()]


def test_frames_in_folders_have_the_labels_of_their_numbers(frames):
    table(frames / "labels.csv", **of_frames("c{}", 8))
    source = sources.load("clips", frames)
    rows = rows_of(source)
    assert len(rows) == COUNT * FRAMES and set(source.splits) == {"train", "validation", "test"}
    for row in rows:
        place = int(row["_clip"][1:]) * FRAMES + row["_frame"] - 8
        assert row["valence"] == pytest.approx(place / 30) and row["_group"] == row["_clip"]
        assert row["_file"] == f"{row['_clip']}/frame_{row['_frame']}.png"
    clips = {split: set(data["_clip"]) for split, data in source.splits.items()}
    assert not clips["train"] & clips["test"] and not clips["train"] & clips["validation"]


def test_a_label_without_a_frame_is_that_of_its_clip_and_persons_stay_together(frames):
    people = [f"p{clip // 2}" for clip in range(COUNT)]
    table(frames / "labels.csv", video=[f"c{clip}.mp4" for clip in range(COUNT)], subject=people,
          mood=["glad" if clip % 2 else "sad" for clip in range(COUNT)])  # fmt: skip
    source = sources.load("clips", frames)
    for row in rows_of(source):
        clip = int(row["_clip"][1:])
        assert row["mood"] == (0 if clip % 2 else 1) and row["_group"] == f"p{clip // 2}"
    assert source.splits["train"].features["mood"].names == ["glad", "sad"]
    groups = [set(data["_group"]) for data in source.splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 5


def test_splits_of_the_table_are_kept_and_found_is_used_and_left_out(frames):
    columns = of_frames("c{}", 8)
    columns["split"] = ["val" if clip == "c0" else "train" for clip in columns["clip"]]
    columns = {name: [*values[:-1], extra] for (name, values), extra in zip(
        columns.items(), ("c99", 8, 0.0, "train"), strict=True)}  # fmt: skip
    table(frames / "labels.csv", **columns)
    source = sources.load("clips", frames)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 26, "validation": 3}
    left_out = {reason: entry.names for (_, reason), entry in source.ledger.entries.items()}
    assert left_out == {"no_annotation": ["c9/10"], "missing_file": ["c99/8"]}


def test_prepared_videos_are_clips(tmp_path):
    (tmp_path / "videos").mkdir()
    for clip in range(COUNT):
        write_video(tmp_path / "videos" / f"v{clip}.mov", [picture_of((4, 5, 4, 6, 204))] * FRAMES)
    with pytest.raises(
        FileNotFoundError, match=r"holds videos.* Type hf-hmtl prepare .*videos .*videos-faces, and then"
    ):
        sources.load("clips", tmp_path / "videos")
    weights = write_network(tmp_path / "maps.onnx")
    prepare_videos(tmp_path / "videos", tmp_path / "faces", Method(Cutting(margin=0.3), weights=weights))
    with pytest.raises(FileNotFoundError, match="holds no table of labels; say which"):
        sources.load("clips", tmp_path / "faces")
    table(tmp_path / "labels.csv", **of_frames("v{}.mov", 0))
    source = sources.load("clips", tmp_path / "faces", labels=str(tmp_path / "labels.csv"))
    assert source.face_margin == 0.3
    for row in rows_of(source):
        assert row["valence"] == pytest.approx((int(row["_clip"][1:]) * FRAMES + row["_frame"]) / 30)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["c0"], "mood": ["a"]}, "of which none is called clip, video, sequence"),
        ({"clip": ["c0"], "frame": [8]}, "has no column of labels, only 'clip', 'frame'"),
        ({"clip": ["c0", "c0"], "mood": ["a", "b"]}, "names 'c0' twice"),
        ({"clip": ["c0", "c0"], "frame": ["x", "y"], "mood": ["a", "b"]}, "'frame' of .* holds no whole numbers"),
        ({"clip": ["z0", "z1"], "mood": ["a", "b"]}, "it names 'z0', and the clips are called 'c0'"),
        ({"clip": ["c0", "c1"], "mood": ["a", "a"]}, "has no two classes: 'a'"),
        (of_frames("c{}", 8) | {"split": ["train", "train", "x"] * COUNT}, "row 3: the column 'split' says 'x'"),
        (
            of_frames("c{}", 8) | {"split": ["train", "train", ""] * COUNT},
            "row 3: the column 'split' is empty; allowed",
        ),
        (of_frames("c{}", 8) | {"split": ["test"] * COUNT * FRAMES}, "no clip is in the train split; .* are test"),
        (of_frames("c{}", 8) | {"clip": ["c0", "", *["c0"] * 28]}, "row 2 names no clip in the column 'clip'"),
        (of_frames("c{}", 8) | {"frame": [8, None, *[9] * 28]}, "row 2: the column 'frame' is empty; each row names"),
        (of_frames("c{}", 8) | {"frame": [8, 9, 9.5, *[9] * 27]}, "row 3: the column 'frame' says 9.5"),
        (
            of_frames("c{}", 8) | {"person": ["p0", "p1", "p1"] * COUNT},
            "the clip 'c0' two persons, 'p1' and 'p0'",
        ),
        (of_frames("c{}", 9), "counts the frames of every clip from another number: .* 9 to 11, which are 8 to 10"),
        (of_frames("c{}", 7), "counts the frames of every clip from another number: .* 7 to 9, which are 8 to 10"),
        (of_frames("c{}", 8) | {"mood": ["Sad", "sad"] * 15}, "clips: column 'mood' writes one class in two ways"),
        (
            of_frames("c{}", 8) | {"mood": ["joy", "happy"] * 15},
            "two ways: 'happy' and 'joy'. Type --class_map joy=happ",
        ),
        (
            {name: values[:27] for name, values in of_frames("c{}", 8).items()}
            | {"valence": [0.5] * 18 + [None] * 9, "split": ["train"] * 18 + ["dev"] * 9},
            "none of the 9 validation frames has a label",
        ),
        (of_frames("c{}", 8) | {"split": ["train", "test", "test"] * COUNT}, "the frames of 'c0' are in two splits"),
    ],
)
def test_tables_that_do_not_fit_are_refused(frames, columns, message):
    table(frames / "labels.csv", **columns)
    with pytest.raises(ValueError, match=message):
        sources.load("clips", frames, allow_left_out=["no_annotation", "missing_file"])


@pytest.mark.parametrize(
    "long",
    [
        {"person": ["p" * 9_999, *["q" * 9_999] * 29]},
        {"split": ["x" * 9_999] * 30},
        {"clip": ["z" * 9_999] * 30},
        {"mood" * 3_000: ["a"] * 30, "mood": ["b" * 9_999] * 30},
    ],
)
def test_what_a_damaged_table_says_is_shown_in_part(frames, long):
    columns = of_frames("c{}", 8)
    table(
        frames / "labels.csv",
        **({name: columns[name] for name in ("clip", "frame")} | {"mood": ["a", "b"] * 15} | long),
    )
    with pytest.raises(ValueError) as told:
        sources.load("clips", frames)
    assert len(str(told.value)) < 1_000


def torn(source, column):
    """What is in two splits."""
    seen = [set(data[column]) for data in source.splits.values()]
    return {value for value in set.union(*seen) if sum(value in each for each in seen) > 1}


def test_clips_of_nobody_are_groups_of_their_own_and_a_person_known_in_one_row_is_of_the_clip(frames):
    columns = of_frames("c{}", 8)
    table(frames / "labels.csv", **columns, person=["p0", "", ""] + ["p0", "", ""] + [""] * 24)
    source = sources.load("clips", frames)
    group_of = {row["_clip"]: row["_group"] for row in rows_of(source)}
    assert group_of == {"c0": "p0", "c1": "p0"} | {f"c{clip}": f"c{clip}" for clip in range(2, COUNT)}
    assert not torn(source, "_clip") and not torn(source, "_group")
    assert {"1 persons by the column 'person'", "8 clips have no person: each of them is a group"} <= {*source.notes}


def test_persons_and_pictures_of_two_given_splits_are_noted(frames):
    columns = of_frames("c{}", 8)
    columns["split"] = ["dev" if clip == "c0" else "Testing" if clip == "c1" else "train" for clip in columns["clip"]]
    (frames / "c0/frame_8.png").write_bytes((frames / "c2/frame_8.png").read_bytes())
    table(frames / "labels.csv", **columns, subject_id=[f"p{int(clip[1:]) // 3}" for clip in columns["clip"]])
    source = sources.load("clips", frames)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 24, "validation": 3, "test": 3}
    assert torn(source, "_group") == {"p0"}
    assert "1 groups are in train and in validation: scores flatter the model" in source.notes
    assert "1 validation images also occur, byte for byte, in train" in source.notes


def test_validation_is_carved_where_the_table_has_none_and_other_columns_of_splits_are_told(frames):
    columns = of_frames("c{}", 8)
    table(frames / "labels.csv", **columns, Usage=["PrivateTest"] * 6 + ["Training"] * 24)
    source = sources.load("clips", frames)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 21, "validation": 3, "test": 6}
    assert "column 'Usage' divides the clips" in source.notes and not torn(source, "_clip")
    assert any(note.startswith("validation was carved, 15% of the clips") for note in source.notes)


def test_a_test_split_without_labels_is_left_out_and_validation_reported(frames):
    columns = of_frames("c{}", 8) | {"split": ["test"] * 3 + ["val"] * 3 + ["train"] * 24}
    columns["valence"] = [None] * 3 + columns["valence"][3:]
    table(frames / "labels.csv", **columns)
    source = sources.load("clips", frames)
    assert list(source.splits) == ["train", "validation"] and source.report_split == "validation"
    assert source.ledger.to_dict()["test"]["unlabelled_split"]["count"] == 3


def test_a_clip_of_a_bare_name_is_never_another_of_that_name(tmp_path):
    for folder in ("a", "b"):
        for clip in range(6):
            (tmp_path / f"clips/{folder}/c{clip}").mkdir(parents=True)
            picture(clip, side=16).save(tmp_path / f"clips/{folder}/c{clip}/1.png")
    table(tmp_path / "labels.csv", clip=[f"c{clip}" for clip in range(6)], mood=["glad", "sad"] * 3)
    with pytest.raises(
        ValueError, match="names the clip 'c0', which may be 'a/c0', 'b/c0'; write their paths below the folder"
    ):
        sources.load("clips", tmp_path / "clips", labels=str(tmp_path / "labels.csv"))
    names = [f"{folder}/c{clip}" for folder in "ab" for clip in range(6)]
    table(tmp_path / "labels.csv", clip=names, mood=["glad", "sad"] * 6)
    assert len(rows_of(sources.load("clips", tmp_path / "clips", labels=str(tmp_path / "labels.csv")))) == 12


def test_every_file_and_row_is_used_or_in_the_ledger(frames):
    picture().save(frames / "loose.png")
    (frames / "c0/notes.md").write_text("x")
    (frames / "c0/gone.png").symlink_to(frames / "nowhere.png")
    table(frames / "labels.csv", **of_frames("c{}", 8))
    left_out = sources.load("clips", frames).ledger.to_dict()["folder"]
    assert {reason: entry["names"] for reason, entry in left_out.items()} == {
        "not_image": ["c0/notes.md"], "broken_link": ["c0/gone.png"], "no_clip": ["loose.png"],
    }  # fmt: skip


def test_clips_of_a_table_that_are_not_there_count_as_rows_and_not_as_frames(frames):
    clips = [f"c{clip}" for clip in range(COUNT)]
    table(frames / "labels.csv", clip=[*clips, "z0", "z1"], mood=["glad", "sad"] * 6)
    message = "of 12 in the folder, 2 rows whose frame or clip does not exist .*Mend the data, or type --allow_left_out"
    with pytest.raises(ValueError, match=message):
        sources.load("clips", frames)
    source = sources.load("clips", frames, allow_left_out=["missing_file"])
    assert source.ledger.to_dict()["folder"]["missing_file"]["names"] == ["z0", "z1"]


def test_clips_may_be_called_by_numbers(tmp_path):
    for clip in range(1, COUNT + 1):
        (tmp_path / f"clips/{clip}").mkdir(parents=True)
        picture(clip, side=16).save(tmp_path / f"clips/{clip}/1.png")
    columns = {"clip": range(1, COUNT + 3), "person": [clip // 2 for clip in range(COUNT + 2)]}
    table(tmp_path / "labels.csv", **columns, mood=["glad", "sad"] * 6)
    options = {"labels": str(tmp_path / "labels.csv"), "allow_left_out": ["missing_file"]}
    source = sources.load("clips", tmp_path / "clips", **options)
    assert source.ledger.to_dict()["folder"]["missing_file"]["names"] == ["11", "12"]
    assert len(rows_of(source)) == COUNT and not torn(source, "_group")


def test_frames_whose_names_tell_no_number_have_no_labels_of_single_frames(frames):
    (frames / "c3/copy_8.png").write_bytes((frames / "c3/frame_8.png").read_bytes())
    table(frames / "labels.csv", **of_frames("c{}", 8))
    with pytest.raises(
        ValueError, match="frames of 'c3' are not told apart .*c3/copy_8.png and c3/frame_8.png have the numb"
    ):
        sources.load("clips", frames)
    table(frames / "labels.csv", clip=[f"c{clip}" for clip in range(COUNT)], mood=["glad", "sad"] * 5)
    source = sources.load("clips", frames)
    assert len(rows_of(source)) == COUNT * FRAMES + 1
    assert any(
        "the frames of 1 clips are in the order of their names (c3/copy_8.png and" in note for note in source.notes
    )


def test_words_are_classes_in_one_writing_and_columns_without_a_choice_are_no_labels(frames):
    columns = of_frames("c{}", 8) | {"mood": ["Sad", "sad", "joy"] * COUNT, "awake": [True, False, True] * COUNT}
    table(frames / "labels.csv", **columns, day=["2020-01-01"] * 30, image=["x.png"] * 30)
    source = sources.load("clips", frames, merge_case=True, class_map={"joy": "happy"})
    features = source.splits["train"].features
    assert features["mood"].names == ["Sad", "happy"] and features["awake"].names == ["False", "True"]
    assert "day" not in features
    assert "no labels, because they say the same in every row: day" in source.notes


def test_classes_that_training_never_shows_and_missing_labels_are_noted(frames):
    columns = of_frames("c{}", 8) | {"split": ["val"] * 3 + ["train"] * 27}
    columns["mood"] = ["odd", "sad", "sad"] + ["sad", "glad", ""] * 9
    columns["arousal"] = [None] * 3 + [0.5, "n/a", 0.25] * 9
    table(frames / "labels.csv", **columns)
    notes = sources.load("clips", frames).notes
    for expected in (
        "validation: training never shows 'odd' (1) of 'mood', which no answer can be",
        "9 of 30 rows have no label in 'mood'",
        "labels.csv: 9 cells of 'arousal' (n/a) are missing numbers",
        "12 of 30 rows have no number in 'arousal'",
        "validation: none of its 3 frames has a label in 'arousal'",
    ):
        assert expected in notes, expected
