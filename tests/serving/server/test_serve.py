"""The command, in a process of its own."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from hf_hmtl.commands import serve

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def begun_request(address):
    """A connection whose request the server is reading, of which the body is still to come."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        head = "POST /analyze HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        yield connection


def test_a_process_answers_says_so_in_a_line_and_ends_when_it_is_told_to(folder):
    program = [sys.executable, "-m", "hf_hmtl", "serve", folder, "--cropped", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, env=environment, **pipes) as process:
        try:
            line = process.stdout.readline()
            said, address = re.fullmatch(
                r"(.*) answers at (http://127\.0\.0\.1:\d+)/analyze; see .*/docs\n", line
            ).groups()
            assert said.startswith(f"{folder} (") and "emotion" in said
            with urllib.request.urlopen(f"{address}/health", timeout=60) as answer:
                assert json.load(answer)["model"] == Path(folder).name
            with begun_request(address) as connection:
                process.send_signal(signal.SIGTERM)
                connection.sendall(b"{}")
                assert connection.recv(1000).startswith(b"HTTP/1.1 422")  # what is open is answered
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 143
    assert "GET /health 200 in" in log and "POST /analyze 422 in" in log and "Traceback" not in log


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port} cannot be listened on .*choose another --port"):
            serve.run([str(tmp_path / "nowhere"), "--port", port])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["MODEL", "--port", "70000"], "--port is 70000, allowed are 1 to 65535"),
        (["MODEL", "--batch_size", "0"], "--batch_size is 0, allowed is 1 or more"),
        (["MODEL", "--largest_body", "0"], "--largest_body is 0, allowed is 1 or more"),
        (["MODEL", "--host", "192.0.2.1"], "192.0.2.1:8000 cannot be listened on"),
        (["./nowhere", "--port", "0"], "./nowhere: there is no such folder"),
    ],
)
def test_mistakes_are_one_line(folder, arguments, sentence):
    with pytest.raises((ValueError, OSError), match=sentence):
        serve.run([folder if each == "MODEL" else each for each in arguments])


def test_what_is_not_installed_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ValueError, match=r"a server needs uvicorn. Type: pip install 'hf_hmtl\[serve\]'"):
        serve.run([folder])
