"""A phone's screen as video for a model: frames at a steady rate by their times, and clips around an action.

How they enter a dialogue is decided elsewhere. Phones send no frame while nothing changes, several in a burst, and late
ones; what is given here has one frame for each tick: the newest that had arrived by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.live_screen import LiveScreen, TimedFrame

FPS = 2.0
"""Frames a second that the model was trained to see. Source: Qwen2-VL technical report §2.1."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames at a steady rate, as a `VideoPart` takes them."""

    frames: tuple[Image.Image, ...]
    fps: float
    started: float
    """When the first tick was, by this machine's monotonic clock."""
    repeated: int
    """Ticks at which nothing new had arrived: the frame before is shown again."""
    dropped: int
    """Frames that arrived and are not shown, since a newer one came before the next tick."""


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


def make_clip(frames: Sequence[TimedFrame], start: float, end: float, fps: float = FPS) -> Clip:
    """The frames of `start` to `end` at a steady rate; at most one picture is made of each."""
    picked = sample([frame.arrived for frame in frames], start, end, fps)
    used = set(picked)
    within = {index for index, frame in enumerate(frames) if start <= frame.arrived <= end}
    return Clip(
        frames=tuple(frames[index].image for index in picked),
        fps=fps,
        started=start,
        repeated=len(picked) - len(used),
        dropped=len(within - used),
    )


class PhoneVideo:
    """What a phone showed lately."""

    def __init__(self, device: Any, *, keep_s: float = 16.0, fps: float = FPS) -> None:
        """Record an `AndroidDevice` from now on, with a memory of `keep_s` seconds of change.

        Frames are remembered at four times the rate, so that the one before a tick is seldom older than a quarter.

        Raises:
            DeviceLost: the phone records no video.
        """
        self.fps = fps
        spacing_s = 1 / (4 * fps)
        self._live: LiveScreen = device.capture.keep_frames(max(2, round(keep_s / spacing_s)), spacing_s)
        self._live.newest()

    def clip(self, start: float, end: float) -> Clip:
        """What was shown between two times of `time.monotonic()`, for example from an action to the next look."""
        frames = self._live.recent(start) or [self._live.newest()]
        newest = self._live.newest()
        if newest.number > frames[-1].number:
            frames.append(newest)
        return make_clip([_even(frame, frames[0]) for frame in frames], start, end, self.fps)


def _even(frame: TimedFrame, like: TimedFrame) -> TimedFrame:
    """The frame at the size of another: the newest is there in full, the remembered ones at half the size."""
    if (frame.frame.width, frame.frame.height) == (like.frame.width, like.frame.height):
        return frame
    small = frame.frame.reformat(like.frame.width, like.frame.height)
    return TimedFrame(small, frame.arrived, frame.number)
