"""Which gymnasium environment, and how it is played."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.schema.observation import OBSERVE, Observe
from qwen2vl_agent.schema.trajectory import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class GymConfig:
    """Which environment, and how episodes in it go."""

    env_id: str = ""
    """A gymnasium id; empty where every episode names a bundled task."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """What `gymnasium.make` is given beside the id."""
    modules: Sequence[str] = ()
    """Modules to import first: those that register the id."""
    task: str = ""
    """A bundled task's id, or the instruction in the user's own words; empty for the environment's own."""
    split: Split = "test"
    seed: int | None = None
    """Seed of the first episode; later ones draw theirs from it."""
    max_steps: int | None = None
    """Calls after which an episode is cut off; None for the environment's own limit, or 30."""
    action_repeat: int | None = None
    """How often each call is done; None for what suits the environment, mostly once."""
    levels: int | None = None
    """Numbers between limits as whole numbers up to this one; None: as they are."""
    end_when_solved: bool = True
    """Whether an episode ends by itself once the environment says that it is solved."""
    camera: str = ""
    """Which of a robot's cameras draws; empty for the environment's own choice."""
    tell_numbers: bool = False
    """Tell the numbers of the observation (joints, distances) beside the picture."""
    observe: Observe = "screen"
    """What is shown at each call: a picture, the pictures of every step since the call before as a video in place of
    it, or that video before it."""
    blind: bool = False
    """Show grey pictures."""
    dry_run: bool = False
    """Take calls, and do nothing."""

    def __post_init__(self) -> None:
        for name in ("max_steps", "action_repeat", "levels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected at least 1")
        if self.observe not in OBSERVE:
            raise ValueError(f"observe is {self.observe!r}; expected {', '.join(OBSERVE)}")
