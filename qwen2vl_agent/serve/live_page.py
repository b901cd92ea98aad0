"""A page on the episode that is running: what the agent sees, plans, says and does, and the person's buttons.

The episode's thread tells (a `Watcher`) and asks (`agent/person.py`'s `Controls`); the server's loop shows and answers.
The page cannot be driven from another site: its address carries a token once, which becomes a cookie that no other
site's request brings along, and a request with another site's `Origin` is refused before that.
"""

import asyncio
import io
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from PIL import Image

from qwen2vl_agent.agent.person import Answer, Controls, Question
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Step
from qwen2vl_agent.serve.access import Access, AccessRules
from qwen2vl_agent.serve.episode_view import step_view
from qwen2vl_agent.serve.guard import new_token, token_right
from qwen2vl_agent.serve.request_error import RequestError
from qwen2vl_agent.serve.running import address, bound_socket, running
from qwen2vl_agent.serve.viewer_page import page

HOST = "127.0.0.1"
MOST_BEHIND = 2000
"""Events that a page may lag behind before it is cut off; it comes back and is told everything anew."""
ALIVE_S = 10.0
"""After so much silence a stream says that it is alive."""
LAST_WORD_S = 0.3
"""How long the server stays after the end, so that pages hear of it."""
PRESSED = ("pause", "stop", "take_over", "resume")
"""Buttons without a text; `approve`, `deny`, `reply`, `act` and `hand_back` are answers."""


class Page:
    """One listening browser page."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()

    def tell(self, kind: str, value: Any) -> None:
        """From any thread; a page that lags too far behind is let go."""
        try:
            self._loop.call_soon_threadsafe(self._put, (kind, value))
        except RuntimeError:
            return  # its server has ended

    def _put(self, told: tuple[str, Any]) -> None:
        self._events.put_nowait(told if self._events.qsize() < MOST_BEHIND else None)

    async def next(self) -> tuple[str, Any] | None:
        """The next event, `alive` after a silence; None: let go.

        Raises:
            CancelledError: the browser has gone.
        """
        try:
            return await asyncio.wait_for(self._events.get(), ALIVE_S)
        except TimeoutError:
            return "alive", None


class LivePage:
    """A `Watcher` that pages look at, and the `Controls` that they press."""

    def __init__(self) -> None:
        self.controls = Controls(on_question=self._asked)
        self._lock = threading.Lock()
        self._pages: list[Page] = []
        self._image: Image.Image | None = None
        self._shown = 0
        self._state: dict[str, Any] = {"header": None, "steps": [], "writing": "", "question": None, "ended": None}

    # The episode's side ----------------------------------------------------------------------------------------------

    def began(self, header: EpisodeHeader, max_steps: int) -> None:
        """A new episode: an empty page."""
        told = {name: getattr(header, name) for name in ("task", "goal", "device", "policy", "model")}
        self._change("began", {**told, "max_steps": max_steps}, header=told | {"max_steps": max_steps}, steps=[])
        self._set(writing="", question=None, ended=None)

    def saw(self, index: int, image: Image.Image, text: str) -> None:
        """The screen; its pixels are encoded only if a page asks for them."""
        with self._lock:
            self._image, self._shown = image, self._shown + 1
        seen = {"index": index, "text": text, "width": image.width, "height": image.height, "screen": self._shown}
        self._change("saw", seen, seen=seen, writing="")

    def wrote(self, piece: str) -> None:
        """The reply as it grows."""
        self._change("wrote", piece, writing=self._state["writing"] + piece)

    def did(self, step: Step) -> None:
        """A step that is done."""
        view = {**step_view(step, lambda ids: [""] * len(ids)), "index": step.index}
        del view["tokens"]
        self._change("did", view, steps=[*self._state["steps"], view], writing="")

    def ended(self, header: EpisodeHeader) -> None:
        """The outcome."""
        ended = {"outcome": header.outcome, "message": header.message}
        self._change("ended", ended, ended=ended)

    def beside(self, watcher: Any) -> "Both":
        """This page and another watcher."""
        return Both(watcher, self)

    def close(self) -> None:
        """No more episodes: pages are told, and stop asking."""
        self._change("closed", None)

    def _asked(self, question: Question | None) -> None:
        told = None if question is None else question.to_json()
        self._change("question", told, question=told)

    def _set(self, **changes: Any) -> None:
        with self._lock:
            self._state.update(changes)

    def _change(self, kind: str, value: Any, **changes: Any) -> None:
        with self._lock:
            self._state.update(changes)
            for listening in self._pages:
                listening.tell(kind, value)

    # The pages' side -------------------------------------------------------------------------------------------------

    @contextmanager
    def listening(self) -> Iterator[Page]:
        """A page that is told everything: first all that was, then what comes."""
        listening = Page()
        with self._lock:
            listening.tell("all", dict(self._state))
            self._pages.append(listening)
        try:
            yield listening
        finally:
            with self._lock:
                self._pages.remove(listening)

    def screen(self) -> bytes | None:
        """The present screen as PNG; None before the first."""
        with self._lock:
            image = self._image
        if image is None:
            return None
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=1)
        return file.getvalue()

    def press(self, wanted: Any) -> bool:
        """Do what a button says; False where there is nothing to press it for now.

        Raises:
            RequestError: there is no such button.
        """
        do = wanted.get("do") if isinstance(wanted, dict) else None
        if do in PRESSED:
            return getattr(self.controls, do)() is not False
        return self.controls.say(_answer(wanted))


def _answer(wanted: Any) -> Answer:
    values = wanted if isinstance(wanted, dict) else {}
    do, text = values.get("do"), values.get("text", "")
    if do not in ("approve", "deny", "reply", "act", "hand_back") or not isinstance(text, str):
        raise RequestError(f"there is no button {str(do)[:40]!r}")
    call = _call(values.get("call")) if do == "act" else None
    return Answer(do, text, call, values.get("by_hand") is True)


def _call(given: Any) -> ToolCall:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise RequestError("'call' names no function")
    if not isinstance(given.get("arguments"), dict):
        raise RequestError("'call' has no object of arguments")
    return ToolCall(given["name"], given["arguments"])


def make_live_app(live: LivePage, rules: AccessRules, token: str) -> Any:
    """The application; every request but the first needs the cookie."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    cookie = f"live_{rules.port}"

    def admit(request: Request) -> None:
        if not token_right(request.cookies.get(cookie), token):
            raise RequestError("open the address that the command printed", status=401)

    @app.exception_handler(RequestError)
    async def tell(request: Request, error: RequestError) -> Response:
        return JSONResponse(error.body(), error.status, error.headers())

    @app.get("/")
    async def index(request: Request) -> Response:
        if token_right(request.query_params.get("token"), token):  # once; from then on no address has it
            answer = RedirectResponse("/", 303)
            answer.set_cookie(cookie, token, httponly=True, samesite="strict")
            return answer
        admit(request)
        return HTMLResponse(live_page(), headers={"x-frame-options": "DENY", "referrer-policy": "no-referrer"})

    @app.get("/screen.png")
    def screen(request: Request) -> Response:
        admit(request)
        data = live.screen()
        return Response(data, 200 if data else 404, {"cache-control": "no-store"}, "image/png")

    @app.get("/events")
    async def events(request: Request) -> Response:
        admit(request)
        return StreamingResponse(_stream(live), media_type="text/event-stream", headers={"cache-control": "no-store"})

    @app.post("/press")
    async def press(request: Request) -> Response:
        admit(request)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise RequestError("expected application/json", status=415)
        try:
            wanted = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise RequestError("the body is no valid JSON") from error
        return JSONResponse({"done": live.press(wanted)})

    return Access(app, rules)


def live_page() -> str:
    """The page."""
    return page("live", "", "img-src 'self' data:; connect-src 'self'", styles=("viewer", "live"))


async def _stream(live: LivePage) -> AsyncIterator[str]:
    with live.listening() as listening:
        while (told := await listening.next()) is not None:
            yield f"event: {told[0]}\ndata: {json.dumps(told[1])}\n\n"


@contextmanager
def serving_live_page(port: int = 0) -> Iterator[tuple[LivePage, str]]:
    """A page on episodes as long as it lasts, and the address to open it by.

    Raises:
        ConfigError: the port is taken.
    """
    live, token, listening = LivePage(), new_token(), bound_socket(HOST, port)
    rules = AccessRules(host=HOST, port=listening.getsockname()[1], max_body_bytes=2**16)
    with running(make_live_app(live, rules, token), listening):
        try:
            yield live, f"{address(listening)}/?token={token}"
        finally:
            live.close()
            time.sleep(LAST_WORD_S)


class Both:
    """Two watchers in one."""

    def __init__(self, *watchers: Any) -> None:
        self._watchers = watchers

    def __getattr__(self, name: str) -> Any:
        methods = [getattr(watcher, name) for watcher in self._watchers]

        def tell(*told: Any) -> None:
            for method in methods:
                method(*told)

        return tell
