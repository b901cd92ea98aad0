"""The suites of the phone: all its tasks, and those of each app."""

from qwen2vl_agent.envs.suite import Suite, parts_of
from qwen2vl_agent.envs.tasks import make_task, task_ids
from qwen2vl_agent.envs.virtual_phone.app_list import FULL
from qwen2vl_agent.envs.virtual_phone.locales import LOCALES

WHOLE_PHONE = "phone"
FULL_PHONE = "phone-full"
EXAMPLE_SEED = 1


def suites() -> dict[str, Suite]:
    """By name."""
    editions = {FULL_PHONE: FULL} | {f"{WHOLE_PHONE}-{code}": f"{FULL}-{code}" for code in LOCALES}
    return parts_of(Suite(WHOLE_PHONE, tuple(task_ids(WHOLE_PHONE)), example_goal)) | {
        name: Suite(name, tuple(task_ids(name)), example_goal, env_kwargs={"edition": edition})
        for name, edition in editions.items()
    }


def example_goal(task: str) -> str:
    """One instruction that the task may give."""
    return make_task(task, EXAMPLE_SEED).goal
