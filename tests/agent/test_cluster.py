"""Collecting on Ray: the same data as by processes, whatever dies. What travels between machines needs no Ray."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from qwen2vl_agent.agent.carried import pack_episode, unpack_episode
from qwen2vl_agent.agent.cluster import LOCAL, Runner, collect_on_cluster
from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.trajectory.sameness import differences

JOBS = [
    Job(task=task, seed=seed, noise=0.2, env_kwargs={"size": [270, 600]})
    for task in ("settings.toggle", "clock.add_alarm")
    for seed in range(2)
]


def test_an_episode_that_was_carried_is_the_same(tmp_path: Path) -> None:
    runner = Runner()
    result, carried = runner.run(JOBS[0])
    assert result.outcome == "success"
    folder = unpack_episode(carried, tmp_path / "carried")
    collect_episodes(JOBS[:1], tmp_path / "by-process")
    assert list(differences(tmp_path / "carried", tmp_path / "by-process")) == []
    known = frozenset(carried.frames)
    assert pack_episode(folder, known).frames == {}


def test_two_jobs_for_one_folder_are_refused_before_any_cluster_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 jobs have the same"):
        collect_on_cluster([*JOBS, JOBS[0]], tmp_path, 1, address="127.0.0.1:9")


def test_without_ray_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ConfigError, match=r"qwen2vl-agent\[ray\]"):
        collect_on_cluster(JOBS, tmp_path, 1, address=LOCAL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray leaves files and processes to the interpreter
def test_a_local_cluster_gives_the_same_data_and_outlives_its_workers(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    killed: list[int] = []

    def kill_one(result: Any) -> None:
        """After the first episode: the process of a worker that is at another."""
        if not killed:
            killed.append(_actor_process())
            os.kill(killed[0], signal.SIGKILL)

    failures: list[tuple[str, bool]] = []
    collection = collect_on_cluster(
        JOBS, tmp_path / "ray", 2, kill_one, lambda job, why, again: failures.append((why, again)), address=LOCAL
    )
    collect_episodes(JOBS, tmp_path / "processes", 2)
    assert [result.job for result in collection.results] == JOBS
    assert list(differences(tmp_path / "ray", tmp_path / "processes")) == []
    assert len(failures) <= 1, "at most the running episode is lost"
    assert all(again for _, again in failures)
    again = collect_on_cluster(JOBS, tmp_path / "ray", 2, address="127.0.0.1:9")
    assert [result.seconds for result in again.results] == [0.0] * len(JOBS), "what is finished needs no cluster"


def _actor_process() -> int:
    """A process in which an actor of ours runs."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and b"ray::Runner" in (entry / "cmdline").read_bytes():
            return int(entry.name)
    raise AssertionError("no worker runs")
