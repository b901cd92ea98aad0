"""Meta-World's Sawyer arm: moves in whole numbers, and its scripted policies as solutions."""

import re
import warnings
from typing import Any

import numpy as np
from PIL import Image

from qwen2vl_agent.envs.gym.adapter import Adapter
from qwen2vl_agent.envs.gym.control import Control, quantised
from qwen2vl_agent.envs.gym.robots import LEVELS, move_control
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.errors import ConfigError

GOALS = {
    "reach-v3": "Move the gripper to the red ball.",
    "push-v3": "Push the puck to the goal.",
    "pick-place-v3": "Pick up the puck and bring it to the goal.",
    "door-open-v3": "Open the door.",
    "drawer-open-v3": "Open the drawer.",
    "drawer-close-v3": "Close the drawer.",
    "button-press-topdown-v3": "Press the button from above.",
    "button-press-v3": "Press the button.",
    "window-open-v3": "Push the window open.",
    "window-close-v3": "Push the window shut.",
    "faucet-open-v3": "Turn the faucet on.",
    "handle-press-v3": "Press the handle down.",
}
FAINT = 0.02
"""Commands below this share of a full one are nothing."""
UPSIDE_DOWN = ("corner", "corner2", "corner3", "corner4")
"""Cameras whose pictures Meta-World gives upside down."""


PATIENCE, RISING = {"push-v3": 80}, 6
"""Commands after which a task's scripted policy is taken to be stuck, and those for which the open hand then rises
before it tries again: one that has lost its puck drags it along for ever. Pushing takes 54 to 70 commands."""


class MetaWorldAdapter(Adapter):
    """One task of Meta-World. `info["success"]` says whether it is solved."""

    seeded_when_made = True
    action_repeat = 2

    def __init__(self, env: Any, env_id: str) -> None:
        super().__init__(env, env_id)
        world = env.unwrapped
        self._name = str(env.spec.kwargs.get("env_name", "")) if env.spec else ""
        self._camera = getattr(world, "camera_name", None)
        quality = world.model.vis.quality
        quality.shadowsize = quality.offsamples = 0  # drawing takes a fifth of the time
        self._policy: Any = None
        self._acted = 0
        self._seen: Any = None

    def control(self, levels: int | None) -> Control:
        """`move(dx, dy, dz, gripper)`."""
        gripper = quantised("gripper", "close (+) or open (-) the fingers, so strongly", -1.0, 1.0, levels or LEVELS)
        return move_control(self.env.action_space, "sawyer", gripper, levels)

    def began(self, observation: Any, info: dict[str, Any]) -> None:
        """A new scripted policy."""
        self._policy, self._acted = None, 0

    def did(self, raw: Any) -> None:
        """Counts, for those who are stuck."""
        self._acted += 1

    @property
    def _stuck(self) -> bool:
        patience = PATIENCE.get(self._name, 0)
        return bool(patience) and self._acted >= patience and self._acted % patience < RISING

    def goal(self, observation: Any) -> str:
        """In words; a task that is not listed says its name."""
        words = re.sub(r"-v\d+$", "", self._name).replace("-", " ")
        return GOALS.get(self._name, f"{words.capitalize()}.")

    def shown(self, image: Image.Image) -> Image.Image:
        """The right way up."""
        if self._camera in UPSIDE_DOWN:
            return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        return image

    def oracle(self, control: Control) -> Decision:
        """What the task's scripted policy would do.

        Raises:
            ConfigError: Meta-World has none for this task.
        """
        from metaworld.policies import ENV_POLICY_MAP

        if self._name not in ENV_POLICY_MAP:
            raise ConfigError(f"Meta-World has no scripted policy for {self._name!r}")
        if self._policy is None:
            kind: Any = ENV_POLICY_MAP[self._name]
            self._policy = kind()
        observation = np.asarray(self.env.unwrapped._get_obs(), dtype=np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it asks for more than a full command
            raw = felt(np.clip(self._policy.get_action(observation), -1.0, 1.0))
        if self._stuck:
            raw = np.array([0.0, 0.0, 1.0, -1.0])
        return Decision(_told(raw), control.from_raw(raw))


def felt(raw: np.ndarray) -> np.ndarray:
    """The command with what is too small for a whole number enlarged to one, lest the hand stop short of its aim."""
    faint = (np.abs(raw) >= FAINT) & (np.abs(raw) < 1 / LEVELS)
    return np.where(faint, np.sign(raw) / LEVELS, raw)


def _told(raw: np.ndarray) -> str:
    names = (("right", "left"), ("away", "back"), ("up", "down"))
    parts = [pair[int(value < 0)] for pair, value in zip(names, raw[:3], strict=True) if abs(value) >= 0.1]
    hand = "close" if raw[3] > 0 else "open"
    return f"Move {' and '.join(parts) or 'nowhere'}, fingers {hand}."
