"""Many episodes by many processes: resumable, and safe against whatever kills a worker or the whole.

Below `out` each job has a folder of its own and all share `out/frames`. A finished episode is not run again. An
unfinished one goes on where it was: its recorded steps are done again on a fresh environment and checked against the
frames; where they lead elsewhere, the old record is moved to `out/aside` and the episode is run anew. Nothing recorded
is deleted.
"""

import multiprocessing
import os
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
    seats: int
    """Jobs that it runs at once."""
    jobs: dict[str, Job] = field(default_factory=dict)
    """By name."""


def collect_episodes(
    jobs: Iterable[Job],
    out: Path | str,
    workers: int = 1,
    on_result: Callable[[EpisodeResult], None] | None = None,
    on_failure: Callable[[Job, str, bool], None] | None = None,
    parallel: int = 1,
) -> Collection:
    """Run every job once; what is finished already is only read.

    Args:
        workers: processes, each with its share of the cores as threads of torch.
        on_result: told of each episode, those found finished first.
        on_failure: told of each job that failed, why, and whether it is tried again.
        parallel: episodes at once in each process. They share one model, which writes their replies together.

    Raises:
        ConfigError: two jobs would share a folder, or a job asks for what cannot be had.
        CheckpointError: a job's model cannot be loaded.
    """
    jobs, out = list(jobs), Path(out)
    check_apart(jobs)
    out.mkdir(parents=True, exist_ok=True)
    pool = _Pool(out, on_result, on_failure, parallel)
    pool.run(jobs, workers)
    order = {job.name: place for place, job in enumerate(jobs)}
    pool.collection.results.sort(key=lambda result: order[result.job.name])
    return pool.collection


def check_apart(jobs: list[Job]) -> None:
    """See that each job has a folder of its own.

    Raises:
        ConfigError: two would share one.
    """
    again = len(jobs) - len({job.name for job in jobs})
    if again:
        raise ConfigError(f"{again} jobs have the same task, split, seed and policy as another")


class _Pool:
    """Hands jobs to processes, and notices when one dies."""

    def __init__(
        self,
        out: Path,
        on_result: Callable[[EpisodeResult], None] | None,
        on_failure: Callable[[Job, str, bool], None] | None,
        seats: int,
    ) -> None:
        self.collection = Collection()
        self._out = out
        self._on_result = on_result or (lambda result: None)
        self._on_failure = on_failure or (lambda job, why, again: None)
        self._seats, self._threads = seats, 1
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
        self._threads = max(1, (os.cpu_count() or 1) // workers)
        try:
            for _ in range(min(workers, -(-len(self._waiting) // self._seats))):
                self._start(self._seats)
            while any(worker.jobs for worker in self._workers):
                self._listen()
        finally:
            self._stop()

    def _start(self, seats: int) -> None:
        """One more process, with jobs. Spawned: nothing of this process's threads or locks goes with it."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self._out, seats, self._threads), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours, seats)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        """Fill the worker's seats."""
        while self._waiting and len(worker.jobs) < worker.seats:
            job = self._waiting.popleft()
            worker.jobs[job.name] = job
            self._attempts[job.name] = self._attempts.get(job.name, 0) + 1
            try:
                worker.pipe.send(job)
            except OSError:  # it died since its last answer
                self._bury(worker)
                return

    def _listen(self) -> None:
        busy = {worker.pipe: worker for worker in self._workers if worker.jobs}
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            try:
                name, answer = worker.pipe.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            self._take(worker, worker.jobs.pop(name), answer)

    def _take(self, worker: _Worker, job: Job, answer: Any) -> None:
        if isinstance(answer, EpisodeResult):
            self._finish(answer)
        elif isinstance(answer, Exception):
            raise answer
        else:
            self._fail(job, answer)
        self._give(worker)

    def _bury(self, worker: _Worker) -> None:
        """A process died: say so, try its jobs once more, and let another take its place.

        That one runs a job at a time: of several, none but the one at fault dies again.
        """
        worker.process.join()
        self._workers.remove(worker)
        worker.pipe.close()
        for job in worker.jobs.values():
            self._fail(job, f"its worker died (exit code {worker.process.exitcode})")
        if self._waiting:
            self._start(1)

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
            if worker.jobs:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join()
