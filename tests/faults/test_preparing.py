"""Passes over pictures and videos that are killed or told to end: they go on to the bytes of an uninterrupted one."""

import functools

import pytest
from child_commands import at, interrupt_all, kill, kill_a_child, killed_in_a_write, run, tell
from face_detectors import picture_of, write_network
from PIL import Image
from videos import write_video

pytestmark = [pytest.mark.slow, pytest.mark.faults]
ENDS = {"killed": (kill, -9), "told": (tell, 143), "interrupted": (interrupt_all, 130)}
FACE = (4, 5, 4, 6, 204)
FACES = "hf_hmtl.data.faces."
WRITES = {"pictures": f"{FACES}shards:Shard.write", "videos": f"{FACES}videos:VideoWork.write"}
FINISHES = {"pictures": f"{FACES}prepare:_finish", "videos": f"{FACES}videos:_finish"}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """{"pictures", "videos" and "weights": where they lie}; each has two splits or clips, and so two files to write."""
    folder = tmp_path_factory.mktemp("given")
    for split in ("train", "test"):
        for label in ("a", "b"):
            place = folder / "pictures" / split / label
            place.mkdir(parents=True)
            Image.fromarray(picture_of(FACE)).save(place / f"{split}-{label}.png")
    (folder / "videos").mkdir()
    for name in ("1.mov", "2.mov"):
        write_video(folder / "videos" / name, [picture_of(FACE) for _ in range(3)])
    write_network(folder / "maps.onnx")
    return folder


def prepare(given, kind, folder, processes, fault=None):
    arguments = ["prepare", str(given / kind), str(folder / "faces"), "--weights", str(given / "maps.onnx")]
    return run([*arguments, "--num_proc", str(processes)], folder / "log", fault)


@functools.cache
def whole(given, kind, folder):
    """What an uninterrupted pass leaves."""
    folder.mkdir()
    assert prepare(given, kind, folder, 1).status == 0
    return left(folder)


def left(folder):
    return {path.name: path.read_bytes() for path in (folder / "faces").iterdir()}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("kind", WRITES)
def test_a_pass_goes_on_to_the_same_bytes(given, tmp_path, tmp_path_factory, kind, processes, how):
    expected = whole(given, kind, tmp_path_factory.getbasetemp() / f"whole-{kind}")
    befalls, status = ENDS[how]
    among_files = at(f"{FACES}shards:wait", 1, befalls, behind=True) if processes > 1 else at(WRITES[kind], 2, befalls)
    before_it_has_its_name = at(FINISHES[kind], 1, at("os:replace", 2, befalls))
    for fault in (among_files, before_it_has_its_name):
        ended = prepare(given, kind, tmp_path, processes, fault)
        assert ended.status == status and not (tmp_path / "faces").exists(), ended.printed[-3000:]
        if status > 0:
            assert ended.last_line.startswith("hf-hmtl prepare: ") and "Traceback" not in ended.printed
            assert ended.last_line.endswith(". The same command goes on")
        assert ended.leaves_no_process()
    ended = prepare(given, kind, tmp_path, processes)
    assert ended.status == 0 and left(tmp_path) == expected, ended.printed[-3000:]
    assert {path.name for path in tmp_path.iterdir()} <= {"faces", "log", ".faces.lock"}


@pytest.mark.parametrize("kind", WRITES)
def test_a_pass_that_is_killed_in_a_write_goes_on(given, tmp_path, tmp_path_factory, kind):
    expected = whole(given, kind, tmp_path_factory.getbasetemp() / f"whole-{kind}")
    ended = prepare(given, kind, tmp_path, 1, at(WRITES[kind], 1, killed_in_a_write(100)))
    assert ended.status == -25 and not (tmp_path / "faces").exists(), ended.printed[-3000:]
    assert prepare(given, kind, tmp_path, 1).status == 0 and left(tmp_path) == expected


@pytest.mark.parametrize("kind", WRITES)
def test_a_process_of_a_pass_that_is_killed_is_one_line_and_the_pass_goes_on(given, tmp_path, tmp_path_factory, kind):
    expected = whole(given, kind, tmp_path_factory.getbasetemp() / f"whole-{kind}")
    ended = prepare(given, kind, tmp_path, 2, at(f"{FACES}shards:wait", 1, kill_a_child))
    assert ended.status == 2 and "was killed" in ended.last_line, ended.printed[-3000:]
    assert "Type the same command again: it goes on" in ended.last_line and ended.leaves_no_process()
    assert prepare(given, kind, tmp_path, 2).status == 0 and left(tmp_path) == expected
