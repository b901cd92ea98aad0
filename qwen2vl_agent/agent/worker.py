"""A process that runs episodes on one or several seats, each a thread that runs one after another.

Imports torch only if a job needs a model, which the seats then share.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from qwen2vl_agent.agent.chosen import chosen_policy, is_address
from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.jobs import EpisodeResult, Job, job_notes, result_of
from qwen2vl_agent.agent.loading import load
from qwen2vl_agent.agent.orphans import die_with_parent
from qwen2vl_agent.agent.policy import OtherChances, Policy, scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError, OperatorError, RecordError
from qwen2vl_agent.trajectory.lines import HEADER_FILE
from qwen2vl_agent.trajectory.lock import RecordBusy
from qwen2vl_agent.trajectory.store import ASIDE_FOLDER


def work(pipe: Connection, out: Path, seats: int = 1, threads: int = 1) -> None:
    """Take jobs from `pipe`, as many as there are seats at a time, and answer each by its name.

    An answer is a result, what went wrong in words, or an error that ends everything.

    Args:
        threads: of torch, in all.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what follows
    die_with_parent()
    _limit_threads(threads)
    jobs: SimpleQueue[Job | None] = SimpleQueue()
    models, answering = Models(), threading.Lock()

    def listen() -> None:
        try:
            while True:
                jobs.put(pipe.recv())
        except EOFError:
            for _ in range(seats):
                jobs.put(None)

    def sit() -> None:
        envs = Envs()
        while (job := jobs.get()) is not None:
            answer = _answer(job, out, envs, models)
            with answering:
                pipe.send((job.name, answer))

    threading.Thread(target=listen, daemon=True).start()
    others = [threading.Thread(target=sit, daemon=True) for _ in range(seats - 1)]
    for other in others:
        other.start()
    sit()
    for other in others:  # one that still lets go of its environment would be torn out of native code at the exit
        other.join()


def run_job(job: Job, out: Path, env: Any, models: "Models | None" = None) -> EpisodeResult:
    """Run a job, or end what an earlier process began of it."""
    folder = out / job.name
    begun = time.perf_counter()
    with (models or Models()).policy(job) as policy:
        try:
            trajectory = run_episode(env, policy, _plan(job, out), job.agent, drive=drive_plainly)
        except RecordBusy:
            raise
        except RecordError:
            if not (folder / HEADER_FILE).is_file():
                raise
            put_aside(folder, out)
            trajectory = run_episode(env, policy, _plan(job, out), job.agent, drive=drive_plainly)
    seconds = time.perf_counter() - begun
    return result_of(job, folder, trajectory.header, len(trajectory.steps), seconds)


def put_aside(folder: Path, out: Path) -> None:
    """Keep a record that cannot be continued, out of the way."""
    aside = out / ASIDE_FOLDER
    aside.mkdir(exist_ok=True)
    taken = sum(1 for entry in aside.iterdir() if entry.name.startswith(f"{folder.name}."))
    folder.rename(aside / f"{folder.name}.{taken + 1}")


class Models:
    """The policies of jobs; a model is loaded once for all seats."""

    def __init__(self) -> None:
        self._rounds: dict[Any, Any] = {}
        self._loading = threading.Lock()

    @contextmanager
    def policy(self, job: Job) -> Iterator[Policy]:
        """The policy of a job, while it runs."""
        if job.policy not in ("model", "dagger"):
            yield _explained(scripted_policy(job.policy, job.noise), job)
            return
        if is_address(job.model):
            yield _around(chosen_policy("model", job.model, job.loading, job.sampling), job)
            return
        from qwen2vl_agent.agent.model_policy import SamplingConfig
        from qwen2vl_agent.agent.rounds import Rounds

        with self._loading:
            key = job.model, job.loading
            if key not in self._rounds:
                self._rounds[key] = Rounds(*load(*key))
        with self._rounds[key].policy(SamplingConfig(**job.sampling)) as policy:
            yield _around(policy, job)


def _around(model: Policy, job: Job) -> Policy:
    """What a job puts around the model's policy."""
    drawn = OtherChances(model, job.draw) if job.draw else model
    if job.policy == "model":
        return drawn
    from qwen2vl_agent.agent.corrected import CorrectedPolicy

    return _explained(CorrectedPolicy(drawn), job)


def _explained(policy: Policy, job: Job) -> Policy:
    """With a writer's thoughts, where the job wants some."""
    if job.thoughts == "own":
        return policy
    from qwen2vl_agent.agent.explained import Explained, thought_writer

    return Explained(policy, thought_writer(job.thoughts))


class Envs:
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


def _answer(job: Job, out: Path, envs: Envs, models: Models) -> EpisodeResult | str | Exception:
    try:
        return run_job(job, out, envs.get(job), models)
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


def _limit_threads(threads: int) -> None:
    """Else processes times threads would be more than there are cores; set before torch is loaded."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
