"""Any gymnasium environment as an agent's."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.envs.gym.catalogue import CARDS
from qwen2vl_agent.envs.gym.pictures import as_image, image_path, in_words, numbers_of
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost
from qwen2vl_agent.schema.tools import ToolCall


class Corridor(gymnasium.Env):
    """A corridor of five cells; the last one is the goal.

    Actions:
    - 0: stay
    - 1: go on
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012
    action_space = spaces.Discrete(2)
    observation_space = spaces.Dict(
        {"image": spaces.Box(0, 255, (20, 10, 3), np.uint8), "place": spaces.Box(0, 9, (1,), np.float32)}
    )

    def __init__(self, says="nothing", breaks=False):
        self.says, self.breaks = says, breaks

    def _seen(self):
        image = np.zeros((20, 10, 3), np.uint8)
        image[self.place * 4 : self.place * 4 + 4] = 255
        return {"image": image, "place": np.array([self.place], np.float32)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(2))
        return self._seen(), self._mask()

    def _mask(self):
        return {"action_mask": np.array([self.place > 0, True])} if self.says == "mask" else {}

    def step(self, action):
        if self.breaks:
            raise RuntimeError("the floor is gone")
        self.place += int(action)
        ended = self.place == 4
        info = {"is_success": ended} if self.says == "flag" else self._mask()
        return self._seen(), float(ended), ended, False, info


@pytest.fixture(autouse=True)
def corridors():
    for name, threshold, kwargs in (
        ("Corridor-v0", None, {}),
        ("CorridorFlag-v0", None, {"says": "flag"}),
        ("CorridorMask-v0", None, {"says": "mask"}),
        ("CorridorThreshold-v0", 1.0, {}),
        ("CorridorBroken-v0", None, {"breaks": True}),
    ):
        gymnasium.register(name, entry_point=Corridor, reward_threshold=threshold, max_episode_steps=8, kwargs=kwargs)
    yield
    for name in [name for name in gymnasium.registry if name.startswith("Corridor")]:
        del gymnasium.registry[name]


def play(env, policy, out, **plan):
    return run_episode(env, scripted_policy(policy), EpisodePlan(out=out, seed=1, **plan), drive=drive_plainly)


def test_gymnasiums_checker_finds_nothing():
    check_env(make_env("gym", env_id="Corridor-v0"))
    check_env(make_env("qwen2vl_agent/NumberLine-v0"))


def test_an_image_in_the_observation_is_the_picture_enlarged_where_it_is_tiny():
    env = make_env("gym", env_id="Corridor-v0", seed=1)
    env.reset()
    assert env.observation.image.size == (120, 240)
    assert env.max_steps == 8
    assert env.goal == "Corridor-v0. A corridor of five cells; the last one is the goal. Earn as much as you can."


@pytest.mark.parametrize(
    ("env_id", "outcome"),
    [("CorridorFlag-v0", "success"), ("CorridorThreshold-v0", "success"), ("Corridor-v0", "unverified")],
)
def test_the_verdict_is_the_environments_own_or_stays_open(env_id, outcome):
    env = make_env("gym", env_id=env_id)
    env.reset(seed=1)
    for _ in range(6):
        _, reward, terminated, _, info = env.step(ToolCall("go_on"))
        if terminated:
            break
    assert (reward, info["outcome"], info["return"]) == (1.0, outcome, 1.0)


def test_running_out_of_time_is_judged_too(tmp_path):
    trajectory = play(make_env("gym", env_id="CorridorThreshold-v0"), "noop", tmp_path)
    assert (trajectory.header.outcome, trajectory.header.message) == ("failure", "earned 0; solved from 1 on")
    assert len(trajectory.steps) == 8


def test_an_instruction_in_own_words_is_never_verified_and_can_be_ended():
    env = make_env("gym", env_id="CorridorFlag-v0")
    env.reset(seed=1, options={"task": "Stand still for a while"})
    assert env.tools[-1].__name__ == "Done"
    assert env.goal == "Stand still for a while"
    _, _, terminated, _, info = env.step(ToolCall("done"))
    assert terminated
    assert "outcome" not in info
    env.reset(seed=1)
    assert env.tools[-1].__name__ != "Done"


def test_a_recorded_episode_says_what_was_sent_and_what_it_earned(tmp_path):
    trajectory = play(make_env("gym", env_id="CorridorFlag-v0"), "random", tmp_path)
    assert trajectory.header.device == "gym"
    assert trajectory.header.task == "CorridorFlag-v0"
    assert {"go_on", "stay"} == set(trajectory.header.tools)
    assert trajectory.steps[0].performed == {
        "action": trajectory.steps[0].call.name,
        "sent": 1 if trajectory.steps[0].call.name == "go_on" else 0,
        "times": 1,
    }
    assert trajectory.header.reward == sum(step.reward for step in trajectory.steps)


def test_a_call_that_cannot_be_done_changes_nothing_and_is_told():
    env = make_env("gym", env_id="Corridor-v0")
    env.reset(seed=1)
    before = env.observation.image.tobytes()
    _, reward, terminated, truncated, info = env.step(ToolCall("fly"))
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert "unknown function 'fly'" in info["action_error"]
    assert info["action_error"] in env.observation.text
    assert env.observation.image.tobytes() == before


def test_a_mask_of_legal_actions_narrows_the_functions():
    env = make_env("gym", env_id="CorridorMask-v0", seed=3)
    for seed in range(8):
        env.reset(seed=seed)
        names = {tool.name for tool in env.legal_tools}
        assert names == ({"stay", "go_on"} if env.env.unwrapped.place else {"go_on"})


def test_calls_are_repeated_when_asked():
    env = make_env("gym", env_id="CorridorFlag-v0", action_repeat=4)
    env.reset(seed=1)
    assert env.max_steps == 2
    _, _, terminated, _, info = env.step(ToolCall("go_on"))
    assert info["performed"]["times"] == 4 - int(env.env.unwrapped.place == 4 and not terminated)


def test_a_dry_run_and_a_blind_one_do_as_they_say():
    dry = make_env("gym", env_id="Corridor-v0", dry_run=True)
    dry.reset(seed=1)
    before = dry.observation.image.tobytes()
    _, _, _, _, info = dry.step(ToolCall("go_on"))
    assert info["performed"]["dry_run"]
    assert dry.observation.image.tobytes() == before
    blind = make_env("gym", env_id="Corridor-v0", blind=True)
    blind.reset(seed=1)
    assert blind.observation.image.getextrema() == ((128, 128),) * 3


def test_numbers_are_told_beside_the_picture_when_asked():
    env = make_env("gym", env_id="Corridor-v0", tell_numbers=True)
    env.reset(seed=1)
    assert env.observation.text == f"place: {env.env.unwrapped.place}"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"env_id": "CartPool-v1"}, "gymnasium knows no environment 'CartPool-v1'.*did you mean CartPole-v1"),
        ({"env_id": "Corridor-v0", "modules": ["no_such_module"]}, "no_such_module cannot be imported"),
        ({"env_id": "Corridor-v0", "env_kwargs": {"colour": 1}}, "cannot be made: TypeError"),
        ({"env_id": "Corridor-v0", "levels": 0}, "levels is 0"),
        ({"env_id": "Corridor-v0", "speed": 2}, "speed"),
        ({"task": "open the door"}, "name it with --env-id"),
        ({"task": "cards.ezpont"}, "did you mean cards.ezpoint"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(options, why):
    with pytest.raises(ConfigError, match=why):
        make_env("gym", **options)


def test_an_environment_without_a_picture_is_refused():
    class Dark(Corridor):
        observation_space = spaces.Box(0, 9, (1,), np.float32)

    gymnasium.register("CorridorDark-v0", entry_point=Dark)
    with pytest.raises(ConfigError, match="CorridorDark-v0 shows no picture: its render modes are ansi"):
        make_env("gym", env_id="CorridorDark-v0")


def test_a_vector_and_an_environment_that_needs_more_are_refused_with_what_to_do():
    class Sized(Corridor):
        def __init__(self, size, render_mode=None):
            super().__init__()

    gymnasium.register("CorridorSized-v0", entry_point=Sized)
    gymnasium.register("CorridorMany-v0", vector_entry_point=lambda: None)
    with pytest.raises(ConfigError, match=r"'size'.*give what is missing with --env-kwargs"):
        make_env("gym", env_id="CorridorSized-v0")
    with pytest.raises(ConfigError, match="CorridorMany-v0 is a vector of environments"):
        make_env("gym", env_id="CorridorMany-v0")


def test_an_environment_that_breaks_is_one_line_for_the_operator():
    env = make_env("gym", env_id="CorridorBroken-v0")
    env.reset(seed=1)
    with pytest.raises(DeviceLost, match="CorridorBroken-v0 failed in step: RuntimeError: the floor is gone"):
        env.step(ToolCall("go_on"))


def test_an_environment_without_a_solution_says_so():
    env = make_env("gym", env_id="Corridor-v0")
    env.reset(seed=1)
    with pytest.raises(ConfigError, match="Corridor-v0 has no oracle"):
        env.oracle()


@pytest.mark.parametrize("task", [f"cards.{name}" for name in CARDS if name not in ("point24", "blackjack")])
def test_the_card_games_are_always_won_by_their_solutions(task, tmp_path):
    env = make_env("gym", task=task)
    for seed in range(5):
        trajectory = run_episode(
            env,
            scripted_policy("oracle"),
            EpisodePlan(out=tmp_path / str(seed), task=task, seed=seed),
            drive=drive_plainly,
        )
        assert trajectory.header.outcome == "success"


def test_a_noisy_policy_needs_no_screen_to_touch(tmp_path):
    policy = scripted_policy("oracle", noise=0.9)
    plan = EpisodePlan(out=tmp_path, task="cards.number_line", seed=4)
    trajectory = run_episode(make_env("gym"), policy, plan, drive=drive_plainly)
    assert not all(step.reply.target for step in trajectory.steps)


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        (np.zeros((200, 150), np.uint8), (150, 200)),
        (np.zeros((200, 150, 1), np.uint8), (150, 200)),
        (np.zeros((200, 150, 4), np.uint8), (150, 200)),
        (np.zeros((3, 200, 150), np.uint8), (150, 200)),
        (np.ones((56, 200, 3)), (400, 112)),
    ],
)
def test_arrays_of_any_layout_become_pictures(pixels, size):
    image = as_image(pixels)
    assert (image.size, image.mode) == (size, "RGB")
    if pixels.dtype == float:
        assert image.getpixel((0, 0)) == (255, 255, 255)  # from 0 to 1


def test_the_picture_is_found_among_other_observations():
    space = spaces.Dict(
        {"depth": spaces.Box(0, 255, (64, 64), np.uint8), "rgb": spaces.Box(0, 255, (64, 64, 3), np.uint8)}
    )
    assert image_path(space) == ("rgb",)
    assert image_path(spaces.Box(0, 9, (64, 64, 3), np.uint8)) is None


def test_numbers_are_written_short():
    observation = {"joints": np.array([0.123456, -2.0]), "image": np.zeros((64, 64, 3), np.uint8), "n": 3}
    assert in_words(numbers_of(observation)) == "joints: 0.123 -2; n: 3"


def test_numbers_keep_their_names_and_every_digit_of_32_bits():
    joint = np.float32(1 / 3)
    found = numbers_of({"arm": {"left": np.array([joint]), "lost": np.array([np.nan])}, "goals": (3, True)})
    assert found == {"arm.left": [pytest.approx(float(joint), abs=1e-9)], "goals0": [3.0], "goals1": [1.0]}
    assert np.float32(found["arm.left"][0]) == joint
    assert numbers_of(np.float64(2)) == {"observation": [2.0]}
