"""The screens from which the bundled solutions read something: few of what wandering meets, and most that matters."""

from collections.abc import Iterator
from random import Random

from qwen2vl_agent.envs.tasks.explore import Page, page_of
from qwen2vl_agent.envs.tasks.hand import UNDER
from qwen2vl_agent.envs.virtual_phone.app_list import FULL, is_full
from qwen2vl_agent.envs.virtual_phone.device import VirtualPhoneDevice
from qwen2vl_agent.schema.trajectory import Split

READING_TASKS = (
    "settings.read",
    "settings.level",
    "clock.start_timer",
    "contacts.read_number",
    "messages.read",
    "notes.read",
    "calculator.answer",
    "weather.read",
    "calendar.read",
    "multi.message_contact_number",
    "multi.note_from_message",
    "multi.alarm_from_event",
)
"""Templates whose solutions read; the full edition has them, too."""
FULL_READING_TASKS = (
    "notices.read",
    "browser.read",
    "shop.price",
    "shop.cheapest",
    "expenses.read",
    "mail.newest",
    "multi.expense_from_shop",
)
"""Those that only the full edition has."""


def reading_tasks(edition: str) -> tuple[str, ...]:
    """The ids of the tasks of an edition whose solutions read."""
    if not is_full(edition):
        return READING_TASKS
    code = edition.partition("-")[2]
    return tuple(f"{code or FULL}.{task}" for task in (*READING_TASKS, *FULL_READING_TASKS))


def read_pages(
    seed: int, size: tuple[int, int] = (540, 1200), split: Split = "train", edition: str = "first"
) -> Iterator[Page]:
    """Screens without end from which a solution reads at its next step, the same for the same seed."""
    from qwen2vl_agent.envs.register import make_env

    rng = Random(seed)
    env, tasks = make_env(size=size, edition=edition), reading_tasks(edition)
    device = env.device
    assert isinstance(device, VirtualPhoneDevice)
    while True:
        task = rng.choice(tasks)
        env.reset(seed=rng.randrange(1 << 31), options={"task": task, "split": split})
        over = False
        while not over:
            decision = env.oracle()
            if decision.thought.startswith(UNDER):
                yield page_of(device.phone)
            _, _, ended, cut_off, _ = env.step(decision.action)
            over = ended or cut_off
