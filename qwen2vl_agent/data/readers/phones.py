"""Public sets of what people did on phones: AndroidControl, GUI-Odyssey and Android in the Zoo.

Each becomes the dialogue that our own phone episodes have: goal, screens, and calls of the phone's functions.
"""

import json
from collections.abc import Sequence
from typing import Any

from qwen2vl_agent.data import aitz as zoo
from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose_finished
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.model.image_source import picture_size
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.errors import RecordError, ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.tools import ToolCall, to_action, tool_spec

TOOLS = tuple(tool_spec(kind) for kind in PHONE_ACTIONS)
FINGER = {
    "down": ([500, 700], [500, 300]),
    "up": ([500, 300], [500, 700]),
    "right": ([700, 500], [300, 500]),
    "left": ([300, 500], [700, 500]),
}
"""Start and end of the swipe that shows what lies in a direction. Source: AndroidWorld, `env/actuation.py`."""
Done = tuple[ImagePart, ToolCall, str]
"""A screen, what was done on it, and why."""


def aitz(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """One step of an AITZ episode's array: the goal, the screen, what was thought and done (`data/aitz.py`)."""
    step = zoo.parse_step(record)
    return _learnt(step.goal, [(root.image(step.image), zoo.call_of(step.action), step.thought)], source)


def android_control(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """`{"goal": …, "screenshots": […], "actions": [{"action_type": …} | JSON text], "step_instructions": […]}`.

    An episode as a row: the published files are TFRecords of these fields, which must be written as JSON Lines or
    Parquet first. A step's instruction is the thought; after the last action comes `done`.

    Source: google-research, android_control/README.md; points are pixels of the screenshot.
    """
    screens = [root.image(value) for value in record["screenshots"]]
    actions = [json.loads(action) if isinstance(action, str) else action for action in record["actions"]]
    if len(screens) != len(actions) + 1:
        raise RecordError(f"{len(screens)} screens and {len(actions)} actions; expected a screen more than actions")
    thoughts = list(record.get("step_instructions") or [""] * len(actions))
    calls = [android_call(action, picture_size(screen.image)) for action, screen in zip(actions, screens, strict=False)]
    done = list(zip(screens, calls, thoughts, strict=False))
    return _learnt(str(record["goal"]), [*done, (screens[-1], ToolCall("done"), "")], source)


def odyssey(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """`{"task_info": {"instruction": …}, "steps": [{"screenshot": …, "action": "CLICK", "info": [[x, y]]}]}`.

    Source: OpenGVLab/GUI-Odyssey, introduction.md; points lie in [0, 1000], keys stand as CLICKs with their name.
    """
    steps = sorted(record["steps"], key=lambda step: int(step["step"]))
    done = [(root.image(step["screenshot"]), _odyssey_call(step), str(step.get("intention") or "")) for step in steps]
    return _learnt(str(record["task_info"]["instruction"]), done, source)


def android_call(action: dict[str, Any], size: tuple[int, int]) -> ToolCall:
    """The phone's function that does a JSON action of AndroidControl or AndroidWorld, on a screen of this size.

    A scroll names what is to be seen: `down` moves the finger up.

    Raises:
        RecordError: one that no single function does, or that names an element by its number.
    """
    match action["action_type"]:
        case "click" | "double_tap" | "long_press" as kind if "x" in action:
            cell = _cell((action["x"] * MODEL_GRID / size[0], action["y"] * MODEL_GRID / size[1]))
            return ToolCall({"click": "tap"}.get(kind, kind), {"point": cell})
        case "scroll":
            start, end = FINGER[action["direction"]]
            return ToolCall("swipe", {"start": start, "end": end})
        case "input_text":
            return ToolCall("type_text", {"text": action["text"]})
        case "open_app":
            return ToolCall("open_app", {"name": action["app_name"]})
        case "navigate_home" | "navigate_back" | "keyboard_enter" as kind:
            return ToolCall("press_key", {"name": kind.rpartition("_")[2]})
        case "wait":
            return ToolCall("wait")
        case "answer":
            return ToolCall("answer", {"text": action["text"]})
        case "status":
            return ToolCall("done", {} if action["goal_status"] == "complete" else {"status": "failure"})
    raise RecordError(f"no function of the phone does {json.dumps(action)[:100]}")


def _odyssey_call(step: dict[str, Any]) -> ToolCall:
    kind, info = step["action"], step["info"]
    if kind == "CLICK" and isinstance(info, str):  # KEY_HOME, KEY_BACK, KEY_APPSELECT
        key = info.rpartition("_")[2].lower()
        return ToolCall("press_key", {"name": {"appselect": "app_switch"}.get(key, key)})
    match kind:
        case "CLICK" | "LONG_PRESS":
            return ToolCall("tap" if kind == "CLICK" else "long_press", {"point": _cell(info[0])})
        case "SCROLL":
            return ToolCall("swipe", {"start": _cell(info[0]), "end": _cell(info[1])})
        case "TEXT" | "TYPE":
            return ToolCall("type_text", {"text": str(info)})
        case "HOME" | "BACK":
            return ToolCall("press_key", {"name": kind.lower()})
        case "COMPLETE":
            return ToolCall("done")
        case "IMPOSSIBLE" | "INCOMPLETE":
            return ToolCall("done", {"status": "failure"})
    raise RecordError(f"an action {kind!r} that GUI-Odyssey does not have")


def _learnt(goal: str, done: Sequence[Done], source: str) -> Example:
    for _, call, _ in done:
        try:
            to_action(call, PHONE_ACTIONS)
        except ToolCallError as error:
            raise RecordError(str(error)) from error
    turns = [Turn(screen, "", render_call(thought, call, "keyword")) for screen, call, thought in done]
    return Example(compose_finished(Dialogue(goal, TOOLS), turns), source)


def _cell(point: Sequence[float]) -> list[int]:
    return [min(MODEL_GRID - 1, int(value)) for value in point]
