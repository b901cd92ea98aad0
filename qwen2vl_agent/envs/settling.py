"""Looking at a screen until it stands still, and telling when there is nothing to see."""

import time
from dataclasses import dataclass

from PIL import Image, ImageChops

from qwen2vl_agent.envs.device import Device

REDUCTION = 8
"""Frames are compared this many times smaller: noise and cursors vanish, text does not."""
DIFFERENT_LEVEL = 12
"""Grey levels by which a pixel must change to count."""
DIFFERENT_SHARE = 0.003
"""Share of changed pixels under which two frames agree: a clock's digit may tick."""
BLACK_LEVEL = 10
"""A frame whose brightest pixel is darker shows nothing."""

BLACK_TEXT = "The screen is black: it is off, or the app does not let itself be captured. Nothing on it can be seen."
"""What an agent is told of a black screen where nothing more is known."""


@dataclass(frozen=True, slots=True)
class Look:
    """A screenshot, and what it took."""

    image: Image.Image
    capture_s: float
    """Time of the last capture."""
    settle_s: float
    """Time until the screen stood still, captures included."""
    black: bool


def look(device: Device, *, interval_s: float, limit_s: float, may_settle: bool) -> Look:
    """The screen once two successive frames agree, or the time is up; at once where nothing moves by itself.

    Looks begin `interval_s` apart, or as soon as the one before is there. A black frame is taken once more, as phones
    give one in the middle of a change.
    """
    begin = time.perf_counter()
    image, capture_s = _capture(device)
    black = is_black(image)
    while (may_settle and not device.still) or black:
        if time.perf_counter() - begin > limit_s:
            break
        if not device.still:
            time.sleep(max(0.0, interval_s - capture_s))
        following, capture_s = _capture(device)
        settled = agree(image, following)
        image, black = following, is_black(following)
        if settled:
            break
    return Look(image, capture_s, time.perf_counter() - begin, black)


def _capture(device: Device) -> tuple[Image.Image, float]:
    begin = time.perf_counter()
    image = device.screenshot()
    return image, time.perf_counter() - begin


def agree(one: Image.Image, other: Image.Image) -> bool:
    """Whether two frames show the same, but for a clock's tick."""
    if one is other:
        return True
    if one.size != other.size:
        return False
    difference = ImageChops.difference(_small(one), _small(other))
    changed = sum(difference.histogram()[DIFFERENT_LEVEL:])
    return changed <= DIFFERENT_SHARE * difference.width * difference.height


def is_black(image: Image.Image) -> bool:
    """Whether nothing can be seen: an off or protected screen, or a failed capture."""
    _, brightest = _small(image).getextrema()
    return bool(brightest <= BLACK_LEVEL)  # type: ignore[operator]


def _small(image: Image.Image) -> Image.Image:
    return image.reduce(REDUCTION).convert("L")
