"""Data parallel: every process has the whole model and its share of the examples; gradients are added up.

On CPU a process with one thread each beats one process with as many threads: the threads of one process meet at
every operation, the replicas once a step (`docs/log.md`).
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

LOST_AFTER = timedelta(minutes=10)
"""A process that does not answer for so long is taken for dead, and the others end."""
LOOK_S = 0.5
"""How often the first process looks, until all have begun, whether one has died on the way."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """This process among its equals, over `torch.distributed`'s default group."""

    rank: int
    count: int

    def add(self, *numbers: float) -> list[float]:
        """Each number summed over all processes."""
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total)
        return [float(number) for number in total.tolist()]

    def add_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Every gradient becomes the sum over all processes; one that a process has not counts as zero."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        for parameter, gradient in zip(parameters, self.added(gradients), strict=True):
            parameter.grad = gradient

    def added(self, tensors: list[Tensor]) -> tuple[Tensor, ...]:
        """The sum over all processes of each tensor, in one message."""
        flat = _flatten_dense_tensors(tensors)
        dist.all_reduce(flat)
        return tuple(_unflatten_dense_tensors(flat, tensors))

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in the order of ranks."""
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until every process is here."""
        dist.barrier()


def run_replicas(count: int, work: Callable[..., None], *args: Any) -> None:
    """Call `work(*args, replicas)` in `count` processes, this one among them as rank 0.

    The others are spawned and end with this one. With one process there is no group and `replicas` is None.

    Raises:
        SystemExit, or whatever `work` raises here.
    """
    if count == 1:
        work(*args, None)
        return
    with tempfile.TemporaryDirectory(prefix="qwen2vl-agent-") as folder:
        meeting_point = str(Path(folder) / "store")
        context = multiprocessing.get_context("spawn")
        begun = context.Semaphore(0)
        others = [
            context.Process(target=_begin, args=(begun, meeting_point, rank, count, work, args), name=f"replica-{rank}")
            for rank in range(1, count)
        ]
        for process in others:
            process.start()
        try:
            _await_all(others, begun)
            _joined(meeting_point, 0, count, work, args)
        finally:
            for process in others:
                process.join(timeout=30)
                process.kill()
                process.join()


def _await_all(others: list[Any], begun: Any) -> None:
    """Until every other process runs: to one that never comes, the meeting would wait for `LOST_AFTER`."""
    for _ in others:
        while not begun.acquire(timeout=LOOK_S):
            for process in others:
                if process.exitcode is not None:
                    raise RuntimeError(f"{process.name} died as it began (exit status {process.exitcode})")


def _begin(begun: Any, *joining: Any) -> None:
    begun.release()
    _joined(*joining)


def _joined(meeting_point: str, rank: int, count: int, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    with _group(meeting_point, rank, count) as replicas:
        work(*args, replicas)


@contextmanager
def _group(meeting_point: str, rank: int, count: int) -> Iterator[Replicas]:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = dist.FileStore(meeting_point, count)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=LOST_AFTER)
    try:
        yield Replicas(rank, count)
    finally:
        dist.destroy_process_group()
