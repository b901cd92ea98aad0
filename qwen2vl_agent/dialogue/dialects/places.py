"""Points in other models' numbers: the [0, 1000) grid, or pixels of the image as the model saw it."""

import math
from collections.abc import Sequence
from typing import Any

from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame, Point

REACH = 400
"""How far a scroll without a distance swipes, of 1000."""


def from_numbers(numbers: Any, frame: Frame) -> list[int]:
    """`[x, y]` of our calls for a place in `frame`; what lies on the far edge, which some models name, is inside.

    Raises:
        ToolCallError: these are no two numbers, or lie outside.
    """
    fits = isinstance(numbers, Sequence) and len(numbers) == 2
    if not fits or not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ToolCallError(f"{str(numbers)[:60]!r} is no point; expected two numbers")
    x, y = (math.floor(n) for n in numbers)
    point = Point(x - (x == frame.width), y - (y == frame.height), frame)
    if not point.inside:
        raise ToolCallError(f"the point {numbers} lies outside of {frame.width} x {frame.height}")
    moved = point.to(MODEL_FRAME)
    return [moved.x, moved.y]


def to_numbers(place: Sequence[int], frame: Frame) -> list[int]:
    """The place of one of our calls in `frame`."""
    moved = Point(place[0], place[1], MODEL_FRAME).to(frame)
    return [moved.x, moved.y]


def scrolled(place: Sequence[int], direction: str) -> list[int]:
    """Where a finger that goes down at `place` lifts so that what lies `direction` comes into view.

    Raises:
        ToolCallError: no such direction.
    """
    steps = {"down": (0, -REACH), "up": (0, REACH), "right": (-REACH, 0), "left": (REACH, 0)}
    if direction not in steps:
        raise ToolCallError(f"the direction is {direction!r}; expected one of {', '.join(steps)}")
    return [min(999, max(0, at + step)) for at, step in zip(place, steps[direction], strict=True)]
