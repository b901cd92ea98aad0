"""Fetch's reach with two near views in one picture: one camera cannot tell how far away a ball in the air is."""

from typing import Any

import numpy as np
from gymnasium_robotics.envs.fetch.reach import MujocoFetchReachEnv

SIDE = 168
"""Of each view, in pixels."""
CELLS = 6
"""Of each view in `map_text`, along each side: 28 pixels each, a token of the model."""
MIDDLE = (1.34, 0.75, 0.55)
"""What both cameras look at: the middle of what the hand can reach, in metres."""
DISTANCE = 1.1
"""From there to each camera, in metres: so far off that what is near looks hardly larger than what is behind it."""
FIELD = 20.0
"""Of view, in degrees: 39 cm at the middle, of which the hand reaches 30."""
FRONT, LEFT = 180.0, 90.0
"""Azimuths of the cameras in degrees: one sees the robot's own left and right, the other its fore and aft."""


class TwoViewReachEnv(MujocoFetchReachEnv):
    """Move the gripper to the red ball. The left half of the picture is seen from the front, the right half from aside.

    gymnasium-robotics' `FetchReach` with its own rules; only what `render` draws differs.
    """

    max_steps = 50
    """Source: `max_episode_steps` of FetchReach."""

    def __init__(self, reward_type: str = "sparse", **kwargs: Any) -> None:
        camera = {"distance": DISTANCE, "elevation": 0.0, "lookat": np.array(MIDDLE)}
        sides = {"width": SIDE, "height": SIDE, "default_camera_config": camera}
        super().__init__(reward_type, **{**sides, **kwargs})
        self.model.vis.global_.fovy = FIELD

    def render(self) -> np.ndarray:
        """Both views side by side, (height, 2 * width, 3)."""
        return np.concatenate([self._seen_from(azimuth) for azimuth in (FRONT, LEFT)], axis=1)

    @property
    def map_text(self) -> str:
        """Where in the picture the hand (h) and the ball (b) are, cell by cell and row by row; x where both are.

        Then where both are in the room: centimetres ahead, left and above the middle.
        """
        cells = [["."] * (2 * CELLS) for _ in range(CELLS)]
        hand, ball = self._get_obs()["achieved_goal"], self.goal
        for view, azimuth in enumerate((FRONT, LEFT)):
            for letter, place in (("h", hand), ("b", ball)):
                column, row = cell_of(place, azimuth)
                met = cells[row][column + view * CELLS] != "."
                cells[row][column + view * CELLS] = "x" if met else letter
        rows = " ".join("".join(row) for row in cells)
        return f"{rows}. Hand {_centimetres(hand)}, ball {_centimetres(ball)}"

    def _seen_from(self, azimuth: float) -> np.ndarray:
        self.mujoco_renderer._get_viewer(self.render_mode).cam.azimuth = azimuth
        return np.asarray(super().render())


def cell_of(place: np.ndarray, azimuth: float) -> tuple[int, int]:
    """Column and row of the cell where a camera sees a place, (3,) in metres; the nearest one if it is out of sight."""
    angle = np.deg2rad(azimuth)
    ahead, right = np.array([np.cos(angle), np.sin(angle), 0.0]), np.array([np.sin(angle), -np.cos(angle), 0.0])
    offset = np.asarray(place) - MIDDLE
    half = (offset @ ahead + DISTANCE) * np.tan(np.deg2rad(FIELD / 2))
    across, down = offset @ right / half, -offset[2] / half
    column, row = (int(np.clip((share + 1) / 2 * CELLS, 0, CELLS - 1)) for share in (across, down))
    return column, row


def _centimetres(place: np.ndarray) -> str:
    return " ".join(str(round(float(value))) for value in 100 * (np.asarray(place) - MIDDLE))
