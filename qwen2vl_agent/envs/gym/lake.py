"""A frozen lake whose holes lie elsewhere in every episode, so that only who looks can cross it."""

from typing import Any

from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv, generate_random_map

HIGHEST_MAP = 2**31
FROZEN = 0.75
"""Share of cells that are drawn frozen."""


class RandomLakeEnv(FrozenLakeEnv):
    """Cross the lake from its upper left corner to the present in the lower right one, and fall into no hole.

    - 0: Move left
    - 1: Move down
    - 2: Move right
    - 3: Move up

    gymnasium's FrozenLake with its own pictures, on a map that the seed draws at every reset; there is always a way.
    The ice holds unless `is_slippery`.
    """

    goal_text = "Cross the frozen lake to the present without falling into a hole."

    def __init__(self, render_mode: str | None = None, size: int = 4, is_slippery: bool = False) -> None:
        self._size, self._slippery = size, is_slippery
        self.max_steps = 2 * size * size
        self._lake = generate_random_map(size, FROZEN, 0)
        super().__init__(render_mode, self._lake, is_slippery=is_slippery)

    def get_action_meanings(self) -> list[str]:
        """In the order of the action space."""
        return ["left", "down", "right", "up"]

    @property
    def map_text(self) -> str:
        """The map row by row as it is now: S start, F ice, H hole, G present, and P where one stands."""
        cells = [list(row) for row in self._lake]
        row, column = divmod(int(self.s), self._size)
        cells[row][column] = "P"
        return " ".join(map("".join, cells))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Draw a map and stand at its start."""
        super().reset(seed=seed)
        self._lake = generate_random_map(self._size, FROZEN, int(self.np_random.integers(HIGHEST_MAP)))
        laid = FrozenLakeEnv(desc=self._lake, is_slippery=self._slippery)
        self.desc, self.P, self.initial_state_distrib = laid.desc, laid.P, laid.initial_state_distrib
        observation, info = super().reset(options=options)
        return int(observation), {**info, "map": self._lake}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "is_success": reward > 0}
