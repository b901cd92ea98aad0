"""Environments that nobody tuned for, and those with words and solutions of their own. They need the extras."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from qwen2vl_agent.envs.gym.cameras import look_from
from qwen2vl_agent.envs.gym.catalogue import entries
from qwen2vl_agent.envs.gym.fetch import pick_and_place, push
from qwen2vl_agent.envs.gym.maze import shortest_way
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import to_call

UNTUNED = {
    "pygame": [
        "CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Blackjack-v1",
        "FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "Taxi-v4",
    ],
    "Box2D": ["LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3", "CarRacing-v3"],
    "minigrid": [
        "MiniGrid-Empty-5x5-v0", "MiniGrid-DoorKey-8x8-v0", "MiniGrid-FourRooms-v0", "MiniGrid-LavaGapS5-v0",
        "MiniGrid-Dynamic-Obstacles-6x6-v0", "MiniGrid-MemoryS7-v0", "MiniGrid-GoToDoor-5x5-v0",
    ],
    "ale_py": ["ALE/Pong-v5", "ALE/Breakout-v5", "ALE/Tetris-v5"],
    "mujoco": ["HalfCheetah-v5", "Swimmer-v5", "Reacher-v5", "InvertedPendulum-v5", "Ant-v5"],
    "gymnasium_robotics": ["PointMaze_UMaze-v3", "HandReach-v3", "AdroitHandDoor-v1", "FetchSlide-v4"],
}  # fmt: skip
STEPS = 4


def needs(module):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} is missing: pip install -e '.[games,robot]'")


def parameters():
    return [pytest.param(name, marks=needs(module), id=name) for module, names in UNTUNED.items() for name in names]


def test_they_are_thirty_or_more():
    assert len(parameters()) >= 30


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("env_id", parameters())
def test_an_environment_that_nobody_tuned_for_is_played_through_function_calls(env_id):
    env = make_env("gym", env_id=env_id, seed=1)
    try:
        env.reset()
        assert env.goal
        env.action_space.seed(1)
        for _ in range(STEPS):
            pixels, _, terminated, truncated, info = env.step(to_call(env.action_space.sample()))
            assert not info["action_error"]
            assert pixels.dtype == np.uint8
            assert pixels.std() > 0  # something is drawn
            if terminated or truncated:
                assert info["outcome"] in ("success", "failure", "unverified")
                break
    finally:
        env.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, marks=needs("minigrid" if task.startswith("babyai") else "metaworld"))
        for task in entries()
        if task.startswith(("babyai.", "robots."))
    ],
)
def test_a_solution_solves_its_task_through_function_calls_and_doing_nothing_does_not(task):
    env = make_env("gym", task=task)
    try:
        env.reset(seed=1, options={"task": task})
        assert outcome(env, env.oracle) == "success"
        env.reset(seed=1, options={"task": task})
        limit = env.max_steps // 4
        results = [env.step(env.noop())[4].get("outcome") for _ in range(limit)]
        assert "success" not in results
    finally:
        env.close()


def outcome(env, decide):
    while True:
        _, _, terminated, truncated, info = env.step(to_call(decide().action))
        assert not info["action_error"]
        if terminated or truncated:
            return info["outcome"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("env_id", "kwargs", "camera"),
    [
        pytest.param("FetchReach-v4", {}, "head_camera_rgb", marks=needs("gymnasium_robotics")),
        pytest.param("HalfCheetah-v5", {}, "track", marks=needs("mujoco")),
        pytest.param("Meta-World/MT1", {"env_name": "reach-v3"}, "corner3", marks=needs("metaworld")),
    ],
)
def test_a_robots_camera_can_be_chosen(env_id, kwargs, camera):
    pictures = []
    for name in ("", camera):
        env = make_env("gym", env_id=env_id, env_kwargs=kwargs, camera=name, seed=1)
        env.reset(seed=1)
        pictures.append(np.asarray(env.observation.image))
        env.close()
    assert not np.array_equal(*pictures)
    assert pictures[1].std() > 0
    with pytest.raises(ConfigError, match=camera):
        make_env("gym", env_id=env_id, env_kwargs=kwargs, camera="nowhere")


# The written solutions, without a robot ----------------------------------------------------------------------


def test_a_camera_is_found_by_its_name_where_there_are_some():
    names = ["front", "hand"]
    model = SimpleNamespace(ncam=2, camera=lambda number: SimpleNamespace(name=names[number]))
    body = SimpleNamespace(mujoco_renderer=SimpleNamespace(camera_id=None), model=model)
    for world, drawn in ((body, body), (SimpleNamespace(point_env=body), body)):
        for name, number in (("hand", 1), ("front", 0), ("free", -1)):
            look_from(SimpleNamespace(unwrapped=world), "Arm-v0", name)
            assert drawn.mujoco_renderer.camera_id == number
    with pytest.raises(ConfigError, match="Arm-v0 has no camera 'top'; there are front, hand, free"):
        look_from(SimpleNamespace(unwrapped=body), "Arm-v0", "top")
    with pytest.raises(ConfigError, match="no cameras"):
        look_from(SimpleNamespace(unwrapped=SimpleNamespace()), "Arm-v0", "top")


def test_a_way_through_a_maze_is_the_shortest():
    maze = [[1, 1, 1, 1, 1], [1, "r", 1, 0, 1], [1, 0, 1, "g", 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]
    way = shortest_way(maze, (1, 1), (1, 3))
    assert way == [(1, 1), (2, 1), (3, 1), (3, 2), (3, 3), (2, 3), (1, 3)]
    assert shortest_way(maze, (2, 3), (2, 3)) == [(2, 3)]
    maze[3][2] = 1
    assert shortest_way(maze, (1, 1), (1, 3)) == [(1, 1)]


def test_a_block_is_approached_from_above_taken_and_carried():
    block, goal = np.array([1.3, 0.7, 0.42]), np.array([1.4, 0.8, 0.6])
    assert pick_and_place(block + np.array([0.2, 0, 0.2]), block, 0.1, goal)[0].startswith("Go over")
    assert pick_and_place(block + np.array([0, 0, 0.07]), block, 0.1, goal)[0].startswith("Go down")
    thought, raw = pick_and_place(block + np.array([0, 0, 0.005]), block, 0.1, goal)
    assert (thought[:5], raw[3]) == ("Close", -1.0)
    thought, raw = pick_and_place(block, block, 0.05, goal)
    assert thought.startswith("Carry")
    assert (raw[:3] > 0).all()


def test_a_block_is_pushed_from_behind_only():
    block, goal = np.array([1.3, 0.7, 0.42]), np.array([1.5, 0.7, 0.42])
    assert push(block + np.array([-0.08, 0, 0]), block, goal)[0].startswith("Push")
    assert push(block + np.array([0.08, 0, 0]), block, goal)[0].startswith("Rise")
    assert push(block + np.array([0.08, 0, 0.2]), block, goal)[0].startswith("Go over")
    assert push(block + np.array([-0.09, 0, 0.1]), block, goal)[0].startswith("Go down")
    pushing = push(block + np.array([-0.08, 0, 0]), block, goal)[1]
    assert pushing[0] > 0.5
    assert abs(pushing[1]) < 0.1
