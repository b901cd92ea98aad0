"""Tools: the view of an action class that a model reads, and the way from its unvalidated call to an action."""

import dataclasses
import math
import re
import typing
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Any, Literal, get_args, get_origin

from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import MODEL_FRAME, MODEL_GRID, Frame, Point

POINT_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": MODEL_GRID - 1},
    "minItems": 2,
    "maxItems": 2,
}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asked for, unvalidated. Arguments are JSON values."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that the model may call."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments object."""


def tool_name(action_class: type) -> str:
    """`PressKey` -> `press_key`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", action_class.__name__).lower()


@cache
def tool_spec(action_class: type) -> ToolSpec:
    """The tool that an action class defines."""
    properties, required = {}, []
    hints = typing.get_type_hints(action_class)
    for item in dataclasses.fields(action_class):
        properties[item.name] = {**_type_schema(hints[item.name]), **item.metadata}
        if item.default is MISSING and item.default_factory is MISSING:
            required.append(item.name)
    parameters = {"type": "object", "properties": properties, "required": required}
    return ToolSpec(tool_name(action_class), (action_class.__doc__ or "").split("\n")[0], parameters)


def narrowed(tool: ToolSpec, argument: str, options: typing.Sequence[str]) -> ToolSpec:
    """The tool with one text argument limited to what exists now."""
    properties = tool.parameters["properties"]
    kept = {name: value for name, value in properties[argument].items() if name not in ("minLength", "maxLength")}
    changed = {**properties, argument: {**kept, "enum": list(options)}}
    return dataclasses.replace(tool, parameters={**tool.parameters, "properties": changed})


def to_action(call: ToolCall, actions: typing.Iterable[type], frame: Frame = MODEL_FRAME) -> Any:
    """The validated action that `call` asks for; its points lie in `frame`.

    Raises:
        ToolCallError: unknown tool, missing or unknown argument, wrong type or value. The text is for the model.
    """
    by_name = {tool_name(action): action for action in actions}
    if call.name not in by_name:
        raise ToolCallError(f"unknown function {call.name!r}; expected one of {', '.join(by_name)}")
    action_class = by_name[call.name]
    hints = typing.get_type_hints(action_class)
    spec = tool_spec(action_class)
    unknown = sorted(set(call.arguments) - set(hints))
    if unknown:
        raise ToolCallError(f"{call.name} has no argument {unknown[0]!r}; it takes {', '.join(hints) or 'none'}")
    missing = [name for name in spec.parameters["required"] if name not in call.arguments]
    if missing:
        raise ToolCallError(f"{call.name} needs the argument {missing[0]!r}")
    values = {}
    for name, value in call.arguments.items():
        where = f"{call.name}.{name}"
        values[name] = _convert(value, hints[name], frame, where)
        _check_limits(values[name], spec.parameters["properties"][name], where)
    return action_class(**values)


def to_call(action: Any, frame: Frame = MODEL_FRAME) -> ToolCall:
    """The call that asks for `action`, points written in `frame`, arguments at their defaults left out."""
    arguments = {}
    for item in dataclasses.fields(action):
        value = getattr(action, item.name)
        if item.default is not MISSING and value == item.default:
            continue
        if isinstance(value, Point):
            point = value.to(frame)
            value = [point.x, point.y]
        arguments[item.name] = value
    return ToolCall(tool_name(type(action)), arguments)


def _type_schema(hint: Any) -> dict[str, Any]:
    if hint is Point:
        return POINT_SCHEMA
    if get_origin(hint) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    return {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[hint]}


def _convert(value: Any, hint: Any, frame: Frame, where: str) -> Any:
    if hint is Point:
        return _point(value, frame, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ToolCallError(f"{where} is {value!r}; expected one of {', '.join(get_args(hint))}")
        return value
    return _scalar(value, hint, where)


def _point(value: Any, frame: Frame, where: str) -> Point:
    numbers = isinstance(value, list | tuple) and len(value) == 2 and all(_is_number(v) for v in value)
    if not numbers:
        raise ToolCallError(f"{where} is {value!r}; expected two numbers [x, y]")
    point = Point(math.floor(value[0]), math.floor(value[1]), frame)
    if not point.inside:
        raise ToolCallError(f"{where} is {value!r}; expected 0 <= x < {frame.width} and 0 <= y < {frame.height}")
    return point


def _scalar(value: Any, hint: type, where: str) -> Any:
    if hint is float and _is_number(value):
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    expected = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}[hint]
    raise ToolCallError(f"{where} is {value!r}; expected {expected}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_limits(value: Any, schema: dict[str, Any], where: str) -> None:
    if "minimum" in schema and value < schema["minimum"]:
        raise ToolCallError(f"{where} is {value!r}; expected at least {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        raise ToolCallError(f"{where} is {value!r}; expected at most {schema['maximum']}")
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        raise ToolCallError(f"{where} has {len(value)} characters; expected at most {schema['maxLength']}")
