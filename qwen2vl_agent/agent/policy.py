"""What decides: a policy looks at a context and says a reply in text, be it a model, a script or chance."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from qwen2vl_agent.dialogue.compose import Dialogue, Turn
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, ToolSpec
from qwen2vl_agent.schema.trajectory import Reply, StoredFrame

POLICY_NAMES = ("model", "oracle", "random", "noop")


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """All that a policy may know at a step."""

    dialogue: Dialogue
    """The goal, the tools and the form in which to call them."""
    actions: tuple[type, ...]
    """The action classes behind the tools."""
    legal: tuple[ToolSpec, ...] | None = None
    """The tools that may be called at this step, their arguments narrowed to what exists; None: all, as they are."""
    turns: tuple[Turn, ...]
    """The steps so far."""
    observation: Observation
    frame: StoredFrame
    """The observation's picture as it was recorded."""
    index: int
    """Number of this step, from 0."""
    env: Any = None
    """The environment itself: only scripts that know the answer look here, a model never does."""
    avoid: tuple[ToolCall, ...] = ()
    """Calls that were made on this screen again and again, to no avail."""
    on_text: Callable[[str], None] | None = None
    """Takes pieces of the reply as they are written, to show them."""


class Policy(Protocol):
    """Anything that replies."""

    name: str

    def begin(self, seed: int | None) -> None:
        """Forget the last episode and take the new one's seed."""
        ...

    def reply(self, context: Context) -> Reply:
        """The reply to a screen; its text holds a call in the dialogue's form."""
        ...


DRAWS_APART = 10_000_000_000
"""Seeds of one attempt at an episode to those of the next."""


class OtherChances:
    """A policy that takes other chances at the same episodes: its attempt number `draw`."""

    def __init__(self, policy: Policy, draw: int) -> None:
        self.name = policy.name
        self._policy, self._draw = policy, draw

    def begin(self, seed: int | None) -> None:
        """Another seed for the policy, not for the environment."""
        self._policy.begin((seed or 0) + self._draw * DRAWS_APART)

    def reply(self, context: Context) -> Reply:
        """The policy's."""
        return self._policy.reply(context)


def scripted_policy(name: str, noise: float = 0.0) -> Policy:
    """A policy that needs no model: `oracle`, `random` or `noop`.

    Args:
        noise: how often a random wrong action comes first, marked as nothing to learn from.

    Raises:
        ConfigError: no such policy.
    """
    from qwen2vl_agent.agent.scripted import NoisyPolicy, NoOpPolicy, OraclePolicy, RandomPolicy

    kinds: dict[str, Callable[[], Policy]] = {"oracle": OraclePolicy, "random": RandomPolicy, "noop": NoOpPolicy}
    if name not in kinds:
        raise ConfigError(f"there is no policy {name!r} without a model; expected one of {', '.join(kinds)}")
    return NoisyPolicy(kinds[name](), noise) if noise else kinds[name]()
