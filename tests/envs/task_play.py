"""Plays bundled tasks on an in-process phone, by the oracle or at random."""

from random import Random

from qwen2vl_agent.envs.tasks import Screen, Task
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.schema.actions import Answer, Done, PressKey, Swipe, Tap, TypeText, Wait

SIZE = (540, 1200)


def phone_of(task, size=SIZE):
    return VirtualPhone(task.initial_state(), size)


def perform(phone, action):
    match action:
        case Tap(point=point):
            phone.tap(point.x, point.y)
        case Swipe(start=start, end=end, duration_s=duration_s):
            phone.swipe(start.x, start.y, end.x, end.y, duration_s)
        case TypeText(text=text, clear_first=clear_first):
            if clear_first:
                phone.clear_text()
            assert phone.type_text(text), "the oracle typed where nothing is focused"
        case PressKey(name=name):
            phone.press_key(name)
        case Wait(seconds=seconds):
            phone.advance(seconds)
        case _:
            raise AssertionError(f"the oracle did {action}")


def play_oracle(task: Task, phone: VirtualPhone, limit: int) -> tuple[bool, list]:
    """Whether the oracle solved the task within `limit` actions, and what it decided."""
    decisions = []
    while task.score(phone.state) < 1.0 and len(decisions) < limit:
        decision = task.oracle(Screen.of(phone))
        decisions.append(decision)
        if isinstance(decision.action, Done | Answer):
            answer = decision.action.text if isinstance(decision.action, Answer) else None
            return task.score(phone.state, answer) == 1.0, decisions
        perform(phone, decision.action)
    return task.score(phone.state) == 1.0, decisions


def random_event(phone: VirtualPhone, rng: Random) -> None:
    """What somebody does who does not look: mostly taps, half of them on something that can be tapped."""
    width, height = phone.size
    chance = rng.random()
    if chance < 0.1:
        x, y = rng.randrange(width), rng.randrange(height)
        phone.swipe(x, y, rng.randrange(width), rng.randrange(height), 0.5)
    elif chance < 0.15:
        phone.type_text(rng.choice(("a", "7", "hello", "12")))
    elif chance < 0.2:
        phone.press_key(rng.choice(("back", "home", "enter", "app_switch", "volume_up", "menu")))
    elif chance < 0.6 and phone.elements():
        phone.tap(*rng.choice(phone.elements()).centre)
    else:
        phone.tap(rng.randrange(width), rng.randrange(height))
