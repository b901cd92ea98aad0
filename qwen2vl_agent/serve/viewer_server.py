"""The local page on recorded episodes: reads, never writes, and answers this machine only."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.serve.episode_view import episode_card, episode_view
from qwen2vl_agent.serve.guard import refusal
from qwen2vl_agent.serve.viewer_page import served_page
from qwen2vl_agent.trajectory.store import episodes, frames_folder

HOST = "127.0.0.1"
VIEWS_KEPT = 8
SILENCE_S = 10.0
"""A client that neither sends nor takes anything for so long is let go."""
LONGEST_S = 60.0
"""Of a connection, which is one request, however slowly its client sends or takes."""
MOST_CONNECTIONS = 64
"""Open at once; more are cut off."""
Answer = tuple[int, str, bytes]
"""Status, kind of content, content."""


def named_episodes(folders: list[Path]) -> dict[str, Path]:
    """The episodes at or below the folders, by names that tell them apart.

    Raises:
        RecordError: there are none.
    """
    found = [(root, folder) for root in folders for folder in episodes(root)]
    if not found:
        raise RecordError(f"{', '.join(map(str, folders))}: no recorded episode there or below")
    named: dict[str, Path] = {}
    for root, folder in found:
        inside = folder.relative_to(root).as_posix()
        short = folder.name if inside == "." else inside
        named[str(folder) if short in named else short] = folder
    return named


class Gallery:
    """What each address of the page gives."""

    def __init__(self, named: dict[str, Path]) -> None:
        self._named = list(named.items())
        self._view = lru_cache(VIEWS_KEPT)(self._read)
        self._routes: list[tuple[re.Pattern[str], Callable[..., Answer]]] = [
            (re.compile(r"/"), self._page),
            (re.compile(r"/episodes\.json"), self._cards),
            (re.compile(r"/episodes/(\d{1,7})\.json"), self._episode),
            (re.compile(r"/frames/(\d{1,7})/([0-9a-f]{64})\.png"), self._frame),
        ]

    def answer(self, path: str) -> Answer:
        """The answer to a request; whatever cannot be read is told in one line."""
        for pattern, give in self._routes:
            if found := pattern.fullmatch(path.partition("?")[0]):
                try:
                    return give(*found.groups())
                except (RecordError, OSError, IndexError) as error:
                    return 404, "text/plain", str(error).encode()
        return 404, "text/plain", b"there is nothing here"

    def _page(self) -> Answer:
        return 200, "text/html", served_page().encode()

    def _cards(self) -> Answer:
        return _as_json([episode_card(folder, name) for name, folder in self._named])

    def _episode(self, number: str) -> Answer:
        name, folder = self._named[int(number)]
        stamp = sum(path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file())  # a running one grows
        return _as_json(self._view(name, folder, stamp))

    def _read(self, name: str, folder: Path, stamp: int) -> dict[str, Any]:
        return episode_view(folder, name)

    def _frame(self, number: str, frame: str) -> Answer:
        return 200, "image/png", (frames_folder(self._named[int(number)][1]) / f"{frame}.png").read_bytes()


def make_server(gallery: Gallery, port: int = 0) -> ThreadingHTTPServer:
    """A server that listens at 127.0.0.1; `port` 0 takes a free one.

    Raises:
        ConfigError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        timeout = SILENCE_S

        def do_GET(self) -> None:
            reason = refusal(self.headers.get, HOST, self.connection.getsockname()[1])
            status, kind, body = (403, "text/plain", reason.encode()) if reason else gallery.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind != "image/png" else kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("X-Frame-Options", "DENY")
            frame = status == 200 and kind == "image/png"  # named by its content, so it never changes
            self.send_header("Cache-Control", "private, max-age=86400, immutable" if frame else "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the terminal belongs to the command."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        room = threading.BoundedSemaphore(MOST_CONNECTIONS)

        def process_request(self, request: Any, client_address: Any) -> None:
            """A thread for each connection, as long as there is room."""
            if not self.room.acquire(blocking=False):
                self.shutdown_request(request)
                return
            super().process_request(request, client_address)

        def process_request_thread(self, request: socket.socket, client_address: Any) -> None:  # type: ignore[override]
            """One connection to its end, which comes in any case: a client may send a byte now and then."""
            last_word = threading.Timer(LONGEST_S, _hang_up, (request,))
            last_word.daemon = True
            last_word.start()
            try:
                super().process_request_thread(request, client_address)
            finally:
                last_word.cancel()
                self.room.release()

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Nothing: a browser that goes away in the middle is no news."""

    try:
        return Server((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--port {port} cannot be used ({error}); leave it out for a free one") from error


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended just now
        connection.shutdown(socket.SHUT_RDWR)


def _as_json(value: Any) -> Answer:
    return 200, "application/json", json.dumps(value).encode()
