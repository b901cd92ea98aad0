"""Recipes by name."""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError

RECIPES = ("find-event", "lora", "stage1", "stage2", "stage3", "suite", "tiny")
ALONE = {
    "find-event": "qwen2vl_agent.recipes.find_event",
    "suite": "qwen2vl_agent.recipes.suite",
    "tiny": "qwen2vl_agent.recipes.tiny",
}
"""Modules of the recipes for one machine, each with a function `train(*, out, resume, overrides)`."""


def get(name: str) -> Callable[..., Any]:
    """The function that trains by this recipe: `train(*, out, resume, overrides)`. Imported when asked for.

    Raises:
        ConfigError: there is none of this name.
    """
    _check(name)
    if name in ALONE:
        train: Callable[..., Any] = importlib.import_module(ALONE[name]).train
        return train
    from qwen2vl_agent.recipes.staged import train_stage
    from qwen2vl_agent.recipes.stages import STAGE_RECIPES

    return partial(train_stage, STAGE_RECIPES[name])


def planner(name: str) -> Callable[..., Any]:
    """The function that tells what a job by this recipe would hold: `plan(world, overrides)`.

    Raises:
        ConfigError: there is no such recipe, or it is for one machine only.
    """
    _check(name)
    if name in ALONE:
        raise ConfigError(f"the recipe {name} has no --dry-run; stage1, stage2, stage3 and lora have")
    from qwen2vl_agent.recipes.staged import plan_stage
    from qwen2vl_agent.recipes.stages import STAGE_RECIPES

    return partial(plan_stage, STAGE_RECIPES[name])


def _check(name: str) -> None:
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}; expected one of {', '.join(RECIPES)}")
