"""Videos: a file that holds one, whatever it is called, and nothing that leads elsewhere."""

import av
import numpy as np
import pytest
from videos import write_video

from hf_hmtl.data import video

PICTURES = [np.full((16, 24, 3), 60 * number, np.uint8) for number in range(3)]


def test_frames_are_those_that_were_written(tmp_path):
    write_video(tmp_path / "a.mov", PICTURES, rate=10)
    frames = list(video.frames(tmp_path / "a.mov"))
    assert [frame.number for frame in frames] == [0, 1, 2] and video.count(tmp_path / "a.mov") == 3
    assert [frame.seconds for frame in frames] == pytest.approx([0.0, 0.1, 0.2])
    for frame, picture in zip(frames, PICTURES, strict=True):
        np.testing.assert_array_equal(frame.pixels, picture)
    assert [frame.number for frame in video.frames(tmp_path / "a.mov", first=1, every=2)] == [2]


@pytest.mark.parametrize("name", ["http:a.mov", "concat:a.mov|b.mov", "file:a.mov", "%03d.mov", "-i.mov", "a b?.mov"])
def test_a_name_is_a_name_and_no_protocol(tmp_path, monkeypatch, name):
    write_video(tmp_path / "plain.mov", PICTURES)
    (tmp_path / "plain.mov").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, type(tmp_path)(name)):
        assert len(list(video.frames(path))) == video.count(path) == 3


CONCAT = "ffconcat version 1.0\nfile private.mov\n"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfile://{place}/private.mov\n#EXT-X-ENDLIST\n"
DESCRIPTION = "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


@pytest.mark.parametrize("text", [CONCAT, PLAYLIST, DESCRIPTION], ids=["concat", "playlist", "session"])
@pytest.mark.parametrize("name", ["film.mp4", "film.avi"])
def test_a_list_of_other_files_is_no_video_whatever_it_is_called(tmp_path, text, name):
    write_video(tmp_path / "private.mov", PICTURES)
    (tmp_path / name).write_text(text.format(place=tmp_path))
    with pytest.raises(OSError, match=name):
        list(video.frames(tmp_path / name))
    assert video.count(tmp_path / name) == 0


def test_such_a_list_would_be_followed_otherwise(tmp_path):
    write_video(tmp_path / "private.mov", PICTURES)
    (tmp_path / "film.mp4").write_text(CONCAT)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert len(list(container.decode(video=0))) == 3


def test_pictures_beyond_all_measure_are_not_decoded(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mov", PICTURES)
    monkeypatch.setattr(video, "LARGEST_IMAGE", 16 * 24 - 1)
    with pytest.raises(OSError, match="a.mov"):
        list(video.frames(tmp_path / "a.mov"))


def test_pictures_of_an_unknown_coding_are_told(tmp_path):
    write_video(tmp_path / "a.mov", PICTURES)
    content = (tmp_path / "a.mov").read_bytes()
    (tmp_path / "b.mov").write_bytes(content.replace(b"png ", b"xxxx"))
    with pytest.raises(OSError, match="nothing here decodes the pictures of this video"):
        list(video.frames(tmp_path / "b.mov"))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_video_is_written_in_the_tempo_of_its_frames(tmp_path, monkeypatch, codec):
    """Also where it varies, as of a telephone in the dark; and two frames of one time are both there."""
    monkeypatch.setattr(video, "_CODECS", (codec,))
    like = write_video(tmp_path / "like.mov", PICTURES, rate=10)
    times = [0.0, 1001 / 30000, 0.1, 0.7, 0.7, 1.5, 3.0]
    pixels = np.full((33, 47, 3), 90, np.uint8)
    video.write(tmp_path / "a.mp4", (video.Frame(number, at, pixels) for number, at in enumerate(times)), like)
    found = list(video.frames(tmp_path / "a.mp4"))
    assert [frame.seconds for frame in found] == pytest.approx(times, abs=1e-4)
    assert found[0].pixels.shape == (32, 46, 3)
    video.write(tmp_path / "b.mp4", (video.Frame(number, None, pixels) for number in range(4)), like)
    assert [frame.seconds for frame in video.frames(tmp_path / "b.mp4")] == pytest.approx([0.0, 0.1, 0.2, 0.3])
