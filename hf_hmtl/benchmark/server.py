"""A server under load: many clients at once, each with one connection, and what that does to its memory."""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hf_hmtl.benchmark.faces import jpeg_faces
from hf_hmtl.benchmark.loops import USUAL, emotion
from hf_hmtl.benchmark.rows import Row, missing_row, value_row
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification

PICTURES = 32
WARM = 1 / 6
"""Of the seconds, after which the memory is looked at first: by then every part has been used."""
_BOUNDARY = "faces"


@dataclass
class _Load:
    """What the clients of a server have seen: seconds of each answer, and the answers that were none; whether they are
    to go on."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)


def rows(
    rounds: int, clients: int = 64, seconds: float = 60.0, backbone: str = USUAL, side: int = 224, picture: int = 350
) -> Iterator[Row]:
    """Rows of a server of one network, asked for cut-out faces, and for faces in pictures, where a detector is at hand.

    Args:
        rounds: not used: what comes in a minute differs little from minute to minute.
        clients: at once.
        seconds: of the load.
        backbone, side: of the network.
        picture: side of the JPEG pictures in pixels.
    """
    with tempfile.TemporaryDirectory() as folder:
        HMTLForImageClassification.for_tasks([emotion()], backbone=backbone, image_size=side).save_pretrained(folder)
        HMTLImageProcessor(size=side).save_pretrained(folder)
        faces = [image["bytes"] for image in jpeg_faces(PICTURES, picture)["image"]]
        for name, options, wishes in (
            ("cut-out faces", ["--cropped"], {}),
            ("faces to be found", [], {"detect": "true"}),
        ):
            row = f"server, {backbone} at {side} px, {clients} clients, {name}"
            try:
                yield from _under_load(row, folder, options, [_form(face, wishes) for face in faces], clients, seconds)
            except NoServer as error:
                yield missing_row(row, "", str(error))


class NoServer(RuntimeError):
    """The server did not start; the message is its own."""


def _under_load(
    row: str, folder: str, options: list[str], bodies: list[bytes], clients: int, seconds: float
) -> Iterator[Row]:
    program = [sys.executable, "-m", "hf_hmtl.benchmark.child", str(os.getpid()), "serve", folder, "--port", "0"]
    with subprocess.Popen([*program, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stderr
            line = process.stdout.readline()
            if " answers at " not in line:
                raise NoServer((process.stderr.read().splitlines() or ["the server said nothing"])[-1])
            threading.Thread(target=process.stderr.read, daemon=True).start()  # its log, a line a request
            port = int(line.split(" answers at ")[1].split("/")[2].split(":")[1])
            begin = time.perf_counter()
            with ThreadPoolExecutor(clients) as threads:
                load = _Load()
                try:
                    done = [threads.submit(_client, port, bodies, n, begin + seconds, load) for n in range(clients)]
                    time.sleep(seconds * WARM)
                    first = _megabytes(process.pid)
                    for each in done:
                        each.result()
                finally:
                    load.is_over.set()  # also where somebody has interrupted it, who would wait for the clients
            last, took = _megabytes(process.pid), time.perf_counter() - begin
        finally:
            process.kill()
    answered = len(load.seconds)
    if not answered:
        raise NoServer(f"no request was answered: {next(iter(load.failed), 'none came')}")
    slow = statistics.quantiles(load.seconds, n=20)[-1]
    yield value_row(f"{row}: requests answered", "1/s", [answered / took], "")
    yield value_row(f"{row}: the middle answer", "ms", [1000 * statistics.median(load.seconds)], "")
    yield value_row(f"{row}: the slowest in twenty", "ms", [1000 * slow], "")
    yield value_row(f"{row}: requests that failed", "", [float(len(load.failed))], "<= 0")
    if first and last:
        yield value_row(f"{row}: memory at the end / after {seconds * WARM:g} s", "", [last / first], "<= 1.1")


def _client(port: int, bodies: list[bytes], number: int, end: float, load: _Load) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    while (begin := time.perf_counter()) < end and not load.is_over.is_set():
        number += 1
        try:
            connection.request("POST", "/analyze", bodies[number % len(bodies)], headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200 or "faces" not in json.loads(said):
                load.failed.append(f"{answer.status}: {said[:200]!r}")
                continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            load.failed.append(f"{type(error).__name__}: {error}")
            connection.close()
            continue
        load.seconds.append(time.perf_counter() - begin)
    connection.close()


def _form(picture: bytes, wishes: dict[str, str]) -> bytes:
    """A form with a picture, as clients send it."""
    parts = [(f'name="{name}"', value.encode()) for name, value in wishes.items()]
    parts.append(('name="image"; filename="face.jpg"', picture))
    body = b"".join(
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
        for name, value in parts
    )
    return body + f"--{_BOUNDARY}--\r\n".encode()


def _megabytes(process: int) -> float | None:
    """Resident memory of a process; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * 4096 / 1e6
