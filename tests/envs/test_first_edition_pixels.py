"""The first edition's screens stay as they are, to the last pixel: the embedded model was trained on them."""

import zlib

import pytest

from qwen2vl_agent.envs.tasks import make_task, task_ids
from qwen2vl_agent.envs.virtual_phone.app_list import APPS
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words

SIZE = (180, 400)
HASHES = {0: 616485828, 1: 1252539281, 2: 2068611921, 3: 273751887, 4: 3109855268, 5: 133375265}
GOALS = 4263430512


def hash_of_screens(seed):
    """Of the home screen, every app, the drawer, the quick settings and the recent apps of one phone."""
    phone = VirtualPhone(random_state(seed, Words.train()), SIZE)
    value = zlib.crc32(phone.image().tobytes())
    for app in APPS:
        phone.launch(app.package)
        value = zlib.crc32(phone.image().tobytes(), value)
    phone.press_key("app_switch")
    value = zlib.crc32(phone.image().tobytes(), value)
    phone.swipe(90, 4, 90, 200)
    value = zlib.crc32(phone.image().tobytes(), value)
    phone.press_key("home")
    phone.swipe(90, 300, 90, 100)
    return zlib.crc32(phone.image().tobytes(), value)


@pytest.mark.parametrize("seed", HASHES)
def test_the_screens_of_the_first_edition_are_those_that_the_model_was_trained_on(seed):
    assert hash_of_screens(seed) == HASHES[seed]


def test_the_tasks_of_the_first_edition_are_those_that_the_model_was_trained_on():
    value = 0
    for name in task_ids("phone"):
        task = make_task(name, 5)
        value = zlib.crc32(
            f"{task.id} {task.goal} {task.max_steps} {task.start.home} {task.start.contacts}".encode(), value
        )
    assert (len(task_ids("phone")), value) == (42, GOALS)
