"""A run that kills itself without warning at a step: before it is written, in the middle of its line, or after it."""

import os
import signal
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent import graph
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.trajectory import Step, Trajectory
from qwen2vl_agent.trajectory.lines import step_line
from qwen2vl_agent.trajectory.record import Recorder

WHERE = ("before", "torn", "after")
NOISE = 0.3
"""Mistakes and ways back from them, so that episodes are more than straight lines."""


def run(out: Path, task: str, seed: int, resume: Any = "no") -> Trajectory:
    """A deterministic episode, with the graph and its checkpoints."""
    env = make_env("virtual-phone", seed=seed, size=(360, 800))
    plan = EpisodePlan(out=out, task=task, seed=seed, sync=False, resume=resume)
    return run_episode(env, scripted_policy("oracle", NOISE), plan, drive=graph.drive)


def run_and_die(out: Path, task: str, seed: int, index: int, where: str) -> None:
    """The same, until the step `index`."""
    append = Recorder.append

    def fatal(self: Recorder, step: Step) -> None:
        if step.index == index and where == "torn":
            self._file.write(step_line(step, self._before)[:-20])
            self._file.flush()
        if step.index != index or where == "after":
            append(self, step)
        if step.index == index:
            os.kill(os.getpid(), signal.SIGKILL)

    Recorder.append = fatal  # type: ignore[method-assign]
    run(out, task, seed)
