"""A chat completion's request, read and checked before any work is done.

Source of the fields: OpenAI's API reference, "Create chat completion"; `video_url`, `top_k` and `return_token_ids` are
vLLM's additions, `legal_tools` and `asks_for_notes` are ours.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from qwen2vl_agent.schema.tools import ToolSpec
from qwen2vl_agent.serve.request_error import RequestError

Choice = Literal["none", "auto", "required"]
NOT_OFFERED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "audio": (),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "store": (False,),
}
"""Fields that would change the answer in ways this server does not offer, with the values that change nothing."""
FUNCTION_NAME = re.compile(r"[\w.\-]{1,64}")
MOST_STOPS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """What is wanted."""

    model: str
    messages: list[dict[str, Any]]
    """As they came; `chat_messages.py` reads them."""
    tools: tuple[ToolSpec, ...] = ()
    """Those that the model is told of; none where `choice` is `none`."""
    legal: tuple[ToolSpec, ...] = ()
    """The same, their arguments narrowed to what exists now: they rule what may be written, and are not told."""
    choice: Choice = "auto"
    max_new_tokens: int | None = None
    """None: as many as the server allows by itself."""
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    with_usage: bool = False
    """A stream ends with the number of tokens."""
    logprobs: bool = False
    token_ids: bool = False
    """Give the ids that were read and written beside the text."""
    asks_for_notes: bool = False
    """Whether the tool prompt asks for a plan and notes."""


def read_request(body: Any) -> ChatRequest:
    """The request in a body of JSON.

    Raises:
        RequestError: something in it is wrong, or asks for what is not offered.
    """
    if not isinstance(body, dict):
        raise RequestError(f"the body is {_kind(body)}; expected an object")
    for name, neutral in NOT_OFFERED.items():
        if body.get(name) is not None and body[name] not in neutral:
            raise RequestError(f"this server does not offer {name!r}; leave it out", name, code="unsupported_parameter")
    messages = _get(body, "messages", _objects, None)
    if not messages:
        raise RequestError("'messages' is missing or empty; expected a list of at least one message", "messages")
    tools, choice = _choice(body.get("tool_choice"), _tools(body.get("tools"), "tools"))
    legal = _tools(body.get("legal_tools"), "legal_tools")
    if unknown := {tool.name for tool in legal} - {tool.name for tool in tools}:
        raise RequestError(f"'legal_tools' has {min(unknown)!r}, which is none of the tools", "legal_tools")
    limits = [_get(body, name, _whole(1), None) for name in ("max_completion_tokens", "max_tokens")]
    return ChatRequest(
        model=_get(body, "model", _text, ""),
        messages=messages,
        tools=tools,
        legal=legal or tools,
        choice=choice,
        max_new_tokens=next((limit for limit in limits if limit is not None), None),
        temperature=_get(body, "temperature", _number(0, 2), 0.0),
        top_p=_get(body, "top_p", _number(1e-6, 1), 1.0),
        top_k=max(0, _get(body, "top_k", _whole(-1), 0)),
        seed=_get(body, "seed", _whole(-(2**63)), None),
        stop=_get(body, "stop", _stops, ()),
        stream=_get(body, "stream", _switch, False),
        with_usage=bool((_get(body, "stream_options", _object, None) or {}).get("include_usage")),
        logprobs=_get(body, "logprobs", _switch, False),
        token_ids=_get(body, "return_token_ids", _switch, False),
        asks_for_notes=_get(body, "asks_for_notes", _switch, False),
    )


def _get(body: dict[str, Any], name: str, read: Callable[[Any], Any], otherwise: Any) -> Any:
    """A field as `read` gives it; null counts as left out."""
    if body.get(name) is None:
        return otherwise
    try:
        return read(body[name])
    except ValueError as error:
        raise RequestError(f"'{name}' is {_told(body[name])}; expected {error}", name) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object")
    return value


def _objects(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("a list of objects")
    return value


def _number(low: float, high: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError("a number")
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)

    return read


def _whole(low: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**63:
            raise ValueError(f"a whole number of at least {low}")
        return value

    return read


def _stops(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value
    fits = isinstance(stops, list) and len(stops) <= MOST_STOPS and all(isinstance(s, str) and s for s in stops)
    if not fits:
        raise ValueError(f"a string or a list of at most {MOST_STOPS} strings, none of them empty")
    return tuple(stops)


def _tools(value: Any, field: str) -> tuple[ToolSpec, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RequestError(f"'{field}' is {_told(value)}; expected a list of functions", field)
    tools = tuple(_tool(item, f"{field}[{index}]") for index, item in enumerate(value))
    if len({tool.name for tool in tools}) < len(tools):
        raise RequestError("two of the tools have the same name", field)
    return tools


def _tool(item: Any, where: str) -> ToolSpec:
    function = item.get("function") if isinstance(item, dict) and item.get("type") == "function" else None
    if not isinstance(function, dict):
        raise RequestError(f'{where} is no function; expected {{"type": "function", "function": {{…}}}}', where)
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name):
        raise RequestError(f"{where} has the name {_told(name)}; expected letters, digits, _ . or -, at most 64", where)
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise RequestError(f"the parameters of {name!r} are no JSON schema of an object", where)
    return ToolSpec(name, str(function.get("description") or ""), {"type": "object", **parameters})


def _choice(value: Any, tools: tuple[ToolSpec, ...]) -> tuple[tuple[ToolSpec, ...], Choice]:
    """The tools that may be called, and whether one has to be."""
    if value in ("none", None) or not tools:
        if value not in (None, "none", "auto"):
            raise RequestError("'tool_choice' asks for a call, but there are no tools", "tool_choice")
        return (() if value == "none" else tools), ("auto" if tools and value is None else "none")
    if value in ("auto", "required"):
        return tools, value
    function = value.get("function") if isinstance(value, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    chosen = tuple(tool for tool in tools if tool.name == name)
    if not chosen:
        raise RequestError(
            f"'tool_choice' is {_told(value)}; expected none, auto, required, or one of the functions", "tool_choice"
        )
    return chosen, "required"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
