"""Pictures of a desktop, by mss."""

import contextlib
import importlib.util
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.desktop.hand import EXTRA_HINT
from qwen2vl_agent.envs.desktop.scaling import see_every_pixel
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost


class Capture:
    """The eye on one display."""

    def __init__(self, display: str = "", monitor: int = 0) -> None:
        """Open it. `monitor` counts from 1; 0 is all of them as one picture.

        Raises:
            ConfigError: the extra is not installed, or there is no such monitor.
            DeviceLost: the display does not answer.
        """
        if importlib.util.find_spec("mss") is None:
            raise ConfigError(EXTRA_HINT)
        see_every_pixel()
        import mss
        from mss.exception import ScreenShotError

        self._failures = (ScreenShotError, OSError, AssertionError)  # mss asserts that the server replies
        self._display = display
        options: dict[str, Any] = {"display": display} if display else {}
        try:
            self._mss: Any = mss.MSS(**options)
            monitors = self._mss.monitors
        except self._failures as error:
            raise DeviceLost(f"the desktop {display} cannot be seen: {error}") from error
        if not 0 <= monitor < len(monitors):
            self.close()
            raise ConfigError(f"there is no monitor {monitor}; there are {len(monitors) - 1}, and 0 is all of them")
        self.area: dict[str, int] = {name: int(monitors[monitor][name]) for name in ("left", "top", "width", "height")}
        """Where the picture lies on the whole desktop, in the pointer's units."""

    def picture(self) -> Image.Image:
        """What is shown now, in RGB; on a macOS screen with scaling it has more pixels than the area has units.

        Raises:
            DeviceLost: the display has ended.
        """
        try:
            shot = self._mss.grab(self.area)
        except self._failures as error:
            raise DeviceLost(f"the desktop {self._display} cannot be seen any more: {error}") from error
        return Image.frombytes("RGB", shot.size, shot.bgra, "raw", "BGRX")

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(*self._failures):
            self._mss.close()
