"""The mazes of gymnasium-robotics: a ball pushed through one in whole numbers, with a solution, and an ant."""

from collections import deque
from typing import Any

import numpy as np

from qwen2vl_agent.envs.gym.adapter import Adapter
from qwen2vl_agent.envs.gym.control import Control, call_of, quantised
from qwen2vl_agent.envs.gym.robots import LEVELS
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.errors import ConfigError

WALL = 1
"""What a maze's map has where nothing can pass; all else is a letter or 0."""
PULL, BRAKE = 10.0, 1.0
"""Force for each metre to the aim, and against each metre a second of speed. Source: D4RL,
`pointmaze/waypoint_controller.py`."""
PUSHES = 5
"""Of a call: a tenth of a second."""
Cell = tuple[int, int]
"""Row and column in the maze's map, whose first row lies at the top of the picture."""


class MazeAdapter(Adapter):
    """A ball or an ant in a maze. `info["success"]` says whether it is at the goal."""

    def __init__(self, env: Any, env_id: str) -> None:
        super().__init__(env, env_id)
        self._is_ball = hasattr(env.unwrapped, "point_env")
        self.action_repeat = PUSHES if self._is_ball else 1

    def control(self, levels: int | None) -> Control:
        """`push(dx, dy)`; of the ant its joints."""
        if not self._is_ball:
            return super().control(levels)
        steps = levels or LEVELS
        right = quantised("dx", "to the right (+) or to the left (-)", -1.0, 1.0, steps)
        up = quantised("dy", "up (+) or down (-) in the picture", -1.0, 1.0, steps)
        return call_of(self.env.action_space, "push", f"Push the ball; {steps} is as hard as it gets.", [right, up])

    def goal(self, observation: Any) -> str:
        """In words."""
        mover = "Roll the green ball" if self._is_ball else "Walk the ant"
        return f"{mover} through the maze to the red ball."

    def oracle(self, control: Control) -> Decision:
        """A push to the next cell of a shortest way, braked by its speed.

        Raises:
            ConfigError: an ant's maze, since nothing written here can walk.
        """
        if not self._is_ball:
            raise ConfigError(f"{self.env_id} has no oracle: the ant must learn to walk first; the ball's mazes have")
        world = self.env.unwrapped
        place, speed, goal = world.data.qpos[:2], world.data.qvel[:2], world.goal
        way = shortest_way(world.maze.maze_map, _cell_at(world.maze, place), _cell_at(world.maze, goal))
        aim = goal if len(way) < 2 else world.maze.cell_rowcol_to_xy(np.array(way[1]))
        thought = (
            "Roll to the red ball." if len(way) < 2 else f"Go {_direction(way)}; cells to the goal: {len(way) - 1}."
        )
        raw = np.clip(PULL * (aim - place) - BRAKE * speed, -1.0, 1.0)
        return Decision(thought, control.from_raw(raw.astype(np.float32)))


def shortest_way(maze: list[list[Any]], begin: Cell, end: Cell) -> list[Cell]:
    """The cells from `begin` to `end`, both included; `begin` alone where no way leads there."""
    before: dict[Cell, Cell | None] = {end: None}
    queue = deque([end])
    while queue and begin not in before:
        row, column = cell = queue.popleft()
        for other in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if maze[other[0]][other[1]] != WALL and other not in before:
                before[other] = cell
                queue.append(other)
    way = [begin]
    while (following := before.get(way[-1])) is not None:
        way.append(following)
    return way


def _cell_at(maze: Any, point: np.ndarray) -> Cell:
    row, column = maze.cell_xy_to_rowcol(point)
    return int(row), int(column)


def _direction(way: list[Cell]) -> str:
    rows, columns = way[1][0] - way[0][0], way[1][1] - way[0][1]
    return {(-1, 0): "up", (1, 0): "down", (0, -1): "left", (0, 1): "right"}[rows, columns]
