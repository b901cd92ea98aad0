"""From actions to Chromium's mouse and keyboard."""

import asyncio
from typing import Any

from qwen2vl_agent.envs.browser.keys import chord, key
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
from qwen2vl_agent.schema.errors import ActionRejected
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.tools import tool_name

DRAG_STEPS = 12
"""Places that a drag passes on its way; a page that follows the pointer needs some."""
NOTCH_PX = 100
"""CSS pixels that a page moves by one notch of the wheel, as in Chromium."""


class Hands:
    """The mouse and the keyboard over one page."""

    def __init__(self, page: Any, frame: Frame, scale: float) -> None:
        """`frame` counts the device pixels of the screenshot, `scale` of them to a CSS pixel."""
        self._page, self._frame, self._scale = page, frame, scale

    async def do(self, action: Action, sent: dict[str, Any]) -> None:
        """Do `action`, and write what was sent into `sent`, in device pixels.

        Raises:
            ActionRejected: a browser has no such action, or there is no such key.
        """
        mouse, keyboard = self._page.mouse, self._page.keyboard
        match action:
            case Click():
                await self._click(action, sent)
            case Move(point=point):
                await mouse.move(*self._at(point, sent, "point"))
            case Drag(start=start, end=end):
                begin, stop = self._at(start, sent, "start"), self._at(end, sent, "end")
                await mouse.move(*begin)
                await mouse.down()
                await mouse.move(*stop, steps=DRAG_STEPS)
                await mouse.up()
            case Scroll(point=point, dx=dx, dy=dy):
                await mouse.move(*self._at(point, sent, "point"))
                sent |= {"dx": dx, "dy": dy}
                await mouse.wheel(dx * NOTCH_PX, dy * NOTCH_PX)
            case TypeText(text=text, clear_first=clear_first):
                sent |= {"text": text, "clear_first": clear_first}
                if clear_first:
                    await self._press(["Control", "a"])
                    await keyboard.press("Delete")
                await keyboard.type(text)
            case Hotkey(keys=keys):
                sent["keys"] = keys
                await self._press(chord(keys))
            case KeyDown(key=name):
                sent["key"] = name
                await keyboard.down(key(name))
            case KeyUp(key=name):
                sent["key"] = name
                await keyboard.up(key(name))
            case Wait(seconds=seconds):
                sent["seconds"] = seconds
                await asyncio.sleep(seconds)
            case _:
                raise ActionRejected(f"a browser cannot {tool_name(type(action))}")

    async def _click(self, action: Click, sent: dict[str, Any]) -> None:
        held = chord(action.modifiers) if action.modifiers else []
        x, y = self._at(action.point, sent, "point")
        sent |= {"button": action.button, "count": action.count, "modifiers": action.modifiers}
        for name in held:
            await self._page.keyboard.down(name)
        try:
            await self._page.mouse.click(x, y, button=action.button, click_count=action.count)
        finally:
            for name in reversed(held):
                await self._page.keyboard.up(name)

    async def _press(self, names: list[str]) -> None:
        await self._page.keyboard.press("+".join(names))

    def _at(self, point: Point, sent: dict[str, Any], name: str) -> tuple[float, float]:
        """The middle of a point's cell in CSS pixels; the cell in device pixels goes into `sent`."""
        cell = point.to(self._frame)
        sent[name] = [cell.x, cell.y]
        return (cell.x + 0.5) / self._scale, (cell.y + 0.5) / self._scale
