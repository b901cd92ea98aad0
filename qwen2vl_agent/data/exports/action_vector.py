"""Calls as vectors of numbers, for formats that know robots: which function, and its numeric arguments."""

from collections.abc import Sequence
from typing import Any

from qwen2vl_agent.schema.tools import ToolCall, ToolSpec

FUNCTION = "function"
NO_CALL = -1.0
"""In the first place where no call could be read."""
NUMBERS = ("integer", "number", "boolean")


class ActionVector:
    """The vector's places for a set of tools: `function`, then each numeric argument of any tool, points as x and y.

    Worked example. With the tools tap(point) and wait(seconds) the names are `function, point.x, point.y, seconds`; a
    tap at [348, 291] is [0, 348, 291, 0], a wait of 2 s is [1, 0, 0, 2].
    """

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self.functions = tuple(tool.name for tool in tools)
        arguments = {
            place: None
            for tool in tools
            for name, schema in tool.parameters["properties"].items()
            for place in _places(name, schema)
        }
        self.names = (FUNCTION, *arguments)

    def encode(self, call: ToolCall | None) -> list[float]:
        """The vector of a call; arguments that are left out, or are text, are 0."""
        values = dict.fromkeys(self.names, 0.0)
        if call is None or call.name not in self.functions:
            return [NO_CALL, *[0.0] * (len(self.names) - 1)]
        values[FUNCTION] = float(self.functions.index(call.name))
        for name, value in call.arguments.items():
            values.update(_numbers(name, value))
        return [values[name] for name in self.names]


def _places(name: str, schema: dict[str, Any]) -> tuple[str, ...]:
    if schema.get("type") == "array":
        return f"{name}.x", f"{name}.y"
    return (name,) if schema.get("type") in NUMBERS else ()


def _numbers(name: str, value: Any) -> dict[str, float]:
    if isinstance(value, list | tuple) and len(value) == 2:
        return {f"{name}.x": float(value[0]), f"{name}.y": float(value[1])}
    return {name: float(value)} if isinstance(value, int | float) else {}
