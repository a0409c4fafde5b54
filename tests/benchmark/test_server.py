import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from hf_hmtl.benchmark import server


@pytest.mark.slow
def test_a_server_is_measured_under_load():
    """Of a minute here are two seconds, of 64 clients two."""
    rows = list(server.rows(1, clients=2, seconds=2.0, backbone="test_resnet", side=32, picture=48))
    measured = {row.row.split(", ", 3)[3]: row for row in rows if row.ratio is not None}
    for name in ("cut-out faces: requests answered", "cut-out faces: the middle answer"):
        assert measured[name].ratio > 0
    assert measured["cut-out faces: requests that failed"].met
    assert any("faces to be found" in row.row for row in rows)


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told_with_its_last_line(tmp_path):
    with pytest.raises(server.NoServer, match="there is no such folder"):
        list(server._under_load("row", str(tmp_path / "nowhere"), [], [b""], 1, 1.0))


@pytest.mark.parametrize(
    ("status", "said", "failed"),
    [(200, {"faces": []}, False), (200, {"error": "x"}, True), (503, {"error": "full"}, True)],
)
def test_a_client_counts_what_is_no_answer(status, said, failed):
    """Against a server that answers the same once, and is gone then."""
    bodies = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as answering:
        thread = Thread(target=answering.handle_request)
        thread.start()
        load = Once()
        server._client(answering.server_port, [server._form(b"picture", {"detect": "true"})], 0, load, load)
        thread.join()
    assert (len(load.seconds), len(load.failed)) == ((0, 1) if failed else (1, 0))
    assert b'name="detect"\r\n\r\ntrue\r\n' in bodies[0] and b"picture" in bodies[0]


class Once(server._Load):
    """Also the end of the load: before it until something came."""

    def __gt__(self, _):
        return not self.seconds and not self.failed
