"""The screens from which the bundled solutions read something: few of what wandering meets, and most that matters."""

from collections.abc import Iterator
from random import Random

from qwen2vl_agent.envs.tasks.explore import Page, page_of
from qwen2vl_agent.envs.tasks.hand import UNDER
from qwen2vl_agent.envs.virtual_phone.app_list import FULL
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
    *(f"full.{task}" for task in READING_TASKS),
    "full.notices.read",
    "full.browser.read",
    "full.shop.price",
    "full.shop.cheapest",
    "full.expenses.read",
    "full.mail.newest",
    "full.multi.expense_from_shop",
)


def read_pages(
    seed: int, size: tuple[int, int] = (540, 1200), split: Split = "train", edition: str = "first"
) -> Iterator[Page]:
    """Screens without end from which a solution reads at its next step, the same for the same seed."""
    from qwen2vl_agent.envs.register import make_env

    rng = Random(seed)
    env, tasks = make_env(size=size, edition=edition), FULL_READING_TASKS if edition == FULL else READING_TASKS
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
