"""The pages of MiniWoB++: every one runs, in its own simulated time, and the bundled solutions solve theirs."""

import asyncio
import time

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from qwen2vl_agent.envs.browser.chromium import find_chromium
from qwen2vl_agent.envs.miniwob.device import MiniWoBDevice
from qwen2vl_agent.envs.miniwob.oracles import ORACLES
from qwen2vl_agent.envs.miniwob.pages import page_names, protocol, task_id
from qwen2vl_agent.envs.miniwob.reuse import LOADED, PLANTED, way_to_begin
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import Click, Wait
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Point
from qwen2vl_agent.schema.tools import to_call

pytest.importorskip("playwright", reason="the extra [browser] is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium: apt-get install chromium"),
]
SEED = 31
NATIVE = ("enter-time", "enter-date")
"""Chromium draws their fields itself, with a pixel more or less from one time to another."""


@pytest.fixture(scope="module")
def env():
    env = make_env("miniwob")
    yield env
    env.close()


def play(env, page: str, seed: int, split: str = "test") -> tuple[float, list[bytes]]:
    """The solution's last reward, and every screen on its way."""
    env.reset(seed=seed, options={"task": task_id(page), "split": split})
    screens, reward = [env.observation.image.tobytes()], 0.0
    for _ in range(env.max_steps):
        _, reward, terminated, truncated, info = env.step(env.oracle().action)
        assert info["action_error"] == ""
        screens.append(env.observation.image.tobytes())
        if terminated or truncated:
            break
    return reward, screens


@pytest.mark.parametrize("page", sorted(ORACLES))
def test_the_solution_solves_its_page(env, page):
    reward, _ = play(env, page, SEED)
    assert reward == 1.0, f"{env.goal}: {env.device.reason} {env.device.history[-3:]}"


@pytest.mark.parametrize("page", page_names())
def test_a_page_shows_the_same_for_the_same_seed_and_rewards_no_waiting(env, page):
    task = {"task": task_id(page)}
    first, info = env.reset(seed=5, options=task)
    assert first.shape == (420, 320, 3)
    assert len(info["goal"]) > 5
    env.step(Wait(seconds=60))
    assert env.score() == 0.0
    assert not env.device.over, "no limit of time"
    again, _ = env.reset(seed=5, options=task)
    assert (first == again).all() or page in NATIVE


@pytest.mark.parametrize("page", ["email-inbox-important", "social-media"])
def test_a_page_is_shown_with_its_pictures_however_late_they_come(env, page):
    async def late(route):
        await asyncio.sleep(0.3)
        await route.continue_()

    device = env.device
    device.chromium.run(device._page.route("**/*.png", late))
    try:
        first, _ = env.reset(seed=5, options={"task": task_id(page)})
    finally:
        device.chromium.run(device._page.unroute("**/*.png"))
    time.sleep(1.0)
    assert (first == np.asarray(device.screenshot())).all()


def test_the_words_of_a_page_depend_on_the_split(env):
    goals = {}
    for split in ("train", "test"):
        goals[split] = set()
        for seed in range(6):
            env.reset(seed=seed, options={"task": "miniwob.click-test-transfer", "split": split})
            goals[split].add(env.goal)
            assert env.task.unseen == (split == "test")
    assert goals["train"] != goals["test"]


@pytest.mark.parametrize("page", ["click-collapsible", "stock-market", "click-menu", "use-autocomplete", "drag-items"])
def test_the_same_actions_lead_to_the_same_screens(env, page):
    assert play(env, page, 77) == play(env, page, 77)


@pytest.mark.parametrize("page", sorted(set(ORACLES) - LOADED))
def test_a_page_that_is_not_loaded_again_shows_what_a_fresh_one_shows(env, page):
    env.device.begin("grid-coordinate" if page != "grid-coordinate" else "click-test", 1, "test")  # then it is loaded
    fresh = play(env, page, 41)
    play(env, page, 42)
    assert play(env, page, 41) == fresh
    env.reset(seed=43, options={"task": task_id(page), "split": "test"})
    env.step(env.oracle().action)  # an episode that is broken off
    assert play(env, page, 41) == fresh


def test_each_page_begins_in_one_way_only():
    assert not LOADED & PLANTED
    assert set(page_names()) >= LOADED | PLANTED
    assert {way_to_begin(page) for page in LOADED} <= {"loaded"}
    assert way_to_begin("click-test") == "kept"


def test_a_solution_that_tells_names_what_can_be_used_with_the_places_that_it_clicks():
    env = make_env("miniwob", protocol="small", **protocol("small").env)
    try:
        env.reset(seed=3, options={"task": "click-dialog-2"})
        decision = env.oracle()
        x, y = to_call(decision.action).arguments["point"]
        wanted = env.goal.split('"')[1]
        assert f"{wanted} {x} {y}" in decision.thought
        assert all(name in decision.thought for name in ("x ", "Cancel ", "OK "))
    finally:
        env.close()


def test_time_stands_still_while_one_thinks(env):
    env.reset(seed=1, options={"task": "miniwob.stock-market"})
    env.step(Wait(seconds=1))
    price = env.device.ask("() => document.getElementById('stock-price').textContent")
    time.sleep(1)
    assert env.device.ask("() => document.getElementById('stock-price').textContent") == price
    env.step(Wait(seconds=1))
    assert env.device.ask("() => document.getElementById('stock-price').textContent") != price


def test_a_mistake_that_the_page_does_not_forgive_ends_the_episode_with_nothing(env):
    env.reset(seed=2, options={"task": "miniwob.click-test-2"})
    wrong = next(element for element in env.device.elements() if element.text == "TWO")
    _, reward, terminated, _, _ = env.step(Click(point=Point(*wrong.centre, env.device.frame)))
    assert (reward, terminated, env.device.raw_reward) == (0.0, True, -1.0)


def test_a_protocol_decides_how_many_steps_there_are():
    env = make_env("miniwob", protocol="browsergym", scale=1)
    try:
        obs, _ = env.reset(seed=1, options={"task": "stock-market"})
        assert obs.shape == (210, 160, 3)
        assert env.max_steps == 10
    finally:
        env.close()


def test_the_environment_keeps_gymnasiums_contract(env):
    check_env(env, skip_render_check=True)
    with pytest.raises(ConfigError, match="MiniWoB\\+\\+ has no task"):
        env.reset(options={"task": "Buy me a ticket"})


def test_a_closed_browser_is_a_lost_device():
    device = MiniWoBDevice()
    device.close()
    with pytest.raises(DeviceLost, match="closed"):
        device.begin("click-test", 1, "test")
