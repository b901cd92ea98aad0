"""A page of another site, in the browser that has the live page open, tries all that a page can."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from chromium import chromium_page
from PIL import Image

from qwen2vl_agent.serve.live_page import serving_live_page

pytestmark = pytest.mark.browser
EXPECTED = (
    "403",
    "401",
    "Failed to load",
    "CORS",
    "ERR_BLOCKED",
    "ERR_FAILED",
    "WebSocket",
    "Refused",
    "violates",
    "frame",
)
ATTEMPTS = """async ([target]) => {
  const tried = {};
  const attempt = async (name, act) => {
    try { tried[name] = await act(); } catch (error) { tried[name] = "refused"; }
  };
  const within = (promise) => Promise.race([promise, new Promise((done) => setTimeout(() => done("silent"), 2000))]);
  const body = JSON.stringify({do: "stop"});
  const json = {"Content-Type": "application/json"};
  await attempt("post", async () =>
    (await fetch(target + "press", {method: "POST", headers: json, body, credentials: "include"})).ok);
  await attempt("simple post", async () => (await fetch(target + "press",
    {method: "POST", headers: {"Content-Type": "text/plain"}, body, credentials: "include", mode: "no-cors"})).ok);
  await attempt("beacon", async () => { navigator.sendBeacon(target + "press", body); return "sent"; });
  await attempt("screen", () => within(new Promise((done, refused) => {
    const image = new Image();
    image.onload = () => done("shown " + image.width);
    image.onerror = () => refused();
    image.src = target + "screen.png";
  })));
  await attempt("events", () => within(new Promise((done, refused) => {
    const events = new EventSource(target + "events", {withCredentials: true});
    events.addEventListener("all", (told) => done("told " + told.data));
    events.onerror = () => refused();
  })));
  await attempt("websocket", () => within(new Promise((done, refused) => {
    const socket = new WebSocket(target.replace("http", "ws") + "events");
    socket.onopen = () => done("open");
    socket.onerror = () => refused();
  })));
  await attempt("script", () => within(new Promise((done, refused) => {
    const script = document.createElement("script");
    script.onload = () => done("loaded");
    script.onerror = () => refused();
    script.src = target;
    document.head.append(script);
  })));
  return tried;
}"""


@contextmanager
def empty_site() -> Iterator[str]:
    """A site with an empty page, on another port of this machine: for cookies it is the same site as ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>another site</title>")

        def log_message(self, *args) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["same site", "another site"])
def test_it_presses_nothing_and_learns_nothing(name):
    with serving_live_page() as (live, url), empty_site() as other, chromium_page(expected=EXPECTED) as page:
        live.saw(0, Image.new("RGB", (9, 9)), "")
        page.goto(url)  # the browser has the cookie now
        target = f"http://127.0.0.1:{urlsplit(url).port}/"
        page.goto(other.replace("127.0.0.1", name))
        tried = page.evaluate(ATTEMPTS, [target])
        assert tried.pop("beacon") == "sent"
        assert set(tried.values()) == {"refused"}, tried
        assert not live.controls.stopping()


def test_the_page_itself_may_do_the_same():
    with serving_live_page() as (live, url), chromium_page(expected=EXPECTED) as page:
        live.saw(0, Image.new("RGB", (9, 9)), "")
        page.goto(url)
        tried = page.evaluate(ATTEMPTS, [f"http://127.0.0.1:{urlsplit(url).port}/"])
        assert (tried["post"], tried["screen"]) == (True, "shown 9")
        assert tried["events"].startswith("told ")
        assert tried["websocket"] == "refused"
        assert live.controls.stopping()
