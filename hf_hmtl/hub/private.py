"""The last look before anything is sent: no token, and no place on this machine, in any file."""

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import get_token

from hf_hmtl.hub.contents import Part

TOKENS = re.compile(rb"\bhf_[A-Za-z0-9]{20,}")
SHORTEST = 6  # characters of a place that is looked for; "/root" and the like stand in other people's texts


def require_nothing_private(parts: Iterable[Part], folder: Path, token: str | None) -> None:
    """Raise when a file holds a token, the folder that it comes from, or the home of the user.

    Args:
        parts: what is to be sent.
        folder: where it comes from.
        token: that is used for sending it.

    Raises:
        ValueError: it names the file and what was found.
    """
    places = {str(folder.absolute()), str(folder.resolve()), str(Path.home())}
    if len(folder.parts) > 1:  # a single one, such as outputs, is a word that stands in files of code too
        places.add(str(folder))
    wanted = {f"the place {place}": place for place in places if len(place) >= SHORTEST}
    for secret in {token, get_token()} - {None, ""}:
        wanted["a token"] = str(secret)
    for part in parts:
        content = _readable(part)
        found = [name for name, text in wanted.items() if text.encode() in content]
        if TOKENS.search(content):
            found.append("what looks like a token")
        if found:
            raise ValueError(f"{part.path} holds {found[0]}, and that must not leave this machine. Nothing was sent")


def _readable(part: Part) -> bytes:
    """The content; of weights the header, since numbers are no text."""
    if not part.path.endswith(".safetensors") or isinstance(part.content, bytes):
        return part.read()
    with open(part.content, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return file.read(length)
