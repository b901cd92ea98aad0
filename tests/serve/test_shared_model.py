"""Workers of a collection that ask one served model record what a worker with a model of its own records."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import taught_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.trajectory.store import episodes, read_episode


def said(out: Path, model: str, workers: int) -> dict[str, list[tuple[Any, ...]]]:
    """Calls and token ids of each episode."""
    agent = dataclasses.replace(taught_settings(str(EMBEDDED)), max_steps=2)
    jobs = [
        Job(task=task, seed=1, policy="model", model=model, agent=agent, env_kwargs={"size": [540, 1200]})
        for task in ("settings.toggle", "launcher.open_app", "clock.add_alarm")
    ]
    collection = collect_episodes(jobs, out, workers)
    assert collection.failures == []
    assert [result.job for result in collection.results] == jobs
    steps = {folder.name: read_episode(folder).steps for folder in episodes(out)}
    return {name: [(step.call, step.reply.token_ids) for step in found] for name, found in steps.items()}


@pytest.mark.slow
def test_two_workers_share_one_served_model(url: str, tmp_path: Path) -> None:
    shared = said(tmp_path / "shared", f"{url}/v1", workers=2)
    assert len(shared) == 3
    assert shared == said(tmp_path / "own", str(EMBEDDED), workers=1)
