"""The suites of the phone: all its tasks, and those of each app."""

from qwen2vl_agent.envs.suite import Suite, parts_of
from qwen2vl_agent.envs.tasks import make_task, task_ids

WHOLE_PHONE = "phone"
FULL_PHONE = "phone-full"
EXAMPLE_SEED = 1


def suites() -> dict[str, Suite]:
    """By name."""
    full = Suite(FULL_PHONE, tuple(task_ids(FULL_PHONE)), example_goal, env_kwargs={"edition": "full"})
    return parts_of(Suite(WHOLE_PHONE, tuple(task_ids(WHOLE_PHONE)), example_goal)) | {FULL_PHONE: full}


def example_goal(task: str) -> str:
    """One instruction that the task may give."""
    return make_task(task, EXAMPLE_SEED).goal
