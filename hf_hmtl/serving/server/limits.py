"""What a server accepts, and how it says no."""

from dataclasses import dataclass

MEBIBYTE = 2**20
MEGAPIXEL = 10**6


@dataclass(frozen=True)
class Limits:
    """How much one request may take.

    Attributes:
        body: bytes of a request.
        pixels: of a picture; three bytes each once it is decoded, and as many again while faces are looked for.
        waiting: requests that are answered at once; the next is told to come back.
        seconds: in which a request has to have arrived.
    """

    body: int = 10 * MEBIBYTE
    pixels: int = 50 * MEGAPIXEL
    waiting: int = 256
    seconds: float = 30.0


class Refused(Exception):
    """A request that is not answered: the status of HTTP, and a sentence that says why and what to do."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
