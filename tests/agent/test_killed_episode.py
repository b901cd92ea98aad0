"""kill -9 at every step of deterministic episodes: what is left of the episode is done as if nothing had been."""

import dataclasses
import multiprocessing
import signal
from pathlib import Path
from typing import Any

import killed_run
import pytest

from qwen2vl_agent.agent.checkpoints import CHECKPOINTS
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.schema.trajectory import Trajectory
from qwen2vl_agent.trajectory.store import read_episode

QUICK = [("settings.toggle", 4), ("launcher.open_app", 7)]
PRELOADED = [
    "qwen2vl_agent.agent.graph",
    "qwen2vl_agent.agent.episode",
    "qwen2vl_agent.agent.scripted",
    "qwen2vl_agent.envs.screen",
    "qwen2vl_agent.envs.register",
    "qwen2vl_agent.envs.tasks",
    "qwen2vl_agent.envs.tasks.build",
    "qwen2vl_agent.envs.virtual_phone.device",
]


def processes() -> Any:
    """Each kill needs a process; those of a fork server start with everything loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def without_times(trajectory: Trajectory) -> list[Any]:
    return [dataclasses.replace(step, timings={}) for step in trajectory.steps]


def killed_everywhere(root: Path, task: str, seed: int, places: tuple[str, ...]) -> int:
    """Kills one episode at each of its steps and goes on; how often."""
    whole = killed_run.run(root / "whole", task, seed)
    assert len(whole.steps) > 1
    kills = 0
    for index in range(len(whole.steps)):
        where = places[index % len(places)]
        out = root / f"{index}-{where}"
        process = processes().Process(target=killed_run.run_and_die, args=(out, task, seed, index, where))
        process.start()
        process.join(240)
        assert process.exitcode == -signal.SIGKILL
        begun = read_episode(out)
        assert begun.header.outcome is None
        assert len(begun.steps) == index + (where == "after")
        assert (out / CHECKPOINTS).is_file()
        resumed = killed_run.run(out, task, seed, "replay")
        assert without_times(resumed) == without_times(whole)
        assert resumed.header == whole.header
        assert without_times(read_episode(out)) == without_times(whole)
        assert not (out / CHECKPOINTS).exists()
        kills += 1
    return kills


@pytest.mark.parametrize(("task", "seed"), QUICK)
def test_a_killed_episode_goes_on_as_if_nothing_had_been(tmp_path: Path, task: str, seed: int) -> None:
    assert killed_everywhere(tmp_path, task, seed, killed_run.WHERE) > 1


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_kills_at_every_step_of_twenty_episodes(tmp_path: Path, number: int) -> None:
    tasks = task_ids()
    places = killed_run.WHERE[number % 3 :] + killed_run.WHERE[: number % 3]
    assert killed_everywhere(tmp_path, tasks[2 * number % len(tasks)], 100 + number, places) > 1
