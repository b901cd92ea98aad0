"""Where a phone's touches land: fingers put down and taken back, and read from the phone's own record of them.

A touch that is cancelled presses nothing, so this can be done on any screen. The record is the recent queue of
`dumpsys input`, in the form of AOSP's `InputDispatcher`.
"""

import re
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame, Point, smart_resize

PLACES = (20, 333, 500, 777, 979)
"""Where the targets are, along both sides of the model's grid."""
TOUCH = re.compile(r"MotionEvent\(.*?action=(?:0x0+|DOWN)\b.*?pointers=\[0: \((-?[\d.]+), (-?[\d.]+)\)")


@dataclass(frozen=True, slots=True)
class Landing:
    """A target, and where the touch for it landed."""

    target: Point
    """In the model's own convention."""
    wanted: tuple[int, int]
    """In device pixels."""
    landed: tuple[float, float]

    @property
    def off_px(self) -> float:
        """How far beside, in device pixels, along the worse side."""
        return max(abs(got - want) for got, want in zip(self.landed, self.wanted, strict=True))

    @property
    def within(self) -> bool:
        """Whether it is the pixel that was meant."""
        return self.off_px < 1.0


def calibrate(device: Any) -> list[Landing]:
    """Touch 25 targets in each of both conventions of models on an `AndroidDevice`, without pressing anything.

    Raises:
        DeviceLost: the phone does not tell where touches landed.
    """
    frame = device.frame
    resized = smart_resize(frame.height, frame.width, min_pixels=3136, max_pixels=1_003_520)
    conventions = (MODEL_FRAME, Frame("resized", resized[1], resized[0]))
    return [
        _touch(device, Point(x * convention.width // 1000, y * convention.height // 1000, convention))
        for convention in conventions
        for x in PLACES
        for y in PLACES
    ]


def _touch(device: Any, target: Point) -> Landing:
    place = target.to(device.frame)
    result = device.shell(
        f"input motionevent DOWN {place.x} {place.y}; input motionevent CANCEL {place.x} {place.y}; dumpsys input"
    )
    landed = parse_touches(result)
    if not landed:
        raise DeviceLost(
            f"phone {device.serial} does not tell where touches land (`dumpsys input` has no recent touch); "
            "phones before Android 11 do not"
        )
    return Landing(target, (place.x, place.y), landed[-1])


def parse_touches(dump: str) -> list[tuple[float, float]]:
    """Where fingers went down lately, in device pixels, oldest first."""
    return [(float(x), float(y)) for x, y in TOUCH.findall(dump)]
