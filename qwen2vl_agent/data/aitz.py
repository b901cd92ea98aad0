"""Android in the Zoo (AITZ): recorded steps of people on phones, read from a user's own copy.

A copy has a folder for each episode with one JSON array of its steps beside their screens. Places in it are parts of
the screen's height and width, in that order; elements are boxes in the picture's pixels.

Source: Zhang et al. 2024, Android in the Zoo (arXiv 2403.02713); IMNearth/CoAT, `coat/evaluate.py`,
`coat/action_utils.py` and the episode in `data-example/`.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.tools import ToolCall

Kind = Literal["click", "scroll", "type", "press", "stop"]
KINDS: tuple[Kind, ...] = ("click", "scroll", "type", "press", "stop")
BUTTONS = ("enter", "back", "home")
"""Looked for in a description in this order, as CoAT does."""
VERTICAL = 0.9
"""A swipe is vertical if its way up or down is at least this part of its way aside. Source: `extract_gt_action`."""
Place = tuple[float, float]
"""x and y, as parts of the screen's width and height."""
Box = tuple[float, float, float, float]
"""Left, top, width and height, as parts of the screen's."""


@dataclass(frozen=True, slots=True)
class AitzAction:
    """One of the data set's five kinds of action."""

    kind: Kind
    place: Place | None = None
    """Of a click, and where a scroll's finger goes down."""
    lift: Place | None = None
    """Where a scroll's finger lifts."""
    box: Box | None = None
    """Of a click that names an element's box in place of a point."""
    text: str = ""
    direction: str = ""
    """The way of the finger: `up`, `down`, `left` or `right`."""
    button: str = ""
    impossible: bool = False
    """Of a stop: whether the task cannot be done. It does not count in the metric."""


@dataclass(frozen=True, slots=True)
class AitzStep:
    """A screen and what was done there."""

    episode: str
    index: int
    subset: str
    goal: str
    image: str
    """The picture's path as the record names it."""
    action: AitzAction
    thought: str
    boxes: tuple[tuple[int, int, int, int], ...]
    """Top, left, height and width of the elements on the screen, in pixels."""


def direction_of(start: Place, end: Place) -> str:
    """The way of a finger, both places as parts of the screen.

    Worked example: from (0.5, 0.54) to (0.58, 0.0) the finger goes 0.54 up and 0.08 aside: `up`.
    """
    aside, down = end[0] - start[0], end[1] - start[1]
    if abs(down) >= VERTICAL * abs(aside):
        return "up" if down < 0 else "down"
    return "left" if aside < 0 else "right"


def parse_step(record: dict[str, Any]) -> AitzStep:
    """A step from one object of an episode's array.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    return AitzStep(
        episode=str(record["episode_id"]),
        index=int(record["step_id"]),
        subset=str(record.get("subset") or str(record["image_path"]).partition("/")[0]),
        goal=str(record["instruction"]),
        image=str(record["image_path"]),
        action=_action(record),
        thought=str(record.get("coat_action_think", "")),
        boxes=tuple(tuple(map(int, box)) for box in _listed(record.get("ui_positions", []))),  # type: ignore[misc]
    )


def action_of(call: ToolCall) -> AitzAction | None:
    """The kind of action that a call of a phone's functions is; None: one that the data set does not have.

    The data set's own names (`click` with a `point` or a `bbox`, `scroll`, `input`, `press`, `stop`) are read too;
    points and boxes lie in [0, 1000).

    Raises:
        KeyError, TypeError, ValueError: the arguments are not of that function.
    """
    given = call.arguments
    match call.name:
        case "tap" | "click":
            if "bbox" in given:
                return AitzAction("click", box=_box(given["bbox"]))
            return AitzAction("click", _place(given["point"]))
        case "swipe":
            start, end = _place(given["start"]), _place(given["end"])
            return AitzAction("scroll", start, end, direction=direction_of(start, end))
        case "scroll":
            return AitzAction("scroll", direction=str(given["direction"]))
        case "type_text" | "input":
            return AitzAction("type", text=str(given["text"]))
        case "press_key":
            return AitzAction("press", button=str(given["name"]))
        case "press":
            return AitzAction("press", button=str(given["button"]))
        case "done" | "answer" | "stop":
            return AitzAction("stop", impossible=given.get("status") == "failure")
    return None


def call_of(action: AitzAction) -> ToolCall:
    """The phone's function that does what a step of the data set did."""
    match action.kind:
        case "click":
            return ToolCall("tap", {"point": _cell(action.place)})
        case "scroll":
            return ToolCall("swipe", {"start": _cell(action.place), "end": _cell(action.lift)})
        case "type":
            return ToolCall("type_text", {"text": action.text})
        case "press":
            return ToolCall("press_key", {"name": action.button})
        case "stop":
            return ToolCall("done", {"status": "failure"} if action.impossible else {})


def episodes(folder: Path, split: str = "") -> Iterator[list[AitzStep]]:
    """The episodes of a copy, in the order of their files' names; `split` is part of their path.

    Raises:
        ConfigError: there is none.
        RecordError: a file is not in the data set's format.
    """
    found = [path for path in sorted(folder.rglob("*.json")) if split in str(path.relative_to(folder))]
    if not found:
        raise ConfigError(f"{folder} has no JSON file" + (f" with {split!r} in its path" if split else ""))
    for path in found:
        try:
            steps = [parse_step(record) for record in json.loads(path.read_text("utf-8"))]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise RecordError(f"{path}: no episode of AITZ: {error!r}") from error
        for _, group in groupby(steps, key=lambda step: step.episode):
            yield sorted(group, key=lambda step: step.index)


def picture(step: AitzStep, folder: Path) -> Path:
    """The step's screen: where its record says, below any folder of the copy.

    Raises:
        MediaError: it is not there.
    """
    roots = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    names = (Path(step.image), Path(*Path(step.image).parts[-2:]))  # below a split's folder; one episode's folder alone
    for place in (root / name for root in roots for name in names):
        if place.is_file() and place.resolve().is_relative_to(folder.resolve()):
            return place
    raise MediaError(f"{folder} lacks the screen {step.image}")


def elements(step: AitzStep, size: tuple[int, int]) -> tuple[Box, ...]:
    """The step's elements as parts of a screen of this width and height."""
    width, height = size
    return tuple((x / width, y / height, w / width, h / height) for y, x, h, w in step.boxes)


def _action(record: dict[str, Any]) -> AitzAction:
    words = str(record["coat_action_desc"]).split()
    match words[0].lower():
        case "click":
            return AitzAction("click", _touched(record, "result_touch_yx"))
        case "scroll":
            touch, lift = _touched(record, "result_touch_yx"), _touched(record, "result_lift_yx")
            return AitzAction("scroll", touch, lift, direction=words[1].strip().lower())
        case "input" | "type":
            return AitzAction("type", text=str(record["result_action_text"]))
        case "press":
            said = record["coat_action_desc"]
            return AitzAction("press", button=next(button for button in BUTTONS if button in said))
        case "stop":
            return AitzAction("stop", impossible="impossible" in words)
    raise ValueError(f"an action that begins with {words[0]!r}")


def _touched(record: dict[str, Any], name: str) -> Place:
    y, x = _listed(record[name])
    return float(x), float(y)


def _listed(value: Any) -> list[Any]:
    """A list, or the JSON text of one: the published files hold both."""
    return list(json.loads(value) if isinstance(value, str) else value)


def _place(point: Any) -> Place:
    """The middle of a cell of the model's grid."""
    x, y = (math.floor(float(value)) for value in point)
    return (x + 0.5) / MODEL_GRID, (y + 0.5) / MODEL_GRID


def _box(corners: Any) -> Box:
    left, top, right, bottom = (float(value) / MODEL_GRID for value in corners)
    return left, top, right - left, bottom - top


def _cell(place: Place | None) -> list[int]:
    if place is None:
        raise ValueError("an action that touches nowhere")
    return [min(max(math.floor(part * MODEL_GRID), 0), MODEL_GRID - 1) for part in place]
