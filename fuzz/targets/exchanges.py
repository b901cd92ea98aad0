"""What other servers answer: models behind an API."""

import http.client
import io
import json
import random
from pathlib import Path
from typing import Any

from fuzz.mutate import some_bytes, some_json
from fuzz.target import Check, Make, Target
from qwen2vl_agent.schema.errors import AgentError, ConfigError, EndpointLost

DELTA = {
    "choices": [
        {
            "index": 0,
            "delta": {
                "content": "Tap.",
                "tool_calls": [{"index": 0, "id": "c", "function": {"name": "tap", "arguments": '{"point": [1, 2]}'}}],
            },
            "logprobs": {"content": [{"token": "a", "logprob": -0.1}]},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
}
CARDS = {"data": [{"id": "m", "owned_by": "qwen2vl-agent", "agent": {"form": "keyword"}}]}


class _Wire:
    """A connection that plays back bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _answer(data: bytes) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(_Wire(data))  # type: ignore[arg-type]
    answer.begin()
    return answer


def _endpoint(folder: Path) -> tuple[Make, Check]:
    """Answers to the list of models and to a completion, whole or streamed, down to the status line."""
    from contextlib import contextmanager

    from qwen2vl_agent.agent.endpoint import Endpoint, EndpointConfig, RequestRefused, error_text

    endpoint = Endpoint(EndpointConfig(url="http://127.0.0.1:1/v1", tries=1))
    data = b""

    @contextmanager
    def sent(method: str, path: str, body: Any) -> Any:
        with _answer(data) as answer:
            if answer.status >= 300:
                raise RequestRefused(answer.status, error_text(answer.read(100_000)))
            yield answer

    endpoint._sent = sent  # type: ignore[method-assign]

    def make(rng: random.Random) -> tuple[bytes, bool]:
        listed = rng.random() < 0.2
        seed = CARDS if listed else DELTA
        value = some_json(rng, seed) if rng.random() < 0.8 else seed
        text = json.dumps(value).encode()
        stream = not listed and rng.random() < 0.7
        body = b"data: " + text + b"\n\ndata: " + text + b"\n\ndata: [DONE]\n\n" if stream else text
        kind = b"text/event-stream" if stream else b"application/json"
        whole = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n" + body
        return (some_bytes(rng, whole) if rng.random() < 0.3 else whole), listed

    def check(case: tuple[bytes, bool]) -> None:
        nonlocal data
        data = case[0]
        endpoint.model() if case[1] else endpoint.complete({"messages": []})

    return make, check


TARGETS = (Target("endpoint.answer", (EndpointLost, ConfigError, AgentError), _endpoint),)
