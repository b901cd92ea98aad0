"""What `improve` does, all of it fixed before the first round."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from qwen2vl_agent.envs.suites import SEEDS_APART
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Split

Method = Literal["imitation", "rejection", "grpo", "demonstrations"]
GoOn = Literal["promoted", "latest"]
POLICIES: dict[Method, str] = {
    "imitation": "dagger",
    "rejection": "model",
    "grpo": "model",
    "demonstrations": "oracle",
}
"""Who acts while episodes are collected: the model with the solution beside it, the model alone, the solution alone."""
FREE = ("rounds", "workers", "parallel")
"""What may be another when a flywheel goes on."""
HELD_OUT: Split = "test"
"""Words of the phones that are measured on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImproveSettings:
    """One flywheel."""

    suite: str
    model: str
    """The model to begin with."""
    method: Method = "imitation"
    rounds: int = 4
    episodes: int = 200
    """Collected in a round; with several `attempts`, this many in all."""
    attempts: int = 4
    """At each episode, for the methods that compare a model's own attempts."""
    temperature: float = 1.0
    """At which these are drawn."""
    seed: int = 1
    """Round r collects the episodes of seed + r."""
    held_out_seed: int = 900
    """Episodes that are measured on, and never learned from."""
    held_out: int = 4
    """Episodes of each task that are measured."""
    replay: tuple[str, ...] = ()
    """Folders of earlier episodes that are learned along, against forgetting."""
    replay_share: float = 0.3
    """Of the examples, those that come from there and from earlier rounds."""
    lessons: str = ""
    """Folder of the embedded model's lessons (`data/` of a `train tiny`) that are learned along; empty: none."""
    lessons_share: float = 0.5
    """Of the examples, those that are lessons."""
    size: tuple[int, int] | None = None
    """Of the virtual phone's screen while collecting; None: the suite's own."""
    steps: int = 400
    """Of the optimizer in a round, for imitation and rejection."""
    lr: float | None = None
    """None: 3e-4 for imitation and rejection, 1e-5 for grpo."""
    batch_tokens: int = 4096
    workers: int = 2
    parallel: int = 1
    """Episodes at once in each worker, whose replies one model writes together."""
    threads: int = 1
    go_on: GoOn = "promoted"
    """Which model a round begins from: the last that was promoted, or the latest one that is not worse for certain."""

    def __post_init__(self) -> None:
        counts = (
            "rounds",
            "episodes",
            "attempts",
            "held_out",
            "steps",
            "batch_tokens",
            "workers",
            "parallel",
            "threads",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("replay_share", "lessons_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected a share below 1")
        if self.seed <= self.held_out_seed <= self.seed + self.rounds:
            raise ConfigError(f"held_out_seed {self.held_out_seed} is one that rounds collect: choose another")
        if self.method == "grpo" and self.attempts < 2:
            raise ConfigError("grpo compares attempts at the same episode: expected at least 2 attempts")
        if self.episodes > SEEDS_APART or self.temperature < 0:
            raise ConfigError(f"expected at most {SEEDS_APART} episodes and a temperature of 0 or more")

    @property
    def samples(self) -> bool:
        """Whether the model's own attempts are what is learned from."""
        return POLICIES[self.method] == "model"

    def to_json(self) -> dict[str, Any]:
        """For the record; what may be changed between two sittings is left out."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in FREE}

    @property
    def split(self) -> Split:
        """Words of the phones that are learned from."""
        return "train"
