"""The full edition behind adb's own protocol: its tasks are set up, solved and scored as in process."""

import pytest

from qwen2vl_agent.envs.phones import open_virtual_phone
from qwen2vl_agent.envs.register import screen_env

SIZE = (180, 400)
TASKS = (
    "full.todo.move_to_top",
    "full.maps.choose",
    "full.notices.dismiss",
    "full.browser.read",
    "full.shop.fill_cart",
)


@pytest.fixture(scope="module")
def env(adb_client):
    with open_virtual_phone(seed=2, size=SIZE, edition="full") as device:
        yield screen_env(device)


def test_a_full_phone_lists_its_apps_to_the_shell_and_opens_them(env):
    assert env.device.phone_state().edition == "full"
    assert "package:org.virtualphone.shop" in env.device.shell("pm list packages").split()
    assert "Events injected: 1" in env.device.shell(
        "monkey -p org.virtualphone.shop -c android.intent.category.LAUNCHER 1"
    )
    assert env.device.phone_state().foreground == "shop"


@pytest.mark.parametrize("task", TASKS)
def test_the_oracle_solves_tasks_of_the_full_edition_over_adb(env, task):
    env.reset(seed=12, options={"task": task})
    reward, over = 0.0, False
    while not over:
        _, reward, ended, cut_off, info = env.step(env.oracle().action)
        assert not info["action_error"]
        over = ended or cut_off
    assert reward == 1.0
