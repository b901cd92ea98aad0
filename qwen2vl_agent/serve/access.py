"""What stands before a server's routes: who may ask, and how much may be sent."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.serve.guard import refusal, token_right
from qwen2vl_agent.serve.request_error import RequestError

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
DRAINED = 4
"""A refused request is read, and thrown away, up to so many times the largest body: a client that is cut off while it
still sends never sees why."""
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


class Access:
    """ASGI middleware: refuses in one line of JSON what the rules do not allow."""

    def __init__(self, app: Any, rules: AccessRules, answered: Callable[[int], None] = lambda status: None) -> None:
        """`answered` is told the status of every answer."""
        self._app, self._rules, self._answered = app, rules, answered

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check(scope["path"], headers)
            await self._app(scope, _limited(receive, self._rules.max_body_bytes), self._sender(send))
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


def _limited(receive: Receive, most: int) -> Receive:
    """`receive`, which gives up on a body that is longer than it said, or did not say."""
    read = 0

    async def counted() -> dict[str, Any]:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise _too_long(most)
        return message

    return counted


def _too_long(most: int) -> RequestError:
    return RequestError(f"the body is larger than {most} bytes; send smaller pictures", status=413)


async def _drain(receive: Receive, most: int) -> None:
    message: dict[str, Any] = {"more_body": True}
    while message.get("more_body") and most > 0:
        message = await receive()
        most -= len(message.get("body", b""))


async def _refuse(send: Send, error: RequestError) -> None:
    body = json.dumps(error.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
