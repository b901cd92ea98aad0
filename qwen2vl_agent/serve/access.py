"""What stands before a server's routes: who may ask, and how much may be sent."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.serve.guard import refusal, token_right
from qwen2vl_agent.serve.rate import RateLimit
from qwen2vl_agent.serve.request_error import RequestError

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
DRAINED = 4
"""A refused request is read, and thrown away, up to so many times the largest body: a client that is cut off while it
still sends never sees why."""
DRAIN_S = 5.0
"""And for so long."""
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin"))


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessRules:
    """Who may ask for what."""

    host: str
    """At which the server listens."""
    port: int
    token: str | None = None
    """Every request has to carry it, but for those of `free`; None: none needs to."""
    free: tuple[str, ...] = ()
    """Paths that need no token."""
    max_body_bytes: int = 64 * 2**20
    silence_s: float = 10.0
    """Longest pause between two pieces of a request's body."""
    body_s: float = 120.0
    """Longest time that a whole body may take."""
    requests_per_s: float = 50.0
    """From one address, over a long time."""
    burst: int = 200
    """From one address, at once."""


class Access:
    """ASGI middleware: refuses in one line of JSON what the rules do not allow."""

    def __init__(self, app: Any, rules: AccessRules, answered: Callable[[int], None] = lambda status: None) -> None:
        """`answered` is told the status of every answer."""
        self._app, self._rules, self._answered = app, rules, answered
        self._rate = RateLimit(rules.requests_per_s, rules.burst)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no route of ours takes a WebSocket: refused before anything of it is read
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check_rate(scope)
            self._check(scope["path"], headers)
            await self._app(scope, _limited(receive, self._rules), self._sender(send))
        except RequestError as error:
            await _drain(receive, self._rules.max_body_bytes * DRAINED)
            await _refuse(self._sender(send), error)

    def _sender(self, send: Send) -> Send:
        async def sent(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._answered(message["status"])
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        return sent

    def _check_rate(self, scope: dict[str, Any]) -> None:
        address = (scope.get("client") or ("",))[0]
        if wait_s := self._rate.wait_s(address):
            told = f"too many requests; try again in {math.ceil(wait_s)} s"
            raise RequestError(told, status=429, retry_after_s=math.ceil(wait_s))

    def _check(self, path: str, headers: dict[str, str]) -> None:
        rules = self._rules
        if reason := refusal(headers.get, rules.host, rules.port):
            raise RequestError(reason, status=403)
        if rules.token is not None and path not in rules.free:
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not token_right(given, rules.token):
                raise RequestError("the token is missing or wrong: Authorization: Bearer TOKEN", status=401)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > rules.max_body_bytes:
            raise _too_long(rules.max_body_bytes)


def _limited(receive: Receive, rules: AccessRules) -> Receive:
    """`receive`, which gives up on a body that is longer than it said, or did not say, or comes too slowly.

    Once the body is there it waits for the client's leaving, however long that takes.
    """
    read, whole, deadline = 0, False, asyncio.get_running_loop().time() + rules.body_s

    async def counted() -> dict[str, Any]:
        nonlocal read, whole
        if whole:
            return await receive()
        left = deadline - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, min(left, rules.silence_s)))
        except TimeoutError:
            raise RequestError("the body of the request did not come in time", status=408) from None
        read += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if read > rules.max_body_bytes:
            raise _too_long(rules.max_body_bytes)
        return message

    return counted


def _too_long(most: int) -> RequestError:
    return RequestError(f"the body is larger than {most} bytes; send smaller pictures", status=413)


async def _drain(receive: Receive, most: int) -> None:
    message: dict[str, Any] = {"more_body": True}
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while message.get("more_body") and most > 0:
                message = await receive()
                most -= len(message.get("body", b""))


async def _refuse(send: Send, error: RequestError) -> None:
    body = json.dumps(error.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in error.headers().items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
