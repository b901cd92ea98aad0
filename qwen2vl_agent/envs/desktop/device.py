"""A desktop as a device: pixels out, mouse and keyboard in."""

import contextlib
import sys
import time
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.desktop.capture import Capture
from qwen2vl_agent.envs.desktop.hand import Hand
from qwen2vl_agent.envs.desktop.keys import chord, key
from qwen2vl_agent.envs.desktop.session import display_to_use, stale_xlib
from qwen2vl_agent.envs.desktop.virtual import VirtualDesktop
from qwen2vl_agent.schema.actions import (
    Action,
    Click,
    Drag,
    Hotkey,
    KeyDown,
    KeyUp,
    Move,
    Scroll,
    TypeText,
    Wait,
)
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import tool_name

SIZE = (1280, 800)
"""Of a virtual desktop, in pixels."""
EMPTY_WITHIN_S = 3.0
"""How long a new episode waits for the windows of ended applications; what stays longer was opened by somebody else."""
NOTICED_WITHIN_S = 60.0
"""How long it waits for the window manager of a busy machine to notice that a window is gone."""


class DesktopDevice:
    """The user's own desktop, another X display, or a virtual desktop that ends with the device.

    On the user's own the fail-safe is on: while the user keeps the pointer in a corner of the screen, nothing is sent.
    The agent itself is kept out of the corners, so that it does not stop itself.
    """

    name = "desktop"
    still = False
    timed = True

    def __init__(
        self,
        *,
        virtual: bool = False,
        display: str = "",
        size: tuple[int, int] = SIZE,
        monitor: int = 0,
    ) -> None:
        """Open it.

        Args:
            virtual: a desktop of its own, `size` pixels large; nothing of the user's is touched.
            display: an X display such as `:1`; that of the environment if left out.
            monitor: counts from 1; 0 is all of them as one picture.

        Raises:
            ConfigError: there is no desktop that a program may operate, or something is not installed.
            DeviceLost: it does not answer.
        """
        if (hint := stale_xlib()) and sys.platform == "linux":
            raise ConfigError(hint)
        self.virtual = VirtualDesktop(size) if virtual else None
        self.acted = 0
        """Actions since the episode began."""
        self._held: list[str] = []
        self._hand: Hand | None = None
        self._capture: Capture | None = None
        try:
            self.display = self.virtual.display if self.virtual else display_to_use(display)
            self._capture = Capture(self.display, monitor)
            self._hand = Hand(self.display, fail_safe=not virtual)
        except BaseException:
            self.close()
            raise

    @property
    def hand(self) -> Hand:
        """Mouse and keyboard."""
        if self._hand is None:
            raise DeviceLost("the desktop is closed")
        return self._hand

    @property
    def frame(self) -> Frame:
        """The monitor in the pointer's units."""
        return Frame("device", self._area["width"], self._area["height"])

    def screenshot(self) -> Image.Image:
        """See `Device`."""
        if self._capture is None:
            raise DeviceLost("the desktop is closed")
        return self._capture.picture()

    def perform(self, action: Action) -> dict[str, Any]:
        """See `Device`; points are told as they were sent, on the monitor."""
        sent: dict[str, Any] = {"action": tool_name(type(action))}
        self._do(action, sent)
        self.acted += 1
        return sent

    def elements(self) -> list[Element]:
        """See `Device`: the windows on the screen, bottom to top."""
        width, height = self.frame.width, self.frame.height
        found = []
        for window in self.hand.windows():
            if not window["shown"]:
                continue
            left, top = (
                max(0, window["bounds"][0] - self._area["left"]),
                max(0, window["bounds"][1] - self._area["top"]),
            )
            right = min(width, window["bounds"][2] - self._area["left"])
            bottom = min(height, window["bounds"][3] - self._area["top"])
            if left < right and top < bottom:
                bounds = (left, top, right, bottom)
                found.append(Element(window["title"], "list", bounds, window["class"], focused=window["active"]))
        return found

    def begin(self) -> None:
        """A new episode: no key is held, and a virtual desktop is empty."""
        self._let_go()
        if self.virtual:
            self.virtual.clear()
            self._wait_until_empty()
        self.acted = 0

    def _wait_until_empty(self) -> None:
        """Windows outlive their applications for a moment, and stay in the window manager's list for another.

        The next window may have the same title, and gets the same id; a window manager that has not seen the first one
        go takes the second for it, and gives it no focus.
        """
        start = time.monotonic()
        while self.hand.listed():
            waited_s = time.monotonic() - start
            if waited_s > EMPTY_WITHIN_S and self.hand.windows():
                return
            if waited_s > NOTICED_WITHIN_S:
                raise DeviceLost(f"the window manager of the desktop {self.display} has ended, or hangs; start another")
            time.sleep(0.02)

    def close(self) -> None:
        """Let go of the keys and of the desktop; a virtual one ends. A second time does nothing."""
        if self._hand is not None:
            with contextlib.suppress(DeviceLost, ActionRejected):
                self._let_go()
            self._hand.close()
            self._hand = None
        if self._capture is not None:
            self._capture.close()
            self._capture = None
        if self.virtual:
            self.virtual.close()

    @property
    def _area(self) -> dict[str, int]:
        if self._capture is None:
            raise DeviceLost("the desktop is closed")
        return self._capture.area

    def _do(self, action: Action, sent: dict[str, Any]) -> None:
        hand = self.hand
        match action:
            case Click(point=point, button=button, count=count, modifiers=modifiers):
                held = chord(modifiers) if modifiers else []
                x, y = self._at(point, sent, "point")
                hand.do("click", x=x, y=y, button=button, count=count, held=held)
                sent |= {"button": button, "count": count, "modifiers": modifiers}
            case Move(point=point):
                x, y = self._at(point, sent, "point")
                hand.do("move", x=x, y=y)
            case Drag(start=start, end=end):
                (x1, y1), (x2, y2) = self._at(start, sent, "start"), self._at(end, sent, "end")
                hand.do("drag", x1=x1, y1=y1, x2=x2, y2=y2)
            case Scroll(point=point, dx=dx, dy=dy):
                x, y = self._at(point, sent, "point")
                hand.do("scroll", x=x, y=y, dx=dx, dy=dy)
                sent |= {"dx": dx, "dy": dy}
            case TypeText(text=text, clear_first=clear_first):
                way = hand.do("type", text=text, clear_first=clear_first)
                sent |= {"text": text, "clear_first": clear_first, "by": way}
            case Hotkey(keys=keys):
                hand.do("press", keys=chord(keys))
                sent["keys"] = keys
            case KeyDown(key=name):
                hand.do("key_down", key=key(name))
                self._held.append(key(name))
                sent["key"] = name
            case KeyUp(key=name):
                hand.do("key_up", key=key(name))
                self._held = [held for held in self._held if held != key(name)]
                sent["key"] = name
            case Wait(seconds=seconds):
                time.sleep(seconds)
                sent["seconds"] = seconds
            case _:
                raise ActionRejected(f"a desktop cannot {tool_name(type(action))}")

    def _at(self, point: Point, sent: dict[str, Any], name: str) -> tuple[int, int]:
        """Where on the whole desktop a point is; where on the monitor goes into `sent`."""
        cell = point.to(self.frame)
        left, top = self._area["left"], self._area["top"]
        x, y = out_of_corners(cell.x + left, cell.y + top, self.hand.desktop_size)
        sent[name] = [x - left, y - top]
        return x, y

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for name in reversed(held):
            self.hand.do("key_up", key=name)


def out_of_corners(x: int, y: int, size: tuple[int, int]) -> tuple[int, int]:
    """The pixel beside a corner in place of the corner, where the fail-safe would stop everything.

    Worked example, 1280x800: (0, 0) -> (1, 1); (1279, 799) -> (1278, 798); (0, 400) stays.
    """
    corner = x in (0, size[0] - 1) and y in (0, size[1] - 1)
    if not corner:
        return x, y
    return min(max(x, 1), size[0] - 2), min(max(y, 1), size[1] - 2)
