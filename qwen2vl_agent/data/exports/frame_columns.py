"""A step as numbers, for formats that know robots: a robot's own command and measurements, or a call's parts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from qwen2vl_agent.data.exports.action_vector import ActionVector
from qwen2vl_agent.dialogue.recorded import recorded_tools
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import ToolSpec
from qwen2vl_agent.schema.trajectory import Step, Trajectory

STEPS_PER_SECOND = Fraction(1)
"""Of screens, whose steps take as long as they take."""
SLOWEST, FASTEST = Fraction(1, 1_000), 1_000
"""Steps a second that a robot's record may tell; others are damage."""


class FrameColumns(Protocol):
    """The numbers of each frame."""

    @property
    def robot_type(self) -> str:
        """As `info.json` tells it."""
        ...

    @property
    def fps(self) -> Fraction:
        """Frames a second."""
        ...

    @property
    def action_names(self) -> tuple[str, ...]:
        """Of what was done."""
        ...

    @property
    def state_names(self) -> tuple[str, ...]:
        """Of what the environment measured; empty where there is no such column."""
        ...

    @property
    def notes(self) -> dict[str, Any]:
        """What `info.json` tells beside."""
        ...

    def kept(self, steps: Sequence[Step]) -> list[Step]:
        """The steps that are frames."""
        ...

    def action(self, step: Step) -> list[float]:
        """A number for each of `action_names`."""
        ...

    def state(self, step: Step) -> list[float]:
        """A number for each of `state_names`."""
        ...


def columns_of(trajectories: Sequence[Trajectory]) -> FrameColumns:
    """A robot's where all episodes are those of one: equal commands, rates and measurements; else those of calls.

    Raises:
        RecordError: no episode has a step.
    """
    if not any(trajectory.steps for trajectory in trajectories):
        raise RecordError("no episode has a step to be a frame")
    tools = {tool.name: tool for trajectory in trajectories for tool in recorded_tools(trajectory.header)}
    return _robot(trajectories, list(tools.values())) or CallColumns(list(tools.values()))


class CallColumns:
    """Calls of functions on a screen."""

    robot_type, fps = "screen", STEPS_PER_SECOND
    state_names: tuple[str, ...] = ()

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._vector = ActionVector(tools)
        self.action_names = self._vector.names
        self.notes = {"functions": list(self._vector.functions)}

    def kept(self, steps: Sequence[Step]) -> list[Step]:
        """All of them."""
        return list(steps)

    def action(self, step: Step) -> list[float]:
        """See `ActionVector`."""
        return self._vector.encode(step.call)

    def state(self, step: Step) -> list[float]:
        """Nothing."""
        return []


@dataclass(frozen=True, slots=True)
class RobotColumns:
    """What was really sent to a robot, and what it measured before."""

    robot_type: str
    fps: Fraction
    action_names: tuple[str, ...]
    state_names: tuple[str, ...]
    notes: dict[str, Any]

    def kept(self, steps: Sequence[Step]) -> list[Step]:
        """Those at which something was sent: with a call that was refused no time passes."""
        return [step for step in steps if _sent(step) is not None]

    def action(self, step: Step) -> list[float]:
        """As the environment took it: in its own units, not the call's whole numbers."""
        return _sent(step) or []

    def state(self, step: Step) -> list[float]:
        """All that was measured, one part after the other."""
        return [value for values in step.numbers.values() for value in values] if self.state_names else []


def _robot(trajectories: Sequence[Trajectory], tools: Sequence[ToolSpec]) -> RobotColumns | None:
    steps = [step for trajectory in trajectories for step in trajectory.steps if _sent(step) is not None]
    if any(step.performed is not None and _sent(step) is None for made in trajectories for step in made.steps):
        return None
    rates = {rate for made in trajectories for rate in _rates(made)}
    lengths = {len(_sent(step) or ()) for step in steps}
    if len(rates) != 1 or len(lengths) != 1 or not SLOWEST <= min(rates) <= FASTEST:
        return None
    measured = {tuple(_names(step.numbers)) for step in steps}
    devices = sorted({trajectory.header.device for trajectory in trajectories})
    (fps,), (length,) = rates, lengths
    return RobotColumns(
        robot_type=" ".join(devices),
        fps=fps,
        action_names=_argument_names(tools, length),
        state_names=measured.pop() if len(measured) == 1 else (),
        notes={},
    )


def _argument_names(tools: Sequence[ToolSpec], length: int) -> tuple[str, ...]:
    """Those of the one function, in the order of what is sent; numbered where they are others."""
    names = tuple(tools[0].parameters.get("properties", {})) if len(tools) == 1 else ()
    return names if len(names) == length else tuple(f"a{place}" for place in range(length))


def _sent(step: Step) -> list[float] | None:
    """The numbers that were sent, one after the other; None where there are none, or one choice only."""
    raw = (step.performed or {}).get("sent")
    values = list(_flat(raw)) if isinstance(raw, list | dict) else []
    return values if values and all(isinstance(value, int | float) for value in values) else None


def _flat(raw: Any) -> Iterator[Any]:
    if isinstance(raw, dict | list):
        for part in raw.values() if isinstance(raw, dict) else raw:
            yield from _flat(part)
    else:
        yield raw


def _rates(trajectory: Trajectory) -> set[Fraction]:
    """Steps a second of the robot's own time. The last is not asked: it may be shorter."""
    told = [(step.performed or {}).get("lasted_s") for step in trajectory.steps]
    lasted = [time for time in told if isinstance(time, int | float) and math.isfinite(time) and time > 0]
    return {(1 / Fraction(time)).limit_denominator(100) for time in lasted[:-1] or lasted}


def _names(numbers: dict[str, list[float]]) -> Iterator[str]:
    for name, values in numbers.items():
        yield from ([name] if len(values) == 1 else [f"{name}.{place}" for place in range(len(values))])
