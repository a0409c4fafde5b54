"""The routes of the server, and what each says of itself in /openapi.json."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hf_hmtl._version import __version__
from hf_hmtl.model.answers_hmtl import note_of
from hf_hmtl.model.pipeline_hmtl import FaceAnalysisPipeline
from hf_hmtl.serving.server.analyst import Analyst
from hf_hmtl.serving.server.bodies import asked
from hf_hmtl.serving.server.limits import Limits, Refused
from hf_hmtl.serving.server.schema import body_of, faces_of, health, problems
from hf_hmtl.serving.server.wishes import parsed, wishes_of

logger = logging.getLogger("hf_hmtl.serve")

ABOUT = "What a network says about the faces of a picture. Pictures are held in memory, and never kept."


def application(
    analyse: FaceAnalysisPipeline, name: str, limits: Limits, batch_size: int = 32, detect: bool = True
) -> FastAPI:
    """The server as an ASGI application.

    Args:
        analyse: `pipeline("face-analysis")`.
        name: what the model is called; it stands in answers.
        limits: of requests.
        batch_size: faces that the network sees at once.
        detect: False where pictures are one cut-out face each, and no detector is at hand.

    Raises:
        ValueError: the network has no head that answers in words or numbers.
        FileNotFoundError: there is no detector; the message says what to type.
    """
    if not analyse.asked:
        raise ValueError(f"{name}: its heads answer neither in words nor in numbers; serve one that does")
    analyst = Analyst(analyse, limits, batch_size, detect)
    wishes = wishes_of([answer.head for answer in analyse.asked], detect)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with analyst.at_work():
            yield

    app = FastAPI(title="hf_hmtl", version=__version__, description=ABOUT, lifespan=lifespan)
    app.middleware("http")(_Door(limits.waiting))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _no_such_page)
    app.add_exception_handler(Exception, _failed)

    @app.get("/health", responses={200: health()})
    async def is_well() -> Response:
        """Whether the server answers, and what it serves."""
        described = [answer.described() for answer in analyse.asked]
        return JSONResponse(
            {
                "status": "ok",
                "model": name,
                "version": __version__,
                "heads": described,
                "note": note_of(analyse.model.config),
            }
        )

    @app.post(
        "/analyze", openapi_extra={"requestBody": body_of(wishes)}, responses=faces_of(analyse.asked) | problems()
    )
    async def analyze(request: Request) -> Response:
        """The faces of a picture, the largest first, each with the answers of the heads."""
        given = await asked(request, limits)
        wanted = parsed(wishes, given.wishes, given.as_text)
        faces = await analyst.entries(given.picture, wanted)
        request.state.faces = len(faces)
        said: dict = {"model": name, "faces": faces}
        if not faces:
            said["message"] = (
                f"no face of a score of {wanted.threshold:g} or more was found; for a picture that is one face, cut "
                "out already, send detect=false"
            )
        return JSONResponse(said)

    return app


class _Door:
    """Counts who is inside, turns away whoever comes when it is full, and writes a line a request: nothing of what was
    sent stands in it."""

    def __init__(self, largest: int):
        self._largest, self._inside = largest, 0

    async def __call__(self, request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        begin = time.perf_counter()
        self._inside += 1
        status = 500
        try:
            if self._inside > self._largest:
                response: Response = _problem(
                    503, f"{self._largest} requests are being answered; try again in a second"
                )
                response.headers["Retry-After"] = "1"
            else:
                response = await answer(request)
            status = response.status_code
            return response
        finally:
            self._inside -= 1
            route = getattr(request.scope.get("route"), "path", "-")  # what else was asked for is the client's own
            faces = getattr(request.state, "faces", None)
            found = "" if faces is None else f", {faces} faces"
            milliseconds = (time.perf_counter() - begin) * 1000
            logger.info("%s %s %s in %.0f ms%s", request.method, route, status, milliseconds, found)


def _problem(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    response = _problem(error.status, error.sentence)
    if error.status in (408, 413):
        response.headers["Connection"] = "close"  # what is left of the body is not read
    return response


async def _no_such_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = HTTPStatus(error.status_code).phrase.lower()
    if error.status_code in (404, 405):
        sentence = f"{sentence}: POST a picture to /analyze, GET /health, or read /docs"
    return JSONResponse({"error": sentence}, status_code=error.status_code, headers=error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    """The client learns nothing of the error, which the log of the server has in full."""
    return _problem(500, "this server failed to answer; its log says why")
