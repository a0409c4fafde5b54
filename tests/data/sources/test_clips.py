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
        ({"clip": ["c0"], "frame": [8]}, "has no column of labels, only clip, frame"),
        ({"clip": ["c0", "c0"], "mood": ["a", "b"]}, "names c0 twice"),
        ({"clip": ["c0", "c0"], "frame": ["x", "y"], "mood": ["a", "b"]}, "'frame' of .* holds no whole numbers"),
        ({"clip": ["z0", "z1"], "mood": ["a", "b"]}, "it names z0, and the clips are called c0"),
        ({"clip": ["c0", "c1"], "mood": ["a", "a"]}, "has no two classes: a"),
        (of_frames("c{}", 8) | {"split": ["train", "test", "x"] * COUNT}, "says 'x'; allowed are train"),
        (of_frames("c{}", 8) | {"split": ["train", "test", "test"] * COUNT}, "the frames of c0 are in two splits"),
    ],
)
def test_tables_that_do_not_fit_are_refused(frames, columns, message):
    table(frames / "labels.csv", **columns)
    with pytest.raises(ValueError, match=message):
        sources.load("clips", frames, allow_left_out=["no_annotation", "missing_file"])
