r"""UI-TARS: `Thought: …` and `Action: click(point='<point>500 257</point>')`, on a phone and on a desktop.

UI-TARS 1.0 and the hosted models write the [0, 1000) grid, UI-TARS-1.5-7B pixels of the resized image: `frame` says
which. Older ones write `start_box='<|box_start|>(500,257)<|box_end|>'`, which is understood.

Source: bytedance/UI-TARS, `codes/ui_tars/prompt.py` (MOBILE_USE_DOUBAO, COMPUTER_USE_DOUBAO).
"""

import re
from collections.abc import Callable
from typing import Any

from qwen2vl_agent.dialogue.dialects.function_syntax import read_function, write_function
from qwen2vl_agent.dialogue.dialects.places import from_numbers, scrolled, to_numbers
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame
from qwen2vl_agent.schema.tools import ToolCall

_ACTION = re.compile(r"^\s*Action:\s*", re.MULTILINE)
_THOUGHT = re.compile(r"^\s*(?:Thought|Reflection|Action_Summary):\s*", re.MULTILINE)
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
PAUSE_S = 5.0
"""What `wait()` stands for."""
Values = dict[str, Any]
Calls = tuple[ToolCall, ...]


def read_ui_tars(text: str, frame: Frame = MODEL_FRAME) -> tuple[str, Calls]:
    """The thought, and our calls: text that is submitted takes two.

    Raises:
        ToolCallError: there is no action, or it is unknown or lacks an argument.
    """
    pieces = _ACTION.split(text)
    if len(pieces) < 2:
        raise ToolCallError("there is no line that begins with 'Action:'")
    name, values = read_function(pieces[-1])
    if name not in _READERS:
        raise ToolCallError(f"UI-TARS has no action {name!r}; it has {', '.join(_READERS)}")
    try:
        return _THOUGHT.sub("", pieces[0]).strip(), _READERS[name](values, frame)
    except (KeyError, TypeError) as error:
        raise ToolCallError(f"{name} cannot be read ({error!r})") from error


def write_ui_tars(thought: str, call: ToolCall, frame: Frame = MODEL_FRAME) -> str:
    """A reply as UI-TARS would write it.

    Raises:
        ToolCallError: it has no such action.
    """
    lead = f"Thought: {thought}\n" if thought else ""
    return f"{lead}Action: {_written(call, frame)}"


def _place(values: Values, frame: Frame, *names: str) -> list[int]:
    given = next((values[name] for name in names if name in values), None)
    if not isinstance(given, str):
        raise ToolCallError(f"the point {names[0]!r} is missing")
    numbers = [float(number) for number in _NUMBERS.findall(given)]
    if len(numbers) == 4:  # a box, of which the middle is meant
        numbers = [(numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2]
    return from_numbers(numbers, frame)


def _point(name: str, **more: Any) -> Callable[[Values, Frame], Calls]:
    return lambda values, frame: (ToolCall(name, {"point": _place(values, frame, "point", "start_box"), **more}),)


def _drag(values: Values, frame: Frame) -> Calls:
    start = _place(values, frame, "start_point", "start_box")
    return (ToolCall("swipe", {"start": start, "end": _place(values, frame, "end_point", "end_box")}),)


def _scroll(values: Values, frame: Frame) -> Calls:
    start = _place(values, frame, "point", "start_box")
    return (ToolCall("swipe", {"start": start, "end": scrolled(start, values["direction"])}),)


def _type(values: Values, frame: Frame) -> Calls:
    content = str(values["content"])
    typed = ToolCall("type_text", {"text": content.removesuffix("\n")})
    return (typed, ToolCall("press_key", {"name": "enter"})) if content.endswith("\n") else (typed,)


def _fixed(tool: str, **arguments: Any) -> Callable[[Values, Frame], Calls]:
    return lambda values, frame: (ToolCall(tool, arguments),)


_READERS: dict[str, Callable[[Values, Frame], Calls]] = {
    "click": _point("tap"),
    "left_double": _point("double_tap"),
    "right_single": _point("click", button="right"),
    "long_press": _point("long_press"),
    "drag": _drag,
    "scroll": _scroll,
    "type": _type,
    "hotkey": lambda values, frame: (ToolCall("hotkey", {"keys": str(values["key"]).split()}),),
    "open_app": lambda values, frame: (ToolCall("open_app", {"name": str(values["app_name"])}),),
    "press_home": _fixed("press_key", name="home"),
    "press_back": _fixed("press_key", name="back"),
    "wait": _fixed("wait", seconds=PAUSE_S),
    "finished": lambda values, frame: (ToolCall("done", {"message": str(values.get("content", ""))}),),
    "call_user": _fixed("ask_user", question="What should be done next?"),
}


def _written(call: ToolCall, frame: Frame) -> str:
    values = call.arguments

    def at(name: str = "point") -> str:
        x, y = to_numbers(values[name], frame)
        return f"<point>{x} {y}</point>"

    match call.name:
        case "tap":
            return write_function("click", point=at())
        case "double_tap":
            return write_function("left_double", point=at())
        case "long_press":
            return write_function("long_press", point=at())
        case "click" if values.get("button") == "right":
            return write_function("right_single", point=at())
        case "swipe":
            return write_function("drag", start_point=at("start"), end_point=at("end"))
        case "type_text":
            return write_function("type", content=values["text"])
        case "press_key" if values["name"] in ("home", "back"):
            return write_function(f"press_{values['name']}")
        case "press_key" if values["name"] == "enter":
            return write_function("type", content="\n")
        case "hotkey":
            return write_function("hotkey", key=" ".join(values["keys"]))
        case "open_app":
            return write_function("open_app", app_name=values["name"])
        case "wait":
            return write_function("wait")
        case "done":
            return write_function("finished", content=values.get("message", ""))
    raise ToolCallError(f"UI-TARS has no action for {call.name} {values.get('name', '')}".strip())
