"""Suites by name: the rooms of `envs/` provide them. Every app of the phone is a suite of its own."""

import importlib
import re
from dataclasses import replace

from qwen2vl_agent.envs.suite import Suite
from qwen2vl_agent.schema.errors import ConfigError

PROVIDERS = (
    "qwen2vl_agent.envs.tasks.suites:suites",
    "qwen2vl_agent.envs.miniwob.suites:suites",
    "qwen2vl_agent.envs.desktop.suites:suites",
    "qwen2vl_agent.envs.gym.catalogue:suites",
)
"""Functions that give suites by name; the first one's come first. What they need beyond the core is imported later."""
GYM_ID = re.compile(r"([\w.]+:)?([\w.-]+/)?[\w.-]+-v\d+")
"""`CartPole-v1`, `ALE/Pong-v5`, `module:Mine-v0`."""
SEEDS_APART = 1_000_000
"""The seeds of a run of many episodes begin at its own seed times this, so that two runs share no episode."""


def suites() -> dict[str, Suite]:
    """All suites by name."""
    found: dict[str, Suite] = {}
    for provider in PROVIDERS:
        module, _, function = provider.partition(":")
        found |= getattr(importlib.import_module(module), function)()
    return found


def get_suite(name: str) -> Suite:
    """The suite called `name`; a task's own id is a suite of that one task, and so is any gymnasium id.

    Raises:
        ConfigError: there is no such suite.
    """
    known = suites()
    if name in known:
        return known[name]
    for suite in known.values():
        if name in suite.tasks:
            return replace(suite, name=name, tasks=(name,))
    if GYM_ID.fullmatch(name):
        return Suite(name, (name,), lambda task: f"What {task} asks for.", env="gym", env_kwargs={"env_id": name})
    raise ConfigError(
        f"there is no suite {name!r}; there are {', '.join(known)}, every task's own id, and the ids of gymnasium"
    )


def episode_seed(run_seed: int, index: int) -> int:
    """The seed of a task's episode number `index` in a run of many: run 2, episode 3 has the seed 2000003."""
    assert index < SEEDS_APART
    return run_seed * SEEDS_APART + index
