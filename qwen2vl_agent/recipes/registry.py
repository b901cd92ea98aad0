"""Recipes by name."""

import importlib
from collections.abc import Callable
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError

RECIPES = {
    "find-event": "qwen2vl_agent.recipes.find_event",
    "stage1": "qwen2vl_agent.recipes.stage1",
    "stage2": "qwen2vl_agent.recipes.stage2",
    "stage3": "qwen2vl_agent.recipes.stage3",
    "tiny": "qwen2vl_agent.recipes.tiny",
}
"""Module of each recipe, with a function `train(*, out, resume, overrides)`; imported when asked for."""


def get(name: str) -> Callable[..., Any]:
    """The function that trains by this recipe.

    Raises:
        ConfigError: there is none of this name.
    """
    train: Callable[..., Any] = _module(name).train
    return train


def planner(name: str) -> Callable[..., Any]:
    """The function that tells what a job by this recipe would hold.

    Raises:
        ConfigError: there is no such recipe, or it is for one machine only.
    """
    found: Callable[..., Any] | None = getattr(_module(name), "plan", None)
    if found is None:
        raise ConfigError(f"the recipe {name} has no --dry-run; stage1, stage2 and stage3 have")
    return found


def _module(name: str) -> Any:
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}; expected one of {', '.join(RECIPES)}")
    return importlib.import_module(RECIPES[name])
