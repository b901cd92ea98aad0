"""What is known about a kind of environment beyond gymnasium's contract. `Adapter` knows nothing; others know more."""

import importlib
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.gym import words
from qwen2vl_agent.envs.gym.control import Control, control_of
from qwen2vl_agent.envs.gym.judging import flagged
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.errors import ConfigError

KINDS = {
    "minigrid.": "qwen2vl_agent.envs.gym.minigrid:MiniGridAdapter",
    "gymnasium_robotics.envs.fetch": "qwen2vl_agent.envs.gym.fetch:FetchAdapter",
    "gymnasium_robotics.envs.maze": "qwen2vl_agent.envs.gym.maze:MazeAdapter",
    "gymnasium.envs.toy_text": "qwen2vl_agent.envs.gym.tabular:TabularAdapter",
    "metaworld": "qwen2vl_agent.envs.gym.metaworld:MetaWorldAdapter",
}
"""How the module of an environment's class begins, and its adapter."""


class Adapter:
    """An environment about which nothing more is known."""

    seeded_when_made = False
    """Whether another seed needs another environment, made with `seed=`; else `reset` takes it."""
    action_repeat = 1
    """How often a call is done, unless told otherwise."""

    def __init__(self, env: Any, env_id: str) -> None:
        self.env, self.env_id = env, env_id

    def control(self, levels: int | None) -> Control:
        """The functions."""
        return control_of(self.env, levels)

    def began(self, observation: Any, info: dict[str, Any]) -> None:
        """Take note of a new episode."""

    def goal(self, observation: Any) -> str:
        """The instruction: the environment's own (`mission`, `goal_text`), or what it says it is about."""
        unwrapped = self.env.unwrapped
        inside = observation.get("mission") if isinstance(observation, dict) else None
        for told in (inside, getattr(unwrapped, "mission", None), getattr(unwrapped, "goal_text", None)):
            if isinstance(told, str) and told:
                return sentence(told)
        about = words.about(self.env)
        threshold = self.env.spec.reward_threshold if self.env.spec else None
        wanted = f"Earn {threshold:g} or more" if threshold is not None else "Earn as much as you can"
        return f"{self.env_id}. {sentence(about)} {wanted}.".replace("  ", " ")

    def beside(self, observation: Any, info: dict[str, Any]) -> str:
        """What to tell beside the picture that the picture cannot show."""
        return ""

    def shown(self, image: Image.Image) -> Image.Image:
        """The picture as the agent is to see it."""
        return image

    def did(self, raw: Any) -> None:
        """Take note of what was done."""

    def solved(self, reward: float, ended: bool, info: dict[str, Any]) -> bool | None:
        """Whether it says that it is solved after a step; None where it does not say."""
        return flagged(info)

    def threshold(self) -> float | None:
        """The sum of rewards at which it counts as solved, where nothing else says so."""
        return self.env.spec.reward_threshold if self.env.spec else None

    def oracle(self, control: Control) -> Decision:
        """The next action of a solution: an environment's own, if it has a method `solution` that gives one.

        Raises:
            ConfigError: it has none.
        """
        solution = getattr(self.env.unwrapped, "solution", None)
        if solution is None:
            raise ConfigError(f"{self.env_id} has no oracle; --policy random and noop play it without a model")
        thought, raw = solution()
        return Decision(thought, control.from_raw(raw))


def adapter_class(env: Any) -> type[Adapter]:
    """The adapter for an environment, by the module of its class or of one that it comes from."""
    for kind in type(env.unwrapped).__mro__:
        for start, where in KINDS.items():
            if f"{kind.__module__}.".startswith(start):
                module, _, name = where.partition(":")
                found: type[Adapter] = getattr(importlib.import_module(module), name)
                return found
    return Adapter


def map_words(env: Any) -> str:
    """What an environment says of its picture, cell by cell (`map_text`), to begin a thought with.

    A small model that is to write this first learns to look; one that is to write numbers at once may never.
    """
    told = getattr(env.unwrapped, "map_text", "")
    return f"{told}. " if told else ""


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    text = text.strip()
    return text and text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
