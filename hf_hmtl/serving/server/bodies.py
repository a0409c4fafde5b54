"""From the body of a request to a picture and the wishes beside it: bounded, and in memory alone."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from hf_hmtl.serving.server.limits import MEBIBYTE, Limits, Refused

FORM, JSON = "multipart/form-data", "application/json"
_FIELDS = 32
_FIELD = 65_536  # bytes of a field that is no file
_REPEATED = ("heads",)


@dataclass(frozen=True)
class Asked:
    """What a request holds.

    Attributes:
        picture: the bytes of an image file.
        wishes: all else, by name.
        as_text: whether numbers among the wishes are text, as in a form.
    """

    picture: bytes
    wishes: dict[str, Any]
    as_text: bool


async def asked(request: Request, limits: Limits) -> Asked:
    """Read a request.

    Raises:
        Refused: it is too large (413), too slow (408), of another type (415), or cannot be read (400, 422).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FORM, JSON):
        raise Refused(
            415, f"a picture comes as {FORM} or as {JSON}, not as {kind[:100]!r}. Type: curl -F image=@photo.jpg URL"
        )
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        raise Refused(415, f"the body is coded by {coding[:100]!r}; send it as it is")
    try:
        async with asyncio.timeout(limits.seconds):
            body = await _body(request, limits.body)
    except TimeoutError as error:
        raise Refused(408, f"the request did not arrive within {limits.seconds:g} seconds") from error
    except ClientDisconnect as error:
        raise Refused(400, "the client left before its request was complete") from error
    return await _of_form(request, body) if kind == FORM else _of_json(body)


async def _body(request: Request, largest: int) -> bytes:
    """The body, of which never more than the limit is kept."""
    sentence = f"a request may have {largest / MEBIBYTE:g} MiB; send a smaller picture"
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > largest:
        raise Refused(413, sentence)
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > largest:
            raise Refused(413, sentence)
        body += chunk
    return bytes(body)


async def _of_form(request: Request, body: bytes) -> Asked:
    parser = MultiPartParser(request.headers, _once(body), max_files=1, max_fields=_FIELDS, max_part_size=_FIELD)
    parser.spool_max_size = len(body) + 1  # a part that is larger than this would be written to the disk
    try:
        wishes: dict[str, Any] = {}
        picture = None
        for name, value in (await _form(parser)).multi_items():
            if isinstance(value, UploadFile):
                if name != "image":
                    raise Refused(422, f"the file is called {name[:100]!r}; its field has to be 'image'")
                picture = await value.read()
            elif name in _REPEATED:
                wishes.setdefault(name, []).append(value)
            elif name in wishes:
                raise Refused(422, f"{name[:100]!r} is given twice")
            else:
                wishes[name] = value
    finally:
        for file in parser._files_to_close_on_error:  # a form closes its files, but not one within which it ends
            file.close()
    if picture is None:
        raise Refused(422, "the form has no file 'image'. Type: curl -F image=@photo.jpg URL")
    return Asked(picture, wishes, as_text=True)


async def _form(parser: MultiPartParser) -> FormData:
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:  # the boundary, the headers of a part
        reason = f" ({error.message})" if isinstance(error, MultiPartException) else ""
        raise Refused(400, f"the form cannot be read{reason}") from error


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _of_json(body: bytes) -> Asked:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON ({type(error).__name__})") from error
    if not isinstance(given, dict):
        raise Refused(422, 'the body has to be an object like {"image": "the bytes of a file in base64"}')
    text = given.pop("image", None)
    if not isinstance(text, str):
        raise Refused(422, "'image' has to be text: the bytes of an image file in base64")
    if text.startswith(("http:", "https:")):
        raise Refused(422, "'image' is a URL, which this server does not follow; send the bytes of the file in base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        picture = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(422, f"'image' is no base64 ({error})") from error
    return Asked(picture, given, as_text=False)
