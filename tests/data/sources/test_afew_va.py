"""AFEW-VA on a miniature release: labels by frame, divided by ten, and folds by actor."""

import json
import os

import datasets
import pytest
from data_trees import write_images
from releases import AFEW_VA, write_afew_va

from hf_hmtl.data.identity import identities
from hf_hmtl.data.sources import afew_va
from hf_hmtl.data.splits import fingerprint

pytestmark = pytest.mark.filterwarnings("ignore:afew_va. all rows differ from the published counts")


def every_row_of(data, *columns):
    return list(zip(*(data[column] for column in columns), strict=True))


def every_row(source, *columns):
    return [row for data in source.splits.values() for row in every_row_of(data, *columns)]


def edited(root, clip, change):
    path = root / clip / f"{clip}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(("place", "parts"), [("", False), ("AFEW-VA", False), ("AFEW-VA", True)])
def test_every_frame_has_its_labels_wherever_it_lies(tmp_path, place, parts):
    source = afew_va.load(write_afew_va(tmp_path, place, parts))
    found = {(clip, frame): (actor, valence, arousal) for clip, frame, actor, valence, arousal in every_row(
        source, "_clip", "_frame", "_group", "valence", "arousal")}  # fmt: skip
    expected = {
        (clip, frame): (actor, pytest.approx(valence / 10), pytest.approx(arousal / 10))
        for clip, (actor, labels) in AFEW_VA.items()
        for frame, (valence, arousal) in enumerate(labels)
    }
    assert found == expected
    for clip, frame, file in every_row(source, "_clip", "_frame", "_file"):
        assert file.endswith(f"{clip}/{frame:05d}.png")
    assert sum(len(names) for _, _, names in os.walk(tmp_path)) == len(found) + len(AFEW_VA) + source.ledger.count()


def test_folds_go_by_actor_or_by_clip(tmp_path):
    write_afew_va(tmp_path)
    by_actor, by_clip = afew_va.load(tmp_path), afew_va.load(tmp_path, group="clip")
    assert {group for (group,) in every_row(by_actor, "_group")} == {"Ann", "Bob", "Cem", "Dee"}
    assert {group for (group,) in every_row(by_clip, "_group")} == set(AFEW_VA)
    for source in (by_actor, by_clip):
        people = [set(data["_group"]) for data in source.splits.values()]
        assert sum(map(len, people)) == len(set.union(*people))
    with pytest.raises(ValueError, match="group is 'film', allowed are actor and clip"):
        afew_va.load(tmp_path, group="film")


def test_clip_and_frame_stay_with_a_row_up_to_its_prediction_and_are_no_label(tmp_path):
    data = afew_va.load(write_afew_va(tmp_path)).splits["train"]
    known = identities(data)
    assert list(zip(known["_clip"], known["_frame"], strict=True)) == every_row_of(data, "_clip", "_frame")
    renamed = datasets.DatasetDict(train=data.rename_column("_clip", "clip"))
    assert fingerprint(datasets.DatasetDict(train=data.remove_columns("_clip"))) == fingerprint(
        datasets.DatasetDict(train=data)
    )
    assert fingerprint(renamed) != fingerprint(datasets.DatasetDict(train=data))


def test_the_box_is_the_square_around_the_landmarks(tmp_path):
    source = afew_va.load(write_afew_va(tmp_path), margin=0.5)
    assert {tuple(box) for (box,) in every_row(source, "_box")} == {(0.0, 2.0, 16.0, 18.0)}  # 8 px, 4 on each side


def test_what_is_odd_is_counted(tmp_path):
    write_afew_va(tmp_path)
    write_images(tmp_path, "001_cropped/00000.png", "001/extra.png", "poster.png", kind="PNG")
    edited(tmp_path, "051", lambda content: content["frames"]["00000"].update(landmarks=[]))
    edited(tmp_path, "002", lambda content: content["frames"]["00000"].update(valence=11))
    edited(tmp_path, "052", lambda content: content["frames"]["00000"].pop("arousal"))
    (tmp_path / "600/00001.png").unlink()
    allowed = ["no_annotation", "no_box", "no_code", "missing_file", "not_in_table"]
    with pytest.raises(ValueError, match="more than a tenth. .*--allow_left_out"):
        afew_va.load(tmp_path)
    found = afew_va.load(tmp_path, allow_left_out=allowed).ledger.to_dict()["folder"]
    assert {name: entry["count"] for name, entry in found.items()} == {
        "cropped": 1, "not_in_table": 1, "no_annotation": 2, "no_box": 1, "no_code": 1, "missing_file": 1,
    }  # fmt: skip


def test_a_wrong_folder_or_a_broken_file_is_named(tmp_path):
    write_images(tmp_path, "happy/1.jpg")
    with pytest.raises(FileNotFoundError, match=r"no clip of AFEW-VA \(found: happy\)(.|\n)*--data_dir FOLDER"):
        afew_va.load(tmp_path)
    write_afew_va(tmp_path)
    (tmp_path / "001/001.json").write_text('{"actor": "Ann", "frames": ')
    with pytest.raises(ValueError, match="001.json is not JSON"):
        afew_va.load(tmp_path)
    (tmp_path / "001/001.json").write_text("[]")
    with pytest.raises(ValueError, match="001.json has no `actor` and `frames`"):
        afew_va.load(tmp_path)


def test_a_clip_or_a_frame_that_is_there_twice_is_read_once(tmp_path):
    once = every_row(afew_va.load(write_afew_va(tmp_path / "once")), "_clip", "_frame", "valence")
    write_afew_va(tmp_path / "twice")
    write_afew_va(tmp_path / "twice", "copy")
    clip = next(iter(AFEW_VA))
    write_images(tmp_path / "twice", f"{clip}/00000.jpg")
    source = afew_va.load(tmp_path / "twice")
    assert sorted(every_row(source, "_clip", "_frame", "valence")) == sorted(once)
    files = sum(len(names) for _, _, names in os.walk(tmp_path / "twice"))
    assert files == len(once) + len(AFEW_VA) + source.ledger.count()
    assert source.ledger.to_dict()["folder"]["copy"]["count"] >= len(once) + len(AFEW_VA) + 1
