"""Schemathesis reads what the server says of itself and asks it all kinds of things, allowed ones and others: no answer
is an error of the server, and each is of a status and of a form that the description has."""

import base64
import io

import hypothesis
import pytest
import schemathesis
from face_detectors import picture_of
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from hf_hmtl.serving.server.application import application
from hf_hmtl.serving.server.limits import Limits

QUESTIONS = 150


def picture_file():
    file = io.BytesIO()
    Image.fromarray(picture_of((12, 12, 12, 14, 250), (3, 3, 6, 6, 200))).save(file, "PNG")
    return file.getvalue()


PICTURE = picture_file()


def ask_all(analyse, method, page, mode):
    """The statuses of the answers to so many questions, each of which is checked."""
    described = schemathesis.openapi.from_asgi("/openapi.json", application(analyse, "mine", Limits()))
    statuses = set()

    @hypothesis.settings(
        max_examples=QUESTIONS,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(described[page][method].as_strategy(generation_mode=mode), st.booleans())
    def ask(case, with_a_picture):
        of_form = case.media_type == "multipart/form-data"
        with_a_picture &= isinstance(case.body, dict) and isinstance(case.body.get("image"), (str, bytes))
        if with_a_picture:
            case.body["image"] = PICTURE if of_form else base64.b64encode(PICTURE).decode()
        excluded = []
        if not with_a_picture:
            excluded.append(positive_data_acceptance)  # no description says which bytes are a picture
        if of_form:
            excluded.append(negative_data_rejection)  # in a form a list of one number is that number
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, excluded_checks=excluded)

    ask()
    return statuses


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
def test_every_answer_about_a_picture_is_one_that_the_server_describes(analyse, mode):
    assert ask_all(analyse, "POST", "/analyze", mode) >= ({200, 422} if mode is GenerationMode.POSITIVE else {422})


def test_it_is_as_well_as_it_describes(analyse):
    assert ask_all(analyse, "GET", "/health", GenerationMode.POSITIVE) == {200}
