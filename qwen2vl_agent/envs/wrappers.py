"""Devices around devices, one change each."""

from typing import Any

from PIL import Image

from qwen2vl_agent.schema.actions import Action
from qwen2vl_agent.schema.tools import to_call, tool_name

GREY = (128, 128, 128)


class GreyScreens:
    """A device that shows nothing but grey: what an agent reaches with it, it reaches blindly."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def screenshot(self) -> Image.Image:
        """A grey picture of the screen's size."""
        return Image.new("RGB", self._device.screenshot().size, GREY)

    def film(self) -> None:
        """None: a device's own video would show what is not grey."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)


class DryRun:
    """A device that is looked at but never touched; actions are told as done."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def perform(self, action: Action) -> dict[str, Any]:
        """What would have been sent, in device pixels."""
        return {"action": tool_name(type(action)), "dry_run": True, **to_call(action, self._device.frame).arguments}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)
