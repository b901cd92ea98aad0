"""What a flywheel found: success round by round with intervals, beside baselines, as `results.json` and a curve."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen2vl_agent.bench.paired import Paired
from qwen2vl_agent.bench.statistics import Rate
from qwen2vl_agent.trajectory.frames import write_whole

FILE, CHART = "results.json", "curve.png"
VERSION = 1
NO_CHOICE = ("noop", "random", "oracle")
"""Policies without a model that are measured beside it."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """A round's candidate on the held-out episodes."""

    number: int
    """0: the model that it began with."""
    model: str
    success: Rate
    episodes: int = 0
    """Collected in this round."""
    kept: int = 0
    """Of these, learned from."""
    against: Paired | None = None
    """The best model before (A) and this one (B) on the same episodes."""
    promoted: bool = True

    def to_json(self) -> dict[str, Any]:
        """An entry of `rounds`."""
        told: dict[str, Any] = {
            "round": self.number,
            "model": self.model,
            **rate_json(self.success),
            "data": {"episodes": self.episodes, "kept": self.kept},
            "promoted": self.promoted,
        }
        if self.against is not None:
            low, high = self.against.interval
            told["against_best"] = {
                "difference": round(self.against.difference, 4),
                "low": round(low, 4),
                "high": round(high, 4),
                "p": round(self.against.p_value, 6),
                "only_before": self.against.only_a,
                "only_now": self.against.only_b,
            }
        return told


@dataclass(slots=True)
class Improvement:
    """All rounds so far."""

    settings: dict[str, Any]
    rounds: list[RoundResult] = field(default_factory=list)
    baselines: dict[str, Rate] = field(default_factory=dict)
    ceiling: float | None = None
    """Best that is possible, where theory tells."""

    @property
    def best(self) -> RoundResult:
        """The last one that was promoted."""
        return [one for one in self.rounds if one.promoted][-1]

    def to_json(self) -> dict[str, Any]:
        """The object in `results.json`."""
        return {
            "version": VERSION,
            "settings": self.settings,
            "rounds": [one.to_json() for one in self.rounds],
            "best": {"round": self.best.number, "model": self.best.model},
            "baselines": {name: rate_json(found) for name, found in self.baselines.items()},
            "ceiling": self.ceiling,
        }

    def write(self, out: Path) -> None:
        """Both files."""
        write_whole(out / FILE, (json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n").encode())
        draw_curve(self, out / CHART)


def rate_json(found: Rate) -> dict[str, Any]:
    """A share with its interval."""
    return {
        "success": round(found.success, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "measured": found.episodes,
    }


def draw_curve(found: Improvement, path: Path) -> None:
    """Success of every round with 95 % intervals; hollow where a candidate was not promoted; baselines as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    rounds = found.rounds
    numbers, shares = [one.number for one in rounds], [100 * one.success.success for one in rounds]
    below = [100 * (one.success.success - one.success.low) for one in rounds]
    above = [100 * (one.success.high - one.success.success) for one in rounds]
    axes.errorbar(numbers, shares, yerr=[below, above], capsize=4, color="#2f5f9e", zorder=2)
    for one, share in zip(rounds, shares, strict=True):
        fill = "#2f5f9e" if one.promoted else "white"
        axes.plot(one.number, share, "o", markersize=8, markerfacecolor=fill, markeredgecolor="#2f5f9e", zorder=3)
    for name, rate in found.baselines.items():
        axes.axhline(100 * rate.success, linestyle="--", linewidth=1, color="#8b92a0")
        axes.annotate(name, (1, 100 * rate.success), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    if found.ceiling is not None:
        axes.axhline(100 * found.ceiling, linewidth=1, color="#1f2430")
    axes.set(xlabel="round", ylabel="held-out success, %", ylim=(-2, 102), xticks=numbers)
    axes.set_title(f"{found.settings['suite']}: {found.settings['method']}")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
