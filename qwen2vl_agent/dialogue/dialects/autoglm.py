"""Open-AutoGLM: `do(action="Tap", element=[500, 257])` and `finish(message="…")`, behind `<think>` and `<answer>`.

Points lie in the [0, 1000) grid.

Source: zai-org/Open-AutoGLM, `phone_agent/config/prompts_en.py` and `phone_agent/actions/handler.py`.
"""

import re
from collections.abc import Callable
from typing import Any

from qwen2vl_agent.dialogue.dialects.function_syntax import read_function
from qwen2vl_agent.dialogue.dialects.places import from_numbers
from qwen2vl_agent.dialogue.lenient_json import write_json
from qwen2vl_agent.dialogue.tool_call import ParsedReply
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_FRAME
from qwen2vl_agent.schema.tools import ToolCall

_CALL = re.compile(r"\b(do|finish)\s*\(")
_TAGS = re.compile(r"</?(?:think|answer)>")
_SECONDS = re.compile(r"\d+(?:\.\d+)?")
Values = dict[str, Any]


def read_autoglm(text: str) -> ParsedReply:
    """The thought and our call of a reply.

    Raises:
        ToolCallError: there is none, or its action is unknown or lacks an argument.
    """
    begins = [found.start() for found in _CALL.finditer(text)]
    if not begins:
        raise ToolCallError("there is neither do(action=…) nor finish(message=…)")
    answer = text.rfind("<answer>")
    begin = next((place for place in begins if place > answer), begins[0])
    name, values = read_function(text[begin:])
    thought = _TAGS.sub("", text[:begin]).strip()
    if name == "finish":
        return ParsedReply(thought, ToolCall("done", {"message": str(values.get("message", ""))}))
    action = values.get("action")
    if action not in _READERS:
        raise ToolCallError(f"Open-AutoGLM has no action {str(action)[:60]!r}; it has {', '.join(_READERS)}")
    try:
        return ParsedReply(thought, _READERS[action](values))
    except (KeyError, TypeError) as error:
        raise ToolCallError(f"{action} cannot be read ({error!r})") from error


def write_autoglm(reply: ParsedReply) -> str:
    """A reply as the model would write it.

    Raises:
        ToolCallError: it has no such action.
    """
    return f"<think>{reply.thought}</think>\n<answer>{_written(reply.call)}</answer>"


def _point(name: str) -> Callable[[Values], ToolCall]:
    return lambda values: ToolCall(name, {"point": from_numbers(values["element"], MODEL_FRAME)})


def _swipe(values: Values) -> ToolCall:
    start, end = (from_numbers(values[key], MODEL_FRAME) for key in ("start", "end"))
    return ToolCall("swipe", {"start": start, "end": end})


def _type(values: Values) -> ToolCall:
    """What was in the field goes, as the prompt says."""
    return ToolCall("type_text", {"text": str(values["text"]), "clear_first": True})


def _wait(values: Values) -> ToolCall:
    found = _SECONDS.search(str(values.get("duration", "1")))
    return ToolCall("wait", {"seconds": float(found[0]) if found else 1.0})


def _ask(values: Values) -> ToolCall:
    return ToolCall("ask_user", {"question": str(values.get("message", "Which one is meant?"))})


def _note(values: Values) -> ToolCall:
    return ToolCall("note", {"text": str(values.get("message", values.get("instruction", "")))})


_READERS: dict[str, Callable[[Values], ToolCall]] = {
    "Launch": lambda values: ToolCall("open_app", {"name": str(values["app"])}),
    "Tap": _point("tap"),
    "Type": _type,
    "Type_Name": _type,
    "Swipe": _swipe,
    "Long Press": _point("long_press"),
    "Double Tap": _point("double_tap"),
    "Back": lambda values: ToolCall("press_key", {"name": "back"}),
    "Home": lambda values: ToolCall("press_key", {"name": "home"}),
    "Wait": _wait,
    "Take_over": _ask,
    "Interact": _ask,
    "Note": _note,
    "Call_API": _note,
}
_POINTS = {"tap": "Tap", "long_press": "Long Press", "double_tap": "Double Tap"}


def _written(call: ToolCall) -> str:
    values = call.arguments
    match call.name:
        case "tap" | "long_press" | "double_tap":
            return _do(_POINTS[call.name], element=values["point"])
        case "swipe":
            return _do("Swipe", start=values["start"], end=values["end"])
        case "type_text":
            return _do("Type", text=values["text"])
        case "open_app":
            return _do("Launch", app=values["name"])
        case "press_key" if values["name"] in ("back", "home"):
            return _do(values["name"].capitalize())
        case "wait":
            return _do("Wait", duration=f"{values.get('seconds', 1.0):g} seconds")
        case "ask_user":
            return _do("Take_over", message=values["question"])
        case "note":
            return _do("Note", message=values["text"])
        case "done":
            return f"finish(message={write_json(values.get('message', ''))})"
    raise ToolCallError(f"Open-AutoGLM has no action for {call.name} {values.get('name', '')}".strip())


def _do(action: str, **values: Any) -> str:
    told = "".join(f", {key}={write_json(value)}" for key, value in values.items())
    return f"do(action={write_json(action)}{told})"
