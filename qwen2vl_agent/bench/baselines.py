"""Doing nothing, doing anything and the bundled solution on the very episodes of a measurement, beside its score."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from qwen2vl_agent.agent.jobs import EpisodeResult
from qwen2vl_agent.bench.paired import Paired, count
from qwen2vl_agent.bench.result import BenchResult, Conditions, success_rate
from qwen2vl_agent.bench.run import run_bench

FOLDER = "baselines"
POLICIES = ("noop", "random", "oracle")
HEADINGS = ("policy", "success", "95 % interval", "measured - it", "95 % range", "p", "episodes")


@dataclass(frozen=True, slots=True)
class Baseline:
    """Another policy on the same episodes."""

    policy: str
    result: BenchResult
    paired: Paired
    """A is the baseline, B what was measured, over the episodes of both."""

    def to_json(self) -> dict[str, Any]:
        """What `results.json` has of it."""
        whole, (low, high) = self.result.overall, self.paired.interval
        return {
            "success": round(whole.success, 4),
            "low": round(whole.low, 4),
            "high": round(whole.high, 4),
            "episodes": whole.episodes,
            "paired_episodes": self.paired.episodes,
            "difference": round(self.paired.difference, 4),
            "difference_low": round(low, 4),
            "difference_high": round(high, 4),
            "p": round(self.paired.p_value, 6),
        }


def measure_baselines(
    measured: BenchResult, out: Path, workers: int = 1, on_begin: Callable[[str], None] = lambda policy: None
) -> tuple[Baseline, ...]:
    """Run the policies that were not measured themselves, each in a folder of its own below `out`; they go on too.

    Tasks without a solution are not in the solution's row: it is compared over the others.
    """
    found = []
    for policy in POLICIES:
        if policy == measured.conditions.policy:
            continue
        on_begin(policy)
        result = run_bench(baseline_conditions(measured.conditions, policy), out / FOLDER / policy, workers)
        found.append(Baseline(policy, result, paired_with(result.episodes, measured.episodes)))
    return tuple(found)


def baseline_conditions(measured: Conditions, policy: str) -> Conditions:
    """The same episodes by a policy without a model."""
    plain = Conditions(suite=measured.suite)
    return dataclasses.replace(
        measured, policy=policy, model="", loading=plain.loading, sampling={}, settings={}, blind=False
    )


def paired_with(baseline: tuple[EpisodeResult, ...], measured: tuple[EpisodeResult, ...]) -> Paired:
    """The episodes of both: equal task, seed and words."""
    solved = {_key(episode): episode.outcome == "success" for episode in baseline}
    both = [(solved[_key(one)], one.outcome == "success") for one in measured if _key(one) in solved]
    return count(both)


def baseline_table(measured: BenchResult, baselines: tuple[Baseline, ...]) -> Table:
    """For a terminal."""
    table = Table(title="beside what needs no model, on the same episodes", title_justify="left")
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in _rows(measured, baselines):
        table.add_row(*map(escape, row))
    return table


def baseline_page(measured: BenchResult, baselines: tuple[Baseline, ...]) -> str:
    """The same as Markdown."""
    rows = [HEADINGS, ("---", *["---:"] * (len(HEADINGS) - 1)), *_rows(measured, baselines)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    told = "The range is Newcombe's for paired shares at 95 % confidence, p that of McNemar's exact test."
    return "\n".join(["", "## Baselines on the same episodes", "", *lines, "", told]) + "\n"


def _rows(measured: BenchResult, baselines: tuple[Baseline, ...]) -> list[tuple[str, ...]]:
    whole = success_rate(measured.episodes)
    own = (measured.conditions.policy, f"{whole.success:.1%}", f"{whole.low:.1%} to {whole.high:.1%}")
    return [(*own, "", "", "", str(whole.episodes)), *map(_row, baselines)]


def _row(baseline: Baseline) -> tuple[str, ...]:
    whole, (low, high) = baseline.result.overall, baseline.paired.interval
    return (
        baseline.policy,
        f"{whole.success:.1%}",
        f"{whole.low:.1%} to {whole.high:.1%}",
        f"{100 * baseline.paired.difference:+.1f}",
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        f"{baseline.paired.p_value:.3g}",
        str(whole.episodes),
    )


def _key(episode: EpisodeResult) -> tuple[str, int, str]:
    return episode.job.task, episode.job.seed, episode.job.split
