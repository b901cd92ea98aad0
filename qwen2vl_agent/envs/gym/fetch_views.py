"""Fetch's reach with two near views in one picture: one camera cannot tell how far away a ball in the air is."""

from typing import Any

import numpy as np
from gymnasium_robotics.envs.fetch.reach import MujocoFetchReachEnv

SIDE = 224
"""Of each view, in pixels."""
MIDDLE = (1.34, 0.75, 0.55)
"""What both cameras look at: the middle of what the hand can reach, in metres."""
DISTANCE = 0.75
"""From there to each camera, in metres."""
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

    def render(self) -> np.ndarray:
        """Both views side by side, (height, 2 * width, 3)."""
        return np.concatenate([self._seen_from(azimuth) for azimuth in (FRONT, LEFT)], axis=1)

    def _seen_from(self, azimuth: float) -> np.ndarray:
        self.mujoco_renderer._get_viewer(self.render_mode).cam.azimuth = azimuth
        return np.asarray(super().render())
