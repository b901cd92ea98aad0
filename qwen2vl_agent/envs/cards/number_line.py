"""NumberLine: move a number to its target, one at a time."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from PIL import Image, ImageDraw

from qwen2vl_agent.envs.cards.drawing import BLACK, SIDE, font
from qwen2vl_agent.envs.cards.rules import EXAMPLES


class NumberLineEnv(gymnasium.Env[np.ndarray, Any]):
    """Two numbers are shown, `Target` and `Current`. An action moves the current one by 1 and never out of range.

    - 0: take 1 away
    - 1: add 1

    The reward is 1 on the target, which ends the episode, 0 for a step towards it and -1 for any other; after twice
    the largest number the episode is cut off. The two numbers differ at first.

    Source: the rules of RL4VLM (arXiv 2405.10292), gym-cards `numberline.py`, its special notes included.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 (gymnasium's own form)
    goal_text = EXAMPLES["number_line"]

    def __init__(self, max_position: int = 5, render_mode: str | None = None) -> None:
        self.max_position, self.render_mode = max_position, render_mode
        self.max_steps = 2 * max_position
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.target = self.current = self._steps = 0

    def get_action_meanings(self) -> list[str]:
        """In the order of the action space."""
        return ["minus", "plus"]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw two numbers that differ."""
        super().reset(seed=seed)
        numbers = self.np_random.choice(self.max_position + 1, 2, replace=False)
        self.target, self.current, self._steps = int(numbers[0]), int(numbers[1]), 0
        return self._picture(), self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move by one."""
        self._steps += 1
        before = abs(self.current - self.target)
        self.current = min(max(self.current + (1 if action == 1 else -1), 0), self.max_position)
        after = abs(self.current - self.target)
        reward = 1.0 if after == 0 else 0.0 if after < before else -1.0
        truncated = after > 0 and self._steps >= self.max_steps
        return self._picture(), reward, after == 0, truncated, self._info()

    def solution(self) -> tuple[str, int]:
        """The right next action, and why."""
        if self.current < self.target:
            return f"{self.current} is less than {self.target}: add.", 1
        return f"{self.current} is more than {self.target}: take away.", 0

    def render(self) -> np.ndarray:
        """The picture."""
        return self._picture()

    def _info(self) -> dict[str, Any]:
        return {"target": self.target, "current": self.current, "is_success": self.target == self.current}

    def _picture(self) -> np.ndarray:
        image = Image.new("RGB", (SIDE, SIDE), "white")
        draw = ImageDraw.Draw(image)
        draw.text((30, 80), f"Target: {self.target}", BLACK, font(40), anchor="lm")
        draw.text((30, 200), f"Current: {self.current}", BLACK, font(40), anchor="lm")
        return np.array(image)
