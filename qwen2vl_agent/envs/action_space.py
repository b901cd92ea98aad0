"""The gymnasium space of actions: dataclasses of the action set, drawn at random or checked."""

import dataclasses
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args, get_origin

import gymnasium
import numpy as np

from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Point
from qwen2vl_agent.schema.tools import ToolCall, to_action, to_call, tool_name

LETTERS = "abcdefghijklmnopqrstuvwxyz 0123456789"
LONGEST_SAMPLE = 8
LONGEST_WAIT_S = 2.0
TIMES = ("seconds", "duration_s")
"""Arguments that are times."""
LARGEST_SAMPLE = 10
"""Numbers without a limit are drawn up to here."""


class ActionSpace(gymnasium.Space[Any]):
    """Actions of the given classes; points are drawn in the model's frame."""

    def __init__(
        self,
        actions: Sequence[type],
        *,
        app_names: Sequence[str] = (),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        """`app_names` are the names that a drawn `open_app` asks for; random letters where there are none."""
        if not actions:
            raise ValueError("an action space needs at least one kind of action")
        self.actions = tuple(actions)
        self.app_names = tuple(app_names)
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """No: an action is an object, not an array."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """A random action: its kind drawn evenly, then its arguments."""
        if mask is not None or probability is not None:
            raise ValueError("this space has neither masks nor probabilities")
        action = self.actions[int(self.np_random.integers(len(self.actions)))]
        hints = typing.get_type_hints(action)
        values = {item.name: self._value(action, item, hints[item.name]) for item in dataclasses.fields(action)}
        return action(**values)

    def _value(self, action: type, item: dataclasses.Field[Any], hint: Any) -> Any:
        if hint is Point:
            x, y = self.np_random.integers(0, (MODEL_FRAME.width, MODEL_FRAME.height))
            return Point(int(x), int(y), MODEL_FRAME)
        if get_origin(hint) is Literal:
            options = get_args(hint)
            return options[int(self.np_random.integers(len(options)))]
        if hint is bool:
            return bool(self.np_random.integers(2))
        if hint is float:
            return self._number(item)
        if hint is int:
            low, high = item.metadata.get("minimum", -LARGEST_SAMPLE), item.metadata.get("maximum", LARGEST_SAMPLE)
            return int(self.np_random.integers(max(low, -(2**62)), min(high, 2**62), endpoint=True))
        assert hint is str, hint
        if tool_name(action) == "open_app" and self.app_names:
            return self.app_names[int(self.np_random.integers(len(self.app_names)))]
        length = int(self.np_random.integers(1, LONGEST_SAMPLE + 1))
        return "".join(LETTERS[int(index)] for index in self.np_random.integers(0, len(LETTERS), length))

    def _number(self, item: dataclasses.Field[Any]) -> float:
        """Evenly drawn within its limits; a time is kept short, and what has no limit near 0."""
        low = float(item.metadata.get("minimum", -LARGEST_SAMPLE))
        high = float(item.metadata.get("maximum", LARGEST_SAMPLE))
        if item.name in TIMES:
            low, high = max(low, 0.0), min(high, LONGEST_WAIT_S)
        value = round(float(self.np_random.uniform(low, high)), 2 if high - low > 1 else 4)
        return min(max(value, low), high)

    def contains(self, x: Any) -> bool:
        """Whether `x` is an action of this set whose arguments are all within their limits."""
        if type(x) not in self.actions:
            return False
        hints = typing.get_type_hints(type(x))
        points = [getattr(x, name) for name, hint in hints.items() if hint is Point]
        if not all(isinstance(point, Point) and point.inside for point in points):
            return False
        try:
            to_action(to_call(x), self.actions)
        except ToolCallError:
            return False
        return True

    def to_jsonable(self, sample_n: Iterable[Any]) -> list[Any]:
        """Calls as JSON objects."""
        return [dataclasses.asdict(to_call(action)) for action in sample_n]

    def from_jsonable(self, sample_n: list[Any]) -> list[Any]:
        """The actions that `to_jsonable` wrote."""
        return [to_action(ToolCall(item["name"], item["arguments"]), self.actions) for item in sample_n]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActionSpace) and self.actions == other.actions

    def __hash__(self) -> int:
        return hash(self.actions)

    def __repr__(self) -> str:
        return f"ActionSpace({', '.join(tool_name(action) for action in self.actions)})"
