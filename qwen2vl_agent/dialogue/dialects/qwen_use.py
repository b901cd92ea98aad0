"""Qwen's `mobile_use` and `computer_use`: one function with an argument `action`, in `<tool_call>` tags.

    <tool_call>
    {"name": "mobile_use", "arguments": {"action": "click", "coordinate": [348, 291]}}
    </tool_call>

Qwen2.5-VL writes pixels of the resized image, Qwen3-VL the [0, 1000) grid: `frame` says which.

Source: QwenLM/Qwen3-VL, cookbooks `mobile_agent.ipynb` and `computer_use.ipynb`, `utils/agent_function_call.py`.
"""

from collections.abc import Callable
from typing import Any

from qwen2vl_agent.dialogue.dialects.places import from_numbers, to_numbers
from qwen2vl_agent.dialogue.tool_call import ParsedReply, parse_call, render_call
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame
from qwen2vl_agent.schema.tools import ToolCall

MOBILE, COMPUTER = "mobile_use", "computer_use"
BUTTONS = {"Back": "back", "Home": "home", "Menu": "menu", "Enter": "enter"}
Values = dict[str, Any]


def read_mobile_use(text: str, frame: Frame = MODEL_FRAME) -> ParsedReply:
    """The thought and our call of a reply.

    Raises:
        ToolCallError: there is none, or its action is unknown or lacks an argument.
    """
    return _read(text, MOBILE, _MOBILE, frame)


def write_mobile_use(reply: ParsedReply, frame: Frame = MODEL_FRAME) -> str:
    """A reply as a model of this kind would write it.

    Raises:
        ToolCallError: there is no such action.
    """
    return _write(reply, MOBILE, _to_mobile(reply.call, frame))


def read_computer_use(text: str, frame: Frame = MODEL_FRAME, pointer: tuple[int, int] = (500, 500)) -> ParsedReply:
    """As `read_mobile_use`, for a desktop's actions.

    `pointer` is where the mouse stands, of 1000: what scrolls and drags begin there.

    Raises:
        ToolCallError: there is none, or its action is unknown or lacks an argument.
    """
    readers = {**_COMPUTER, **_at_pointer(list(pointer))}
    return _read(text, COMPUTER, readers, frame)


def write_computer_use(reply: ParsedReply, frame: Frame = MODEL_FRAME) -> str:
    """A reply as a model of this kind would write it; a drag begins wherever the pointer stands.

    Raises:
        ToolCallError: there is no such action.
    """
    return _write(reply, COMPUTER, _to_computer(reply.call, frame))


def _read(
    text: str, function: str, readers: dict[str, Callable[[Values, Frame], ToolCall]], frame: Frame
) -> ParsedReply:
    parsed = parse_call(text, "tool_call")
    if parsed.call.name != function:
        raise ToolCallError(f"the function is {parsed.call.name!r}; expected {function}")
    values = parsed.call.arguments
    action = values.get("action")
    if action not in readers:
        raise ToolCallError(f"{function} has no action {str(action)[:60]!r}; it has {', '.join(readers)}")
    try:
        return ParsedReply(parsed.thought, readers[action](values, frame))
    except (KeyError, TypeError, ValueError) as error:
        raise ToolCallError(f"{function}: {action} cannot be read ({error!r})") from error


def _write(reply: ParsedReply, function: str, values: Values) -> str:
    return render_call(reply.thought, ToolCall(function, values), "tool_call")


def _point(name: str, key: str = "coordinate", **more: Any) -> Callable[[Values, Frame], ToolCall]:
    return lambda values, frame: ToolCall(name, {"point": from_numbers(values[key], frame), **more})


def _swipe(values: Values, frame: Frame) -> ToolCall:
    start, end = (from_numbers(values[key], frame) for key in ("coordinate", "coordinate2"))
    return ToolCall("swipe", {"start": start, "end": end})


def _press_long(values: Values, frame: Frame) -> ToolCall:
    point = {"point": from_numbers(values["coordinate"], frame)}
    held = {"duration_s": float(values["time"])} if values.get("time") else {}
    return ToolCall("long_press", point | held)


def _button(values: Values, frame: Frame) -> ToolCall:
    return ToolCall("press_key", {"name": BUTTONS[values["button"]]})


def _terminate(values: Values, frame: Frame) -> ToolCall:
    return ToolCall("done", {"status": "failure" if values.get("status") in ("failure", "fail") else "success"})


def _text(name: str, argument: str) -> Callable[[Values, Frame], ToolCall]:
    return lambda values, frame: ToolCall(name, {argument: str(values["text"])})


def _wait(values: Values, frame: Frame) -> ToolCall:
    return ToolCall("wait", {"seconds": float(values["time"])} if "time" in values else {})


_MOBILE: dict[str, Callable[[Values, Frame], ToolCall]] = {
    "click": _point("tap"),
    "long_press": _press_long,
    "swipe": _swipe,
    "type": _text("type_text", "text"),
    "answer": _text("answer", "text"),
    "system_button": _button,
    "key": _text("press_key", "name"),
    "open": _text("open_app", "name"),
    "wait": _wait,
    "terminate": _terminate,
}


def _to_mobile(call: ToolCall, frame: Frame) -> Values:
    values, buttons = call.arguments, {ours: theirs for theirs, ours in BUTTONS.items()}
    match call.name:
        case "tap":
            return {"action": "click", "coordinate": to_numbers(values["point"], frame)}
        case "long_press":
            held = {"time": values["duration_s"]} if "duration_s" in values else {}
            return {"action": "long_press", "coordinate": to_numbers(values["point"], frame), **held}
        case "swipe":
            start, end = (to_numbers(values[key], frame) for key in ("start", "end"))
            return {"action": "swipe", "coordinate": start, "coordinate2": end}
        case "type_text":
            return {"action": "type", "text": values["text"]}
        case "press_key" if values["name"] in buttons:
            return {"action": "system_button", "button": buttons[values["name"]]}
        case "press_key":
            return {"action": "key", "text": values["name"]}
        case "open_app":
            return {"action": "open", "text": values["name"]}
        case "answer":
            return {"action": "answer", "text": values["text"]}
    return _to_either(call, MOBILE)


def _keys(values: Values, frame: Frame) -> ToolCall:
    keys = values["keys"]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("keys is no list of names")
    return ToolCall("hotkey", {"keys": keys})


def _at_pointer(pointer: list[int]) -> dict[str, Callable[[Values, Frame], ToolCall]]:
    return {
        "left_click_drag": lambda values, frame: ToolCall(
            "drag", {"start": pointer, "end": from_numbers(values["coordinate"], frame)}
        ),
        "scroll": lambda values, frame: ToolCall("scroll", {"point": pointer, "dx": 0, "dy": int(values["pixels"])}),
        "hscroll": lambda values, frame: ToolCall("scroll", {"point": pointer, "dx": int(values["pixels"]), "dy": 0}),
    }


_COMPUTER: dict[str, Callable[[Values, Frame], ToolCall]] = {
    "key": _keys,
    "type": _text("type_text", "text"),
    "mouse_move": _point("move"),
    "left_click": _point("click"),
    "right_click": _point("click", button="right"),
    "middle_click": _point("click", button="middle"),
    "double_click": _point("click", count=2),
    "triple_click": _point("click", count=3),
    "answer": _text("answer", "text"),
    "wait": _wait,
    "terminate": _terminate,
}
_CLICKS = {("left", 1): "left_click", ("right", 1): "right_click", ("middle", 1): "middle_click"} | {
    ("left", 2): "double_click",
    ("left", 3): "triple_click",
}


def _to_computer(call: ToolCall, frame: Frame) -> Values:
    values = call.arguments
    match call.name:
        case "click":
            kind = (values.get("button", "left"), values.get("count", 1))
            if kind not in _CLICKS or values.get("modifiers"):
                raise ToolCallError(f"{COMPUTER} has no such click")
            return {"action": _CLICKS[kind], "coordinate": to_numbers(values["point"], frame)}
        case "move":
            return {"action": "mouse_move", "coordinate": to_numbers(values["point"], frame)}
        case "drag":
            return {"action": "left_click_drag", "coordinate": to_numbers(values["end"], frame)}
        case "scroll" if not values.get("dx"):
            return {"action": "scroll", "pixels": values["dy"]}
        case "scroll" if not values.get("dy"):
            return {"action": "hscroll", "pixels": values["dx"]}
        case "hotkey":
            return {"action": "key", "keys": values["keys"]}
        case "type_text":
            return {"action": "type", "text": values["text"]}
        case "answer":
            return {"action": "answer", "text": values["text"]}
    return _to_either(call, COMPUTER)


def _to_either(call: ToolCall, function: str) -> Values:
    if call.name == "wait":
        return {"action": "wait", "time": call.arguments.get("seconds", 1.0)}
    if call.name == "done":
        return {"action": "terminate", "status": call.arguments.get("status", "success")}
    raise ToolCallError(f"{function} has no action for {call.name}")
