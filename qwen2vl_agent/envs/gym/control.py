"""From a gymnasium action space to functions that an agent can call, and from a call back to the space.

A few named actions become a function each. Everything else becomes one function `act` with an argument for each number,
choice or switch of the space, named and limited as the environment says.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from qwen2vl_agent.envs.gym.words import ENDING_NAMES, Label, distinct, labels, slug
from qwen2vl_agent.schema.errors import ConfigError

MOST_FUNCTIONS = 12
"""Named actions beyond this many are the choices of one function."""
MOST_ARGUMENTS = 64
LONGEST_TEXT = 200
ACT = "act"


@dataclass(frozen=True, slots=True)
class Control:
    """The functions of one environment."""

    tools: tuple[type, ...]
    to_raw: Callable[[Any], Any]
    """What the environment's `step` takes for an action of one of `tools`."""
    from_raw: Callable[[Any], Any]
    """The action that asks for what `step` takes; numbers as near as the functions can say them."""
    noop: Any
    """The action that does nothing; where there is none, the one of number 0."""
    numbers: dict[Any, int] = dataclasses.field(default_factory=dict)
    """Of a `Discrete` space: the number of each function, or of each choice of the one function."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One number, choice or switch of a space."""

    name: str
    hint: Any
    metadata: dict[str, Any]
    decode: Callable[[Any], Any]
    """What the space takes for the argument's value."""
    encode: Callable[[Any], Any]
    """The argument's value for what the space takes."""
    idle: Any
    """The value that does nothing, or the first."""


def control_of(env: Any, levels: int | None = None) -> Control:
    """The functions of an environment.

    Args:
        levels: write numbers between limits as whole numbers from -levels to levels (or 0 to levels), as a small
            model can; None: as they are.

    Raises:
        ConfigError: its action space cannot be called by functions, and why.
    """
    space = env.action_space
    if isinstance(space, spaces.Discrete):
        return _discrete(env, space)
    arguments = _arguments(env, space, levels)
    if not arguments:
        raise ConfigError(f"{_name(env)} has an action without any number or choice")
    if len(arguments) > MOST_ARGUMENTS:
        raise ConfigError(
            f"an action of {_name(env)} has {len(arguments)} numbers; functions take at most {MOST_ARGUMENTS}"
        )
    return call_of(space, ACT, "Act.", arguments)


def call_of(space: spaces.Space[Any], name: str, about: str, arguments: list[Argument]) -> Control:
    """One function with these arguments, in the order of the space's numbers."""
    tool = tool_of(name, about, [(argument.name, argument.hint, argument.metadata) for argument in arguments])

    def to_raw(action: Any) -> Any:
        values = [argument.decode(getattr(action, argument.name)) for argument in arguments]
        return _assembled(space, iter(values))

    def from_raw(raw: Any) -> Any:
        parts = zip(arguments, _flattened(space, raw), strict=True)
        return tool(**{argument.name: argument.encode(value) for argument, value in parts})

    return Control((tool,), to_raw, from_raw, tool(**{argument.name: argument.idle for argument in arguments}))


def tool_of(name: str, about: str, arguments: list[tuple[str, Any, dict[str, Any]]]) -> type:
    """An action class, as those of `schema/actions.py`, made while the program runs."""
    frozen = tuple((argument, hint, tuple(sorted(metadata.items()))) for argument, hint, metadata in arguments)
    return _tool_of(name, about, frozen)


@functools.cache
def _tool_of(name: str, about: str, arguments: tuple[Any, ...]) -> type:
    fields = [(item, hint, dataclasses.field(metadata=dict(metadata))) for item, hint, metadata in arguments]
    class_name = "".join(word.capitalize() for word in name.split("_"))
    tool = dataclasses.make_dataclass(class_name, fields, frozen=True, kw_only=True, slots=True)
    tool.__doc__, tool.__module__ = about, __name__
    return tool


# One of several actions --------------------------------------------------------------------------------------------


def _discrete(env: Any, space: spaces.Discrete) -> Control:
    count, start = int(space.n), int(space.start)
    named = labels(env, count)
    names = [slug(label.name) for label in named or ()]
    if named and all(names) and len(names) == len(set(names)) and count <= MOST_FUNCTIONS:
        return functions(named, names, start)
    if named and len({label.name for label in named}) == count:
        return _choices([label.name for label in named], start)
    metadata = {"description": "which action", "minimum": start, "maximum": start + count - 1}
    tool = tool_of(ACT, "Act.", [("action", int, metadata)])
    numbers = {tool(action=number): number for number in range(start, start + count)}
    return _by_number(numbers, (tool,))


def functions(named: Sequence[Label], names: Sequence[str], start: int = 0) -> Control:
    """A function for each action of a `Discrete` space, in its order."""
    numbers = {}
    for number, (label, name) in enumerate(zip(named, names, strict=True), start):
        about = label.about[:1].upper() + label.about[1:].rstrip(".") + "."
        numbers[tool_of(f"do_{name}" if name in ENDING_NAMES else name, about, [])()] = number
    return _by_number(numbers, tuple(type(action) for action in numbers))


def _choices(names: list[str], start: int) -> Control:
    hint = Literal[tuple(names)]  # type: ignore[valid-type]
    tool = tool_of(ACT, "Act.", [("action", hint, {"description": "which action"})])
    return _by_number({tool(action=name): number for number, name in enumerate(names, start)}, (tool,))


def _by_number(numbers: dict[Any, int], tools: tuple[type, ...]) -> Control:
    actions = {number: action for action, number in numbers.items()}
    idle = next((action for action in numbers if _does_nothing(action)), next(iter(numbers)))
    return Control(tools, lambda action: numbers[action], lambda raw: actions[int(raw)], idle, numbers)


def _does_nothing(action: Any) -> bool:
    said = " ".join([type(action).__name__, *map(str, dataclasses.astuple(action))]).lower().replace("_", "")
    return any(word in said for word in ("noop", "donothing", "apply0", "dontaccelerate", "idle"))


# Numbers, choices and switches ---------------------------------------------------------------------------------------


def _arguments(env: Any, space: spaces.Space[Any], levels: int | None) -> list[Argument]:
    count = len(list(_leaves(space, "")))
    named = labels(env, count)
    names = [slug(label.name) for label in named or ()]
    found = []
    for place, (path, leaf) in enumerate(_leaves(space, "")):
        own = named is not None and len(set(names)) == count and all(names)
        name = names[place] if own else slug(path) or (f"a{place}" if count > 1 else "value")
        told = named[place].about if named is not None and own else path.strip("_") or name
        found.append(leaf(name, told, levels))
    unique = distinct([argument.name for argument in found])
    return [dataclasses.replace(argument, name=name) for argument, name in zip(found, unique, strict=True)]


LeafMaker = Callable[[str, str, int | None], Argument]


def _leaves(space: spaces.Space[Any], path: str) -> Iterator[tuple[str, LeafMaker]]:
    """Each number, choice or switch of a space: where it stands, and what makes its argument."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, f"{path}_{key}")
    elif isinstance(space, spaces.Tuple):
        for place, part in enumerate(space.spaces):
            yield from _leaves(part, f"{path}_part{place}")
    elif isinstance(space, spaces.Discrete):
        yield path, functools.partial(_whole, int(space.start), int(space.start + space.n) - 1)
    elif isinstance(space, spaces.MultiDiscrete):
        start = np.asarray(getattr(space, "start", np.zeros_like(space.nvec))).ravel()
        for place, (low, count) in enumerate(zip(start, space.nvec.ravel(), strict=True)):
            yield f"{path}_a{place}", functools.partial(_whole, int(low), int(low + count) - 1)
    elif isinstance(space, spaces.MultiBinary):
        for place in range(int(np.prod(space.shape))):
            yield f"{path}_a{place}", _switch
    elif isinstance(space, spaces.Text):
        yield path or "_text", functools.partial(_text, space)
    elif isinstance(space, spaces.Box):
        whole = np.issubdtype(space.dtype, np.integer)
        single = space.low.size == 1
        for place, (low, high) in enumerate(zip(space.low.ravel(), space.high.ravel(), strict=True)):
            here = path if single else f"{path}_a{place}"
            if whole:
                yield here, functools.partial(_whole, int(low), int(high))
            else:
                yield here, functools.partial(_number, float(low), float(high))
    else:
        raise ConfigError(f"an action space of the kind {type(space).__name__} cannot be called by functions")


def _whole(low: int, high: int, name: str, told: str, levels: int | None) -> Argument:
    idle = min(max(0, low), high)
    return Argument(name, int, {"description": told, "minimum": low, "maximum": high}, int, int, idle)


def _switch(name: str, told: str, levels: int | None) -> Argument:
    return Argument(name, bool, {"description": told}, int, bool, False)


def _text(space: spaces.Text, name: str, told: str, levels: int | None) -> Argument:
    longest = min(int(space.max_length), LONGEST_TEXT)
    idle = space.characters[0] * int(space.min_length)
    return Argument(name, str, {"description": told, "maxLength": longest}, str, str, idle)


def _number(low: float, high: float, name: str, told: str, levels: int | None) -> Argument:
    bounded = math.isfinite(low) and math.isfinite(high)
    if levels and bounded:
        return quantised(name, told, low, high, levels)
    limits: dict[str, Any] = {"minimum": round(low, 4)} if math.isfinite(low) else {}
    limits |= {"maximum": round(high, 4)} if math.isfinite(high) else {}
    idle = max(0.0, limits.get("minimum", 0.0))
    idle = min(idle, limits.get("maximum", idle))

    def encode(value: Any) -> float:
        rounded = round(float(value), 4)
        return min(max(rounded, limits.get("minimum", rounded)), limits.get("maximum", rounded))

    return Argument(name, float, {"description": told, **limits}, float, encode, float(idle))


def quantised(name: str, told: str, low: float, high: float, levels: int) -> Argument:
    """A number between two limits, as a whole number: `levels` is all of `high`, 0 is nothing, `-levels` all of `low`.

    Worked example, limits -0.5 and 1, 10 levels: 10 -> 1.0; 0 -> 0.0; -5 -> -0.25.
    """
    two_sided = low < 0 < high

    def decode(level: int) -> float:
        if two_sided:
            return level / levels * (high if level > 0 else -low)
        return low + level / levels * (high - low)

    def encode(value: Any) -> int:
        share = value / (high if value > 0 else -low) if two_sided else (value - low) / (high - low)
        return min(max(round(float(share) * levels), -levels if two_sided else 0), levels)

    limits = {"minimum": -levels if two_sided else 0, "maximum": levels}
    return Argument(name, int, {"description": told, **limits}, decode, encode, 0)


def _assembled(space: spaces.Space[Any], values: Iterator[Any]) -> Any:
    """What the space takes, put together from its numbers in their order."""
    if isinstance(space, spaces.Dict):
        return {key: _assembled(part, values) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_assembled(part, values) for part in space.spaces)
    if isinstance(space, spaces.Discrete):
        return space.dtype.type(next(values))
    if isinstance(space, spaces.Text):
        return next(values)
    assert space.shape is not None
    flat = [next(values) for _ in range(int(np.prod(space.shape)))]
    raw = np.asarray(flat, dtype=space.dtype).reshape(space.shape)
    return np.clip(raw, space.low, space.high) if isinstance(space, spaces.Box) else raw


def _flattened(space: spaces.Space[Any], raw: Any) -> list[Any]:
    if isinstance(space, spaces.Dict):
        return [value for key, part in space.spaces.items() for value in _flattened(part, raw[key])]
    if isinstance(space, spaces.Tuple):
        return [value for part, item in zip(space.spaces, raw, strict=True) for value in _flattened(part, item)]
    if isinstance(space, spaces.Discrete | spaces.Text):
        return [raw]
    return list(np.asarray(raw).ravel())


def _name(env: Any) -> str:
    return env.spec.id if getattr(env, "spec", None) else type(env.unwrapped).__name__
