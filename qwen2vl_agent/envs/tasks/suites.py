"""The suites of the phone: all its tasks, and those of each app."""

from qwen2vl_agent.envs.suite import Suite, parts_of
from qwen2vl_agent.envs.tasks import make_task, task_ids

WHOLE_PHONE = "phone"
EXAMPLE_SEED = 1


def suites() -> dict[str, Suite]:
    """By name."""
    return parts_of(Suite(WHOLE_PHONE, tuple(task_ids(WHOLE_PHONE)), example_goal))


def example_goal(task: str) -> str:
    """One instruction that the task may give."""
    return make_task(task, EXAMPLE_SEED).goal
