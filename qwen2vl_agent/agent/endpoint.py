"""The wire to a model behind OpenAI's API: one request at a time, streamed, tried again where that may help.

Source: OpenAI's API reference, "Create chat completion" and "Streaming".
"""

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from qwen2vl_agent.schema.errors import AgentError, ConfigError, EndpointLost
from qwen2vl_agent.schema.fitting import misfit

AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""
LONGEST_WAIT_S = 30.0
LONGEST_ERROR = 300
MOST_BYTES = 32 * 2**20
"""Of an answer, streamed or not; a server that sends more is given up."""
MOST_CALLS = 64
"""In one answer; more is a damaged number."""
OWNER = "qwen2vl-agent"
"""`owned_by` of models that `qwen2vl-agent serve` offers."""


class RequestRefused(AgentError):
    """The server will not answer such a request; another form of it may do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointConfig:
    """Where a model is and how patiently it is asked."""

    url: str
    """The API's root, for example `http://127.0.0.1:8000/v1`; `#NAME` behind it names one of several models."""
    key: str = field(default="", repr=False)
    """Sent as `Authorization: Bearer KEY`; never recorded."""
    timeout_s: float = 300.0
    """Longest silence: before the first word, and between two pieces of an answer."""
    tries: int = 4
    """How often a request is made before the model counts as lost."""
    pause_s: float = 1.0
    """Before the second try; it doubles from there."""

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.tries < 1 or self.pause_s < 0:
            raise ValueError(f"timeout_s {self.timeout_s}, tries {self.tries}, pause_s {self.pause_s} make no sense")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a server tells of its model."""

    name: str
    ours: bool = False
    """Whether `qwen2vl-agent serve` offers it: it takes screens inside the results of calls."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The dialogue that it was taught, where it tells."""


@dataclass(slots=True)
class Completion:
    """An answer, put together from its pieces."""

    text: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)
    """`id`, `name` and `arguments` (JSON) of each."""
    token_ids: list[int] = field(default_factory=list)
    prompt_ids: list[int] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    """What our own server adds for the record."""
    usage: dict[str, Any] = field(default_factory=dict)
    first_s: float = 0.0
    """Seconds until the first piece."""
    total_s: float = 0.0

    def add(self, body: dict[str, Any]) -> str:
        """Take in a chunk, or a whole answer from a server that does not stream; its piece of text."""
        if isinstance(body.get("error"), dict | str):
            raise RequestRefused(500, error_text(body))
        self.usage = body.get("usage") or self.usage
        self.prompt_ids = body.get("prompt_token_ids") or self.prompt_ids
        self.details = body.get("qwen2vl_agent") or self.details
        piece = ""
        for choice in body.get("choices") or []:
            delta = choice.get("delta") or choice.get("message") or {}
            piece += delta.get("content") or ""
            self.token_ids = choice.get("token_ids") or self.token_ids
            for place, call in enumerate(delta.get("tool_calls") or []):
                self._add_call(call.get("index", place), call)
        self.text += piece
        return piece

    def _add_call(self, index: int, call: dict[str, Any]) -> None:
        if not 0 <= index < MOST_CALLS:
            raise ValueError(f"a call has the number {index}")
        while len(self.calls) <= index:
            self.calls.append({"id": "", "name": "", "arguments": ""})
        function, kept = call.get("function") or {}, self.calls[index]
        kept["id"] = call.get("id") or kept["id"]
        kept["name"] = function.get("name") or kept["name"]
        given = function.get("arguments") or ""
        kept["arguments"] += given if isinstance(given, str) else json.dumps(given)


class Endpoint:
    """A server of OpenAI's API."""

    def __init__(self, config: EndpointConfig) -> None:
        """A server; nothing is asked of it yet.

        Raises:
            ConfigError: the address is none.
        """
        parts = urlsplit(config.url)
        if "@" in config.url or parts.query:
            raise ConfigError("an address with a password or key in it would be recorded; set QWEN2VL_AGENT_API_KEY")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{config.url!r} is no address of a model; expected http://HOST:PORT/v1")
        self.config, self._parts = config, parts
        self._path = parts.path.rstrip("/")

    def model(self) -> ServedModel:
        """The model that is meant.

        Raises:
            ConfigError: it is not there, or several are and none is named.
            EndpointLost: the server does not answer.
        """
        wanted = self._parts.fragment
        try:
            listed = self._get("/models").get("data")
            cards = [card for card in (listed if isinstance(listed, list) else []) if isinstance(card, dict)]
        except RequestRefused as error:
            if wanted and error.status in (404, 405):  # some servers have no list
                return ServedModel(wanted)
            raise ConfigError(f"{self.config.url}: {error}") from error
        named = [card for card in cards if card.get("id") == wanted] if wanted else cards
        if len(named) != 1:
            names = ", ".join(str(card.get("id")) for card in cards[:20]) or "none"
            raise ConfigError(f"{self.config.url} has the models {names}; name one of them: {self.config.url}#NAME")
        card = named[0]
        settings = card.get("agent")
        return ServedModel(
            str(card.get("id") or ""), card.get("owned_by") == OWNER, settings if isinstance(settings, dict) else {}
        )

    def complete(self, body: dict[str, Any], on_text: Callable[[str], None] | None = None) -> Completion:
        """The answer to a chat completion's request; its text goes to `on_text` as it comes.

        Raises:
            RequestRefused: the server will not answer such a request.
            EndpointLost: it does not answer at all, after all tries.
        """
        return self._patiently(lambda: self._stream(body, on_text))

    def _get(self, path: str) -> dict[str, Any]:
        return self._patiently(lambda: self._read("GET", path, None))

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        pause = self.config.pause_s
        for number in range(1, self.config.tries + 1):
            try:
                return ask()
            except RequestRefused as error:
                if error.status not in AGAIN or _hopeless(error):
                    raise
                problem: Exception = error
            except (OSError, http.client.HTTPException) as error:
                problem = error
            if number < self.config.tries:
                time.sleep(min(LONGEST_WAIT_S, pause) * random.uniform(0.8, 1.2))
                pause *= 2
        told = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
        raise EndpointLost(f"{self.config.url} does not answer after {self.config.tries} tries ({told})") from problem

    def _read(self, method: str, path: str, body: Any) -> dict[str, Any]:
        with self._sent(method, path, body) as answer:
            return _whole(answer)

    def _stream(self, body: dict[str, Any], on_text: Callable[[str], None] | None) -> Completion:
        begun = time.perf_counter()
        completion = Completion()
        with self._sent("POST", "/chat/completions", {**body, "stream": True}) as answer:
            streamed = answer.headers.get_content_type() == "text/event-stream"
            for piece in _events(answer) if streamed else [_whole(answer)]:
                completion.first_s = completion.first_s or time.perf_counter() - begun
                text = _added(completion, piece)
                if text and on_text is not None:
                    on_text(text)
        completion.total_s = time.perf_counter() - begun
        return completion

    @contextmanager
    def _sent(self, method: str, path: str, body: Any) -> Iterator[http.client.HTTPResponse]:
        """Send a request; its answer, if it is not a refusal."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self.config.timeout_s)
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if self.config.key:
            headers["Authorization"] = f"Bearer {self.config.key}"
        with closing(connection):
            sent = None if body is None else json.dumps(body).encode()
            connection.request(method, self._path + path, sent, headers)
            with connection.getresponse() as answer:
                if answer.status >= 300:
                    raise RequestRefused(answer.status, error_text(answer.read(100_000)))
                yield answer


def _added(completion: Completion, piece: dict[str, Any]) -> str:
    """What a piece adds; the same error for all that it may have where something else is expected."""
    try:
        text = completion.add(piece)
    except (AttributeError, TypeError, KeyError, IndexError, ValueError) as error:
        raise http.client.HTTPException(f"the answer is no chat completion ({error!r})") from error
    if wrong := misfit(completion):
        raise http.client.HTTPException(f"the answer is no chat completion ({wrong})")
    return text


def error_text(answer: Any) -> str:
    """One line of what a server says is wrong, in any of the forms that servers have."""
    if isinstance(answer, bytes):
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError):
            answer = answer.decode("utf-8", "replace")
    for key in ("error", "message", "detail"):
        while isinstance(answer, dict) and key in answer:
            answer = answer[key]
    return " ".join(str(answer).split())[:LONGEST_ERROR] or "no reason given"


def _hopeless(error: RequestRefused) -> bool:
    """Whether a 500 is about the request: llama.cpp answers so to tools, templates and schemas that it cannot take."""
    words = ("tool", "jinja", "template", "schema", "grammar", "image", "response_format", "unsupported")
    return error.status == 500 and any(word in str(error).lower() for word in words)


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The objects of a stream.

    Raises:
        IncompleteRead: it broke off before its end.
        HTTPException: it is too long.
    """
    left = MOST_BYTES
    while line := answer.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise _too_long()
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            yield _object(data)
    raise http.client.IncompleteRead(b"")


def _whole(answer: http.client.HTTPResponse) -> dict[str, Any]:
    data = answer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _too_long()
    return _object(data)


def _too_long() -> http.client.HTTPException:
    return http.client.HTTPException(f"the answer is longer than {MOST_BYTES} bytes")


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise http.client.HTTPException(f"the answer is no JSON: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise http.client.HTTPException(f"the answer is no object: {data[:80]!r}")
    return value
