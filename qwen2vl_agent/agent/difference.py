"""What sets one reply apart from another on the same screen: by what it would touch and type, not by its wording."""

import re
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.data.synthetic.screen_lines import HERE, NOT_HERE
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import CallForm, Reply

_LABEL = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Said:
    """A reply: its words, its call, and why it could not be done."""

    text: str
    call: ToolCall | None
    error: str = ""


def said_in(reply: Reply, form: CallForm) -> Said:
    """What a policy's reply says, readable or not."""
    try:
        return Said(reply.text, parse_call(reply.text, form).call)
    except ToolCallError as error:
        return Said(reply.text, None, str(error))


def difference(said: Said, solution: Said, elements: list[Element], frame: Any) -> str:
    """What sets a reply apart from the solution's, on the screen that both saw; empty where it does the same."""
    wanted = solution.call
    assert wanted is not None
    if said.call is None or said.error:
        return "a reply that cannot be read or done"
    said_here, is_here = (HERE in one.text for one in (said, solution))
    if said_here != is_here and any(NOT_HERE in one.text for one in (said, solution)):
        return "it misses what is there" if is_here else "it sees what is not there"
    if said.call.name != wanted.name:
        return "it ends too early" if said.call.name in ("done", "answer") else "another kind of action"
    if wanted.name == "answer":
        return "" if said.call.arguments == wanted.arguments else "a text is read wrongly"
    if wanted.name == "type_text":
        return "" if said.call.arguments == wanted.arguments else "another text is typed"
    if wanted.name != "tap" or said.call == wanted:
        return ""
    touched, meant = (_touched(call, elements, frame) for call in (said.call, wanted))
    if touched is not None and touched == meant:
        return ""
    return "the right name in a wrong place" if _label(said.text) == _label(solution.text) else "another name"


def _touched(call: ToolCall, elements: list[Element], frame: Any) -> Element | None:
    """The smallest element that takes a touch at a call's point."""
    x, y = call.arguments.get("point", (-1, -1))
    across, down = x * frame.width / MODEL_GRID, y * frame.height / MODEL_GRID
    under = [
        element
        for element in elements
        if element.clickable
        and element.bounds[0] <= across < element.bounds[2]
        and element.bounds[1] <= down < element.bounds[3]
    ]
    return min(under, key=_area, default=None)


def _area(element: Element) -> int:
    left, top, right, bottom = element.bounds
    return (right - left) * (bottom - top)


def _label(text: str) -> str:
    found = _LABEL.search(text)
    return found[1] if found else ""
