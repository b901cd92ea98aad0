"""How right a call is: type match and exact match, of phone steps (AITZ) and of any function calls.

What the Qwen2-VL report publishes of its own two agent sets is their names and these two metrics: AITZ, and an internal
set of visual function calls (FnCall) that was never released. AITZ's rules are public and kept here; for function
calls type match is the function's name, and exact match that and equal arguments.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.data.aitz import AitzAction, Box, Place
from qwen2vl_agent.schema.tools import ToolCall

TAP_DISTANCE = 0.14
"""Of the screen's sides; taps nearer than this are the same. Source: `_TAP_DISTANCE_THRESHOLD`, AndroidInTheWild's
`action_matching.py`, which IMNearth/CoAT has in `coat/action_utils.py`."""
BOX_GROWTH = 1.4
"""What an element's box gains in width and height before it is asked whether taps lie in it. Source: the same."""
BOX_SCALE, BOX_OVERLAP = 1.2, 0.5
"""Of a click that names a box. Source: `_check_click_`, IMNearth/CoAT, `coat/evaluate.py`."""
TEXT_RATIO = 0.8
"""Two texts as alike as this are the same. Source: `coat/evaluate.py`."""


@dataclass(frozen=True, slots=True)
class CallMatch:
    """How right one call is."""

    readable: bool
    """Whether there is a call, of a kind that the data set has."""
    type: bool
    exact: bool
    text_ratio: float | None = None
    """How alike the texts are, where both type."""


NO_CALL = CallMatch(readable=False, type=False, exact=False)


def match_call(truth: ToolCall, given: ToolCall | None) -> CallMatch:
    """Name, and name with equal arguments; texts without the space around them, numbers by their value."""
    if given is None:
        return NO_CALL
    same = given.name == truth.name
    return CallMatch(True, same, same and _equal(given.arguments, truth.arguments))


def match_action(truth: AitzAction, given: AitzAction | None, elements: Sequence[Box]) -> CallMatch:
    """By AITZ's rules.

    A click is right near the true place or in the same element; a scroll the same way; a text that holds the true one,
    is held by it (an empty text is held by every text), or is alike enough; a press of the same button; any stop.
    """
    if given is None:
        return NO_CALL
    if given.kind != truth.kind:
        return CallMatch(True, False, False)
    if truth.kind == "type":
        ratio = text_ratio(given.text, truth.text)
        held = given.text in truth.text or truth.text in given.text
        return CallMatch(True, True, held or ratio > TEXT_RATIO, ratio)
    if truth.kind == "click":
        return CallMatch(True, True, _same_click(truth, given, elements))
    return CallMatch(True, True, given.direction == truth.direction and given.button == truth.button)


def same_tap(one: Place, other: Place, elements: Sequence[Box]) -> bool:
    """Whether two taps are within 14 % of the screen, or in one element's box when that is grown.

    A box grows by 140 % of its width and height, half of it to the left and above, to no more than the screen's size.

    Source: `_check_tap_actions_match`.
    """
    if math.dist(one, other) <= TAP_DISTANCE:
        return True
    return any(_inside(one, grown) and _inside(other, grown) for grown in map(_grown, elements))


def in_named_box(place: Place, box: Box, elements: Sequence[Box]) -> bool:
    """Whether the true place is in the box that was named, or in an element that the box covers to more than a half.

    All boxes are 1.2 times as wide and high as given. The published code compares with (0, 0) in place of the true
    place, which is set for scrolls only; here the true place is meant.

    Source: `_check_click_`.
    """
    named = _scaled(box)
    if _inside(place, named):
        return True
    around = [element for element in map(_scaled, elements) if _inside(place, element)]
    return any(_overlap(named, element) > BOX_OVERLAP for element in around)


def text_ratio(one: str, other: str) -> float:
    """1 - (letters to insert or delete) / letters of both; 1 for two empty texts. Source: `Levenshtein.ratio`.

    Worked example: "cat" and "cart" share 3 letters in order, of 7: 2 * 3 / 7 = 0.857.
    """
    if not one and not other:
        return 1.0
    before = [0] * (len(other) + 1)
    for letter in one:
        current = [0]
        for column, wanted in enumerate(other):
            current.append(before[column] + 1 if letter == wanted else max(before[column + 1], current[-1]))
        before = current
    return 2 * before[-1] / (len(one) + len(other))


def _same_click(truth: AitzAction, given: AitzAction, elements: Sequence[Box]) -> bool:
    assert truth.place is not None, "a true click has a place"
    if given.box is not None:
        return in_named_box(truth.place, given.box, elements)
    return given.place is not None and same_tap(truth.place, given.place, elements)


def _grown(box: Box) -> Box:
    left, top, width, height = box
    more_x, more_y = BOX_GROWTH * width, BOX_GROWTH * height
    return max(0.0, left - more_x / 2), max(0.0, top - more_y / 2), min(1.0, width + more_x), min(1.0, height + more_y)


def _scaled(box: Box) -> Box:
    left, top, width, height = box
    wide, high = width * BOX_SCALE, height * BOX_SCALE
    return left + (width - wide) / 2, top + (height - high) / 2, wide, high


def _inside(place: Place, box: Box) -> bool:
    (x, y), (left, top, width, height) = place, box
    return left <= x <= left + width and top <= y <= top + height


def _overlap(one: Box, other: Box) -> float:
    """Common area over the area of both together; 0 of nothing."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(0.0, wide) * max(0.0, high)
    whole = one[2] * one[3] + other[2] * other[3] - common
    return common / whole if whole > 0 else 0.0


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
