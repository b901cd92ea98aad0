"""A device that is looked at but never touched: for `run --dry-run`."""

import dataclasses
from typing import Any

from qwen2vl_agent.schema.actions import Action
from qwen2vl_agent.schema.geometry import Point
from qwen2vl_agent.schema.tools import tool_name


class Rehearsal:
    """Everything of the device behind it, but what would be sent is only told."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def perform(self, action: Action) -> dict[str, Any]:
        """What would be sent, in device pixels, and that it was not."""
        told: dict[str, Any] = {"action": tool_name(type(action))}
        for item in dataclasses.fields(action):
            value = getattr(action, item.name)
            if isinstance(value, Point):
                place = value.to(self._device.frame)
                value = [place.x, place.y]
            told[item.name] = value
        return {**told, "sent": False}
