"""From the bytes of a picture to what the network says about its faces, for many requests at once."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image

from hf_hmtl.model.face_detector_hmtl import Face, FaceDetector
from hf_hmtl.model.image_processing_hmtl import ImageError, ImageTooLarge, decode
from hf_hmtl.model.pipeline_hmtl import FaceAnalysisPipeline
from hf_hmtl.serving.server.batches import Batches
from hf_hmtl.serving.server.limits import Limits, Refused
from hf_hmtl.serving.server.wishes import LOWEST_THRESHOLD, Wishes
from hf_hmtl.workers import usable_cores


class Analyst:
    """Reads pictures and finds faces in threads, one a core, and asks the network about the faces of all of them.

    Args:
        analyse: `pipeline("face-analysis")`.
        limits: of a picture.
        batch_size: faces that the network sees at once.
        detect: whether faces are ever to be found.

    Raises:
        FileNotFoundError: faces are to be found and there is no detector; the message says what to type.
    """

    def __init__(self, analyse: FaceAnalysisPipeline, limits: Limits, batch_size: int, detect: bool):
        self._pipeline, self._limits = analyse, limits
        self._batches = Batches(analyse.answered, batch_size)
        self._of_this_thread = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        if detect:
            FaceDetector()

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Questions are answered within this context."""
        with ThreadPoolExecutor(usable_cores(), thread_name_prefix="pictures") as self._threads:
            async with self._batches.at_work():
                yield

    async def entries(self, content: bytes, wishes: Wishes) -> list[dict]:
        """What `FaceAnalysisPipeline` says of a picture: an entry a face, the largest first.

        Raises:
            Refused: the bytes are no picture (422), or one that is too large (413).
        """
        loop = asyncio.get_running_loop()
        faces, pixels = await loop.run_in_executor(self._threads, self._look, content, wishes)
        if not faces:
            return []
        heads = None if wishes.heads is None else tuple(wishes.heads)
        values = await self._batches(pixels)
        return [self._pipeline.entry(row, face, heads) for row, face in zip(values, faces, strict=True)]

    def _look(self, content: bytes, wishes: Wishes) -> tuple[list[Face | None], torch.Tensor]:
        """The faces, and what the network is to see of each: (faces, 3, side, side) uint8."""
        picture = self._picture(content)
        faces: list[Face | None] = [None]
        if wishes.detect:
            faces = [*self._pipeline.find_faces(picture, self._detector(), wishes.threshold)]
        try:
            pixels = [self._pipeline.pixels(picture, face, wishes.margin) for face in faces]
        except ValueError as error:
            raise Refused(422, f"{error}; ask for a smaller margin") from error
        return faces, torch.cat(pixels) if pixels else torch.empty(0)

    def _picture(self, content: bytes) -> Image.Image:
        try:
            return decode(content, self._limits.pixels)
        except ImageTooLarge as error:
            raise Refused(413, str(error)) from error
        except ImageError as error:
            raise Refused(422, str(error)) from error

    def _detector(self) -> FaceDetector:
        """The detector of this thread: one may be used by one thread at a time. What is less sure than a client wants
        is left out afterwards."""
        if not hasattr(self._of_this_thread, "detector"):
            self._of_this_thread.detector = FaceDetector(threshold=LOWEST_THRESHOLD)
        return self._of_this_thread.detector
