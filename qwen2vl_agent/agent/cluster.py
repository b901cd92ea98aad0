"""Many episodes on a Ray cluster: the same jobs, the same records, on as many machines as it has.

Each worker writes its episode on its own machine's disk and sends the finished record here, so the machines share no
files. A worker that dies loses the episode it was at, which is tried once more.
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.carried import Carried, pack_episode, unpack_episode
from qwen2vl_agent.agent.jobs import EpisodeResult, Job, finished_result
from qwen2vl_agent.agent.rollouts import ATTEMPTS, Collection, check_apart
from qwen2vl_agent.agent.worker import Envs, Models, run_job
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, begun and ended here."""


def collect_on_cluster(
    jobs: Iterable[Job],
    out: Path | str,
    workers: int,
    on_result: Callable[[EpisodeResult], None] | None = None,
    on_failure: Callable[[Job, str, bool], None] | None = None,
    *,
    address: str,
) -> Collection:
    """What `rollouts.collect_episodes` does, by `workers` Ray actors of one core each at the cluster's `address`.

    Raises:
        ConfigError: Ray is not installed, there is no cluster at the address, or two jobs would share a folder.
        CheckpointError: a job's model cannot be loaded.
    """
    jobs, out = list(jobs), Path(out)
    check_apart(jobs)
    out.mkdir(parents=True, exist_ok=True)
    crew = _Crew(out, on_result or (lambda result: None), on_failure or (lambda job, why, again: None))
    if crew.take_finished(jobs):
        ray = _connected(address, workers)
        try:
            crew.run(ray, workers)
        finally:
            ray.shutdown()
    return crew.collected(jobs)


class _Crew:
    """Hands jobs to actors."""

    def __init__(self, out: Path, on_result: Any, on_failure: Any) -> None:
        self._ray: Any = None
        self._out = out
        self._on_result, self._on_failure = on_result, on_failure
        self._waiting: deque[Job] = deque()
        self._attempts: dict[str, int] = {}
        self._collection = Collection()

    def take_finished(self, jobs: list[Job]) -> int:
        """Keep what was finished earlier; how many jobs are left."""
        for job in jobs:
            result = finished_result(self._out, job)
            if result is None:
                self._waiting.append(job)
            else:
                self._keep(result)
        return len(self._waiting)

    def run(self, ray: Any, workers: int) -> None:
        """The jobs that are left."""
        self._ray = ray
        busy: dict[Any, tuple[Any, Job]] = {}
        for _ in range(min(workers, len(self._waiting))):
            self._give(self._actor(), busy)
        while busy:
            (done, *_), _ = self._ray.wait(list(busy), num_returns=1)
            actor, job = busy.pop(done)
            self._give(self._take(done, actor, job), busy)

    def collected(self, jobs: list[Job]) -> Collection:
        """Everything, results in the order of the jobs."""
        order = {job.name: place for place, job in enumerate(jobs)}
        self._collection.results.sort(key=lambda result: order[result.job.name])
        return self._collection

    def _actor(self) -> Any:
        return self._ray.remote(num_cpus=1, max_restarts=0)(Runner).remote()

    def _give(self, actor: Any, busy: dict[Any, tuple[Any, Job]]) -> None:
        if self._waiting:
            job = self._waiting.popleft()
            self._attempts[job.name] = self._attempts.get(job.name, 0) + 1
            busy[actor.run.remote(job)] = (actor, job)

    def _take(self, done: Any, actor: Any, job: Job) -> Any:
        """Keep what came of a job; the actor that goes on, another one where it died."""
        try:
            result, carried = self._ray.get(done)
        except (ConfigError, CheckpointError):
            raise
        except self._ray.exceptions.RayActorError as error:
            self._fail(job, f"its worker died ({type(error).__name__})")
            return self._actor()
        except Exception as error:  # whatever an episode raises comes back as a class of Ray's
            self._fail(job, str(error))
        else:
            self._keep(replace(result, folder=unpack_episode(carried, self._out)))
        return actor

    def _keep(self, result: EpisodeResult) -> None:
        self._collection.results.append(result)
        self._on_result(result)

    def _fail(self, job: Job, why: str) -> None:
        again = self._attempts[job.name] < ATTEMPTS
        if again:
            self._waiting.append(job)
        else:
            self._collection.failures.append((job, why))
        self._on_failure(job, why, again)


class Runner:
    """Runs episodes one after another in an actor's process, on its own machine's disk."""

    def __init__(self) -> None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = "1"  # before torch is loaded
        self._envs, self._models = Envs(), Models()

    def run(self, job: Job) -> tuple[EpisodeResult, Carried]:
        """The result and the record.

        Raises:
            Exception: whatever the episode met; the next one begins in a new environment.
        """
        with tempfile.TemporaryDirectory(prefix="qwen2vl-episode-") as place:
            try:
                result = run_job(job, Path(place), self._envs.get(job), self._models)
            except Exception:
                self._envs.close()
                raise
            return result, pack_episode(result.folder)


def _connected(address: str, workers: int) -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--cluster needs Ray: pip install 'qwen2vl-agent[ray]'") from error
    try:
        if address == LOCAL:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except Exception as error:  # Ray raises its own, OSError, RuntimeError, and plain Exception where a node is slow
        where = "could not be started on this machine" if address == LOCAL else f"cannot be reached at {address}"
        raise ConfigError(f"a Ray cluster {where}: {error}") from error
    return ray
