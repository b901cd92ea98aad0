"""Many episodes by many processes: resumable, and safe against whatever kills a worker or the whole.

Below `out` each job has a folder of its own and all share `out/frames`. A finished episode is not run again. An
unfinished one goes on where it was: its recorded steps are done again on a fresh environment and checked against the
frames; where they lead elsewhere, the old record is moved to `out/aside` and the episode is run anew. Nothing recorded
is deleted.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.jobs import EpisodeResult, Job, finished_result
from qwen2vl_agent.agent.worker import work
from qwen2vl_agent.schema.errors import ConfigError

ATTEMPTS = 2
"""A job whose worker dies or fails is tried again once."""


@dataclass(slots=True)
class Collection:
    """What came of a collection."""

    results: list[EpisodeResult] = field(default_factory=list)
    """Finished episodes in the order of the jobs, those found finished included."""
    failures: list[tuple[Job, str]] = field(default_factory=list)
    """Jobs that gave no episode, and why."""


@dataclass(slots=True)
class _Worker:
    """A process and what it is at."""

    process: Any
    pipe: Connection
    job: Job | None = None


def collect_episodes(
    jobs: Iterable[Job],
    out: Path | str,
    workers: int = 1,
    on_result: Callable[[EpisodeResult], None] | None = None,
    on_failure: Callable[[Job, str, bool], None] | None = None,
) -> Collection:
    """Run every job once; what is finished already is only read.

    Args:
        workers: processes, each with one thread of torch.
        on_result: told of each episode, those found finished first.
        on_failure: told of each job that failed, why, and whether it is tried again.

    Raises:
        ConfigError: two jobs would share a folder, or a job asks for what cannot be had.
        CheckpointError: a job's model cannot be loaded.
    """
    jobs, out = list(jobs), Path(out)
    names = [job.name for job in jobs]
    if len(set(names)) < len(names):
        raise ConfigError(f"{len(names) - len(set(names))} jobs have the same task, split, seed and policy as another")
    out.mkdir(parents=True, exist_ok=True)
    pool = _Pool(out, on_result, on_failure)
    pool.run(jobs, workers)
    order = {name: place for place, name in enumerate(names)}
    pool.collection.results.sort(key=lambda result: order[result.job.name])
    return pool.collection


class _Pool:
    """Hands jobs to processes, and notices when one dies."""

    def __init__(
        self,
        out: Path,
        on_result: Callable[[EpisodeResult], None] | None,
        on_failure: Callable[[Job, str, bool], None] | None,
    ) -> None:
        self.collection = Collection()
        self._out = out
        self._on_result = on_result or (lambda result: None)
        self._on_failure = on_failure or (lambda job, why, again: None)
        self._waiting: deque[Job] = deque()
        self._attempts: dict[str, int] = {}
        self._workers: list[_Worker] = []

    def run(self, jobs: list[Job], workers: int) -> None:
        """Run the jobs that are not finished."""
        for job in jobs:
            result = finished_result(self._out, job)
            if result is None:
                self._waiting.append(job)
            else:
                self._finish(result)
        try:
            for _ in range(min(workers, len(self._waiting))):
                self._start()
            while any(worker.job for worker in self._workers):
                self._listen()
        finally:
            self._stop()

    def _start(self) -> None:
        """One more process, with a job. Spawned: nothing of this process's threads or locks goes with it."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self._out), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        worker.job = self._waiting.popleft() if self._waiting else None
        if worker.job is not None:
            self._attempts[worker.job.name] = self._attempts.get(worker.job.name, 0) + 1
            try:
                worker.pipe.send(worker.job)
            except OSError:  # it died since its last answer
                self._bury(worker)

    def _listen(self) -> None:
        busy = {worker.pipe: worker for worker in self._workers if worker.job}
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            self._take(worker, answer)

    def _take(self, worker: _Worker, answer: Any) -> None:
        job = worker.job
        assert job is not None
        if isinstance(answer, EpisodeResult):
            self._finish(answer)
        elif isinstance(answer, Exception):
            raise answer
        else:
            self._fail(job, answer)
        self._give(worker)

    def _bury(self, worker: _Worker) -> None:
        """A process died: say so, try its job once more, and let another take its place."""
        worker.process.join()
        job, worker.job = worker.job, None
        self._workers.remove(worker)
        worker.pipe.close()
        assert job is not None
        self._fail(job, f"its worker died (exit code {worker.process.exitcode})")
        if self._waiting:
            self._start()

    def _fail(self, job: Job, why: str) -> None:
        again = self._attempts[job.name] < ATTEMPTS
        if again:
            self._waiting.append(job)
        else:
            self.collection.failures.append((job, why))
        self._on_failure(job, why, again)

    def _finish(self, result: EpisodeResult) -> None:
        self.collection.results.append(result)
        self._on_result(result)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if worker.job:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join()
