"""Measuring a policy on a suite: the jobs that conditions ask for, and the report that comes of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qwen2vl_agent.agent.chosen import usual_settings
from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.bench.chart import draw_chart
from qwen2vl_agent.bench.result import BenchResult, Conditions
from qwen2vl_agent.bench.tables import markdown
from qwen2vl_agent.envs.suites import episode_seed, get_suite
from qwen2vl_agent.trajectory.store import read_episode


def bench_jobs(conditions: Conditions) -> list[Job]:
    """The episodes to run."""
    suite = get_suite(conditions.suite)
    given = {"blind": conditions.blind, "max_steps": conditions.max_steps, **conditions.settings}
    agent = replace(usual_settings(conditions.model), **given)
    observed = {"observe": conditions.observe} if conditions.observe != "screen" else {}
    return [
        Job(
            task=task,
            seed=episode_seed(conditions.seed, index),
            policy=conditions.policy,
            split=conditions.split,
            model=conditions.model,
            agent=agent,
            loading=conditions.loading,
            sampling=conditions.sampling,
            env=suite.env,
            env_kwargs=suite.env_kwargs | conditions.env | observed,
        )
        for task in suite.tasks
        if conditions.policy != "oracle" or task not in suite.without_oracle
        for index in range(conditions.episodes)
    ]


def run_bench(
    conditions: Conditions,
    out: Path,
    workers: int = 1,
    on_result: Callable[[EpisodeResult], None] | None = None,
    on_failure: Callable[[Job, str, bool], None] | None = None,
    parallel: int = 1,
) -> BenchResult:
    """Run what is not finished in `out` yet, `parallel` episodes at once a worker, and write the report there.

    Raises:
        RecordError: `out` holds a measurement under other conditions.
    """
    collection = collect_episodes(bench_jobs(conditions), out, workers, on_result, on_failure, parallel)
    failures = tuple(f"{job.name}: {why.strip().splitlines()[-1]}" for job, why in collection.failures)
    result = BenchResult(conditions, tuple(map(timed, collection.results)), failures)
    write_report(result, out)
    return result


def timed(episode: EpisodeResult) -> EpisodeResult:
    """The episode with the seconds that its recorded steps took, whenever it was run."""
    steps = read_episode(episode.folder).steps
    return replace(episode, seconds=sum(sum(step.timings.values()) for step in steps))


def write_report(result: BenchResult, out: Path) -> None:
    """`results.json`, `results.md` and `results.png`."""
    (out / "results.json").write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
    (out / "results.md").write_text(markdown(result), encoding="utf-8")
    draw_chart(result).save(out / "results.png")
