"""Fields of a recipe, replaced by their text from the command line."""

import dataclasses
from typing import Any, TypeVar

from qwen2vl_agent.schema.errors import ConfigError

Recipe = TypeVar("Recipe")


def replaced(recipe: Recipe, name: str, overrides: dict[str, str], fixed: tuple[str, ...] = ()) -> Recipe:
    """The recipe, called `name`, with other values; those of `fixed` cannot be set.

    Raises:
        ConfigError: no such field, or a text that is no such value.
    """
    kinds = {item.name: type(getattr(recipe, item.name)) for item in dataclasses.fields(recipe)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for field, text in overrides.items():
        if field not in kinds or field in fixed:
            raise ConfigError(f"the recipe {name} has no field {field!r}; it has {', '.join(kinds)}")
        values[field] = _value(field, text, kinds[field])
    return dataclasses.replace(recipe, **values)  # type: ignore[type-var]


def _value(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name}={text}: expected true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{name}={text}: expected {kind.__name__}") from None
