"""Pictures that occur twice, against hashes compared bit by bit and pictures changed on purpose."""

import io

import numpy as np
import pytest
from data_trees import picture
from doctor_trees import examined_of, kinds, smooth
from PIL import Image, ImageEnhance

from hf_hmtl.analysis.doctor import duplicates as module
from hf_hmtl.analysis.doctor.duplicates import NEAR, duplicates, near_pairs
from hf_hmtl.analysis.doctor.pictures import measured


def test_pairs_are_those_of_a_comparison_bit_by_bit(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 7)
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2, (60, 256))
    for row, (like, changed) in enumerate([(0, 0), (5, NEAR), (9, NEAR + 1), (30, 20), (31, 40)]):
        bits[40 + row] = bits[like]
        bits[40 + row, generator.permutation(256)[:changed]] ^= 1
    usable = np.ones(60, dtype=bool)
    usable[31] = False
    borders = {"train": (0, 30), "validation": (30, 30), "test": (30, 60)}
    pairs, incomplete = near_pairs(np.packbits(bits, axis=1), np.arange(60), borders, usable)
    expected = {
        (a, b, int((bits[a] != bits[b]).sum()))
        for a in range(60)
        for b in range(a + 1, 60)
        if usable[a] and usable[b] and (bits[a] != bits[b]).sum() <= NEAR
    }
    assert {(pair.first, pair.second, pair.distance) for pair in pairs} == expected and not incomplete
    assert {pair[:2] for pair in expected} == {(0, 40), (5, 41), (30, 43)} and len(pairs) == len(expected)


def test_56_bits_are_near_and_57_are_not():
    """Measured on FER2013, see `NEAR`."""
    bits = np.random.default_rng(1).integers(0, 2, (3, 256))
    bits[1:] = bits[0]
    bits[1, :56] ^= 1
    bits[2, -57:] ^= 1
    pairs, _ = near_pairs(np.packbits(bits, axis=1), np.arange(3), {"train": (0, 3)}, np.ones(3, dtype=bool))
    assert [(pair.first, pair.second, pair.distance) for pair in pairs] == [(0, 1, 56)]


def test_what_is_too_much_to_compare_is_said_and_splits_come_first(monkeypatch):
    monkeypatch.setattr(module, "MOST_COMPARISONS", 450)
    hashes, borders = np.zeros((50, 32), dtype=np.uint8), {"train": (0, 40), "test": (40, 50)}
    pairs, incomplete = near_pairs(hashes, np.arange(50), borders, np.ones(50, dtype=bool))
    assert list(incomplete) == [("train", "train")] and len(pairs) == 400 + 45
    pairs, _ = near_pairs(hashes, np.zeros(50), borders, np.ones(50, dtype=bool))
    assert pairs == [], "the same bytes are no near duplicates"


def test_frames_of_a_video_do_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 30)
    monkeypatch.setattr(module, "_BLOCK", 4)
    for number in range(12):
        smooth(0).point(lambda value, number=number: min(value + number, 255)).save(tmp_path / f"{number:02}.png")
    examined = examined_of(tmp_path)
    findings, pairs = duplicates(examined, measured(examined))
    assert len(pairs) == 30 and kinds(findings) == {"near_duplicates": 30, "not_compared": 1}
    (note,) = [finding for finding in findings if finding.kind == "not_compared"]
    assert "within train were not all looked for: there are more than 30 of them" in note.text


def changed(image, kind):
    """The same photograph as somebody else saved it."""
    if kind == "jpeg":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=60)
        return Image.open(file)
    if kind == "smaller":
        return image.resize((image.width // 2, image.height // 2))
    if kind == "brighter":
        return ImageEnhance.Brightness(image).enhance(1.15)
    return image.crop((1, 1, image.width, image.height))


@pytest.mark.parametrize("kind", ["jpeg", "smaller", "brighter", "shifted"])
def test_a_photograph_saved_anew_is_nearly_the_same_and_others_are_not(tmp_path, kind):
    for number in range(12):
        smooth(number).save(folder := tmp_path / f"{number}.png")
    changed(smooth(3), kind).save(tmp_path / "again.png")
    examined = examined_of(folder.parent)
    findings, pairs = duplicates(examined, measured(examined))
    names = examined.names()
    assert [{names[pair.first], names[pair.second]} for pair in pairs] == [{"3.png", "again.png"}]
    (finding,) = findings
    assert (finding.kind, finding.count) == ("near_duplicates", 1)


def test_twins_across_splits_under_two_labels_and_nearly_so_are_counted_apart(tmp_path):
    places = {"train/a": range(4), "train/b": range(4, 8), "test/a": range(20, 23), "test/b": range(23, 26)}
    for folder, numbers in places.items():
        (tmp_path / folder).mkdir(parents=True)
        for number in numbers:
            smooth(number).save(tmp_path / folder / f"{number}.png")
    smooth(0).save(tmp_path / "test/a/exact.png")  # of train/a/0
    smooth(1).save(tmp_path / "train/b/two-labels.png")  # of train/a/1
    changed(smooth(2), "jpeg").save(tmp_path / "test/b/near.png")  # of train/a/2, under another label
    changed(smooth(0), "jpeg").save(tmp_path / "train/a/near-0.png")  # a near twin beside an exact one
    smooth(20).save(tmp_path / "test/a/again.png")
    examined = examined_of(tmp_path)
    findings, _ = duplicates(examined, measured(examined))
    found = {finding.kind: finding for finding in findings}
    counts = {kind: finding.count for kind, finding in found.items()}
    assert counts == {
        "duplicates_train_test": 1, "duplicates_train": 1, "duplicates_test": 1, "two_labels": 1,
        "near_duplicates": 1, "near_duplicates_train_test": 1, "two_labels_nearly": 1,
    }  # fmt: skip
    assert found["duplicates_train_test"].rows == ("test/a/exact.png",)
    assert found["near_duplicates_train_test"].rows == ("test/b/near.png = train/a/2.png",)
    assert found["two_labels"].rows == ("train/a/1.png (a) = train/b/two-labels.png (b)",)
    assert found["two_labels_nearly"].text.endswith("most often a and b, 1 times")


def test_blank_and_broken_pictures_are_no_twins(tmp_path):
    for number in range(3):
        Image.new("RGB", (32, 32), (number, 7, 7)).save(tmp_path / f"blank-{number}.png")
        (tmp_path / f"broken-{number}.png").write_bytes(b"\x89PNG" + bytes([number]))
    picture(1, 32).save(tmp_path / "fine.png")
    examined = examined_of(tmp_path)
    pictures = measured(examined)
    assert duplicates(examined, pictures) == ([], [])
    assert int(pictures.blank.sum()) == 3 and len(pictures.broken) == 3 and int(pictures.seen.sum()) == 4
