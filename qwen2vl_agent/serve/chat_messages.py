"""From a request's messages to the conversation that the model continues, in the dialogue form that it was taught.

In the keyword form a stretch of calls and their results is one assistant's turn that only grows, with the results
(pictures included) inside it, exactly as `dialogue/compose.py` writes an episode; so an agent that talks to this server
gets the tokens that it would get from the model in its own process.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.dialogue.lenient_json import read_json
from qwen2vl_agent.dialogue.tool_call import RESULT, RETURN, neutral, render_call
from qwen2vl_agent.dialogue.tool_prompt import Detail, Language, tool_prompt
from qwen2vl_agent.schema.messages import ImagePart, Message, Part, TextPart, VideoPart
from qwen2vl_agent.schema.tools import ToolCall, ToolSpec
from qwen2vl_agent.schema.trajectory import CallForm
from qwen2vl_agent.serve.media import MediaFolder, picture
from qwen2vl_agent.serve.request_error import RequestError

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a model was taught to be told of tools and to call them."""

    form: CallForm = "keyword"
    language: Language = "en"
    detail: Detail = "full"
    asks_for_notes: bool = False


@dataclass(slots=True)
class Translation:
    """A conversation under construction."""

    manner: Manner
    media: MediaFolder
    recall: Callable[[str], tuple[int, ...] | None]
    """The ids that the model wrote, by a call's id or a text's wording; None where that is not known."""
    messages: list[Message] = field(default_factory=list)
    open: list[Part] = field(default_factory=list)
    """The keyword form's assistant turn, as far as it has grown."""
    awaits: str | None = None
    """Id of the call whose result is still to come."""

    def close(self) -> None:
        """End the assistant's turn under way."""
        if self.open:
            self.messages.append(Message("assistant", tuple(self.open)))
            self.open = []


def translated(
    messages: Sequence[dict[str, Any]],
    tools: Sequence[ToolSpec],
    manner: Manner,
    media: MediaFolder,
    recall: Callable[[str], tuple[int, ...] | None] = lambda key: None,
) -> list[Message]:
    """The conversation. It ends where the model is to go on.

    Raises:
        RequestError: a message that is not understood, or calls and results that do not belong together.
    """
    todo = Translation(manner, media, recall)
    for index, message in enumerate(messages):
        role, where = message.get("role"), f"messages[{index}]"
        if role not in ROLES:
            raise RequestError(f"{where} has the role {role!r}; expected one of {', '.join(ROLES)}", where)
        if todo.awaits is not None and role != "tool":
            raise RequestError(f"{where}: the call {todo.awaits!r} before it has no result", where)
        _READERS[role](todo, message, where)
    if todo.awaits is not None or messages[-1]["role"] in ("assistant", "system", "developer"):
        raise RequestError("the last message has to be a user's or a tool's", "messages")
    ended = [*todo.messages, *([Message("assistant", tuple(todo.open), closed=False)] if todo.open else [])]
    return _with_tools(ended, tools, manner)


def _with_tools(messages: list[Message], tools: Sequence[ToolSpec], manner: Manner) -> list[Message]:
    """The tools stand in the first system message, after what is there."""
    if not tools:
        return messages
    prompt = tool_prompt(tools, manner.form, manner.language, manner.detail, manner.asks_for_notes)
    if messages and messages[0].role == "system":
        first = messages[0]
        return [Message("system", (*first.parts, TextPart(f"\n\n{prompt}"))), *messages[1:]]
    return [Message("system", (TextPart(prompt),)), *messages]


def _system(todo: Translation, message: dict[str, Any], where: str) -> None:
    todo.close()
    todo.messages.append(Message("system", (TextPart(_only_text(message.get("content"), where)),)))


def _user(todo: Translation, message: dict[str, Any], where: str) -> None:
    todo.close()
    todo.messages.append(Message("user", tuple(_parts(todo, message.get("content"), where))))


def _assistant(todo: Translation, message: dict[str, Any], where: str) -> None:
    text = _only_text(message.get("content") or "", where)
    calls = message.get("tool_calls") or []
    if not calls:
        ids = _written_ids(message, where) or todo.recall(text)
        part = TextPart(text, ids)
        if todo.open:
            todo.open.append(part)
            todo.close()
        else:
            todo.messages.append(Message("assistant", (part,)))
        return
    if not isinstance(calls, list) or len(calls) > 1:
        raise RequestError(f"{where} has several calls; this model makes one at a time", where)
    call, call_id = _call(calls[0], where)
    todo.awaits, ids = call_id, _written_ids(message, where) or todo.recall(call_id)
    reply = TextPart(render_call(text, call, todo.manner.form), ids)
    if todo.manner.form == "tool_call":
        todo.messages.append(Message("assistant", (reply,)))
    else:
        # Where a model wrote, it has written the keyword itself: the encoder adds only what is missing.
        todo.open += [reply, TextPart(f"\n{RESULT}: " if ids is not None else ": ")]


def _written_ids(message: dict[str, Any], where: str) -> tuple[int, ...] | None:
    """The ids that a model wrote this reply in, where a client knows them and says so in `token_ids` (ours does)."""
    ids = message.get("token_ids")
    if ids is None:
        return None
    if not isinstance(ids, list) or not all(type(token_id) is int and 0 <= token_id < 2**31 for token_id in ids):
        raise RequestError(f"{where}: token_ids are no list of ids", where)
    return tuple(ids) or None


def _tool(todo: Translation, message: dict[str, Any], where: str) -> None:
    if todo.awaits is None or message.get("tool_call_id") != todo.awaits:
        raise RequestError(f"{where} answers {message.get('tool_call_id')!r}, which is not the call before it", where)
    todo.awaits = None
    shown = _parts(todo, message.get("content"), where)
    if todo.manner.form == "keyword":
        todo.open += result_parts(shown, closing=f"{RETURN}: ")
    else:
        parts = (TextPart("<tool_response>\n"), *result_parts(shown, closing="</tool_response>"))
        todo.messages.append(Message("user", parts))


def result_parts(shown: Sequence[Part], closing: str) -> list[Part]:
    """What a call led to, each piece on its own line, text from outside with the dialogue's marks made harmless.

    Text that follows text is one stretch, as in `dialogue/compose.py`: stretches are tokenised one by one.
    """
    parts: list[Part] = []
    told = ""
    for part in shown:
        lead = "\n" if parts or told else ""
        if isinstance(part, TextPart):
            told += lead + neutral(part.text)
        else:
            parts += [*([TextPart(told + lead)] if told else []), part]
            told = ""
    return [*parts, TextPart(f"{told}\n{closing}" if parts or told else closing)]


_READERS: dict[str, Callable[[Translation, dict[str, Any], str], None]] = {
    "system": _system,
    "developer": _system,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
}


def _call(value: Any, where: str) -> tuple[ToolCall, str]:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RequestError(f"{where}: the call names no function", where)
    if not isinstance(value.get("id"), str) or not value["id"]:
        raise RequestError(f"{where}: the call has no id", where)
    given = function.get("arguments") or "{}"
    try:
        arguments = read_json(given if isinstance(given, str) else json.dumps(given))  # no NaN, no infinity
    except ValueError as error:
        raise RequestError(f"{where}: the call's arguments are no JSON ({error})", where) from error
    if not isinstance(arguments, dict):
        raise RequestError(f"{where}: the call's arguments are no JSON object", where)
    return ToolCall(function["name"], arguments), value["id"]


def _only_text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for part in content if isinstance(content, list) else [None]:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise RequestError(f"{where}: expected text", where)
        texts.append(part["text"])
    return "".join(texts)


def _parts(todo: Translation, content: Any, where: str) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    if not isinstance(content, list):
        raise RequestError(f"{where}: the content is no text and no list of parts", where)
    return [_part(todo, part, f"{where}.content[{index}]") for index, part in enumerate(content)]


def _part(todo: Translation, part: Any, where: str) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return TextPart(part["text"])
    if kind == "image_url":
        return ImagePart(picture(_url(part, kind), where))
    if kind == "video_url":
        return VideoPart(todo.media.video(_url(part, kind), where), _fps(part, where))
    if kind == "video" and isinstance(part.get("video"), list) and part["video"]:
        return VideoPart([picture(frame, where) for frame in part["video"]], _fps(part, where))
    raise RequestError(f"{where} has the type {kind!r}; expected text, image_url, video_url or video", where)


def _url(part: dict[str, Any], kind: str) -> Any:
    value = part.get(kind)
    return value.get("url") if isinstance(value, dict) else value


def _fps(part: dict[str, Any], where: str) -> float:
    fps = part.get("fps", 2.0)
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps <= 60:
        raise RequestError(f"{where}: fps is {json.dumps(fps)}; expected more than 0 and at most 60", where)
    return float(fps)
