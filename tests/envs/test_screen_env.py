"""The environment of screens: gymnasium's contract, tasks, refusals, black frames and settling."""

import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from PIL import Image, ImageDraw

import qwen2vl_agent.envs
from qwen2vl_agent.envs.action_space import ActionSpace
from qwen2vl_agent.envs.phones import OwnPhone, open_virtual_phone
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.screen import BLACK_TEXT, NO_USER_TEXT, ScreenConfig, ScreenEnv
from qwen2vl_agent.envs.settling import agree, look
from qwen2vl_agent.envs.tasks import make_task, task_ids
from qwen2vl_agent.envs.virtual_phone.faults import Faults
from qwen2vl_agent.schema.actions import (
    PHONE_ACTIONS,
    Answer,
    AskUser,
    Done,
    Note,
    OpenApp,
    PressKey,
    Swipe,
    Tap,
    TypeText,
    Wait,
)
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame, Point
from qwen2vl_agent.schema.tools import ToolCall, tool_spec

SIZE = (180, 400)
TOGGLE = next(name for name in task_ids() if name.startswith("settings"))


@pytest.fixture
def env() -> Iterator[ScreenEnv]:
    env = make_env("virtual-phone", seed=1, size=SIZE)
    env.reset()
    yield env
    env.close()


@pytest.fixture(scope="module")
def own_phone(adb_client) -> Iterator[OwnPhone]:
    with open_virtual_phone(size=SIZE) as device:
        yield device


@pytest.mark.parametrize("name", ["qwen2vl_agent/VirtualPhone-v0"])
def test_the_registered_environment_keeps_gymnasiums_contract(name: str) -> None:
    assert name in gymnasium.registry
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(name, size=SIZE, render_mode="rgb_array").unwrapped)
        check_env(make_env(name, size=SIZE, seed=4, task=TOGGLE))


def test_importing_the_environments_registers_them_without_a_device() -> None:
    assert qwen2vl_agent.envs.register_envs is not None
    assert {"qwen2vl_agent/VirtualPhone-v0", "qwen2vl_agent/Android-v0"} <= set(gymnasium.registry)


@pytest.mark.parametrize("over_adb", [False, True])
def test_an_oracle_solves_a_task_and_the_episode_ends_with_the_reward(over_adb: bool, own_phone: OwnPhone) -> None:
    env = ScreenEnv(own_phone, ScreenConfig(task=TOGGLE)) if over_adb else make_env(task=TOGGLE, size=SIZE)
    observation, info = env.reset(seed=11)
    assert (info["task"], env.goal) == (TOGGLE, make_task(TOGGLE, 11).goal)
    assert env.max_steps == make_task(TOGGLE, 11).max_steps
    for _ in range(env.max_steps):
        observation, reward, terminated, truncated, info = env.step(env.oracle().action)
        assert info["action_error"] == ""
        if terminated or truncated:
            break
        assert reward == 0.0
    assert (reward, terminated) == (1.0, True)
    assert np.array_equal(observation, np.asarray(env.observation.image))
    assert observation.shape == env.observation_space.shape == (400, 180, 3)


def test_an_episode_may_go_on_until_the_agent_says_that_it_is_done() -> None:
    env = make_env(task=TOGGLE, size=SIZE, seed=11, end_when_solved=False)
    env.reset()
    for _ in range(env.max_steps):
        action = env.oracle().action
        _, reward, terminated, _, _ = env.step(action)
        if terminated:
            break
    assert isinstance(action, Done)
    assert reward == 1.0


def test_done_without_success_ends_with_the_states_reward() -> None:
    env = make_env(task=TOGGLE, size=SIZE, seed=2)
    env.reset()
    assert env.step(Done())[1:4] == (0.0, True, False)
    env.reset()
    assert env.step(Answer(text="42"))[1:4] == (0.0, True, False)
    assert env.answer == "42"


def test_an_episode_is_cut_off_after_its_steps() -> None:
    env = make_env(task="look around", size=SIZE, max_steps=2)
    env.reset(seed=0)
    assert env.goal == "look around"
    assert [env.step(PressKey(name="home"))[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_a_refused_action_is_told_and_changes_nothing(env: ScreenEnv) -> None:
    before = env.device.phone_state().copy()
    for action, said in [
        (TypeText(text="x"), "no text field has the focus"),
        (OpenApp(name="Nothing"), "no app is called 'Nothing'"),
        (ToolCall("tap", {"point": [1000, 0]}), "expected 0 <= x < 1000"),
        (ToolCall("fly", {}), "unknown function 'fly'"),
        (Tap(point=Point(99, 9999, MODEL_FRAME)), "is not an action of this device"),
        ("tap", "is not an action of this device"),
    ]:
        _, reward, terminated, truncated, info = env.step(action)
        assert said in info["action_error"]
        assert env.observation.text == info["action_error"]
        assert (info["performed"], reward, terminated, truncated) == (None, 0.0, False, False)
    assert env.device.phone_state() == before


def test_a_tool_call_is_done_like_its_action(env: ScreenEnv) -> None:
    info = env.step(ToolCall("tap", {"point": [500, 250]}))[4]
    assert info["performed"] == {"action": "tap", "x": 90, "y": 100}
    assert env.observation.text == ""


def test_talk_does_not_touch_the_device() -> None:
    env = make_env(size=SIZE, seed=1, ask_user=lambda question: question.upper())
    env.reset()
    assert env.step(AskUser(question="which?"))[4]["performed"] is None
    assert env.observation.text == "The user says: WHICH?"
    assert env.step(Note(text="n"))[4] == env.step(Note(text="n"))[4]
    alone = make_env(size=SIZE, seed=1)
    alone.reset()
    alone.step(AskUser(question="which?"))
    assert alone.observation.text == NO_USER_TEXT


def test_one_seed_gives_one_episode_and_the_next_differs(env: ScreenEnv) -> None:
    first = env.reset(seed=3)[0]
    assert not np.array_equal(first, env.reset()[0])
    assert np.array_equal(first, env.reset(seed=3)[0])
    one, two = make_env(size=SIZE, seed=6), make_env(size=SIZE, seed=6)
    assert np.array_equal(one.reset()[0], two.reset()[0])
    assert np.array_equal(one.reset()[0], two.reset()[0])


def test_options_choose_task_and_words_for_one_episode(env: ScreenEnv) -> None:
    env.reset(seed=5, options={"task": TOGGLE, "split": "train"})
    assert env.task == make_task(TOGGLE, 5, "train")
    assert env.device.phone_state() == env.task.initial_state()
    env.reset(seed=5)
    assert env.task is None
    with pytest.raises(ConfigError, match="only bundled tasks have an oracle"):
        env.oracle()


def test_a_misspelt_task_is_not_taken_for_free_text(env: ScreenEnv) -> None:
    with pytest.raises(ConfigError, match=f"did you mean.*{TOGGLE}"):
        env.reset(options={"task": TOGGLE + "x"})


def test_a_bundled_task_refuses_a_real_phone(own_phone: OwnPhone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_phone, "virtual", False)
    with pytest.raises(ConfigError, match="virtual one only"):
        ScreenEnv(own_phone, ScreenConfig(task=TOGGLE)).reset()


def test_free_text_keeps_an_attached_phone_as_it_is(own_phone: OwnPhone) -> None:
    own_phone.perform(OpenApp(name="Clock"))
    before = own_phone.phone_state()
    env = ScreenEnv(own_phone, ScreenConfig(task="set an alarm"))
    env.reset(seed=1)
    assert own_phone.phone_state() == before
    info = env.step(PressKey(name="home"))[4]
    assert info["perform_s"] > 0
    assert info["capture_s"] > 0


def test_a_black_frame_is_told_and_a_passing_one_taken_again(adb_client) -> None:
    with open_virtual_phone(size=SIZE, faults=Faults(black=2)) as device:
        env = ScreenEnv(device, ScreenConfig())
        _, info = env.reset()  # taken twice, and black both times
        assert info["black"]
        assert env.observation.text == BLACK_TEXT
        info = env.step(PressKey(name="home"))[4]
        assert not info["black"]
        assert env.observation.text == ""


def test_a_screen_that_is_off_is_black(env: ScreenEnv) -> None:
    assert env.step(PressKey(name="power"))[4]["black"]
    assert env.observation.text == BLACK_TEXT


def test_blind_and_dry_runs_change_one_thing_each() -> None:
    blind = make_env(size=SIZE, seed=1, blind=True)
    pixels, info = blind.reset()
    assert (set(np.unique(pixels)), info["black"]) == ({128}, False)
    assert blind.step(Tap(point=Point(5, 5, MODEL_FRAME)))[4]["performed"]["action"] == "tap"
    dry = make_env(size=SIZE, seed=1, dry_run=True)
    before = dry.reset()[0]
    after, *_, info = dry.step(PressKey(name="app_switch"))
    assert info["performed"] == {"action": "press_key", "dry_run": True, "name": "app_switch"}
    assert np.array_equal(before, after)


@pytest.mark.parametrize("options", [{"colour": 1}, {"max_steps": 0}, {"settle_limit_s": -1.0}])
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(ConfigError):
        make_env(size=SIZE, **options)
    with pytest.raises(ConfigError, match="no environment"):
        make_env("nonsense")


class Moving:
    """A screen that scrolls for some frames, then stands still but for a ticking second."""

    still = False

    def __init__(self, moving: int) -> None:
        self.moving, self.taken = moving, 0

    def screenshot(self) -> Image.Image:
        self.taken += 1
        image = Image.new("RGB", (360, 800), "white")
        pencil = ImageDraw.Draw(image)
        for line in range(0, 800, 40):
            top = line + 20 * (min(self.taken, self.moving) % 2)
            pencil.rectangle((20, top, 300, top + 15), fill="black")
        pencil.rectangle((2, 2, 4 + self.taken % 2 * 4, 8), fill="black")
        return image


def test_a_moving_screen_is_waited_for_and_a_ticking_one_is_not() -> None:
    device = Moving(4)
    seen = look(device, interval_s=0.0, limit_s=5.0, may_settle=True)
    assert device.taken == 5
    assert agree(seen.image, device.screenshot())
    assert look(device, interval_s=0.0, limit_s=5.0, may_settle=False).capture_s <= 5.0
    assert device.taken == 7


def test_waiting_for_a_screen_that_never_rests_has_an_end() -> None:
    device = Moving(10**9)
    seen = look(device, interval_s=0.01, limit_s=0.1, may_settle=True)
    assert 0.1 <= seen.settle_s < 3.0


def test_drawn_actions_are_of_the_space_and_repeat_with_the_seed() -> None:
    space = ActionSpace(PHONE_ACTIONS, seed=3)
    drawn = [space.sample() for _ in range(300)]
    assert {type(action) for action in drawn} == set(PHONE_ACTIONS)
    assert all(action in space for action in drawn)
    assert [ActionSpace(PHONE_ACTIONS, seed=3).sample()] == drawn[:1]
    assert space.from_jsonable(space.to_jsonable(drawn)) == drawn
    assert space == ActionSpace(PHONE_ACTIONS) != ActionSpace((Tap,))


@pytest.mark.parametrize(
    "action",
    [
        "tap", None, Tap, Tap(point=Point(1000, 0, MODEL_FRAME)), Wait(seconds=61), PressKey(name="escape"),
        TypeText(text="x" * 2001), Tap(point=(1, 2)), ToolCall("tap", {"point": [1, 2]}),
        Swipe(start=Point(0, 0, MODEL_FRAME), end=Point(0, -1, Frame("device", 9, 9))),
    ],
)  # fmt: skip
def test_what_is_not_within_its_limits_is_not_of_the_space(action) -> None:
    assert action not in ActionSpace(PHONE_ACTIONS)


def test_an_empty_space_or_a_masked_draw_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ActionSpace(())
    with pytest.raises(ValueError, match="masks"):
        ActionSpace((Tap,)).sample(mask=1)


def test_a_refusal_is_no_end(env: ScreenEnv) -> None:
    env.tools = (Tap,)
    _, _, terminated, _, info = env.step(ToolCall("done", {}))
    assert not terminated
    assert "unknown function 'done'" in info["action_error"]


def test_an_observation_needs_a_reset() -> None:
    with pytest.raises(ValueError, match="reset"):
        _ = make_env(size=SIZE).observation


def test_the_legal_tools_open_only_apps_that_are_there(env: ScreenEnv) -> None:
    tools = {tool.name: tool for tool in env.legal_tools}
    assert tuple(tools) == tuple(tool_spec(kind).name for kind in env.tools)
    assert "Clock" in tools["open_app"].parameters["properties"]["name"]["enum"]
    assert tools["tap"] == tool_spec(Tap)
