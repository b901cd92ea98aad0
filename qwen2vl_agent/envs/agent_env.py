"""What the agent loop asks of an environment, beyond gymnasium's contract. `ScreenEnv` is the usual one."""

from typing import Any, Protocol

from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolSpec


class AgentEnv(Protocol):
    """A gymnasium environment whose actions are function calls and whose observations are pictures.

    `reset` takes `options={"task": …, "split": …}`; after it `tools`, `goal` and `task` hold for the episode. The
    `info` of `step` tells `performed` (what was really sent, or None), `action_error` (what the agent is told of a call
    that was refused, or an empty text) and the seconds `perform_s`, `settle_s` (the look included) and `capture_s`. An
    environment that judges its episodes itself tells `outcome` and `message` at the last step, and one that counts its
    rewards `return`, their sum; elsewhere a reward of 1 at the end is success.
    """

    tools: tuple[type, ...]
    """Action classes that may be called in this episode, defined as in `schema/actions.py`."""
    goal: str
    """The instruction."""
    task: Any
    """What is measured: its `id`, and `unseen` where its words are held out of training; None for free text."""
    episode_seed: int | None
    action_space: Any
    """An `ActionSpace` of `tools`."""

    @property
    def device_name(self) -> str:
        """What records call it: `android`, `virtual-phone`, `desktop`, `browser`, `gym`."""
        ...

    @property
    def split(self) -> str:
        """Where the words of bundled tasks come from, unless `reset` is told otherwise."""
        ...

    @property
    def observation(self) -> Observation:
        """What the agent is to look at now."""
        ...

    @property
    def legal_tools(self) -> tuple[ToolSpec, ...]:
        """The tools as they may be called now, arguments narrowed to what exists."""
        ...

    @property
    def max_steps(self) -> int:
        """Steps after which this episode is cut off."""
        ...

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        ...

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do an action or a `ToolCall`."""
        ...

    def oracle(self) -> Any:
        """The solution's next `Decision`.

        Raises:
            ConfigError: this task has none.
        """
        ...

    def close(self) -> None:
        """Let go of what is operated."""
        ...
