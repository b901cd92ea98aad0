"""A model's server that means ill: it sends without end, sends elsewhere, or repeats what it was told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from qwen2vl_agent.agent import endpoint
from qwen2vl_agent.agent.endpoint import Endpoint, EndpointConfig
from qwen2vl_agent.schema.errors import ConfigError, EndpointLost

KEY = "key-that-nobody-else-learns"


@contextmanager
def server(answer) -> Iterator[tuple[str, list[str]]]:
    """Answers every request by `answer(handler)`; its address, and the keys that it was sent."""
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_POST = do_GET

        def log_message(self, *args) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/v1", keys
        http.shutdown()


def client(url: str) -> Endpoint:
    return Endpoint(EndpointConfig(url=url, key=KEY, tries=2, pause_s=0, timeout_s=10))


def endless(kind: str, piece: bytes):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        while True:
            handler.wfile.write(piece)

    return answer


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("application/json", b" " * 65536),
        ("text/event-stream", b"x" * 65536),
        ("text/event-stream", b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n' * 1000),
    ],
    ids=["a whole answer", "one line", "many pieces"],
)
def test_an_answer_without_end_is_given_up(monkeypatch, kind, piece):
    monkeypatch.setattr(endpoint, "MOST_BYTES", 2**20)
    with server(endless(kind, piece)) as (url, _), pytest.raises(EndpointLost, match="longer than 1048576 bytes"):
        client(url).complete({"messages": []})


def test_a_key_is_not_carried_to_where_a_server_points():
    with server(lambda handler: handler.send_error(500)) as (elsewhere, keys):

        def point(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", f"{elsewhere}/models")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with server(point) as (url, own), pytest.raises(ConfigError) as told:
            client(url).model()
    assert own == [f"Bearer {KEY}"]
    assert keys == []
    assert KEY not in str(told.value)
