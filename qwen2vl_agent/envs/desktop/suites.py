"""The suites of the desktop: all its tasks, and those of each application."""

from random import Random

from qwen2vl_agent.envs.suite import Suite, parts_of

WHOLE = "desktop"
EXAMPLE_SEED = 1


def suites() -> dict[str, Suite]:
    """By name; those of one application are `desktop-terminal`, `desktop-editor` and so on."""
    from qwen2vl_agent.envs.desktop.catalogue import TEMPLATES

    found = parts_of(Suite(WHOLE, tuple(TEMPLATES), example_goal, env="desktop", env_kwargs={"virtual": True}))
    return {name if name == WHOLE else f"{WHOLE}-{name}": suite for name, suite in found.items()}


def example_goal(task: str) -> str:
    """One instruction that the task may give."""
    from qwen2vl_agent.envs.desktop.catalogue import TEMPLATES

    template = TEMPLATES[task]
    return template.goal.format(**template.draw(Random(EXAMPLE_SEED), "test"))
