"""Aff-Wild as its archives unpack, with real videos: labels by line, faces by frame, the paper's 16 videos."""

import numpy as np
import pytest
from face_detectors import picture_of, write_network
from videos import write_video

from hf_hmtl.data import sources
from hf_hmtl.data.faces.cutting import Cutting
from hf_hmtl.data.faces.shards import Method
from hf_hmtl.data.faces.videos import prepare_videos
from hf_hmtl.data.sources.aff_wild import VALIDATION, _labels

FACE = (4, 5, 4, 6, 204)
FRAMES = 6


def number(video, frame, arousal=False):
    return round(-0.9 + 0.1 * frame + int(video) / 10_000 - 0.3 * arousal * (frame > 3), 4)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three videos of six frames, of which one is of validation; lists of labels that differ in number."""
    folder = tmp_path_factory.mktemp("aff_wild")
    (folder / "videos" / "train").mkdir(parents=True)
    for video, labels in (("105", FRAMES), ("110", FRAMES + 2), ("318", FRAMES - 1), ("400", 3)):
        pictures = [picture_of(*[FACE] * ((video, frame) != ("105", 2))) for frame in range(FRAMES)]
        if video != "400":  # whose video is missing
            write_video(folder / "videos" / "train" / f"{video}.avi.mov", pictures)
            (folder / "videos" / "train" / f"{video}.avi.mov").rename(folder / "videos" / "train" / f"{video}.mov")
        for name in ("valence", "arousal"):  # archives within archives double a folder
            place = folder / "annotations" / "train" / "train" / name
            place.mkdir(parents=True, exist_ok=True)
            lines = [str(number(video, frame, name == "arousal")) for frame in range(labels)]
            if (video, name) == ("318", "valence"):
                lines[1] = "-5"
            (place / f"{video}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def prepared(archive, tmp_path_factory):
    weights = write_network(tmp_path_factory.mktemp("weights") / "maps.onnx")
    prepare_videos(archive / "videos" / "train", archive / "faces", Method(Cutting(margin=0.1), weights=weights))
    return archive


def load(folder, **options):
    with pytest.warns(UserWarning, match=r"videos \d+ \(published 252\)"):
        return sources.load("aff_wild", folder, allow_left_out=["no_annotation", "no_code"], **options)


def test_a_frame_has_the_label_of_its_line_wherever_faces_are_missing(prepared):
    source = load(prepared)
    train, validation = source.splits["train"], source.splits["validation"]
    assert list(zip(train["_clip"], train["_frame"], strict=True)) == [
        *[("105", frame) for frame in (0, 1, 3, 4, 5)], *[("318", frame) for frame in (0, 2, 3, 4)],
    ]  # fmt: skip
    assert set(validation["_clip"]) == {"110"} and validation["_frame"] == list(range(FRAMES))
    for rows in (train, validation):
        wanted = [number(clip, frame) for clip, frame in zip(rows["_clip"], rows["_frame"], strict=True)]
        np.testing.assert_allclose(rows["valence"], wanted, atol=1e-6)
        wanted = [number(clip, frame, True) for clip, frame in zip(rows["_clip"], rows["_frame"], strict=True)]
        np.testing.assert_allclose(rows["arousal"], wanted, atol=1e-6)
    assert rows["_group"] == rows["_clip"] and source.face_margin == 0.1


def test_found_is_used_and_left_out(prepared):
    source = load(prepared)
    left_out = {reason: entry.count for (_, reason), entry in source.ledger.entries.items()}
    assert left_out == {"no_annotation": 1, "no_code": 1, "missing_file": 1}
    assert sum(map(len, source.splits.values())) + 2 == 3 * FRAMES - 1


def test_the_validation_videos_are_those_of_appendix_d():
    printed = "110 179 189 203 221 249 260 306 330 332 345 402 415 433 448 449"
    assert set(VALIDATION) == set(printed.split()) and len(VALIDATION) == 16 == 252 - 236


def test_what_is_missing_is_told_with_the_command_that_makes_it(prepared, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no annotations of valence and arousal"):
        sources.load("aff_wild", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere is not there. Type hf-hmtl prepare .*videos/train .*nowhere"):
        sources.load("aff_wild", prepared, faces=str(tmp_path / "nowhere"))
    place = tmp_path / "annotations" / "train"
    for name in ("valence", "arousal"):
        (place / name).mkdir(parents=True)
        (place / name / "105.txt").write_text("0.1\nx\n")
    with pytest.raises(ValueError, match="105.txt is no list of numbers, one a line"):
        sources.load("aff_wild", tmp_path)


def test_lists_without_their_counterpart_or_with_two_meanings_are_refused_and_uneven_ones_told(prepared, tmp_path):
    for video in ("105", "110"):
        for name, lines in (("valence", "0.1\n0.2\n0.3\n"), ("arousal", "0.1\n0.2\n" + "0.3\n" * (video == "110"))):
            place = tmp_path / "annotations" / name
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{video}.txt").write_text(lines)
    with pytest.warns(UserWarning, match="published 252"):
        source = sources.load("aff_wild", tmp_path, faces=str(prepared / "faces"), allow_left_out=["no_annotation"])
    assert "valence and arousal have lists of other lengths, the shorter of which counts: 105 (3 and 2)" in source.notes
    assert "prepared without train: 1 frames in which no face was found (105/2)" in source.notes
    (tmp_path / "more/valence").mkdir(parents=True)
    (tmp_path / "more/valence/105.txt").write_text("0.1\n0.2\n0.3\n")
    _, notes = _labels(tmp_path)
    assert len(notes) == 1
    (tmp_path / "more/valence/105.txt").write_text("0.1\n")
    with pytest.raises(ValueError, match="annotations/valence/105.txt and .*more/valence/105.txt are two lists"):
        sources.load("aff_wild", tmp_path)
    (tmp_path / "more/valence/105.txt").rename(tmp_path / "more/valence/106.txt")
    with pytest.raises(ValueError, match="more/valence/106.txt has no list of arousal beside it"):
        sources.load("aff_wild", tmp_path)
