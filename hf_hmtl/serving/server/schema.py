"""What goes in and comes out, as OpenAPI describes it: made of the heads of the network that is served."""

from collections.abc import Sequence
from typing import Any

from hf_hmtl.model.answers_hmtl import CLASSES, YES_NO, Answer
from hf_hmtl.serving.server.bodies import FORM, JSON
from hf_hmtl.serving.server.wishes import Wishes

PROBLEMS = {
    400: "the body cannot be read",
    408: "the body did not arrive in time",
    413: "the request, or its picture, is larger than this server takes",
    415: "neither a form nor JSON",
    422: "no picture, no image file, or an option that is not possible",
    503: "as many requests as this server takes are being answered",
}
_TEXT, _SHARE, _NUMBER = {"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}, {"type": "number"}


def body_of(wishes: type[Wishes]) -> dict[str, Any]:
    """The body of a question: a form with a file, or JSON with the file in base64."""
    options = wishes.model_json_schema()["properties"]
    about = "the bytes of an image file"

    def described(image: dict) -> dict:
        properties = {"image": image, **options}
        return {"type": "object", "required": ["image"], "properties": properties, "additionalProperties": False}

    file = {"type": "string", "format": "binary", "description": about}
    text = {"type": "string", "contentEncoding": "base64", "description": f"{about}, in base64"}
    return {"required": True, "content": {FORM: {"schema": described(file)}, JSON: {"schema": described(text)}}}


def faces_of(answers: Sequence[Answer]) -> dict[int | str, dict[str, Any]]:
    """The answer, an entry a face."""
    corners = _all_of(dict.fromkeys(("xmin", "ymin", "xmax", "ymax"), _NUMBER))
    point = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
    properties: dict[str, Any] = {
        "box": corners | {"description": "in pixels of the upright picture; absent of a face that was cut out already"},
        "score": _SHARE,
        "landmarks": {"type": "array", "items": point},
        "note": _TEXT,
    }
    for answer in answers:
        properties |= _of_head(answer)
    face = {"type": "object", "properties": properties, "additionalProperties": False}
    said = _all_of({"model": _TEXT, "faces": {"type": "array", "items": face}})
    said["properties"]["message"] = _TEXT | {"description": "why there is no face"}
    return {200: _as_json("The faces, the largest first", said)}


def health() -> dict[str, Any]:
    """The answer of /health."""
    heads = {"type": "array", "items": {"type": "object"}}
    note = {"type": ["string", "null"]}
    described = {"status": {"const": "ok"}, "model": _TEXT, "version": _TEXT, "heads": heads, "note": note}
    return _as_json("The server answers", _all_of(described))


def problems() -> dict[int | str, dict[str, Any]]:
    """The answers to what cannot be answered."""
    return {status: _as_json(about, _all_of({"error": _TEXT})) for status, about in PROBLEMS.items()}


def _of_head(answer: Answer) -> dict[str, Any]:
    if answer.kind == CLASSES:
        label = {"type": "string", "enum": list(answer.keys)}
        return {
            answer.key: _all_of(
                {"label": label, "score": _SHARE, "scores": _all_of(dict.fromkeys(answer.keys, _SHARE))}
            )
        }
    if answer.kind == YES_NO:
        return {answer.key: _all_of(dict.fromkeys(answer.keys, _SHARE))}
    unit = {"description": answer.unit} if answer.unit else {}
    return dict.fromkeys(answer.keys, _NUMBER | unit)


def _all_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
        "additionalProperties": False,
    }


def _as_json(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {JSON: {"schema": schema}}}
