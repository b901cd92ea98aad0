"""The Fetch arm of gymnasium-robotics: moves in whole numbers, and written solutions for three of its tasks."""

import re
from typing import Any, Literal

import numpy as np

from qwen2vl_agent.envs.gym.adapter import Adapter, map_words
from qwen2vl_agent.envs.gym.control import Argument, Control
from qwen2vl_agent.envs.gym.robots import LEVELS, move_control, towards
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.errors import ConfigError

GOALS = {
    "FetchReach": "Move the gripper to the red ball.",
    "FetchPush": "Push the block to the red spot on the table.",
    "FetchPickAndPlace": "Take the block and bring it to the red ball, on the table or in the air.",
    "FetchSlide": "Hit the puck so that it slides to the red spot.",
}
OPEN, CLOSED = 1.0, -1.0
HELD_WIDTH = 0.06
"""Fingers nearer to each other than this, in metres, hold the block, which is 5 cm wide."""
ABOVE, BEHIND, NEAR = 0.07, 0.09, 0.015
"""Metres: over the block before going down, behind it before pushing, and what counts as there."""
SIDES = (("behind", "ahead"), ("right", "left"), ("below", "above"))
"""Of the axes x, y and z: less and more."""
CLEAR = 0.045
"""Metres over the block at which the hand may pass beside or over it."""
GAIN = 10.0
"""Command for each metre of error. A full command moves the target of the hand by 5 cm in each of two repeats."""


class FetchAdapter(Adapter):
    """The arm over its table. `info["is_success"]` says whether what is asked for holds now."""

    action_repeat = 2

    @property
    def _task(self) -> str:
        """The id without who registers it, version and kind of reward: `FetchReach`."""
        return re.split("Dense|-", self.env_id.rpartition("/")[2])[0]

    def control(self, levels: int | None) -> Control:
        """`move(dx, dy, dz, gripper)`; the gripper stays shut where the task does not need it."""
        shut = bool(getattr(self.env.unwrapped, "block_gripper", False))
        options = ("closed",) if shut else ("open", "closed")
        hint = Literal[options]  # type: ignore[valid-type]
        metadata = {"description": "how to hold the fingers"}

        def decode(value: str) -> float:
            return OPEN if value == "open" else CLOSED

        def encode(value: Any) -> str:
            return "open" if value > 0 and not shut else "closed"

        gripper = Argument("gripper", hint, metadata, decode, encode, options[0])
        return move_control(self.env.action_space, "fetch", gripper, levels or LEVELS)

    def began(self, observation: Any, info: dict[str, Any]) -> None:
        """Nothing to remember: the solutions look at what is."""

    def goal(self, observation: Any) -> str:
        """In words."""
        return GOALS.get(self._task, super().goal(observation))

    def oracle(self, control: Control) -> Decision:
        """The next move, from where everything is now.

        Raises:
            ConfigError: a task without a written solution.
        """
        seen = self.env.unwrapped._get_obs()
        goal, state = seen["desired_goal"], seen["observation"]
        if self._task == "FetchReach":
            offset = goal - seen["achieved_goal"]
            thought, raw = f"{map_words(self.env)}The ball is {offset_words(offset)}.", _raw(offset, CLOSED)
        elif self._task == "FetchPush":
            thought, raw = push(state[:3], state[3:6], goal)
        elif self._task == "FetchPickAndPlace":
            thought, raw = pick_and_place(state[:3], state[3:6], float(state[9] + state[10]), goal)
        else:
            raise ConfigError(f"{self.env_id} has no written solution; Reach, Push and PickAndPlace have")
        return Decision(thought, control.from_raw(raw))


def offset_words(offset: np.ndarray) -> str:
    """Where something lies as seen from the robot, (3,) in metres, in centimetres: `7 ahead, 4 right, 0 above`."""
    numbers = [round(100 * float(value)) for value in offset]
    return ", ".join(f"{abs(n)} {less if n < 0 else more}" for n, (less, more) in zip(numbers, SIDES, strict=True))


def push(hand: np.ndarray, block: np.ndarray, goal: np.ndarray) -> tuple[str, np.ndarray]:
    """Get behind the block, seen from the goal, go down, and push. Positions in metres."""
    way = (goal - block)[:2]
    direction = way / max(float(np.linalg.norm(way)), 1e-6)
    offset = (block - hand)[:2]
    along = float(offset @ direction)
    aside = offset - along * direction
    low = hand[2] < block[2] + CLEAR / 2
    if low and 0 < along < BEHIND + 0.05 and np.linalg.norm(aside) < 2 * NEAR:
        error = np.array([*(way * 0.6 + direction * 0.01 + aside * 1.5), block[2] - hand[2]])
        return "Push the block to the spot.", _raw(error, CLOSED)
    start = np.array([*(block[:2] - direction * BEHIND), block[2]])
    there = float(np.linalg.norm((start - hand)[:2]))
    if there < NEAR:
        return "Go down behind the block.", _raw(start - hand, CLOSED)
    if hand[2] < block[2] + CLEAR:
        return "Rise over the block.", _raw(np.array([0.0, 0.0, block[2] + ABOVE - hand[2]]), CLOSED)
    over = np.array([0.0, 0.0, ABOVE])
    return "Go over the place behind the block.", _raw(start + over - hand, CLOSED)


def pick_and_place(hand: np.ndarray, block: np.ndarray, width: float, goal: np.ndarray) -> tuple[str, np.ndarray]:
    """Go over the block, down, close, and carry. Positions and the distance of the fingers in metres."""
    offset = block - hand
    if np.linalg.norm(offset) < 2 * NEAR and width < HELD_WIDTH:
        return "Carry the block to the ball.", _raw(goal - block, CLOSED)
    if np.linalg.norm(offset) < NEAR:
        return "Close the fingers round the block.", _raw(offset * 0.2, CLOSED)
    if np.linalg.norm(offset[:2]) < NEAR:
        return "Go down to the block.", _raw(offset, OPEN)
    return "Go over the block with open fingers.", _raw(offset + np.array([0.0, 0.0, ABOVE]), OPEN)


def _raw(error: Any, gripper: float) -> np.ndarray:
    return np.array([*towards(error, GAIN), gripper], dtype=np.float32)
