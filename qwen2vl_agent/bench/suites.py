"""Suites: named lists of bundled tasks. Every app of the phone is a suite of its own."""

from dataclasses import dataclass

from qwen2vl_agent.envs.tasks import make_task, task_ids
from qwen2vl_agent.schema.errors import ConfigError

WHOLE_PHONE = "phone"
EXAMPLE_SEED = 1
SEEDS_APART = 1_000_000
"""The seeds of a run of many episodes begin at its own seed times this, so that two runs share no episode."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks that are measured together."""

    name: str
    tasks: tuple[str, ...]
    """Ids of the tasks' templates."""


def suites() -> dict[str, Suite]:
    """All suites by name: the whole phone, and the tasks of each app (`settings.toggle` belongs to `settings`)."""
    ids = tuple(task_ids(WHOLE_PHONE))
    apps = dict.fromkeys(app_of(task) for task in ids)
    by_app = {app: Suite(app, tuple(task for task in ids if app_of(task) == app)) for app in apps}
    return {WHOLE_PHONE: Suite(WHOLE_PHONE, ids), **by_app}


def get_suite(name: str) -> Suite:
    """The suite called `name`; a task's own id is a suite of that one task.

    Raises:
        ConfigError: there is no such suite.
    """
    known = suites()
    if name in known[WHOLE_PHONE].tasks:
        return Suite(name, (name,))
    if name not in known:
        raise ConfigError(f"there is no suite {name!r}; there are {', '.join(known)}, and every task's own id")
    return known[name]


def episode_seed(run_seed: int, index: int) -> int:
    """The seed of a task's episode number `index` in a run of many: run 2, episode 3 has the seed 2000003."""
    assert index < SEEDS_APART
    return run_seed * SEEDS_APART + index


def app_of(task: str) -> str:
    """The app that a task's id begins with."""
    return task.partition(".")[0]


def example_goal(task: str) -> str:
    """One instruction that the task may give; other seeds give others."""
    return make_task(task, EXAMPLE_SEED).goal
