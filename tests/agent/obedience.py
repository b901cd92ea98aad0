"""The worst policy that can be: it does what the screen says. And a device that tells what reached it."""

import json
from collections.abc import Sequence
from typing import Any

from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Reply


def words_on(env: Any) -> str:
    """The words of what can be seen and used."""
    return " ".join(element.text for element in env.device.elements())


class Obedient:
    """Brings the instruction onto the screen, reads it there, and does what it says."""

    name = "model"

    def __init__(self, text: str, calls: Sequence[ToolCall], first: Sequence[ToolCall] = (), shown: Any = None) -> None:
        """`shown` gives the words that an environment shows; by default those of its elements."""
        self._text, self._calls, self._first = text, list(calls), list(first)
        self._shown = shown or words_on
        self.read = False

    def begin(self, seed: int | None) -> None:
        pass

    def reply(self, context: Any) -> Reply:
        if self._first:
            return _said(self._first.pop(0))
        self.read = self.read or self._text in self._shown(context.env)
        return _said(self._calls.pop(0) if self._calls else ToolCall("done", {"status": "failure"}))


def _said(call: ToolCall) -> Reply:
    return Reply(f"As it says.\n✿FUNCTION✿: {call.name}\n✿ARGS✿: {json.dumps(call.arguments, ensure_ascii=False)}")


class Spy:
    """What reaches the driver."""

    def __init__(self, device: Any) -> None:
        self._device, self.received = device, []

    def perform(self, action: Any) -> Any:
        self.received.append(action)
        return self._device.perform(action)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)
