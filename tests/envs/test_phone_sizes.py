"""Screens of every shape: upright phones, short ones, tablets, and all of them lying on their sides."""

import pytest

from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.envs.virtual_phone.lock_screen import KEYS, Lock
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.widgets import LEAST_HEIGHT, WIDTH, scale_of, screen_of
from qwen2vl_agent.envs.virtual_phone.words import Words

SHAPES = ((540, 1200), (540, 960), (800, 1280), (1200, 540), (1280, 800), (720, 720))
"""Upright, 16:9, a tablet, a phone and a tablet on their sides, a square one."""
SOME = (
    "full.launcher.quick_setting",
    "full.contacts.add",
    "full.contacts.delete",
    "full.calculator.compute",
    "full.list.scroll_to",
    "full.notices.clear",
    "full.maps.choose",
    "full.todo.move_to_top",
)
"""Tasks with the shade, the keyboard, a dialog, all keys of a page, a long list, and things that are dragged."""


def solved(size: tuple[int, int], tasks: list[str], seed: int) -> list[str]:
    env, done = make_env(size=size, edition="full"), []
    for task in tasks:
        env.reset(seed=seed, options={"task": task, "split": "test"})
        over, reward = False, 0.0
        while not over:
            _, reward, ended, cut_off, _ = env.step(env.oracle().action)
            over = ended or cut_off
        done += [task] * (reward > 0)
    env.close()
    return done


@pytest.mark.parametrize("size", SHAPES)
def test_a_screen_has_room_for_every_page(size: tuple[int, int]) -> None:
    screen = screen_of(size)
    assert screen.width >= WIDTH
    assert screen.bottom >= LEAST_HEIGHT - 1e-9
    assert screen.width * scale_of(size) == pytest.approx(size[0])
    assert screen.bottom * scale_of(size) == pytest.approx(size[1])


def test_an_upright_phone_is_360_dp_wide_to_the_last_bit() -> None:
    for size in ((1080, 2400), (224, 504), (270, 600), (333, 777), (1440, 3200)):
        assert screen_of(size).width == WIDTH


@pytest.mark.parametrize("size", SHAPES)
def test_the_solutions_work_on_it(size: tuple[int, int]) -> None:
    assert solved(size, list(SOME), seed=11) == list(SOME)


@pytest.mark.slow
@pytest.mark.parametrize("size", SHAPES[1:])
def test_every_solution_works_on_it(size: tuple[int, int]) -> None:
    tasks = task_ids("phone-full")
    assert solved(size, tasks, seed=23) == tasks


@pytest.mark.parametrize("size", SHAPES)
def test_the_whole_width_is_used_and_touched(size: tuple[int, int]) -> None:
    phone = VirtualPhone(random_state(5, Words.test(), "full"), size)
    phone.launch("contacts")
    rows = [element for element in phone.elements() if element.role == "row"]
    assert rows
    assert max(element.bounds[2] for element in rows) > 0.9 * size[0]
    star = next(element for element in phone.elements() if element.resource_id.startswith("contacts:star."))
    assert star.centre[0] > size[0] / 2
    name = star.resource_id.partition(".")[2]
    before = {contact.name: contact.favorite for contact in phone.state.contacts}
    phone.tap(*star.centre)
    assert {contact.name: contact.favorite for contact in phone.state.contacts} == {**before, name: not before[name]}


@pytest.mark.parametrize("size", SHAPES)
def test_the_pad_for_a_pin_is_in_the_middle_and_each_key_answers(size: tuple[int, int]) -> None:
    lock, screen = Lock("12", pad=True), screen_of(size)
    for key, (x, y) in lock.key_middles(screen).items():
        assert lock.key_at(screen, x, y) == key
        assert 0 < x < screen.width
        assert 0 < y < screen.bottom
    assert list(lock.key_middles(screen)) == list(KEYS)
    assert lock.key_at(screen, 1 if screen.width > 400 else -1, 400) == ""
