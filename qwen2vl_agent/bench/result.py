"""What a measurement found: single episodes, and the rates over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.bench.statistics import Rate, rate

RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """How one episode went."""

    task: str
    seed: int
    unseen: bool
    """Whether the task is about words that training never shows."""
    solved: bool
    outcome: str
    steps: int
    seconds: float
    """From the first look at the screen to the verdict."""
    folder: str
    """Where it is recorded, relative to the measurement's folder."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was measured, and how; two measurements are comparable when these agree."""

    suite: str
    policy: str
    model: str
    episodes: int
    """Per task."""
    seed: int
    blind: bool = False
    """Whether the model was shown grey screens only."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """A finished measurement."""

    conditions: Conditions
    episodes: tuple[EpisodeResult, ...]
    not_run: tuple[str, ...] = ()
    """Tasks without an oracle, where the oracle was to be measured."""

    @property
    def overall(self) -> Rate:
        """Over all episodes."""
        return rate(episode.solved for episode in self.episodes)

    @property
    def seen(self) -> Rate:
        """Over the tasks about words that training may show."""
        return rate(episode.solved for episode in self.episodes if not episode.unseen)

    @property
    def unseen(self) -> Rate:
        """Over the tasks about words that training never shows."""
        return rate(episode.solved for episode in self.episodes if episode.unseen)

    def by_task(self) -> dict[str, list[EpisodeResult]]:
        """The episodes of each task, in the order of the suite."""
        groups: dict[str, list[EpisodeResult]] = {}
        for episode in self.episodes:
            groups.setdefault(episode.task, []).append(episode)
        return groups

    def to_json(self) -> dict[str, Any]:
        """The object that `results.json` and `bench --json` carry."""
        whole = self.overall
        return {
            "version": RESULT_VERSION,
            "suite": self.conditions.suite,
            "policy": self.conditions.policy,
            "model": self.conditions.model,
            "seed": self.conditions.seed,
            "blind": self.conditions.blind,
            "episodes": whole.episodes,
            **_rate_json(whole, with_count=False),
            "seen": _rate_json(self.seen),
            "unseen": _rate_json(self.unseen),
            "per_task": {task: _group_json(group) for task, group in self.by_task().items()},
            "not_run": list(self.not_run),
        }


def mean(numbers: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return sum(numbers) / len(numbers) if numbers else 0.0


def _group_json(group: list[EpisodeResult]) -> dict[str, Any]:
    return {
        **_rate_json(rate(episode.solved for episode in group)),
        "mean_steps": round(mean([episode.steps for episode in group]), 2),
        "mean_seconds": round(mean([episode.seconds for episode in group]), 3),
    }


def _rate_json(found: Rate, with_count: bool = True) -> dict[str, Any]:
    values = {"success": round(found.success, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
    return {**values, "episodes": found.episodes} if with_count else values
