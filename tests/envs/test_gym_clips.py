"""Videos of gymnasium environments: every step of their own time, and what one picture alone cannot tell."""

import gymnasium
import numpy as np
import pytest

from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import ToolCall

WIDTH = 120


class Drift(gymnasium.Env):
    """A white bar that drifts left or right from where it happens to be; say which way. It stands still to be seen.

    A single picture shows where the bar is and nothing of its way.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.action_space = gymnasium.spaces.Discrete(3)
        self.observation_space = gymnasium.spaces.Discrete(1)

    def get_action_meanings(self):
        return ["WATCH", "LEFT", "RIGHT"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._place, self._way = int(self.np_random.integers(40, 80)), int(self.np_random.choice([-1, 1]))
        return 0, {}

    def step(self, action):
        self._place += 2 * self._way
        right = action != 0 and (action == 2) == (self._way > 0)
        return 0, float(right), bool(action), False, {"is_success": right}

    def render(self):
        pixels = np.zeros((112, WIDTH, 3), np.uint8)
        pixels[:, self._place : self._place + 4] = 255
        return pixels


@pytest.fixture(scope="module", autouse=True)
def drift():
    gymnasium.register("tests/Drift-v0", entry_point=Drift, max_episode_steps=30)
    yield
    del gymnasium.registry["tests/Drift-v0"]


def opened(observe, **options):
    return make_env("gym", env_id="tests/Drift-v0", observe=observe, **options)


def act(env, name):
    """Call the function whose name or argument is `name`."""
    tool = env.legal_tools[0]
    if "action" in tool.parameters.get("properties", {}):
        choices = tool.parameters["properties"]["action"]["enum"]
        return env.step(ToolCall(tool.name, {"action": next(c for c in choices if c.lower() == name)}))
    return env.step(ToolCall(next(spec.name for spec in env.legal_tools if name in spec.name)))


def places(clip) -> list[int]:
    """Where the bar is in each frame."""
    return [int(np.asarray(frame)[0, :, 0].argmax()) for frame in clip.frames]


@pytest.mark.parametrize("observe", ["clip", "video"])
def test_frames_between_two_calls_are_a_video_in_the_environments_own_time(observe):
    env = opened(observe, action_repeat=3)
    env.reset(seed=4)
    start = env.observation
    assert (start.clip is None) == (observe == "clip")
    act(env, "watch")
    clip = env.observation.clip
    moved = np.diff(places(clip))
    assert len(clip.frames) == 4
    assert set(abs(moved)) == {2}
    assert clip.taken_s == (-0.3, -0.2, -0.1, 0.0)
    assert clip.fps == 10
    assert clip.alone == (observe == "video")
    assert clip.frames[0].tobytes() == start.image.tobytes()
    assert clip.frames[-1].tobytes() == env.observation.image.tobytes()
    env.close()


@pytest.mark.parametrize("observe", ["clip", "video"])
def test_what_moves_can_be_told_from_the_clip_alone(observe):
    won, env = [], opened(observe)
    for seed in range(20):
        env.reset(seed=seed)
        act(env, "watch")
        first, last = places(env.observation.clip)
        _, _, _, _, info = act(env, "right" if last > first else "left")
        won.append(info["outcome"] == "success")
    env.close()
    assert all(won)


def test_one_picture_does_not_tell_which_way_it_goes():
    env, ways = opened("screen"), {}
    for seed in range(300):
        env.reset(seed=seed)
        assert env.observation.clip is None
        ways.setdefault(env.observation.image.tobytes(), set()).add(env.env.unwrapped._way)
    env.close()
    assert sum(len(seen) == 2 for seen in ways.values()) > len(ways) / 2


def test_what_is_shown_beside_a_clip_is_the_picture_that_is_shown_without():
    pictures = []
    for observe in ("screen", "clip"):
        env = opened(observe)
        env.reset(seed=7)
        act(env, "watch")
        pictures.append(env.observation.image.tobytes())
        env.close()
    assert pictures[0] == pictures[1]


def test_a_call_that_is_refused_has_no_clip_and_a_grey_environment_a_grey_one():
    env = opened("clip", blind=True)
    env.reset(seed=1)
    env.step(ToolCall("no_such_function"))
    assert env.observation.clip is None
    act(env, "watch")
    assert {colour for frame in env.observation.clip.frames for _, colour in frame.getcolors()} == {(128, 128, 128)}
    env.close()
    with pytest.raises(ConfigError, match="observe is 'both'"):
        opened("both")
