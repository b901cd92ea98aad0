"""The bundled tasks: templates that seeds make tasks of, each with its check and its solution."""

from qwen2vl_agent.envs.tasks.build import Split, build_task
from qwen2vl_agent.envs.tasks.full.registry import FULL_TEMPLATES, LOCALE_TEMPLATES
from qwen2vl_agent.envs.tasks.registry import TEMPLATES
from qwen2vl_agent.envs.tasks.task import Decision, Screen, Task, Template
from qwen2vl_agent.schema.errors import ConfigError

SUITES = {"phone": TEMPLATES, "phone-full": FULL_TEMPLATES} | {
    f"phone-{code}": templates for code, templates in LOCALE_TEMPLATES.items()
}


def make_task(id: str, seed: int, split: Split = "test") -> Task:
    """The task of that id for a seed; the same in every process.

    Raises:
        ConfigError: there is no such task.
    """
    known = {id: template for templates in SUITES.values() for id, template in templates.items()}
    if id not in known:
        raise ConfigError(f"there is no task {id!r}; expected one of {', '.join(known)}")
    return build_task(known[id], seed, split)


def task_ids(suite: str = "phone") -> list[str]:
    """The ids of a suite's tasks.

    Raises:
        ConfigError: there is no such suite.
    """
    if suite not in SUITES:
        raise ConfigError(f"there is no suite {suite!r} of bundled tasks; expected one of {', '.join(SUITES)}")
    return list(SUITES[suite])


__all__ = ["Decision", "Screen", "Split", "Task", "Template", "make_task", "task_ids"]
