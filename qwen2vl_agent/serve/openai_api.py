"""The routes of OpenAI's API that the model is offered by: a FastAPI application around an `Engine`."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from qwen2vl_agent import __version__
from qwen2vl_agent.serve.access import Access, AccessRules
from qwen2vl_agent.serve.chat_reply import Envelope, event
from qwen2vl_agent.serve.chat_request import ChatRequest, read_request
from qwen2vl_agent.serve.engine import Cancelled, Engine, Written
from qwen2vl_agent.serve.metrics import Metrics
from qwen2vl_agent.serve.request_error import RequestError

MOST_WAITING = 32
"""Requests that wait for those that are being answered; more are turned away."""
LOOK_S = 0.5
"""How often to see whether a client is still there."""
GONE = 499
"""Status of an answer that nobody waits for. Source: nginx."""
OWNER = "qwen2vl-agent"
"""By this an agent recognises a server that takes screens inside the results of calls (`agent/endpoint_policy.py`)."""


class Desk:
    """Takes requests to the model, a few at a time, and drops those that nobody waits for."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.metrics = engine, Metrics()
        self._workers = ThreadPoolExecutor(engine.limits.parallel, thread_name_prefix="request")

    def ask(
        self, request: ChatRequest, on_text: Callable[[str], None], cancelled: threading.Event
    ) -> "asyncio.Future[Written]":
        """The answer to come.

        Raises:
            RequestError: too many wait already.
        """
        if self.metrics.waiting >= MOST_WAITING + self.engine.limits.parallel:
            raise RequestError(
                f"{MOST_WAITING} requests are waiting already; try again later", status=503, retry_after_s=5
            )
        self.metrics.waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._workers, self._answer, request, on_text, cancelled)
        future.add_done_callback(self._gone)
        return future

    def _answer(self, request: ChatRequest, on_text: Callable[[str], None], cancelled: threading.Event) -> Written:
        if cancelled.is_set():
            raise Cancelled
        written = self.engine.answer(request, on_text, cancelled)
        self.metrics.wrote(written)
        return written

    def _gone(self, future: "asyncio.Future[Written]") -> None:
        self.metrics.waiting -= 1
        if not future.cancelled():
            future.exception()  # read here as well, so that nobody complains where the client has gone

    def keep(self, envelope: Envelope, written: Written) -> None:
        """Remember the reply's tokens, for when the client sends it back."""
        self.engine.remember(envelope.call_id if written.call else written.text, written.result.token_ids)


def make_app(engine: Engine, rules: AccessRules) -> Any:
    """The application, guarded by `rules`."""
    app = FastAPI(title="qwen2vl-agent", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    desk = Desk(engine)

    @app.exception_handler(RequestError)
    async def tell(request: Request, error: RequestError) -> Response:
        return JSONResponse(error.body(), error.status, error.headers())

    @app.exception_handler(ClientDisconnect)
    async def leave(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        return JSONResponse(RequestError("the server failed; its log says why", status=500).body(), 500)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nothing(request: Request, error: Any) -> Response:
        told = RequestError(f"there is no {request.method} {request.url.path[:200]}", status=error.status_code)
        return JSONResponse(told.body(), told.status)

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok", "model": engine.name, "waiting": desk.metrics.waiting})

    @app.get("/metrics")
    async def metrics() -> Response:
        return PlainTextResponse(desk.metrics.text())

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": [model_card(engine)]})

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        check_name(engine, name)
        return JSONResponse(model_card(engine))

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        wanted = read_request(await body_of(request))
        check_name(engine, wanted.model)
        return await (stream(desk, wanted) if wanted.stream else whole(desk, wanted, request))

    return Access(app, rules, desk.metrics.answered)


def model_card(engine: Engine) -> dict[str, Any]:
    """The model in a list of models."""
    manner = engine.manner
    told = {"form": manner.form, "language": manner.language, "detail": manner.detail}
    return {
        "id": engine.name,
        "object": "model",
        "created": 0,
        "owned_by": OWNER,
        "max_model_len": engine.context_tokens,
        "agent": told,
    }


def check_name(engine: Engine, name: str) -> None:
    """Refuses a request for another model.

    Raises:
        RequestError: another model is asked for.
    """
    if name not in ("", engine.name):
        told = f"there is no model {name[:100]!r}; this server has {engine.name!r}"
        raise RequestError(told, "model", status=404, code="model_not_found")


async def body_of(request: Request) -> Any:
    """The body's JSON.

    Raises:
        RequestError: it is none.
    """
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no valid JSON ({error})") from error


async def whole(desk: Desk, wanted: ChatRequest, request: Request) -> Response:
    """The answer in one piece; given up when the client goes."""
    cancelled, envelope = threading.Event(), Envelope(desk.engine.name)
    future = desk.ask(wanted, lambda piece: None, cancelled)
    try:
        while not (await asyncio.wait({future}, timeout=LOOK_S))[0]:
            if await request.is_disconnected():
                cancelled.set()
        written = await future
    except Cancelled:
        return Response(status_code=GONE)
    finally:
        cancelled.set()
    desk.keep(envelope, written)
    return JSONResponse(envelope.completion(wanted, written, desk.engine.spell))


async def stream(desk: Desk, wanted: ChatRequest) -> Response:
    """The answer as it is written. What is wrong is told before the stream begins, or as its last event."""
    loop, cancelled, envelope = asyncio.get_running_loop(), threading.Event(), Envelope(desk.engine.name)
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    def tell(piece: str | None) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody listens
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    future = desk.ask(wanted, tell, cancelled)
    future.add_done_callback(lambda done: pieces.put_nowait(None))
    first = await pieces.get()
    if first is None and future.exception() is not None:
        raise future.exception()  # type: ignore[misc]

    async def events() -> AsyncIterator[str]:
        piece = first
        try:
            yield envelope.opening()
            while piece is not None:
                yield envelope.piece(piece)
                piece = await pieces.get()
            try:
                written = await future
            except RequestError as error:
                yield event(error.body())
                return
            desk.keep(envelope, written)
            for last in envelope.closing(wanted, written, desk.engine.spell):
                yield last
        finally:
            cancelled.set()

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})
