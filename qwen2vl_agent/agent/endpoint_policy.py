"""The policy that is a model behind OpenAI's API: our own server, vLLM, SGLang, llama.cpp, Ollama and the like."""

import base64
import io
import os
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qwen2vl_agent.agent.endpoint import Completion, Endpoint, EndpointConfig, RequestRefused
from qwen2vl_agent.agent.endpoint_messages import (
    THOUGHT,
    WAYS,
    Way,
    call_schema,
    messages_for,
    tools_for,
)
from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.dialogue.dialects.autoglm import read_autoglm
from qwen2vl_agent.dialogue.dialects.qwen_use import MOBILE, read_mobile_use
from qwen2vl_agent.dialogue.dialects.ui_tars import read_ui_tars
from qwen2vl_agent.dialogue.lenient_json import read_json
from qwen2vl_agent.dialogue.second_look import SecondLook, question, read_answer
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, parse_call, render_call
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.schema.errors import ConfigError, ToolCallError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import CallForm, Reply

KEY_VARIABLE = "QWEN2VL_AGENT_API_KEY"
LINKS_KEPT = 64
"""Screens that are kept as data URLs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How the model is to choose its words."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    constrained: bool = True
    """Ask for replies that are always calls, where the server offers that."""


class EndpointPolicy:
    """Replies with what a served model says, in the episode's own dialogue form, so that records are all alike."""

    name = "model"

    def __init__(self, endpoint: Endpoint, asking: Asking | None = None) -> None:
        """Asks the server for its model.

        Raises:
            ConfigError: the model is not there.
            EndpointLost: the server does not answer.
        """
        self._endpoint, self._asking = endpoint, asking or Asking()
        self._served = endpoint.model()
        ways = WAYS if self._asking.constrained else tuple(way for way in WAYS if way not in ("required", "schema"))
        self._ways: list[Way] = ["inside"] if self._served.ours else list(ways)
        self._links: OrderedDict[str, str] = OrderedDict()
        self.begin(None)

    @property
    def agent_settings(self) -> dict[str, Any]:
        """The dialogue that the model was taught, where its server tells; fields of `AgentConfig`."""
        return self._served.settings

    @property
    def model_name(self) -> str:
        """As the server lists it."""
        return self._served.name

    @property
    def way(self) -> Way:
        """How the server is asked; it is known after the first reply."""
        return self._ways[0]

    def begin(self, seed: int | None) -> None:
        """Take the new episode's seed."""
        self._seed = seed or 0

    def reply(self, context: Context) -> Reply:
        """What the model says.

        Raises:
            ConfigError: the server takes none of the ways to ask, or not who asks.
            EndpointLost: it does not answer.
        """
        while True:
            try:
                completion = self._endpoint.complete(self._body(context, self.way), context.on_text)
                if self._knows_tools(completion):
                    return self._reply(completion, context.dialogue.form)
                self._ways = [way for way in self._ways if way not in ("required", "tools")]
            except RequestRefused as error:
                if error.status in (401, 403, 404) or len(self._ways) == 1:
                    raise ConfigError(f"{self._endpoint.config.url} refuses: {error}") from error
                del self._ways[0]

    def effect(self, look: SecondLook) -> float | None:
        """1 or 0, as the model says yes or no to the question whether a step had its effect; None for anything else.

        Raises:
            ConfigError: the server takes no such question.
            EndpointLost: it does not answer.
        """
        return read_answer(self.answer(question(look)[0]))

    def answer(self, asked: Message) -> str:
        """What the model says to a question of texts and pictures, apart from any episode.

        Raises:
            ConfigError: the server takes no such question.
            EndpointLost: it does not answer.
        """
        content = [
            {"type": "image_url", "image_url": {"url": self._link(part)}}
            if isinstance(part, ImagePart)
            else {"type": "text", "text": part.text}
            for part in asked.parts
            if isinstance(part, ImagePart | TextPart)
        ]
        body = {"model": self._served.name, "messages": [{"role": "user", "content": content}], "temperature": 0.0}
        try:
            return self._endpoint.complete({**body, "max_tokens": self._asking.max_new_tokens}).text
        except RequestRefused as error:
            raise ConfigError(f"{self._endpoint.config.url} refuses a question: {error}") from error

    def _knows_tools(self, completion: Completion) -> bool:
        """Whether the server minds the tools: one whose chat template has no place for them drops them in silence."""
        if self.way != "required" or completion.calls:
            return True
        return _from_text(completion.text, "tool_call")[1] is not None

    def _reply(self, completion: Completion, form: CallForm) -> Reply:
        return Reply(
            text=reply_text(completion, form, self.way),
            token_ids=tuple(completion.token_ids),
            prompt_ids=tuple(completion.prompt_ids),
            confidence=completion.details.get("confidence"),
            timings=_timings(completion),
            tokens=_tokens(completion),
            passes=completion.details.get("passes", 0),
            guessed=completion.details.get("guessed", 0),
            guessed_right=completion.details.get("guessed_right", 0),
            logprobs=tuple(completion.details.get("logprobs", ())),
            sampling_logprobs=tuple(completion.details.get("sampling_logprobs", ())),
            forced=tuple(completion.details.get("forced", ())),
        )

    def _body(self, context: Context, way: Way) -> dict[str, Any]:
        tools = context.dialogue.tools if context.legal is None else context.legal
        body: dict[str, Any] = {
            "model": self._served.name,
            "messages": messages_for(context, way, self._link),
            "max_tokens": self._asking.max_new_tokens,
            "temperature": self._asking.temperature,
            "seed": self._seed * 1000 + context.index,
            "stream_options": {"include_usage": True},
        }
        if way == "inside":
            body |= {"tools": tools_for(context.dialogue.tools, way), "return_token_ids": True}
            body["asks_for_notes"] = context.dialogue.memory != "none"
            return body | ({"legal_tools": tools_for(tools, way)} if context.legal is not None else {})
        if way == "schema":
            schema = {"name": "call", "schema": call_schema(tools), "strict": True}
            return {**body, "response_format": {"type": "json_schema", "json_schema": schema}}
        if way in ("required", "tools"):
            body["tools"] = tools_for(tools, way)
            body["tool_choice"] = "required" if way == "required" else "auto"
        return body

    def _link(self, image: Any) -> str:
        """A data URL of a screen; a recorded frame's file goes as it is."""
        part = image if isinstance(image, ImagePart) else ImagePart(image)
        key = part.sha256 or f"image {id(part.image)}"
        if key not in self._links or part.sha256 is None:
            self._links[key] = f"data:image/png;base64,{base64.b64encode(_png(part.image)).decode()}"
        self._links.move_to_end(key)
        if len(self._links) > LINKS_KEPT:
            self._links.popitem(last=False)
        return self._links[key]


def reply_text(completion: Completion, form: CallForm, way: Way) -> str:
    """The reply in the dialogue's form. One without a call that can be found stays as it is: the model is told so."""
    thought, call = completion.text.strip(), None
    if completion.calls:
        thought, call = _from_tool_call(completion)
    elif way == "schema":
        thought, call = _from_json(completion.text)
    else:
        thought, call = _from_text(completion.text, form)
    return completion.text if call is None else cut_at_stop(render_call(thought, call, form), form)


def _from_tool_call(completion: Completion) -> tuple[str, ToolCall | None]:
    """The first call; a model that makes several has not seen what the first one leads to."""
    name, given = completion.calls[0]["name"], completion.calls[0]["arguments"]
    try:
        arguments = read_json(given or "{}")
    except ValueError:
        return completion.text, None
    if not name or not isinstance(arguments, dict):
        return completion.text, None
    thought = arguments.pop(THOUGHT, "")
    return completion.text.strip() or str(thought), ToolCall(name, arguments)


def _from_text(text: str, form: CallForm) -> tuple[str, ToolCall | None]:
    """The call in the form that was asked for, in the other one, or as models write it that were taught another."""
    forms: tuple[CallForm, ...] = (form, "keyword", "tool_call")
    for known in forms:
        with suppress(ToolCallError):
            parsed = parse_call(text, known)
            parsed = read_mobile_use(text) if parsed.call.name == MOBILE else parsed
            return parsed.thought, parsed.call
    with suppress(ToolCallError):
        parsed = read_autoglm(text)
        return parsed.thought, parsed.call
    with suppress(ToolCallError):
        thought, calls = read_ui_tars(text)
        return thought, calls[0]
    return text, None


def _from_json(text: str) -> tuple[str, ToolCall | None]:
    try:
        value = read_json(text)
    except ValueError:
        return text, None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return text, None
    arguments = value.get("arguments")
    call = ToolCall(value["name"], arguments) if isinstance(arguments, dict) else None
    return str(value.get(THOUGHT, "")), call


def connect(url: str, constrained: bool = True) -> EndpointPolicy:
    """The policy for an address, with the key of the environment: QWEN2VL_AGENT_API_KEY, or OpenAI's own for OpenAI.

    Raises:
        ConfigError: the address is none, or the model is not there.
        EndpointLost: the server does not answer.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if not key and urlsplit(url).hostname == "api.openai.com":
        key = os.environ.get("OPENAI_API_KEY", "")
    return EndpointPolicy(Endpoint(EndpointConfig(url=url, key=key)), Asking(constrained=constrained))


def _png(image: Any) -> bytes:
    if isinstance(image, Path) and image.suffix == ".png":
        return image.read_bytes()
    file = io.BytesIO()
    load_rgb(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _timings(completion: Completion) -> dict[str, float]:
    """The server's own parts, and what the way there and back took; or how long it took to begin and to end."""
    own = completion.details.get("timings")
    if own:
        return {**own, "network": max(0.0, completion.total_s - sum(own.values()))}
    return {"first": completion.first_s, "rest": completion.total_s - completion.first_s}


def _tokens(completion: Completion) -> dict[str, int]:
    if completion.details.get("tokens"):
        return dict(completion.details["tokens"])
    usage = completion.usage
    if "prompt_tokens" not in usage:
        return {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return {
        "cached": cached,
        "read": usage["prompt_tokens"] - cached,
        "written": usage.get("completion_tokens", 0),
    }
