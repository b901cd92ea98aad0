"""Answers in the form of OpenAI's chat completions, whole or as the chunks of a stream.

Source: OpenAI's API reference, "The chat completion object" and "The chat completion chunk object"; `token_ids` and
`prompt_token_ids` are vLLM's additions, `qwen2vl_agent` is ours.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.serve.chat_request import ChatRequest
from qwen2vl_agent.serve.engine import Written

DONE = "data: [DONE]\n\n"
FINISH = {"eos": "stop", "stop": "stop", "length": "length"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all pieces of one answer have in common."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    call_id: str = field(default_factory=lambda: f"call_{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, request: ChatRequest, written: Written, spell: Callable[[int], str]) -> dict[str, Any]:
        """The whole answer."""
        message: dict[str, Any] = {"role": "assistant", "content": written.text or None, "refusal": None}
        if written.call is None:
            message["content"] = written.text
        else:
            message["tool_calls"] = self._tool_calls(written)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(written)}
        if request.logprobs:
            choice["logprobs"] = {"content": logprobs(written, spell), "refusal": None}
        body = {**self._head("chat.completion"), "choices": [choice], "usage": usage(written)}
        if request.token_ids:
            choice["token_ids"] = written.result.token_ids
            body |= {"prompt_token_ids": written.prompt_ids, "qwen2vl_agent": details(written)}
        return body

    def piece(self, text: str) -> str:
        """A piece of the answer's text, as a server-sent event."""
        return self._chunk({"content": text})

    def opening(self) -> str:
        """The first event of a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def closing(self, request: ChatRequest, written: Written, spell: Callable[[int], str]) -> Iterator[str]:
        """The last events: the call, the reason, and what else was asked for."""
        if written.call is not None:
            yield self._chunk({"tool_calls": [{"index": 0, **self._tool_calls(written)[0]}]})
        more: dict[str, Any] = {}
        if request.logprobs:
            more["logprobs"] = {"content": logprobs(written, spell), "refusal": None}
        if request.token_ids:
            more["token_ids"] = written.result.token_ids
        last = {"index": 0, "delta": {}, "finish_reason": finish_reason(written), **more}
        body = {**self._head("chat.completion.chunk"), "choices": [last]}
        if request.token_ids:
            body |= {"prompt_token_ids": written.prompt_ids, "qwen2vl_agent": details(written)}
        yield event(body)
        if request.with_usage:
            yield event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage(written)})
        yield DONE

    def _chunk(self, delta: dict[str, Any]) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _tool_calls(self, written: Written) -> list[dict[str, Any]]:
        assert written.call is not None
        arguments = json.dumps(written.call.arguments, ensure_ascii=False)
        function = {"name": written.call.name, "arguments": arguments}
        return [{"id": self.call_id, "type": "function", "function": function}]


def finish_reason(written: Written) -> str:
    """Why the answer ends."""
    return "tool_calls" if written.call is not None else FINISH[written.result.stopped_by]


def usage(written: Written) -> dict[str, Any]:
    """The tokens that were read and written."""
    prompt, answer = len(written.prompt_ids), len(written.result.token_ids)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": written.result.tokens["cached"]},
    }


def logprobs(written: Written, spell: Callable[[int], str]) -> list[dict[str, Any]]:
    """Raw log-probability of each token; those of a call and the mark at the end are among them."""
    told = []
    for token_id, value in zip(written.result.token_ids, written.result.logprobs, strict=True):
        text = spell(token_id)
        told.append({"token": text, "logprob": value, "bytes": list(text.encode()), "top_logprobs": []})
    return told


def details(written: Written) -> dict[str, Any]:
    """What a record of an agent's step keeps beside the tokens."""
    result = written.result
    return {
        "logprobs": result.logprobs,
        "sampling_logprobs": result.sampling_logprobs,
        "forced": result.forced,
        "confidence": written.confidence,
        "timings": result.timings,
        "tokens": result.tokens,
        "passes": result.passes,
        "guessed": result.guessed,
        "guessed_right": result.guessed_right,
    }


def event(value: Any) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
