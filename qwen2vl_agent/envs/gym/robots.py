"""What arms have in common: a function `move` in whole numbers, and nearing a point step by step."""

from typing import Any

import numpy as np

from qwen2vl_agent.envs.gym.control import Argument, Control, call_of, quantised

LEVELS = 10
MOVE = "move"
DIRECTIONS = {
    "fetch": (
        "away from the robot (+) or back to it (-)",
        "to the robot's left (+) or right (-)",
        "up (+) or down (-)",
    ),
    "sawyer": (
        "to the robot's right (+) or left (-)",
        "away from the robot (+) or back to it (-)",
        "up (+) or down (-)",
    ),
}


def move_control(space: Any, robot: str, gripper: Argument, levels: int | None) -> Control:
    """`move(dx, dy, dz, gripper)`: three whole numbers from -10 to 10, 10 being as far as one call can go."""
    steps = levels or LEVELS
    directions = zip(("dx", "dy", "dz"), DIRECTIONS[robot], strict=True)
    hand = [quantised(name, told, -1.0, 1.0, steps) for name, told in directions]
    return call_of(space, MOVE, f"Move the hand; {steps} is as far as it gets in one call.", [*hand, gripper])


def towards(error: Any, gain: float) -> np.ndarray:
    """The command that brings the hand nearer, each axis within [-1, 1]; `error` in metres."""
    return np.clip(np.asarray(error) * gain, -1.0, 1.0)
