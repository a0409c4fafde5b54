"""The process from its first to its last request."""

import contextlib
import logging
import socket
import sys

import uvicorn
from fastapi import FastAPI

_SECONDS_TO_FINISH = 10


def serve(app: FastAPI, bound: socket.socket) -> None:
    """Answer until the process is told to end (Ctrl-C, SIGTERM); what is being answered is finished first."""
    _log_to_stderr()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_SECONDS_TO_FINISH, server_header=False
    )
    with contextlib.suppress(KeyboardInterrupt), bound:
        uvicorn.Server(config).run(sockets=[bound])


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("hf_hmtl.serve")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
