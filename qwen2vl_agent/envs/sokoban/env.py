"""Sokoban: push every box onto a goal. A box can be pushed and never pulled, so that a wrong push may be the last."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from qwen2vl_agent.envs.sokoban.drawing import CELL, draw
from qwen2vl_agent.envs.sokoban.level import check_level, draw_level
from qwen2vl_agent.envs.sokoban.plan import Way, shortest
from qwen2vl_agent.envs.sokoban.room import DIRECTIONS, Position, Room, is_solved, moved

GOAL_TEXT = (
    "Push every box onto a red spot. Boxes are pushed one at a time and never pulled; restart puts all back as it was."
)
MOVES = tuple(DIRECTIONS)
RESTART = len(MOVES)
"""The action's number."""
MOST_STEPS = 120
"""Actions after which an episode is cut off. Source: gym-sokoban, `max_steps`."""
STEP, PLACED, FINISHED = -0.1, 1.0, 10.0
"""Rewards: of each action; of a box that comes onto a goal, taken back when one leaves it; and of the end. Source:
gym-sokoban, `sokoban_env.py`."""


class SokobanEnv(gymnasium.Env[np.ndarray, Any]):
    """A room with boxes and as many goals. Each action is one step of the player, who pushes a box that is in the way.

    - 0: go up
    - 1: go down
    - 2: go left
    - 3: go right
    - 4: restart: put player and boxes back where they began

    Every level can be solved, in fewer steps than an episode has (`level.py`). Where none leads to the end any more,
    `restart` does.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 (gymnasium's own form)
    goal_text = GOAL_TEXT
    max_steps = MOST_STEPS

    def __init__(self, size: int = 7, boxes: int = 2, render_mode: str | None = None) -> None:
        """`size`: cells to each side of the room, outer wall included.

        Raises:
            ValueError: no levels of this kind can be drawn.
        """
        check_level(size, boxes)
        self.size, self.boxes, self.render_mode = size, boxes, render_mode
        self.action_space = spaces.Discrete(len(MOVES) + 1)
        self.observation_space = spaces.Box(0, 255, (size * CELL, size * CELL, 3), np.uint8)
        self.room: Room
        self.position: Position

    def get_action_meanings(self) -> list[str]:
        """In the order of the action space."""
        return [*MOVES, "restart"]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a level."""
        super().reset(seed=seed)
        self.room, self._begin = draw_level(self.np_random, self.size, self.boxes)
        self.position, self._steps = self._begin, 0
        self._way: Way = ()
        return self.render(), self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Go one step, or begin the level anew."""
        self._steps += 1
        before = self._placed()
        if int(action) == RESTART:
            self.position, self._way = self._begin, ()
        else:
            self._go(MOVES[int(action)])
        solved = is_solved(self.room, self.position)
        reward = STEP + PLACED * (self._placed() - before) + (FINISHED if solved else 0.0)
        return self.render(), reward, solved, not solved and self._steps >= MOST_STEPS, self._info()

    def _go(self, direction: str) -> None:
        self._way = self._way[1:] if self._way[:1] == (direction,) else ()
        self.position = moved(self.room, self.position, direction)

    def solution(self) -> tuple[str, int]:
        """The next step of a shortest way from here, and what it is for; `restart` where there is none."""
        self._way = self._way or shortest(self.room, self.position) or ()
        if not self._way:
            return "A box is stuck: begin anew.", RESTART
        direction = self._way[0]
        position, walked = self.position, 0
        while (after := moved(self.room, position, self._way[walked])).boxes == position.boxes:
            position, walked = after, walked + 1
        row, column = after.player
        thought = f"The box in row {row}, column {column} is to go {self._way[walked]}"
        return f"{thought}: {'push it' if walked == 0 else f'walk {direction}'}.", MOVES.index(direction)

    def render(self) -> np.ndarray:
        """The picture."""
        return np.array(draw(self.room, self.position))

    def _placed(self) -> int:
        return len(self.position.boxes & self.room.goals)

    def _info(self) -> dict[str, Any]:
        return {"boxes_placed": self._placed(), "is_success": is_solved(self.room, self.position)}
