"""A phone's screen as video for a model, from the stream that the phone itself encodes."""

from collections.abc import Sequence
from typing import Any

from qwen2vl_agent.envs.clips import FPS, Taken
from qwen2vl_agent.envs.live_screen import LiveScreen


class PhoneVideo:
    """What a phone showed lately: a `Film`.

    Phones send no frame while nothing changes, several in a burst, and late ones.
    """

    def __init__(self, device: Any, *, keep_s: float = 16.0, fps: float = FPS) -> None:
        """Record an `AndroidDevice` from now on, with a memory of `keep_s` seconds of change.

        Frames are remembered at four times the rate, so that the one before a tick is seldom older than a quarter.

        Raises:
            DeviceLost: the phone records no video.
        """
        spacing_s = 1 / (4 * fps)
        self._live: LiveScreen = device.capture.keep_frames(max(2, round(keep_s / spacing_s)), spacing_s)
        self._live.newest()

    def frames(self, since: float) -> Sequence[Taken]:
        """Those that arrived after `since` by `time.monotonic()`, the one before them, and the newest of all.

        Raises:
            DeviceLost: the phone's video has ended.
        """
        frames, newest = self._live.recent(since), self._live.newest()
        return frames if frames and newest.number <= frames[-1].number else [*frames, newest]

    def close(self) -> None:
        """End the recording."""
        self._live.close()
