"""Two fingers on a phone's touch panel, by its own events, since `input` moves only one. Pure: nothing is sent.

The phone's shell writes the events with `sendevent`, where the phone lets it. Source: Linux, multi-touch protocol B
(Documentation/input/multi-touch-protocol.rst) and input-event-codes.h.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.android_input import chain
from qwen2vl_agent.schema.errors import ActionRejected
from qwen2vl_agent.schema.geometry import Frame

LIST_COMMAND = "getevent -lp"
SYN, KEY, ABS = 0, 1, 3
REPORT, TOUCH = 0, 0x14A
SLOT, MAJOR, X, Y, TRACKING, PRESSURE = 0x2F, 0x30, 0x35, 0x36, 0x39, 0x3A
LIFTED = -1
"""Tracking id of a finger that is not there."""
MOVES = 10
"""Places between the first and the last."""
FINGERS = (901, 902)
"""Tracking ids."""
WIDEST = 0.4
"""How far a finger is from the middle at most, in the screen's shorter side."""
LEAST = 0.12
"""With less room around the middle the fingers would be in each other's way."""
NEEDED = {"ABS_MT_SLOT", "ABS_MT_POSITION_X", "ABS_MT_POSITION_Y"}
_DEVICE = re.compile(r"add device \d+: (\S+)(.*?)(?=add device |\Z)", re.DOTALL)
_RANGE = re.compile(r"(ABS_MT_\w+)\s*: value -?\d+, min (-?\d+), max (-?\d+)")


@dataclass(frozen=True, slots=True)
class TouchPanel:
    """A panel that tells several fingers apart."""

    path: str
    across: tuple[int, int]
    """Least and greatest value along the short side of an upright phone."""
    down: tuple[int, int]
    pressure: int | None = None
    """Greatest value; None where it does not tell. A finger without pressure would not count as touching."""
    major: int | None = None
    """The same of a touch's size."""


def parse_panel(listing: str) -> TouchPanel | None:
    """The touch panel in what `getevent -lp` prints; None where there is none for several fingers."""
    for path, described in _DEVICE.findall(listing):
        ranges = {name: (int(low), int(high)) for name, low, high in _RANGE.findall(described)}
        if set(ranges) >= NEEDED and "INPUT_PROP_DIRECT" in described:
            greatest = {name: high for name, (_, high) in ranges.items()}
            return TouchPanel(
                path,
                ranges["ABS_MT_POSITION_X"],
                ranges["ABS_MT_POSITION_Y"],
                greatest.get("ABS_MT_PRESSURE"),
                greatest.get("ABS_MT_TOUCH_MAJOR"),
            )
    return None


def zoom(listing: str, frame: Frame, x: int, y: int, factor: float) -> Iterator[str]:
    """The command lines of a zoom around a pixel, on the phone whose `getevent -lp` printed `listing`.

    Raises:
        ActionRejected: the phone has no such panel, or the fingers have no room.
    """
    panel = parse_panel(listing)
    if panel is None:
        raise ActionRejected("this phone has no touch panel that its shell may use for two fingers")
    try:
        return chain(pinch(panel, frame, x, y, factor))
    except ValueError as error:
        raise ActionRejected(str(error)) from error


def pinch(panel: TouchPanel, frame: Frame, x: int, y: int, factor: float) -> list[str]:
    """The lines of two fingers around a pixel of the screen, which end `factor` times as far apart as they began.

    Raises:
        ValueError: there is no room for two fingers around that place.
    """
    side = min(frame.width, frame.height)
    rooms = [(min(x, frame.width - 1 - x), (1, 0)), (min(y, frame.height - 1 - y), (0, 1))]
    room, (right, below) = max(rooms)
    reach = min(room, WIDEST * side)
    if reach < LEAST * side:
        raise ValueError("there is no room for two fingers around that point; choose one farther from the corner")
    first, last = (reach / factor, reach) if factor >= 1 else (reach, reach * factor)
    apart = [first + (last - first) * number / (MOVES + 1) for number in range(MOVES + 2)]
    places = [[(x + sign * far * right, y + sign * far * below) for sign in (-1, 1)] for far in apart]
    events = [*_down(panel, frame, places[0]), *(event for pair in places[1:] for event in _move(panel, frame, pair))]
    return [f"sendevent {panel.path} {kind} {code} {value}" for kind, code, value in (*events, *_up())]


Event = tuple[int, int, int]


def _down(panel: TouchPanel, frame: Frame, pair: list[tuple[float, float]]) -> Iterator[Event]:
    for slot, place in enumerate(pair):
        yield ABS, SLOT, slot
        yield ABS, TRACKING, FINGERS[slot]
        yield from _at(panel, frame, place)
        for code, greatest in ((PRESSURE, panel.pressure), (MAJOR, panel.major)):
            if greatest:
                yield ABS, code, max(1, greatest // 4)
    yield KEY, TOUCH, 1
    yield SYN, REPORT, 0


def _move(panel: TouchPanel, frame: Frame, pair: list[tuple[float, float]]) -> Iterator[Event]:
    for slot, place in enumerate(pair):
        yield ABS, SLOT, slot
        yield from _at(panel, frame, place)
    yield SYN, REPORT, 0


def _up() -> Iterator[Event]:
    for slot in range(len(FINGERS)):
        yield ABS, SLOT, slot
        yield ABS, TRACKING, LIFTED
    yield KEY, TOUCH, 0
    yield SYN, REPORT, 0


def _at(panel: TouchPanel, frame: Frame, place: tuple[float, float]) -> Iterator[Event]:
    across, down = upright(place[0] / (frame.width - 1), place[1] / (frame.height - 1), frame.rotation)
    for code, part, (low, high) in ((X, across, panel.across), (Y, down, panel.down)):
        yield ABS, code, round(low + part * (high - low))


def upright(x: float, y: float, rotation: int) -> tuple[float, float]:
    """A place on the screen as it is held, as parts of its sides, on the same screen held upright.

    Worked example, turned by one: the corner at the top left of the screen is the upright phone's top right, 1, 0.
    """
    return ((x, y), (1 - y, x), (1 - x, 1 - y), (y, 1 - x))[rotation % 4]
