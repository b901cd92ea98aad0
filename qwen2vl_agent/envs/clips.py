"""Video for a model out of frames that come as they come: dropped, late, repeated, several in a burst.

What is given has one frame for each tick of a steady rate, the newest that had been taken by then, and ends with the
present screen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from qwen2vl_agent.schema.observation import Clip

FPS = 2.0
"""Frames a second that the model was trained to see. Source: Qwen2-VL technical report §2.1."""
MOST_FRAMES = 16
"""Of a clip: at 2 frames a second the last eight seconds."""
MOST_PIXELS = 768 * 28 * 28
"""Of a frame, which is kept no larger than a model sees it. Source: `model/video_processor.py`."""


class Taken(Protocol):
    """A frame and when it was taken."""

    @property
    def image(self) -> Image.Image:
        """In RGB."""
        ...

    @property
    def arrived(self) -> float:
        """In seconds, by a steady clock."""
        ...


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture and when it was taken, in seconds by a steady clock."""

    image: Image.Image
    arrived: float


def sample(times: Sequence[float], start: float, end: float, fps: float = FPS) -> list[int]:
    """Which frame is shown at each tick from `start` to `end`: the last to have arrived, or the first of all.

    Worked example, frames arrived at 0.0, 0.2, 0.3 and 1.4, two ticks a second from 0 to 1.5:
    ticks 0.0, 0.5, 1.0, 1.5 show frames 0, 2, 2, 3. Frame 1 is dropped, frame 2 repeated once.

    Times out of order (frames handed over late) are taken in order of arrival.

    Raises:
        ValueError: no frames, or a rate that is not positive.
    """
    if not times or fps <= 0:
        raise ValueError(f"a clip needs frames and a positive rate, got {len(times)} frames at {fps} a second")
    order = sorted(range(len(times)), key=lambda index: times[index])
    ticks = max(1, int((end - start) * fps + 1e-6) + 1)
    shown, at = [], 0
    for tick in range(ticks):
        now = start + tick / fps
        while at + 1 < len(order) and times[order[at + 1]] <= now + 1e-9:
            at += 1
        shown.append(order[at])
    return shown


def make_clip(frames: Sequence[Taken], start: float, end: float, fps: float = FPS, alone: bool = False) -> Clip:
    """The frames of `start` to `end` at a steady rate whose last tick is `end`; at most `MOST_FRAMES` of them.

    The first tick is not after `start`, unless that is too long ago: what was shown then is seen too. Of a screen that
    was turned only what came after is shown. At most one picture is made of each frame.

    Raises:
        ValueError: no frames, or a rate that is not positive.
    """
    ticks = min(MOST_FRAMES - 1, max(1, math.ceil((end - start) * fps - 1e-6)))
    first = end - ticks / fps
    picked = sample([frame.arrived for frame in frames], first, end, fps)
    made = {index: frames[index].image for index in dict.fromkeys(picked)}
    size = shrunk_size(*made[picked[-1]].size)
    alike = [index for index in picked if (made[index].width > made[index].height) == (size[0] > size[1])]
    within = {index for index, frame in enumerate(frames) if first < frame.arrived <= end}
    small = {index: made[index].resize(size) if made[index].size != size else made[index] for index in set(alike)}
    return Clip(
        frames=tuple(small[index] for index in alike),
        taken_s=tuple(round(min(0.0, frames[index].arrived - end), 3) for index in alike),
        fps=fps,
        alone=alone,
        dropped=len(within - set(alike)),
    )


def stepped_clip(images: Sequence[Image.Image], fps: float, alone: bool = False) -> Clip:
    """The pictures of every step of an environment's own time, `fps` of them a second; of many, every second or so.

    The last is always there: of 40 pictures every third is shown, numbers 0, 3 … 36, 39.
    """
    last, stride = len(images) - 1, math.ceil(len(images) / MOST_FRAMES)
    shown = range(last % stride, last + 1, stride)
    size = shrunk_size(*images[last].size)
    return Clip(
        frames=tuple(images[index] if images[index].size == size else images[index].resize(size) for index in shown),
        taken_s=tuple(round((index - last) / fps, 3) for index in shown),
        fps=fps / stride,
        alone=alone,
        dropped=len(images) - len(shown),
    )


def shrunk_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of at most `MOST_PIXELS`, in the same proportion."""
    share = min(1.0, math.sqrt(MOST_PIXELS / (width * height)))
    return max(1, int(width * share)), max(1, int(height * share))
