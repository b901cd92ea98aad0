"""Batches in a fixed order, encoded ahead of time in worker processes.

The order is the mixture's, whatever the number of workers: worker k encodes the chunks k, k + N, k + 2N, … of the
positions, and the training process takes the chunks in turn and fills each batch up to the budget. The whole state is
one number, the position of the first example that no batch holds yet. Of a plan each position is a batch already.
"""

import multiprocessing
import os
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch

from qwen2vl_agent.data.gaze import GazeFinder
from qwen2vl_agent.data.mixture import Drawing
from qwen2vl_agent.data.packing import Batch, Row, from_wire, pack
from qwen2vl_agent.data.worker import Failure, Job, encode_example, work

PREFETCHED_CHUNKS = 2
"""Chunks that each worker keeps ready."""
STALL_S = 1.0
"""How often a wait for a chunk looks whether its worker still lives."""


@dataclass(slots=True)
class _Worker:
    process: Any
    chunks: Any


def _died(worker: _Worker) -> RuntimeError:
    worker.process.join(timeout=STALL_S)
    return RuntimeError(f"{worker.process.name} died (exit status {worker.process.exitcode})")


class Loader:
    """An endless iterator of `Batch`es from a mixture. Use it as a context manager, or `close()` it."""

    def __init__(
        self,
        mixture: Any,
        processor: Any,
        budget: int | None,
        *,
        workers: int = 0,
        start: int = 0,
        pixel_dtype: torch.dtype = torch.float32,
        chunk: int = 8,
        find: GazeFinder | None = None,
    ) -> None:
        """`processor` needs `encode(messages)`; `budget` counts the language model's tokens, visual ones included.

        An example longer than the budget makes a batch alone; without a budget each position of `mixture` is a batch.
        `workers=0` encodes in this process. Workers are started at the first batch; `pixel_dtype` halves the traffic
        where training computes in bfloat16 anyway. `find` looks in each example for where to look.
        """
        if (budget is not None and budget <= 0) or workers < 0 or chunk <= 0:
            raise ValueError(f"budget and chunk must be positive, got {budget} and {chunk}; workers {workers}")
        self.mixture = mixture
        self._drawing: Drawing = mixture
        self.budget = budget
        self.waited_s = 0.0
        """Seconds that `next` waited for data, in all."""
        self._processor = processor
        self._num_workers = workers
        self._pixel_dtype = pixel_dtype
        self._chunk = chunk
        self._find = find
        self._position = start
        self._rows: Iterator[list[Row]] | None = None
        self._held: Row | None = None
        self._workers: list[_Worker] = []

    @property
    def position(self) -> int:
        """The first position that no batch given out holds."""
        return self._position

    def seek(self, position: int) -> None:
        """Go on from `position`; whatever was prepared is dropped."""
        self.close()
        self._position = position

    def __iter__(self) -> "Loader":
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        if self._rows is None:
            self._rows = self._from_workers() if self._num_workers else self._inline()
        if self.budget is None:
            rows, passed = next(self._rows), 1
        else:
            rows = self._fill(self.budget, self._rows)
            passed = len(rows)
        self._position += passed
        self.waited_s += time.perf_counter() - began
        return pack(rows, self._position)

    def _fill(self, budget: int, drawn: Iterator[list[Row]]) -> list[Row]:
        rows: list[Row] = [self._held] if self._held else []
        total = sum(row.num_tokens for row in rows)
        self._held = None
        for (row,) in drawn:
            total += row.num_tokens
            if rows and total > budget:
                self._held = row
                break
            rows.append(row)
        return rows

    def _inline(self) -> Iterator[list[Row]]:
        position = self._position
        while True:
            drawn = self._drawing.drawn(position)
            yield [encode_example(*one, self._processor, self._pixel_dtype, self._find) for one in drawn]
            position += 1

    def _from_workers(self) -> Iterator[list[Row]]:
        self._workers = [self._launch(number) for number in range(self._num_workers)]
        turn = 0
        while True:
            for wires in self._receive(self._workers[turn % self._num_workers]):
                yield [from_wire(wire, self._pixel_dtype) for wire in wires]
            turn += 1

    def _launch(self, number: int) -> _Worker:
        context = _context()
        chunks = context.Queue(maxsize=PREFETCHED_CHUNKS)
        first = self._position + number * self._chunk
        stride = self._num_workers * self._chunk
        job = Job(self._drawing, self._processor, first, self._chunk, stride, self._pixel_dtype, self._find)
        process = context.Process(target=work, args=(job, chunks, dict(os.environ)), name=f"data-{number}", daemon=True)
        process.start()
        chunks._writer.close()  # the worker has its own; so the pipe ends with it, even in the middle of a chunk
        return _Worker(process, chunks)

    def _receive(self, worker: _Worker) -> list[Any]:
        while True:
            try:
                chunk = worker.chunks.get(timeout=STALL_S)
            except queue.Empty:
                if worker.process.is_alive():
                    continue
                raise _died(worker) from None
            except (EOFError, OSError):
                raise _died(worker) from None
            if isinstance(chunk, Failure):
                raise chunk.error()
            return list(chunk)

    def close(self) -> None:
        """End the workers. The loader can go on afterwards, from `position`."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.process.close()
            worker.chunks.close()
        self._workers, self._rows, self._held = [], None, None

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _context() -> Any:
    """Fork from a clean server process: quick, and free of the trainer's threads, which plain fork is not."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["qwen2vl_agent.data.worker", "qwen2vl_agent.dialogue.processor"])
    return context
