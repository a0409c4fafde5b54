"""Where a server is reached."""

import socket

_BACKLOG = 2048  # of connections that wait; uvicorn's own


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


def address(bound: socket.socket) -> str:
    """The URL under which a bound socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
