"""Workers for tests of the pool: they run no episodes, only live and die."""

import os
import signal
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.schema.errors import CheckpointError


def work(pipe: Any, out: Path, seats: int, threads: int) -> None:
    """Does what the task's name says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        attempts = out / f"{job.name}.attempts"
        attempts.write_text(attempts.read_text() + "x" if attempts.exists() else "x")
        pipe.send((job.name, _answer(job, len(attempts.read_text()))))


def _answer(job: Job, attempt: int) -> Any:
    if job.task == "dies-always" or (job.task == "dies-once" and attempt == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.task == "fails":
        return "Traceback …\nValueError: no such thing"
    if job.task == "no-model":
        return CheckpointError("there is no such model")
    return EpisodeResult(job, Path(job.name), "success", 1.0, attempt, False)
