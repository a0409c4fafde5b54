"""The socket, and the process from its first to its last request."""

import contextlib
import logging
import socket
import sys

import uvicorn
from fastapi import FastAPI

_SECONDS_TO_FINISH = 10
_BACKLOG = 2048  # uvicorn's own


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a port that is taken is told before the model is loaded.

    Raises:
        OSError: it cannot be bound; the message says what to type.
        ValueError: there is no such port.
    """
    if not 0 <= port <= 65_535:
        raise ValueError(f"--port is {port}, allowed are 1 to 65535, and 0 for any that is free")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)  # whoever comes before the model is loaded waits for it
    except OSError as error:
        bound.close()
        reason = error.strerror or error
        raise OSError(f"{host}:{port} cannot be listened on ({reason}); choose another --port or --host") from error
    return bound


def serve(app: FastAPI, bound: socket.socket) -> None:
    """Answer until the process is told to end (Ctrl-C, SIGTERM); what is being answered is finished first."""
    _log_to_stderr()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_SECONDS_TO_FINISH, server_header=False
    )
    with contextlib.suppress(KeyboardInterrupt), bound:
        uvicorn.Server(config).run(sockets=[bound])


def address(bound: socket.socket) -> str:
    """The URL under which a bound socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("hf_hmtl.serve")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
