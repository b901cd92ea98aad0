"""The episodes of a round."""

from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import taught_settings
from qwen2vl_agent.envs.suites import episode_seed, get_suite
from qwen2vl_agent.flywheel.settings import POLICIES, ImproveSettings
from qwen2vl_agent.schema.errors import ConfigError


def round_jobs(settings: ImproveSettings, number: int, model: str) -> list[Job]:
    """What is to be run in round `number`: round the suite's tasks, every second phone with invented words."""
    suite = get_suite(settings.suite)
    attempts = settings.attempts if settings.samples else 1
    policy = POLICIES[settings.method]
    more: dict[str, Any] = {"size": list(settings.size)} if settings.size else {}
    sampling = {"temperature": settings.temperature, "draft_tokens": 0} if settings.samples else {}
    agent = taught_settings(model)
    jobs = []
    for index in range(-(-settings.episodes // attempts)):
        turn = index // len(suite.tasks)
        for draw in range(attempts):
            jobs.append(
                Job(
                    task=suite.tasks[index % len(suite.tasks)],
                    seed=episode_seed(settings.seed + number, turn),
                    policy=policy,
                    split="invented" if suite.env == "virtual-phone" and turn % 2 else settings.split,
                    model=model if policy != "oracle" else "",
                    draw=draw,
                    env=suite.env,
                    env_kwargs=suite.env_kwargs | more,
                    agent=agent,
                    sampling=sampling,
                )
            )
    return jobs


def gather(settings: ImproveSettings, number: int, model: str, out: Path, view: Any) -> int:
    """Collect the episodes of a round in `out`, as far as they are not there; how many there are.

    `view` is told of each, as `CollectionView` is.

    Raises:
        ConfigError: more than one in twenty failed for another reason than the agent's.
    """
    jobs = round_jobs(settings, number, model)
    collection = collect_episodes(jobs, out, settings.workers, view.result, view.failure, settings.parallel)
    if len(collection.failures) * 20 > len(jobs):
        job, why = collection.failures[0]
        count = f"{len(collection.failures)} of {len(jobs)}"
        raise ConfigError(f"{count} episodes could not be run, the first: {job.name}: {why}")
    return len(collection.results)
