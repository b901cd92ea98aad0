"""Many episodes by many processes: each job is done once, whatever dies in between."""

from pathlib import Path

import pool_workers
import pytest

from qwen2vl_agent.agent import rollouts
from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that run no episodes."""
    monkeypatch.setattr(rollouts, "work", pool_workers.work)


def jobs(*tasks: str) -> list[Job]:
    return [Job(task=task, seed=seed) for seed, task in enumerate(tasks)]


@pytest.mark.usefixtures("stand_in")
def test_every_job_gives_a_result_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    told = []
    wanted = jobs(*["plain"] * 7)
    collection = collect_episodes(wanted, tmp_path, workers=2, on_result=told.append)
    assert [result.job for result in collection.results] == wanted
    assert sorted(result.job.seed for result in told) == list(range(7))
    assert collection.failures == []


@pytest.mark.usefixtures("stand_in")
def test_a_worker_that_dies_is_told_and_its_job_tried_once_more(tmp_path: Path) -> None:
    told: list[tuple[str, str, bool]] = []
    wanted = jobs("plain", "dies-once", "dies-always", "plain", "fails")
    collection = collect_episodes(
        wanted, tmp_path, workers=2, on_failure=lambda job, why, again: told.append((job.task, why, again))
    )
    assert [(result.job.task, result.steps) for result in collection.results] == [
        ("plain", 1),
        ("dies-once", 2),
        ("plain", 1),
    ]
    assert sorted(job.task for job, _ in collection.failures) == ["dies-always", "fails"]
    assert ("dies-once", "its worker died (exit code -9)", True) in told
    assert [again for task, _, again in told if task == "dies-always"] == [True, False]
    assert [again for task, _, again in told if task == "fails"] == [True, False]


@pytest.mark.usefixtures("stand_in")
def test_a_death_among_several_jobs_of_a_process_fails_only_the_one_that_dies_again(tmp_path: Path) -> None:
    wanted = jobs("plain", "plain", "dies-always", "plain", "plain", "plain")
    collection = collect_episodes(wanted, tmp_path, workers=1, parallel=4)
    assert [job.task for job, _ in collection.failures] == ["dies-always"]
    assert len(collection.results) == 5


@pytest.mark.usefixtures("stand_in")
def test_what_no_job_could_mend_ends_everything(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such model"):
        collect_episodes(jobs("plain", "no-model", "plain"), tmp_path, workers=2)


def test_two_jobs_for_one_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 jobs have the same"):
        collect_episodes([Job(task="a", seed=1), Job(task="a", seed=1)], tmp_path)


def test_a_noise_that_never_lets_the_oracle_act_is_refused() -> None:
    with pytest.raises(ValueError, match="noise"):
        Job(task="a", seed=1, noise=1.0)
