"""What a measurement found: single episodes, and the rates over them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.agent.jobs import EpisodeResult
from qwen2vl_agent.agent.loading import LoadSettings
from qwen2vl_agent.bench.statistics import Rate, rate
from qwen2vl_agent.envs.suites import get_suite
from qwen2vl_agent.schema.observation import Observe
from qwen2vl_agent.schema.trajectory import Split

RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was measured, and how; two measurements are comparable when these agree."""

    suite: str
    policy: str = "model"
    model: str = ""
    """Folder or hub id, for the policy `model`."""
    episodes: int = 10
    """Per task."""
    seed: int = 0
    split: Split = "test"
    """Which names and texts fill the phones."""
    blind: bool = False
    """Whether the policy is shown grey screens only."""
    max_steps: int | None = None
    """None: each task's own limit."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the agent, where they are not the model's own."""
    loading: LoadSettings = field(default_factory=LoadSettings)
    """Type of the weights, and how finely the model looks."""
    sampling: dict[str, Any] = field(default_factory=dict)
    """How the model writes, where it is not as usual."""
    observe: Observe = "screen"
    """What is seen at each step."""
    env: dict[str, Any] = field(default_factory=dict)
    """What the environments are made with beside what the suite says."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """A finished measurement."""

    conditions: Conditions
    episodes: tuple[EpisodeResult, ...]
    failures: tuple[str, ...] = ()
    """Episodes that gave no verdict, and why; none in a complete measurement."""

    @property
    def overall(self) -> Rate:
        """Over all episodes."""
        return success_rate(self.episodes)

    @property
    def seen(self) -> Rate:
        """Over the tasks about words that training may show."""
        return success_rate([episode for episode in self.episodes if not episode.unseen])

    @property
    def unseen(self) -> Rate:
        """Over the tasks about words that training never shows."""
        return success_rate([episode for episode in self.episodes if episode.unseen])

    def by_task(self) -> dict[str, list[EpisodeResult]]:
        """The episodes of each task, in the order of the suite."""
        groups: dict[str, list[EpisodeResult]] = {}
        for episode in self.episodes:
            groups.setdefault(episode.job.task, []).append(episode)
        return groups

    def to_json(self) -> dict[str, Any]:
        """The object that `results.json` and `bench --json` carry."""
        whole = self.overall
        ceilings = get_suite(self.conditions.suite).ceilings
        return {
            "version": RESULT_VERSION,
            "suite": self.conditions.suite,
            "policy": self.conditions.policy,
            "model": self.conditions.model,
            "seed": self.conditions.seed,
            "split": self.conditions.split,
            "blind": self.conditions.blind,
            "settings": self.conditions.settings,
            **self.conditions.loading.to_json(),
            "sampling": self.conditions.sampling,
            **({"observe": self.conditions.observe} if self.conditions.observe != "screen" else {}),
            "episodes": whole.episodes,
            **_rate_json(whole, with_count=False),
            "mean_reward": round(mean([episode.reward for episode in self.episodes]), 4),
            "seen": _rate_json(self.seen),
            "unseen": _rate_json(self.unseen),
            "per_task": {
                task: _group_json(group) | ({"ceiling": ceilings[task]} if task in ceilings else {})
                for task, group in self.by_task().items()
            },
            "failures": list(self.failures),
        }


def success_rate(episodes: Sequence[EpisodeResult]) -> Rate:
    """The share of episodes that were solved."""
    return rate(episode.outcome == "success" for episode in episodes)


def mean(numbers: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return sum(numbers) / len(numbers) if numbers else 0.0


def _group_json(group: list[EpisodeResult]) -> dict[str, Any]:
    return {
        **_rate_json(success_rate(group)),
        "mean_reward": round(mean([episode.reward for episode in group]), 4),
        "mean_steps": round(mean([episode.steps for episode in group]), 2),
        "mean_seconds": round(mean([episode.seconds for episode in group]), 3),
    }


def _rate_json(found: Rate, with_count: bool = True) -> dict[str, Any]:
    values = {"success": round(found.success, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
    return {**values, "episodes": found.episodes} if with_count else values
