"""Bundled tasks of gymnasium environments by id, and the suites made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.envs.suite import Suite, parts_of

CARDS = {
    "number_line": "qwen2vl_agent/NumberLine-v0",
    "ezpoint": "qwen2vl_agent/EZPoint-v0",
    "point24": "qwen2vl_agent/Point24-v0",
    "blackjack": "qwen2vl_agent/Blackjack-v0",
}
GAMES = {
    "frozen_lake": (
        "qwen2vl_agent/FrozenLake-v0",
        "Cross the frozen lake to the present without falling into a hole.",
    ),
}
SOKOBAN = {
    "sokoban_1": {"size": 6, "boxes": 1},
    "sokoban_2": {"size": 7, "boxes": 2},
    "sokoban_3": {"size": 7, "boxes": 3},
}
SOKOBAN_EXAMPLE = "Push every box onto a red spot."
BABYAI = {
    "go_to_red_ball_grey": ("GoToRedBallGrey", "Go to the red ball."),
    "go_to_local": ("GoToLocal", "Go to the green key."),
    "pickup_loc": ("PickupLoc", "Pick up the ball on your left."),
    "open_door": ("OpenDoor", "Open the blue door."),
    "go_to_seq": ("GoToSeqS5R2", "Go to the grey ball, then go to the red box."),
    "synth_loc": ("SynthLoc", "Open the door behind you."),
    "boss_level": ("BossLevel", "Put the key next to the yellow door and pick up the red box."),
}
"""Seven levels from easy to hard."""
FETCH = {
    "fetch_reach": ("FetchReach-v4", "Move the gripper to the red ball."),
    "fetch_reach_two_views": ("qwen2vl_agent/FetchReach-v0", "Move the gripper to the red ball."),
    "fetch_push": ("FetchPush-v4", "Push the block to the red spot on the table."),
    "fetch_pick_and_place": ("FetchPickAndPlace-v4", "Take the block and bring it to the red ball."),
}
MAZES = {"maze_u": "UMaze", "maze_medium": "Medium", "maze_large": "Large"}
MAZE_EXAMPLE = "Roll the green ball through the maze to the red ball."
SAWYER = {
    "sawyer_reach": ("reach-v3", "Move the gripper to the red ball."),
    "sawyer_push": ("push-v3", "Push the puck to the goal."),
    "sawyer_pick_place": ("pick-place-v3", "Pick up the puck and bring it to the goal."),
    "sawyer_door_open": ("door-open-v3", "Open the door."),
    "sawyer_drawer_open": ("drawer-open-v3", "Open the drawer."),
    "sawyer_drawer_close": ("drawer-close-v3", "Close the drawer."),
    "sawyer_button_press": ("button-press-topdown-v3", "Press the button from above."),
    "sawyer_window_open": ("window-open-v3", "Push the window open."),
    "sawyer_window_close": ("window-close-v3", "Push the window shut."),
    "sawyer_faucet_open": ("faucet-open-v3", "Turn the faucet on."),
}
"""The ten tasks are those of Meta-World's MT10 but for the peg, which is replaced by the faucet."""
SAWYER_VIEW = {"camera_name": "corner2", "width": 336, "height": 336}


@dataclass(frozen=True, slots=True)
class Entry:
    """How the environment of a bundled task is made."""

    env_id: str
    example: str
    """One instruction that it may give."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    levels: int | None = None
    """See `GymConfig`."""
    ceiling: float | None = None
    """How often the best policy succeeds, where it does not always."""


def _cards() -> dict[str, Entry]:
    from qwen2vl_agent.envs.cards.rules import CEILINGS, EXAMPLES

    return {
        f"cards.{name}": Entry(env_id, EXAMPLES[name], ceiling=CEILINGS.get(name)) for name, env_id in CARDS.items()
    }


def _games() -> dict[str, Entry]:
    games = {f"games.{name}": Entry(env_id, example) for name, (env_id, example) in GAMES.items()}
    return games | {
        f"games.{name}": Entry("qwen2vl_agent/Sokoban-v0", SOKOBAN_EXAMPLE, kwargs) for name, kwargs in SOKOBAN.items()
    }


def _babyai() -> dict[str, Entry]:
    return {f"babyai.{name}": Entry(f"BabyAI-{level}-v0", example) for name, (level, example) in BABYAI.items()}


def _robots() -> dict[str, Entry]:
    fetch = {f"robots.{name}": Entry(env_id, example) for name, (env_id, example) in FETCH.items()}
    mazes = {f"robots.{name}": Entry(f"PointMaze_{size}-v3", MAZE_EXAMPLE) for name, size in MAZES.items()}
    return (
        fetch
        | mazes
        | {
            f"robots.{name}": Entry("Meta-World/MT1", example, {"env_name": env_name, **SAWYER_VIEW})
            for name, (env_name, example) in SAWYER.items()
        }
    )


def entries() -> dict[str, Entry]:
    """All bundled tasks by id."""
    return _cards() | _games() | _babyai() | _robots()


def suites() -> dict[str, Suite]:
    """By name: each family of tasks."""
    whole = entries()
    ceilings = {task: entry.ceiling for task, entry in whole.items() if entry.ceiling is not None}
    every = Suite("gym", tuple(whole), lambda task: whole[task].example, env="gym", ceilings=ceilings)
    families = parts_of(every)
    families.pop("gym")
    return families
