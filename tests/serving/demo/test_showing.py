"""What the page says and shows of a picture."""

import io
import re
import sys

import numpy as np
import pytest
from data_trees import encoded
from face_detectors import picture_of
from PIL import Image
from serving_models import ANSWERING, AUXILIARY, RAW, save, serving_model
from transformers import pipeline

from hf_hmtl.commands import demo as command
from hf_hmtl.hub.contents import with_training_heads
from hf_hmtl.serving.demo import markup
from hf_hmtl.serving.demo.showing import Showing, drawn_examples

LARGE, SMALL = (12, 12, 12, 14, 250), (3, 3, 6, 6, 200)  # faces of face_detectors.py


@pytest.fixture(scope="module")
def with_heads(tmp_path_factory):
    """A model that kept its training heads, saved."""
    model = serving_model(
        heads=ANSWERING | AUXILIARY, side=64, learned_from=["drawn"]
    )  # of 32 px it would see one place
    return str(save(model, tmp_path_factory.mktemp("heads")))


@pytest.fixture
def showing(with_heads, detector):
    return Showing(pipeline("face-analysis", model=with_heads, device="cpu"))


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def file_of(*faces):
    file = io.BytesIO()
    Image.fromarray(picture_of(*faces)).save(file, "PNG")
    return file.getvalue()


def test_every_answer_of_the_largest_face_is_shown(showing):
    html = showing.html(file_of(SMALL, LARGE), cropped=False, seed=0)
    (entry, _) = showing._pipeline(file_of(SMALL, LARGE))
    said = text_of(html)
    assert "2 faces were found; shown is the largest" in said
    assert "This network learned from faces drawn by code alone: the answers say nothing about people." in said
    for name, share in [*entry["emotion"]["scores"].items(), *entry["units"].items()]:
        assert f"{name} {100 * share:.0f} %" in said
    for name in ("yaw", "pitch", "roll"):
        assert f"{name} {entry[name]:.2f} degrees" in said
    assert f'aria-label="valence {entry["valence"]:.2f}, arousal {entry["arousal"]:.2f}"' in html
    assert f"What speaks for {entry['emotion']['label']} (Grad-CAM)" in said
    assert re.search(r"\d of 4 tiles are where they belong", said)
    assert html.count("data:image/") == 4  # the face, the heat, and the puzzle before and after


def test_a_cut_out_face_is_not_looked_for_and_a_seed_is_another_puzzle(showing):
    picture = file_of()
    assert "No face was found. If the picture is one face" in text_of(showing.html(picture, cropped=False, seed=0))
    one, other = (showing.html(picture, cropped=True, seed=seed) for seed in (0, 1))
    assert "yaw" in one and one != other
    assert one == showing.html(picture, cropped=True, seed=0)


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (None, "Drop a photograph, use the camera, or choose one of the drawings."),
        (b"", "This cannot be shown: the given bytes: the image is empty (0 bytes)."),
        (b"<svg>", "This cannot be shown: the given bytes (5 bytes): not an image that Pillow reads"),
        (encoded()[:300], "not an image that Pillow reads, or a damaged one"),
        ("/nowhere/face.jpg", "This cannot be shown: [Errno 2] No such file or directory"),
    ],
)
def test_what_is_no_picture_gets_a_sentence(showing, picture, sentence):
    html = showing.html(picture, cropped=False, seed=0)
    assert sentence in text_of(html).replace("&lt;", "<") and "<section" not in html


def test_a_picture_of_too_many_pixels_gets_a_sentence(showing):
    file = io.BytesIO()
    Image.new("1", (8000, 8000)).save(file, "PNG")
    assert "more than the 50,000,000 that are allowed" in text_of(showing.html(file.getvalue(), cropped=True, seed=0))


def test_without_training_heads_the_puzzle_says_where_they_are(folder, detector):
    html = Showing(pipeline("face-analysis", model=folder, device="cpu")).html(file_of(LARGE), False, 0)
    assert "This folder holds no puzzle head: it vanished with the training" in text_of(html) and "yaw" in html


def test_a_backbone_that_grad_cam_cannot_explain_says_so(showing, monkeypatch):
    def refused(*_):
        raise ValueError("x ends in no maps")

    monkeypatch.setattr("hf_hmtl.serving.demo.showing.grad_cam", refused)
    said = text_of(showing.html(file_of(LARGE), cropped=False, seed=0))
    assert "Where the network looks x ends in no maps The puzzle" in said


def test_a_network_that_answers_in_no_words_is_refused(tmp_path):
    analyse = pipeline("face-analysis", model=str(save(serving_model(heads=RAW, primary="vector").slim(), tmp_path)))
    with pytest.raises(ValueError, match="answer neither in words nor in numbers"):
        Showing(analyse)


def test_text_from_outside_is_no_markup():
    evil = "<script>alert(1)</script>"
    html = markup.page(
        [evil], [markup.section(evil, markup.bars({evil: 0.5}) + markup.numbers({evil: 1.0}, evil), evil)]
    )
    assert "<script" not in html and html.count("&lt;script&gt;") == 6


def test_the_circle_has_valence_to_the_right_and_arousal_upwards():
    place = re.compile(r'<circle cx="([-.\d]+)" cy="([-.\d]+)"')
    assert place.search(markup.circle(0.5, 0.25)).groups() == ("50.0", "-25.0")
    assert place.search(markup.circle(-3, -3)).groups() == ("-115.0", "115.0")  # at the rim


def test_the_drawings_are_faces_of_no_training():
    drawings = drawn_examples(2, 64)
    assert [each.shape for each in drawings] == [(64, 64, 3)] * 2 and not np.array_equal(*drawings)


def test_a_run_is_shown_by_the_checkpoint_that_was_kept(with_heads, tmp_path):
    assert with_training_heads(with_heads) == with_heads and with_training_heads("user/name") == "user/name"
    for step in (9, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert with_training_heads(str(tmp_path)) == str(tmp_path)  # neither of them is whole
    for step in (9, 10):
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert with_training_heads(str(tmp_path)) == str(tmp_path / "checkpoint-10")


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "hf_hmtl.serving.demo.page", raising=False)
    with pytest.raises(ValueError, match=r"the page needs gradio. Type: pip install 'hf_hmtl\[demo\]'"):
        command.run(["nowhere"])
