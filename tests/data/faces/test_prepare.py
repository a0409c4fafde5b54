"""A pass over photographs whose faces are known, because its network reads them off the pictures."""

import io
import json
import re
from concurrent.futures.process import BrokenProcessPool

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from data_trees import write_text
from face_detectors import box_of, picture_of, write_network
from PIL import Image

from hf_hmtl import workers
from hf_hmtl.commands import prepare as command
from hf_hmtl.data import sources
from hf_hmtl.data.faces import prepare as passes
from hf_hmtl.data.faces import shards
from hf_hmtl.data.faces.cutting import Cutting
from hf_hmtl.data.faces.prepare import prepare
from hf_hmtl.data.faces.record import RECORD, record_of
from hf_hmtl.data.faces.shards import Method
from hf_hmtl.data.folds import cut_fold

FACES = {1: (4, 5, 4, 6, 204), 2: (15, 8, 8, 10, 153)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("weights") / "maps.onnx")


def photograph(path, *faces, number=0):
    """A picture with these faces, and one corner that tells it from others."""
    image = picture_of(*[FACES[face] for face in faces])
    image[-1, -1] = number, 1, 1
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def photographs(tmp_path):
    """Two classes in two splits: 8 training pictures with a face, one with two, one without, one broken; 4 of test."""
    folder = tmp_path / "photographs"
    for number in range(8):
        photograph(folder / f"train/{'ab'[number % 2]}/{number}.png", 1, number=number)
    photograph(folder / "train/a/both.png", 1, 2)
    photograph(folder / "train/b/none.png")
    (folder / "train/b/torn.png").write_bytes(b"\x89PNG")
    for number in range(4):
        photograph(folder / f"test/{'ab'[number % 2]}/{number}.png", 2, number=number)
    return folder


def rows_of(folder, split="train"):
    return pq.read_table(sorted(folder.glob(f"{split}-*.parquet"))).to_pylist()


def pixels(row):
    return np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_faces_boxes_labels_and_provenance_are_written_and_the_rest_is_counted(photographs, tmp_path, weights):
    method = Method(Cutting(margin=0.25, format="png"), weights=weights)
    done = []
    prepared = prepare(photographs, tmp_path / "faces", method, rows_a_shard=4, progress=lambda *of: done.append(of))
    assert prepared.faces == {"train": 9, "test": 4} and prepared.pictures == {"train": 11, "test": 4}
    assert [done[0], done[-1]] == [(0, 15), (15, 15)]
    assert prepared.left_out["train"]["no_face_found"]["names"] == ["train/b/none.png"]
    assert prepared.left_out["train"]["broken"]["names"] == ["train/b/torn.png"]
    record = json.loads((tmp_path / "faces/prepared.json").read_text())
    assert record["names"] == {"train": {"no_face_found": ["train/b/none.png"], "broken": ["train/b/torn.png"]}}
    for row in rows_of(tmp_path / "faces"):
        face = FACES[2 if row["_file"] == "train/a/both.png" else 1]
        assert row["_face_box"] == pytest.approx(box_of(*face[:4]), abs=1e-3)
        assert row["_face_score"] == pytest.approx(face[4] / 255) and len(row["_face_landmarks"]) == 10
        assert row["_id"] == row["_file"] and row["_file"].split("/")[1] == row["label"]
        assert row["_source"] == "photographs" and row["_face_angle"] == 0
        left, top, right, bottom = row["_face_box"]
        side = round((bottom - top) * 1.5)
        corner = round((left + right - side) / 2), round((top + bottom - side) / 2)
        box = (*corner, corner[0] + side, corner[1] + side)
        assert np.array_equal(pixels(row), np.asarray(Image.open(photographs / row["_file"]).crop(box)))
    assert not list(tmp_path.glob("*.unfinished"))


def test_what_is_written_trains_as_a_source_in_its_splits(photographs, tmp_path, weights):
    prepare(photographs, tmp_path / "faces", Method(weights=weights), rows_a_shard=4)
    source = sources.load("custom", tmp_path / "faces", task="emotion")
    assert len(source.splits["test"]) == 4 and sum(map(len, source.splits.values())) == 13
    assert source.splits["test"].features["emotion"].names == ["a", "b"]
    assert {name.split("/")[0] for name in source.splits["test"]["_id"]} == {"test"}
    assert not any("_id?" in note for note in source.notes), "a reserved column is offered for no group"
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "faces/test-*.parquet"), split="train")
    assert isinstance(loaded[0]["image"], Image.Image)


def test_a_file_without_a_face_hides_no_other(photographs, tmp_path, weights):
    for number in range(2):
        photograph(photographs / f"train/b/z{number}.png", number=number)
    prepare(photographs, tmp_path / "faces", Method(weights=weights), rows_a_shard=1)
    loaded = datasets.load_dataset(str(tmp_path / "faces"), split="train")
    assert len(loaded) == 9
    source = sources.load("custom", tmp_path / "faces")
    assert sum(map(len, source.splits.values())) == 13


def test_a_class_of_which_no_face_is_left_is_named(photographs, tmp_path, weights):
    for number in range(2):
        photograph(photographs / f"train/nobody/{number}.png", number=number)
    prepared = prepare(photographs, tmp_path / "faces", Method(weights=weights), rows_a_shard=4)
    expected = "train: no face is left of 'nobody' (2 pictures) in the column 'label'"
    assert expected in prepared.notes and sum("no face is left" in note for note in prepared.notes) == 1
    assert any(note.endswith(expected) for note in sources.load("custom", tmp_path / "faces").notes)


def test_the_record_is_read_and_is_no_stray_file(photographs, tmp_path, weights):
    prepare(photographs, tmp_path / "faces", Method(Cutting(margin=0.4), weights=weights))
    for options in ({}, {"label_column": None}):
        source = sources.load("custom", tmp_path / "faces", **options)
        assert source.face_margin == 0.4 and set(source.ledger.entries) <= {("test", "held_out")}
        assert "prepared without train: 1 images that cannot be read (train/b/torn.png)" in source.notes
    prepare(photographs, tmp_path / "both/faces", Method(Cutting(margin=0.4), weights=weights))
    prepare(photographs, tmp_path / "both/wider", Method(Cutting(margin=0.5), weights=weights))
    source = sources.load("custom", tmp_path / "both")
    assert source.face_margin is None and not source.ledger.entries
    assert sum("pictures in which no face" in note for note in source.notes) == 2
    write_text(tmp_path / "faces/prepared.json", "[1]")
    source = sources.load("custom", tmp_path / "faces")
    assert source.ledger.to_dict()["folder"]["not_image"]["names"] == ["prepared.json"] and source.face_margin is None


def test_a_pass_that_is_not_finished_or_has_lost_files_is_not_trained_on(photographs, tmp_path, weights, monkeypatch):
    method, write = Method(weights=weights), shards.write_shard

    def fail_at_last(shard, *others):
        if shard.path.name.startswith("test-00001"):
            raise KeyboardInterrupt
        return write(shard, *others)

    monkeypatch.setattr(shards, "write_shard", fail_at_last)
    with pytest.raises(KeyboardInterrupt):
        prepare(photographs, tmp_path / "faces", method, rows_a_shard=2)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="faces.unfinished is an unfinished pass .* Type the same command again"):
        sources.load("custom", tmp_path / "faces.unfinished")
    prepare(photographs, tmp_path / "faces", method, rows_a_shard=2)
    (tmp_path / "faces/train-00001-of-00006.parquet").unlink()
    message = "wrote 9 faces of train into .*faces, and 7 are there: files are missing"
    with pytest.raises(ValueError, match=message):
        sources.load("custom", tmp_path / "faces")
    source = sources.load("custom", tmp_path / "faces", allow_left_out=["missing_shard"])
    assert sum(map(len, source.splits.values())) == 11
    assert source.ledger.to_dict()["folder"]["missing_shard"]["names"] == ["train-00001-of-00006.parquet"]


def test_all_faces_of_a_picture_have_names_of_their_own(photographs, tmp_path, weights):
    prepared = prepare(photographs, tmp_path / "faces", Method(which="all", weights=weights))
    rows = [row for row in rows_of(tmp_path / "faces") if row["_file"] == "train/a/both.png"]
    assert [row["_id"] for row in rows] == ["train/a/both.png", "train/a/both.png/face-2"]
    assert [row["_face_box"] for row in rows] == [pytest.approx(box_of(*FACES[face][:4]), abs=1e-3) for face in (2, 1)]
    assert prepared.faces["train"] == 10


def test_crops_of_one_photograph_carry_its_name_and_are_in_one_split(tmp_path, weights):
    for number in range(24):
        photograph(tmp_path / f"pile/{'ab'[number % 2]}/{number}.png", 1, 2, number=number)
    method = Method(which="all", weights=weights)
    prepared = prepare(tmp_path / "pile", tmp_path / "faces", method)
    assert "train: 48 faces of 24 pictures" in prepared.describe()
    assert prepared.next_command() == f"hf-hmtl train custom/supervised --data_dir {tmp_path}/faces"
    assert all(row["_picture"] == row["_file"] for row in rows_of(tmp_path / "faces"))
    source = sources.load("custom", tmp_path / "faces")
    seen = [set(data["_group"]) for data in source.splits.values()]
    assert len(seen) == 3 and sum(map(len, seen)) == len(set.union(*seen)) == 24
    assert "24 photographs have several rows, which stay in one split" in source.notes
    for fold in (1, 2):
        cut, _ = cut_fold(source.splits, (fold, 2), "emotion")
        seen = [set(data["_group"]) for data in cut.values()]
        assert sum(map(len, seen)) == len(set.union(*seen)) == 24
    prepare(tmp_path / "faces", tmp_path / "again", method)
    assert all(row["_picture"] == row["_file"] for row in rows_of(tmp_path / "again"))


@pytest.mark.parametrize("which", ["largest", "all"])
def test_a_photograph_that_a_table_names_twice_is_one(tmp_path, weights, which):
    for number in range(24):
        photograph(tmp_path / f"data/{number}.png", 1, 2, number=number)
    rows = [f"{number % 24}.png,{'ab'[number % 2]}" for number in range(48)]
    write_text(tmp_path / "data/labels.csv", "file,label", *rows)
    prepare(tmp_path / "data", tmp_path / "faces", Method(which=which, weights=weights))
    source = sources.load("custom", tmp_path / "faces")
    groups = [set(data["_group"]) for data in source.splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 24
    assert sum(map(len, source.splits.values())) == 48 * (2 if which == "all" else 1)


def test_persons_are_found_in_the_paths_of_the_photographs(tmp_path, weights):
    for number in range(24):
        photograph(tmp_path / f"pile/{'ab'[number % 2]}/S{number // 4}_{number}.png", 1, number=number)
    prepare(tmp_path / "pile", tmp_path / "faces", Method(weights=weights))
    source = sources.load("custom", tmp_path / "faces", group_pattern=r"S(\d+)_")
    groups = [set(data["_group"]) for data in source.splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 6
    with pytest.raises(ValueError, match="fits no path; the first is 'a/S0_0.png'"):
        sources.load("custom", tmp_path / "faces", group_pattern="T")
    with pytest.raises(
        ValueError, match=r"no column 'lable'. Did you mean 'label'\? Its label columns are label; type"
    ):
        sources.load("custom", tmp_path / "faces", label_column="lable")


def test_a_folder_that_an_earlier_version_wrote_is_told_from_one_with_photographs(photographs, tmp_path, weights):
    method = Method(which="all", weights=weights)
    prepare(photographs, tmp_path / "faces", method)
    record = json.loads((tmp_path / "faces/prepared.json").read_text())
    del record["plan"]["_picture"]
    (tmp_path / "faces/prepared.json").write_text(json.dumps(record))
    with pytest.raises(FileExistsError, match="differs in the column _picture, which an earlier hf_hmtl did not write"):
        prepare(photographs, tmp_path / "faces", method)


def test_a_pass_that_is_stopped_goes_on_and_leaves_what_one_pass_leaves(photographs, tmp_path, weights, monkeypatch):
    method, write = Method(weights=weights), shards.write_shard
    prepare(photographs, tmp_path / "whole", method, rows_a_shard=2)
    for stop in range(8):  # 6 shards of train and 2 of test
        out, written = tmp_path / f"stopped-{stop}", []

        def fail(*arguments, written=written, stop=stop):
            if len(written) == stop:
                raise KeyboardInterrupt
            written.append(write(*arguments))
            return written[-1]

        monkeypatch.setattr(shards, "write_shard", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare(photographs, out, method, rows_a_shard=2)
        assert not out.exists()
        (tmp_path / f"{out.name}.unfinished" / ".train-00000-of-00006.parquet.1.tmp").write_bytes(b"half")
        written.clear()
        monkeypatch.setattr(shards, "write_shard", lambda *given, written=written: written.append(1) or write(*given))
        done = []
        prepared = prepare(photographs, out, method, rows_a_shard=2, progress=lambda *of, done=done: done.append(of[0]))
        assert len(written) == 8 - stop and done[-1] == 15
        assert contents(out) == contents(tmp_path / "whole")
        assert json.loads((out / "prepared.json").read_text()) == json.loads(
            (tmp_path / "whole/prepared.json").read_text()
        )
        assert prepared.faces == {"train": 9, "test": 4}
        assert {path.name for path in out.iterdir()} == {*contents(out), "prepared.json"}


def test_a_pass_that_is_stopped_at_its_very_end_goes_on(photographs, tmp_path, weights, monkeypatch):
    replace = passes.os.replace

    def fail(source, target):
        if str(target).endswith("faces"):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(passes.os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare(photographs, tmp_path / "faces", Method(weights=weights))
    assert not (tmp_path / "faces").exists()
    assert prepare(photographs, tmp_path / "faces", Method(weights=weights)).faces["train"] == 9


@pytest.mark.slow
def test_two_processes_leave_the_bytes_of_one(photographs, tmp_path, weights):
    method = Method(Cutting(align=True), which="all", weights=weights)
    for processes in (1, 2):
        prepare(photographs, tmp_path / str(processes), method, processes=processes, rows_a_shard=2)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") and len(contents(tmp_path / "1")) == 8


def test_a_process_that_is_killed_is_one_line_that_says_how_to_go_on(photographs, tmp_path, weights, monkeypatch):
    class Killed:
        def __init__(self, *arguments, **options):
            pass

        def submit(self, *arguments):
            raise BrokenProcessPool("a child was terminated abruptly")

        def shutdown(self, **options):
            pass

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Killed)
    with pytest.raises(OSError, match="was killed.* Type the same command again: it goes on"):
        prepare(photographs, tmp_path / "faces", Method(weights=weights), processes=2)
    monkeypatch.undo()
    assert prepare(photographs, tmp_path / "faces", Method(weights=weights)).faces["train"] == 9


def test_other_options_or_pictures_are_refused_and_the_same_ones_do_nothing(
    photographs, tmp_path, weights, monkeypatch
):
    out, method = tmp_path / "faces", Method(weights=weights)
    monkeypatch.setattr(passes, "write_shards", lambda *given: iter([1 / 0]))
    with pytest.raises(ZeroDivisionError):
        prepare(photographs, out, method)
    with pytest.raises(FileExistsError, match="faces.unfinished was begun before and differs in --margin; remove it"):
        prepare(photographs, out, Method(Cutting(margin=0.5), weights=weights))
    monkeypatch.undo()
    first = prepare(photographs, out, method)
    again = prepare(photographs, out, method)
    assert again.notes[0] == "it was there already, and nothing was done"
    assert (again.faces, again.left_out, again.columns) == (first.faces, first.left_out, first.columns)
    with pytest.raises(FileExistsError, match="was prepared before and differs in --faces, --threshold; choose"):
        prepare(photographs, out, Method(which="all", threshold=0.4, weights=weights))
    photograph(photographs / "train/a/new.png", 1)
    with pytest.raises(FileExistsError, match="differs in the pictures"):
        prepare(photographs, out, method)
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="mine exists; choose a folder that does not"):
        prepare(photographs, tmp_path / "mine", method)


def test_given_boxes_take_the_place_of_the_detector(photographs, tmp_path):
    lines = [f"train/{'ab'[number % 2]}/{number}.png,10,10,30,20" for number in range(8)]
    write_text(tmp_path / "boxes.csv", "file,x1,y1,x2,y2", *lines, "elsewhere/9.png,1,1,2,2")
    prepared = prepare(
        photographs, tmp_path / "faces", Method(Cutting(margin=0, format="png")), boxes=tmp_path / "boxes.csv"
    )
    assert prepared.faces == {"train": 8} and prepared.left_out["test"]["no_face_given"]["count"] == 4
    assert "1 rows of boxes.csv fit no picture (elsewhere/9.png)" in prepared.notes
    assert "test has no face, and is not written" in prepared.notes and not list(tmp_path.glob("faces/test*"))
    for row in rows_of(tmp_path / "faces"):
        assert row["_face_box"] == [10, 10, 30, 20] and row["_face_score"] == 1 and row["_face_landmarks"] is None
        assert np.array_equal(pixels(row), np.asarray(Image.open(photographs / row["_file"]).crop((10, 5, 30, 25))))
    with pytest.raises(ValueError, match="no 5 or 68 landmarks"):
        prepare(photographs, tmp_path / "others", Method(Cutting(align=True)), boxes=tmp_path / "boxes.csv")


def test_large_photographs_are_cut_in_full(tmp_path):
    """A JPEG that training would decode at an eighth of its size."""
    image = Image.new("RGB", (800, 600))
    image.paste((255, 255, 255), (500, 300, 600, 400))
    (tmp_path / "pile").mkdir()
    image.save(tmp_path / "pile/1.jpg")
    write_text(tmp_path / "boxes.csv", "file,x,y,width,height", "1.jpg,500,300,100,100")
    prepare(tmp_path / "pile", tmp_path / "faces", Method(Cutting(margin=0)), boxes=tmp_path / "boxes.csv")
    (row,) = rows_of(tmp_path / "faces")
    assert pixels(row).shape == (100, 100, 3) and pixels(row).mean() > 250


def test_tables_keep_every_column_and_persons_stay_known(tmp_path, weights):
    for number in range(6):
        photograph(tmp_path / f"data/images/S{number % 3}_{number}.png", 1, number=number)
    frame = pd.DataFrame({"file": [f"images/S{number % 3}_{number}.png" for number in range(6)]})
    frame = frame.assign(valence=np.arange(6) / 8, words="x y", split=["train"] * 4 + ["test"] * 2)
    frame.to_csv(tmp_path / "data/labels.csv", index=False)
    prepared = prepare(tmp_path / "data", tmp_path / "faces", Method(weights=weights), group_pattern=r"S(\d)_")
    assert prepared.faces == {"train": 4, "test": 2}
    rows = rows_of(tmp_path / "faces") + rows_of(tmp_path / "faces", "test")
    assert [row["valence"] for row in rows] == frame["valence"].tolist() and {row["words"] for row in rows} == {"x y"}
    assert [row["_group"] for row in rows] == ["0", "1", "2"] * 2
    assert prepared.next_command().endswith("--label_column NAME   (NAME is one of valence, words, split)")


def test_tables_with_images_inside_keep_their_classes_and_may_be_prepared_again(tmp_path, weights):
    features = datasets.Features({"image": datasets.Image(), "emotion": datasets.ClassLabel(names=["sad", "happy"])})
    content = io.BytesIO()
    Image.fromarray(picture_of(FACES[1])).save(content, "PNG")
    rows = {"image": [{"bytes": content.getvalue(), "path": None}] * 5, "emotion": [0, 1, 1, 0, -1]}
    splits = datasets.DatasetDict({name: datasets.Dataset.from_dict(rows, features) for name in ("train", "test")})
    splits.save_to_disk(tmp_path / "saved")
    prepared = prepare(tmp_path / "saved", tmp_path / "faces", Method(Cutting(format="png"), weights=weights))
    assert prepared.faces == {"train": 5, "test": 5}
    assert prepared.next_command().endswith("faces --label_column emotion")
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "faces/train*"), split="train")
    assert loaded.features["emotion"].names == ["sad", "happy"] and loaded["emotion"][:] == rows["emotion"]
    assert loaded["_id"][:] == [f"train/{number}" for number in range(5)]
    boxes = [f"{split}/{row},0,0,8,8" for split in ("train", "test") for row in range(5)]
    write_text(tmp_path / "boxes.csv", "_id,x,y,width,height", *boxes)
    again = prepare(tmp_path / "faces", tmp_path / "again", Method(Cutting(margin=0)), boxes=tmp_path / "boxes.csv")
    assert again.columns == prepared.columns and again.faces == prepared.faces
    (first, *_), (before, *_) = rows_of(tmp_path / "again"), rows_of(tmp_path / "faces")
    assert first["_face_box"] == [0, 0, 8, 8] and pixels(first).shape == (8, 8, 3)
    assert {name: first[name] for name in ("_id", "_source", "emotion")} == {
        name: before[name] for name in ("_id", "_source", "emotion")
    }


def test_photographs_that_lie_about_need_no_labels(tmp_path, weights, capsys):
    for number in range(3):
        photograph(tmp_path / f"pile/{number}.png", 1, number=number)
    command.run([str(tmp_path / "pile"), str(tmp_path / "my faces"), "--weights", str(weights), "--size", "16"])
    shown = capsys.readouterr().out
    assert "my faces: 3 faces\n  train: 3 faces of 3 pictures\n" in shown
    assert shown.endswith(f"next: hf-hmtl train custom/pretrain-puzzle-3x3 --data_dir '{tmp_path}/my faces'\n")
    source = sources.load("custom", tmp_path / "my faces", label_column=None)
    assert len(source.splits["train"]) == 3
    assert all(pixels(row).shape == (16, 16, 3) for row in rows_of(tmp_path / "my faces"))


def test_the_next_command_names_the_column_of_labels(photographs, tmp_path, weights):
    prepared = prepare(photographs, tmp_path / "faces", Method(weights=weights))
    assert prepared.next_command() == f"hf-hmtl train custom/supervised --data_dir {tmp_path}/faces"


def test_mistakes_are_told_before_anything_is_written(photographs, tmp_path, weights, monkeypatch):
    out = tmp_path / "faces"
    for options, message in (
        ({"processes": 0}, "num_proc"),
        ({"method": Method(which="some", weights=weights)}, "faces is 'some', allowed are largest and all"),
        ({"method": Method(weights=weights, threshold=2)}, "threshold"),
        ({"method": Method(weights=tmp_path / "gone.onnx")}, "gone.onnx"),
        ({"boxes": tmp_path / "gone.csv"}, "boxes: there is no file"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            prepare(photographs, out, **{"method": Method(weights=weights), **options})
    with pytest.raises(FileNotFoundError, match="there is no folder or table"):
        prepare(tmp_path / "nowhere", out, Method(weights=weights))
    with pytest.raises(ValueError, match="lies in .*photographs"):
        prepare(photographs, photographs / "faces", Method(weights=weights))
    message = "there is no face in any picture: train: 1 images .*; train: 10 pictures in which .*; test: 4 pictures"
    with pytest.raises(ValueError, match=message):
        prepare(photographs, out, Method(weights=weights, threshold=0.99))
    assert {path.name for path in tmp_path.iterdir()} == {"photographs"}


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"plan": 1}',
        '{"plan": {}, "faces": {"train": "x"}}',
        "{",
        "1",
        '{"plan": {}, "left_out": {"train": {"broken": {"count": 1}}}}',
    ],
)
def test_a_record_of_a_pass_that_no_pass_has_written_is_told(tmp_path, content):
    for folder in (tmp_path / "faces", tmp_path / "faces.unfinished"):
        folder.mkdir()
        (folder / RECORD).write_text(content)
        with pytest.raises(ValueError, match=re.escape(str(folder / RECORD))):
            record_of(folder)
    for read in (passes.earlier, passes.begun):
        with pytest.raises(ValueError, match=RECORD):
            read(tmp_path / "faces", {})
