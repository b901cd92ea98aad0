"""A suite: tasks that are measured together, and the environment that they are done in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks that are measured together."""

    name: str
    tasks: tuple[str, ...]
    """Ids of the tasks, as the environment's `reset` takes them."""
    example: Callable[[str], str] = field(repr=False, compare=False)
    """One instruction that a task may give; other seeds give others."""
    env: str = "virtual-phone"
    """What `make_env` takes."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    without_oracle: frozenset[str] = frozenset()
    """Tasks that the program cannot solve itself."""
    ceilings: dict[str, float] = field(default_factory=dict)
    """By task, where not even the best policy succeeds always: how often it does at most."""


def parts_of(whole: Suite) -> dict[str, Suite]:
    """A suite by name, and one of each group of its tasks: `settings.toggle` belongs to `settings`."""
    from dataclasses import replace

    groups: dict[str, list[str]] = {}
    for task in whole.tasks:
        groups.setdefault(group_of(task), []).append(task)
    return {whole.name: whole} | {name: replace(whole, name=name, tasks=tuple(ids)) for name, ids in groups.items()}


def group_of(task: str) -> str:
    """What a task's id begins with: its app, or its family."""
    return task.partition(".")[0]
