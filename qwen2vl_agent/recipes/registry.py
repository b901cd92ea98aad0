"""Recipes by name."""

import importlib
from collections.abc import Callable
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError

RECIPES = {
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
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}; expected one of {', '.join(RECIPES)}")
    train: Callable[..., Any] = importlib.import_module(RECIPES[name]).train
    return train
