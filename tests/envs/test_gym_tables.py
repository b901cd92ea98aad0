"""Worlds whose rules are a table, the lake that is drawn anew, and what solutions say of what they see."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from qwen2vl_agent.envs.gym.making import make_raw
from qwen2vl_agent.envs.gym.tabular import DISCOUNT, best_actions
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.suites import episode_seed

pytest.importorskip("pygame", reason="pygame is missing: pip install -e '.[games]'")


def played(env, seed):
    """How an episode of the solution ends, and after how many calls."""
    env.reset(seed=seed)
    for calls in range(1, env.max_steps + 1):
        _, _, terminated, truncated, info = env.step(env.oracle().action)
        if terminated or truncated:
            return info["outcome"], calls, info["return"]
    raise AssertionError("it does not end")


def policy_value(table, actions):
    """The value of every state under fixed actions, by solving Bellman's equations."""
    states = len(table)
    matrix, earned = np.eye(states), np.zeros(states)
    for state in range(states):
        for chance, after, reward, ended in table[state][int(actions[state])]:
            earned[state] += chance * reward
            matrix[state, after] -= chance * DISCOUNT * (not ended)
    return np.linalg.solve(matrix, earned)


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v4", "CliffWalking-v1"])
def test_no_other_action_is_better_than_the_best(env_id):
    table = gymnasium.make(env_id).unwrapped.P
    values = policy_value(table, best_actions(table))
    for state, actions in table.items():
        for results in actions.values():
            value = sum(p * (reward + DISCOUNT * (not end) * values[after]) for p, after, reward, end in results)
            assert value <= values[state] + 1e-6


def test_the_lake_is_another_in_every_episode_and_can_always_be_crossed():
    env = make_env("gym", task="games.frozen_lake")
    ways = {played(env, seed) for seed in range(30)}
    assert {outcome for outcome, _, _ in ways} == {"success"}
    assert {calls for _, calls, _ in ways} >= {6}
    pictures = [env.reset(seed=seed)[0] for seed in range(10)]
    again = [make_env("gym", task="games.frozen_lake").reset(seed=seed)[0] for seed in range(3)]
    assert all(np.array_equal(one, other) for one, other in zip(pictures, again, strict=False))
    assert len({picture.tobytes() for picture in pictures}) > 7


def test_gymnasiums_checker_finds_nothing_in_the_lake():
    check_env(make_raw("qwen2vl_agent/FrozenLake-v0", {}).unwrapped)


def test_stepping_into_a_hole_is_a_failure():
    env = make_env("gym", task="games.frozen_lake")
    fell = 0
    for seed in range(20):
        env.reset(seed=seed)
        env.action_space.seed(seed)
        for _ in range(env.max_steps):
            _, _, terminated, truncated, info = env.step(env.action_space.sample())
            if terminated or truncated:
                break
        fell += info["outcome"] == "failure"
    assert fell >= 15


def test_a_taxi_is_driven_to_its_aim():
    outcome, calls, earned = played(make_env("gym", env_id="Taxi-v4"), 5)
    assert earned == 21 - calls  # 20 for the aim in place of the last -1
    assert outcome == ("success" if earned >= 8 else "failure")


def test_a_thought_tells_a_sure_way_and_only_one_step_of_an_unsure_one():
    sure, unsure = make_env("gym", task="games.frozen_lake"), make_env("gym", env_id="FrozenLake-v1")
    sure.reset(seed=0)
    unsure.reset(seed=0)
    assert sure.oracle().thought.count(",") == 5
    assert "," not in unsure.oracle().thought


def test_babyais_solution_tells_the_map_once_and_the_way_at_every_step():
    pytest.importorskip("minigrid", reason="minigrid is missing: pip install -e '.[games]'")
    env = make_env("gym", task="babyai.go_to_red_ball_grey")
    for seed in range(5):
        env.reset(seed=seed)
        world, info = env.env.unwrapped, {}
        first = env.oracle().thought
        told, here = first.split(". I am")
        x, y = world.agent_pos
        agent = re.search(rf"\b{x}{y}(?P<agent>[<>v^])(?P=agent){x}{y}", told)["agent"]
        assert here.startswith(f" {2 * agent}{x}{y}, ahead ")
        while not info.get("outcome"):
            thought = env.oracle().thought
            way = {side: int(cells) for cells, side in re.findall(r"(\d) (right|left|down|up)", thought)}
            column = world.agent_pos[0] + way.get("right", 0) - way.get("left", 0)
            row = world.agent_pos[1] + way.get("down", 0) - way.get("up", 0)
            assert (world.grid.get(column, row).type, world.grid.get(column, row).color) == ("ball", "red")
            assert f"{column}{row}RR{column}{row}" in told
            assert re.fullmatch(rf"(.+\. )?I am ..\d\d, ahead \d\d.., it is RR{column}{row}: .+: .+\.", thought)
            assert (". I am" in thought) == (env.oracle().thought == first)
            *_, info = env.step(env.oracle().action)
        assert info["outcome"] == "success"


def test_rooms_are_crossed_in_no_more_moves_than_babyais_bot_makes():
    minigrid = pytest.importorskip(
        "minigrid.utils.baby_ai_bot", reason="minigrid is missing: pip install -e '.[games]'"
    )
    ours, saved = make_env("gym", task="babyai.go_to_local"), 0
    for seed in range(12):
        outcome, calls, _ = played(ours, seed)
        ours.reset(seed=seed)
        world = ours.env.unwrapped
        bot, action, moves, done = minigrid.BabyAIBot(world), None, 0, False
        while not done:
            action = bot.replan(action)
            _, _, done, _, _ = world.step(action)
            moves += 1
        assert outcome == "success"
        saved += moves - calls
    assert saved >= 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of infinite bounds, which are Fetch's own
def test_gymnasiums_checker_finds_nothing_in_fetchs_reach():
    pytest.importorskip("gymnasium_robotics", reason="gymnasium_robotics is missing: pip install -e '.[robot]'")
    check_env(make_raw("qwen2vl_agent/FetchReach-v0", {}).unwrapped, skip_render_check=True)


@pytest.mark.slow
def test_fetchs_reach_is_seen_from_two_sides():
    pytest.importorskip("gymnasium_robotics", reason="gymnasium_robotics is missing: pip install -e '.[robot]'")
    env = make_env("gym", task="robots.fetch_reach_two_views")
    assert {played(env, seed)[0] for seed in range(5)} == {"success"}
    env.reset(seed=0)
    left, right = np.hsplit(env.render() if env.render_mode else np.array(env.observation.image), 2)
    for view in (left, right):
        red = (view[..., 0] > 150) & (view[..., 1] < 60) & (view[..., 2] < 60)
        assert red.sum() > 20  # the ball
    assert not np.array_equal(left, right)


@pytest.mark.slow
def test_a_push_that_lost_its_puck_begins_anew():
    pytest.importorskip("metaworld", reason="metaworld is missing: pip install -e '.[robot]'")
    env = make_env("gym", task="robots.sawyer_push", blind=True)
    outcome, calls, _ = played(env, episode_seed(51, 0))
    assert outcome == "success"
    assert calls > 40  # it was stuck at first
