"""A pass over videos whose faces are known, because its network reads them off the frames."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from face_detectors import box_of, picture_of, write_network
from PIL import Image
from videos import write_video

from hf_hmtl.commands import prepare as command
from hf_hmtl.data import sources, video
from hf_hmtl.data.faces import videos as passes
from hf_hmtl.data.faces.cutting import Cutting
from hf_hmtl.data.faces.shards import Method
from hf_hmtl.data.faces.videos import prepare_videos, videos_in
from hf_hmtl.model.face_detector_hmtl import Face

FACE = (4, 5, 4, 6, 204)
CUTTING = Cutting(margin=0, format="png")


@pytest.fixture(scope="module")
def method(tmp_path_factory):
    return Method(CUTTING, weights=write_network(tmp_path_factory.mktemp("weights") / "maps.onnx"))


def frame(number, face=True):
    """A picture with a face or none, and one corner that tells it from others."""
    image = picture_of(*[FACE] * face)
    image[-1, -1] = number, 1, 1
    return image


@pytest.fixture
def videos(tmp_path):
    """A clip of five frames, the third without a face; one of two in a folder; one that is none; one that is hidden."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    write_video(folder / "9.mov", [frame(number, number != 2) for number in range(5)])
    write_video(folder / "more" / "10.mov", [frame(50 + number) for number in range(2)])
    (folder / "11.mp4").write_bytes(b"no video")
    write_video(folder / "._9.mov", [frame(0)])
    return folder


def rows_of(folder):
    return pq.read_table(sorted(folder.glob("train-*.parquet"))).to_pylist()


def test_every_face_keeps_its_clip_and_the_number_of_its_frame(videos, tmp_path, method):
    found = prepare_videos(videos, tmp_path / "faces", method)
    rows = rows_of(tmp_path / "faces")
    assert [(row["_clip"], row["_frame"]) for row in rows] == [
        ("9", 0), ("9", 1), ("9", 3), ("9", 4), ("more/10", 0), ("more/10", 1),
    ]  # fmt: skip
    assert [row["_id"] for row in rows[:2]] == ["9/0", "9/1"] and {row["_group"] for row in rows} == {"9", "more/10"}
    box = box_of(*FACE[:4])
    assert rows[0]["_face_box"] == pytest.approx(list(box), abs=0.5)
    expected = CUTTING.cut(frame(0), Face(tuple(rows[0]["_face_box"]), 1.0, None))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(rows[0]["image"]["bytes"]))), expected)
    assert found.faces == {"train": 6} and found.pictures == {"train": 7}
    record = json.loads((tmp_path / "faces" / "prepared.json").read_text())
    assert record["names"] == {"train": {"damaged_video": ["11.mp4"], "no_face_found": ["9/2"]}}
    assert "videos that cannot be read" in found.describe() and "frames" not in found.next_command()


def test_videos_are_found_in_the_order_of_their_numbers(videos):
    assert [path.name for path in videos_in(videos)] == ["9.mov", "11.mp4", "10.mov"]
    assert videos_in(videos / "9.mov") == [videos / "9.mov"]


def test_every_file_is_a_video_or_in_the_ledger(videos, tmp_path, method):
    for name in ("12.flv", "more/13.ts", "@eaDir/14.mov"):
        (videos / name).parent.mkdir(exist_ok=True)
        (videos / name).write_bytes((videos / "9.mov").read_bytes())
    (videos / "labels.csv").write_text("clip,valence\n9,0.5\n")
    (videos / "read.me").write_text("x")
    found = prepare_videos(videos, tmp_path / "faces", method)
    assert {row["_clip"] for row in rows_of(tmp_path / "faces")} == {"9", "12", "more/10", "more/13"}
    assert {reason: entry["names"] for reason, entry in found.left_out["folder"].items()} == {
        "not_image": ["read.me"], "system": ["._9.mov", "@eaDir/14.mov"], "table_passed_over": ["labels.csv"],
    }  # fmt: skip
    assert "frames in which no face was found" in found.describe() and "pictures" not in found.describe()


def test_boxes_that_fit_no_frame_are_told(videos, tmp_path, method):
    rows = [f"9/{number},0,0,8,8" for number in range(1, 6)] + ["8/0,0,0,8,8", "more/10/0,0,0,8,8"]
    (tmp_path / "boxes.csv").write_text("\n".join(["file,left,top,right,bottom", *rows]))
    found = prepare_videos(videos, tmp_path / "faces", method, boxes=tmp_path / "boxes.csv")
    assert "2 boxes of boxes.csv fit no frame (9/5, 8/0)" in found.notes
    for name in ("9/1.pts", "9/6.pts", "10/2.pts", "8/1.pts"):
        (tmp_path / "points" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "points" / name).write_text("{\n0 0\n8 8\n}")
    found = prepare_videos(videos, tmp_path / "points-faces", method, boxes=tmp_path / "points")
    assert "2 boxes of points fit no frame (8/1.pts, 9/6.pts)" in found.notes and found.faces == {"train": 2}
    (tmp_path / "points/other/10").mkdir(parents=True)
    (tmp_path / "points/other/10/1.pts").write_text("{\n0 0\n8 8\n}")
    with pytest.raises(ValueError, match="the clip more/10 may have those of .*points/10, .*points/other/10"):
        prepare_videos(videos, tmp_path / "others", method, boxes=tmp_path / "points")


def test_a_pass_that_was_killed_goes_on_with_the_videos_that_are_left(videos, tmp_path, method, monkeypatch):
    whole = prepare_videos(videos, tmp_path / "whole", method)
    opened, original = [], video.frames

    def killed(path, *arguments):
        opened.append(path.name)
        for each in original(path, *arguments):
            if path.name == "10.mov" and each.number == 1 and len(opened) < 4:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(video, "frames", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_videos(videos, tmp_path / "faces", method)
    assert not (tmp_path / "faces").exists()
    again = prepare_videos(videos, tmp_path / "faces", method)
    assert opened == ["9.mov", "11.mp4", "10.mov", "10.mov"]
    assert rows_of(tmp_path / "faces") == rows_of(tmp_path / "whole") and again.faces == whole.faces
    assert "nothing was done" in prepare_videos(videos, tmp_path / "faces", method).describe()
    with pytest.raises(FileExistsError, match="differs in --margin"):
        prepare_videos(videos, tmp_path / "faces", Method(Cutting(margin=1, format="png"), weights=method.weights))


def test_few_frames_are_in_memory_at_a_time(videos, tmp_path, method, monkeypatch):
    monkeypatch.setattr(passes, "FACES_AT_ONCE", 2)
    prepare_videos(videos / "9.mov", tmp_path / "faces", method)
    (path,) = (tmp_path / "faces").glob("*.parquet")
    assert pq.ParquetFile(path).num_row_groups == 2
    assert [row["_frame"] for row in rows_of(tmp_path / "faces")] == [0, 1, 3, 4]


def test_boxes_are_given_by_clip_and_frame_or_as_points_counted_from_one(videos, tmp_path, method):
    table = pd.DataFrame({"file": ["9/1", "more/10/0"], "left": 2, "top": 3, "right": 12, "bottom": 13})
    table.to_csv(tmp_path / "boxes.csv", index=False)
    prepare_videos(videos, tmp_path / "by_table", method, boxes=tmp_path / "boxes.csv")
    rows = rows_of(tmp_path / "by_table")
    assert [row["_id"] for row in rows] == ["9/1", "more/10/0"] and rows[0]["_face_box"] == [2, 3, 12, 13]
    for clip, number in (("9", "2"), ("10", "00001")):
        folder = tmp_path / "bboxes" / "train" / clip
        folder.mkdir(parents=True)
        corners = "2.0 3.0\n12 3\n12 13\n2 13"
        (folder / f"{number}.pts").write_text(f"version: 1\nn_points: 4\n{{\n{corners}\n}}\n")
    prepare_videos(videos, tmp_path / "by_points", method, boxes=tmp_path / "bboxes")
    assert [(row["_id"], row["_face_box"]) for row in rows_of(tmp_path / "by_points")] == [
        ("9/1", [2, 3, 12, 13]), ("more/10/0", [2, 3, 12, 13]),
    ]  # fmt: skip


@pytest.mark.slow
def test_two_processes_leave_the_same_files(videos, tmp_path, method):
    for processes in (1, 2):
        prepare_videos(videos, tmp_path / str(processes), method, processes=processes)
    assert rows_of(tmp_path / "1") == rows_of(tmp_path / "2")


def test_the_command_takes_a_folder_of_videos(videos, tmp_path, method, capsys):
    command.run([str(videos), str(tmp_path / "faces"), "--weights", str(method.weights), "--margin", "0"])
    shown = capsys.readouterr().out
    assert "train: 6 faces of 7 frames\n" in shown
    next_command = f"next: hf-hmtl train custom-clips/affect --data_dir {tmp_path}/faces --set source.labels=LABELS.csv"
    assert shown.splitlines()[-1] == next_command
    assert len(rows_of(tmp_path / "faces")) == 6


def test_a_source_of_pictures_says_what_becomes_of_videos(videos, tmp_path, method):
    with pytest.raises(
        FileNotFoundError, match="found were .*The faces of videos are cut out once: hf-hmtl prepare .*vid"
    ):
        sources.load("custom", videos)
    prepare_videos(videos, tmp_path / "faces", method)
    message = "holds the faces of videos, .* hf-hmtl train custom-clips/affect --data_dir .*faces --set source.labels="
    with pytest.raises(ValueError, match=message):
        sources.load("custom", tmp_path / "faces")
    assert len(sources.load("custom", tmp_path / "faces", label_column=None).splits["train"]) == 6


def test_what_cannot_be_prepared_is_refused(videos, tmp_path, method):
    with pytest.raises(FileNotFoundError, match="there is no video in"):
        (tmp_path / "empty").mkdir()
        prepare_videos(tmp_path / "empty", tmp_path / "out", method)
    with pytest.raises(ValueError, match="of each frame of a video one face is taken"):
        prepare_videos(videos, tmp_path / "out", Method(CUTTING, which="all", weights=method.weights))
    write_video(tmp_path / "twice.mov", [frame(1)])
    (tmp_path / "clips").mkdir()
    for name in ("a.mov", "a.MP4"):
        (tmp_path / "clips" / name).write_bytes((tmp_path / "twice.mov").read_bytes())
    with pytest.raises(ValueError, match=r"a.MP4, a.mov in .*clips would be one clip, a; rename one of them"):
        prepare_videos(tmp_path / "clips", tmp_path / "out", method)
    with pytest.raises(FileNotFoundError, match="no files CLIP/FRAME.pts"):
        prepare_videos(videos, tmp_path / "out", method, boxes=tmp_path / "empty")
    write_video(tmp_path / "nobody.mov", [frame(1, face=False)])
    with pytest.raises(ValueError, match="no face in any frame"):
        prepare_videos(tmp_path / "nobody.mov", tmp_path / "out", method)
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.unfinished").exists()
