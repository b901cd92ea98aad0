"""A process that runs episodes, one after another. Imports torch only if a job needs a model."""

import os
import signal
import sys
import threading
import time
import traceback
from functools import cache
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.chosen import chosen_policy
from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.jobs import EpisodeResult, Job, job_notes, result_of
from qwen2vl_agent.agent.loading import LoadSettings
from qwen2vl_agent.agent.policy import Policy, scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError, OperatorError, RecordError
from qwen2vl_agent.trajectory.lines import HEADER_FILE
from qwen2vl_agent.trajectory.lock import RecordBusy
from qwen2vl_agent.trajectory.store import ASIDE_FOLDER


def work(pipe: Connection, out: Path) -> None:
    """Take jobs from `pipe` and answer each: a result, what went wrong in words, or an error that ends everything."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what follows
    _die_with_parent()
    _one_thread()
    envs = _Envs()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(job, out, envs))


def run_job(job: Job, out: Path, env: Any) -> EpisodeResult:
    """Run a job, or end what an earlier process began of it."""
    folder = out / job.name
    begun = time.perf_counter()
    try:
        trajectory = run_episode(env, job_policy(job), _plan(job, out), job.agent, drive=drive_plainly)
    except RecordBusy:
        raise
    except RecordError:
        if not (folder / HEADER_FILE).is_file():
            raise
        put_aside(folder, out)
        trajectory = run_episode(env, job_policy(job), _plan(job, out), job.agent, drive=drive_plainly)
    seconds = time.perf_counter() - begun
    return result_of(job, folder, trajectory.header, len(trajectory.steps), seconds)


def put_aside(folder: Path, out: Path) -> None:
    """Keep a record that cannot be continued, out of the way."""
    aside = out / ASIDE_FOLDER
    aside.mkdir(exist_ok=True)
    taken = sum(1 for entry in aside.iterdir() if entry.name.startswith(f"{folder.name}."))
    folder.rename(aside / f"{folder.name}.{taken + 1}")


def job_policy(job: Job) -> Policy:
    """The policy of a job; a model is loaded once per process."""
    if job.policy == "model":
        return _model_policy(job.model, job.loading, tuple(sorted(job.sampling.items())))
    return scripted_policy(job.policy, job.noise)


class _Envs:
    """One environment at a time, kept while jobs ask for the same."""

    def __init__(self) -> None:
        self._key: Any = None
        self._env: Any = None

    def get(self, job: Job) -> Any:
        key = (job.env, repr(sorted(job.env_kwargs.items())))
        if key != self._key:
            self.close()
            from qwen2vl_agent.envs.register import make_env

            self._env, self._key = make_env(job.env, **job.env_kwargs), key
        return self._env

    def close(self) -> None:
        if self._env is not None:
            self._env.close()
        self._env = self._key = None


def _answer(job: Job, out: Path, envs: _Envs) -> EpisodeResult | str | Exception:
    try:
        return run_job(job, out, envs.get(job))
    except (ConfigError, CheckpointError) as error:
        return error
    except OperatorError as error:
        envs.close()
        return str(error)
    except Exception:
        envs.close()
        return traceback.format_exc()


def _plan(job: Job, out: Path) -> EpisodePlan:
    folder = out / job.name
    return EpisodePlan(
        out=folder,
        task=job.task,
        split=job.split,
        seed=job.seed,
        model=job.model,
        frames=out / "frames",
        sync=False,
        resume="replay" if (folder / HEADER_FILE).is_file() else "no",
        notes={"job": job_notes(job), "loading": job.loading.to_json()},
    )


@cache
def _model_policy(model: str, loading: LoadSettings, sampling: tuple[tuple[str, Any], ...]) -> Policy:
    return chosen_policy("model", model, loading, dict(sampling))


def _one_thread() -> None:
    """Processes times threads is more than there are cores; set before torch is loaded."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _die_with_parent() -> None:
    """A worker whose parent was killed must not go on writing beside the one that resumes."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
