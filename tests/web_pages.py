"""A small web site on this machine, on two ports: one that an agent may visit, and one that it may not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLACED = "button,a,input{position:absolute;left:20px;width:200px;height:30px}"
STYLE = f"<style>body{{margin:0;font:16px sans-serif}}{PLACED}</style>"


def page(body: str) -> str:
    return f"<!doctype html><title>A page</title>{STYLE}<body>{body}"


class Site:
    """What is served, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pages: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.address = ""


@contextmanager
def served() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            if self.path in site.redirects:
                self.send_response(302)
                self.send_header("Location", site.redirects[self.path])
                self.end_headers()
                return
            self.send_response(200 if self.path in site.pages or self.path == "/file.csv" else 404)
            if self.path == "/file.csv":
                self.send_header("Content-Disposition", 'attachment; filename="../file.csv"')
            else:
                self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(site.pages.get(self.path, "a,b\n1,2\n").encode())

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
