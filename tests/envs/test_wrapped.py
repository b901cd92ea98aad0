"""gymnasium's wrappers and vectors around agents' environments."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics, RepeatAction, TimeLimit

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.wrapped import AgentWrapper, RecordEpisodes
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import ToolCall, to_call
from qwen2vl_agent.trajectory.store import load_frame, read_episode

LINE = "qwen2vl_agent/NumberLine-v0"


def line(**options):
    return make_env("gym", env_id=LINE, **options)


def test_an_agent_acts_in_gymnasiums_time_limit(tmp_path):
    env = AgentWrapper(TimeLimit(make_env("gym", task="games.sokoban_2"), 3))
    plan = EpisodePlan(out=tmp_path, seed=1)
    trajectory = run_episode(env, scripted_policy("noop"), plan, drive=drive_plainly)
    assert (len(trajectory.steps), trajectory.header.outcome) == (3, "failure")


def test_an_action_repeated_by_gymnasium_is_a_call_done_so_often():
    ours, theirs = line(action_repeat=2), RepeatAction(line(), 2)
    for seed in range(6):
        for env in (ours, theirs):
            env.reset(seed=seed)
        for name in ("plus", "minus", "plus"):
            one, other = ours.step(ToolCall(name)), theirs.step(ToolCall(name))
            assert np.array_equal(one[0], other[0])
            assert one[1:4] == other[1:4]
            if one[2] or one[3]:
                break


def test_gymnasiums_statistics_count_what_the_environment_counts():
    env = RecordEpisodeStatistics(line())
    env.reset(seed=3)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(ToolCall("plus"))
        over = terminated or truncated
    assert info["episode"]["r"] == info["return"]


def test_what_is_private_is_not_looked_up_inside():
    env = AgentWrapper(line())
    assert env.goal == env.unwrapped.goal
    with pytest.raises(AttributeError, match="_num_steps"):
        env._num_steps  # noqa: B018
    with pytest.raises(AttributeError):
        env.nothing_of_the_kind  # noqa: B018


def test_a_loop_of_ones_own_is_recorded_as_the_agents_episodes_are(tmp_path):
    plan = EpisodePlan(out=tmp_path / "agent", seed=5)
    by_agent = run_episode(line(), scripted_policy("oracle"), plan, drive=drive_plainly)
    env = RecordEpisodes(line(), tmp_path / "own", policy="mine")
    env.reset(seed=5)
    terminated = False
    while not terminated:
        _, _, terminated, _, _ = env.step(to_call(env.oracle().action))
    env.reset(seed=6)
    env.step(ToolCall("fly"))
    env.close()
    own = read_episode(tmp_path / "own" / "0000")
    assert (own.header.outcome, own.header.reward, own.header.policy) == ("success", by_agent.header.reward, "mine")
    for mine, theirs in zip(own.steps, by_agent.steps, strict=True):
        assert (mine.frame, mine.call, mine.performed, mine.reward, mine.numbers) == (
            theirs.frame, theirs.call, theirs.performed, theirs.reward, theirs.numbers,
        )  # fmt: skip
    assert load_frame(tmp_path / "own" / "0000", own.steps[0].frame).size == (300, 300)
    stopped = read_episode(tmp_path / "own" / "0001")
    assert (stopped.header.outcome, stopped.steps[0].performed) == ("stopped", None)
    assert "unknown function 'fly'" in stopped.steps[0].error
    with pytest.raises(RecordError, match="holds an episode already"):
        RecordEpisodes(line(), tmp_path / "own").reset(seed=1)


@pytest.mark.parametrize("env_id", ["qwen2vl_agent/Sokoban-v0", LINE])
def test_gymnasiums_vector_of_our_worlds_is_each_alone(env_id):
    line()  # registers the ids
    several = gymnasium.make_vec(env_id, num_envs=3, vectorization_mode="sync")
    alone = [gymnasium.make(env_id).unwrapped for _ in range(3)]
    pixels, _ = several.reset(seed=7)
    for number, env in enumerate(alone):
        assert np.array_equal(pixels[number], env.reset(seed=7 + number)[0])
    pixels, rewards, _, _, _ = several.step(np.array([1, 0, 1]))
    for number, env in enumerate(alone):
        shown, reward, _, _, _ = env.step([1, 0, 1][number])
        assert (rewards[number], pixels[number].tobytes()) == (reward, shown.tobytes())
    several.close()


def test_gymnasiums_vector_takes_an_agents_environments():
    several = gymnasium.vector.SyncVectorEnv([line, line])
    pixels, infos = several.reset(seed=[1, 2])
    assert pixels.shape == (2, 300, 300, 3)
    assert list(infos["seed"]) == [1, 2]
    actions = several.action_space.sample()
    _, rewards, _, _, _ = several.step(actions)
    for seed, action, reward in zip((1, 2), actions, rewards, strict=True):
        alone = line()
        alone.reset(seed=seed)
        assert alone.step(action)[1] == reward
    several.close()
