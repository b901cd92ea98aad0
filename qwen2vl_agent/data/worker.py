"""What runs in a data worker: draw, encode, hand over."""

import builtins
import os
import queue
import signal
import traceback
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from typing import Any

import torch

from qwen2vl_agent.data.gaze import GazeFinder
from qwen2vl_agent.data.mixture import Drawing, Mixture, Prepared, Share, Source
from qwen2vl_agent.data.packing import Row, to_wire
from qwen2vl_agent.schema import errors

NICENESS = 5
"""Workers yield to the training process: a matrix product split over all cores waits for its slowest part."""
LOOK_S = 1.0
"""How often a worker whose chunks nobody takes looks whether its parent still lives."""


@dataclass(frozen=True, slots=True)
class Job:
    """Which positions a worker encodes: `chunk` of them from `first`, then again `stride` further on, for ever."""

    mixture: Drawing
    processor: Any
    first: int
    chunk: int
    stride: int
    pixel_dtype: torch.dtype
    find: GazeFinder | None = None
    """Looks in each row for where to look."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way to the training process."""

    kind: str
    message: str
    trace: str

    def error(self) -> Exception:
        """The error to raise there: the operator's errors keep their class, others bring the worker's traceback."""
        kind = getattr(errors, self.kind, None)
        if kind is not None and issubclass(kind, errors.AgentError):
            return kind(self.message)
        builtin = getattr(builtins, self.kind, None)
        known = isinstance(builtin, type) and issubclass(builtin, ValueError | TypeError | RuntimeError)
        return (builtin if known else RuntimeError)(f"{self.message}\n{self.trace}")  # type: ignore[misc]


def encode_row(mixture: Mixture | Share, processor: Any, position: int, pixel_dtype: torch.dtype) -> Row:
    """The example at `position`, encoded."""
    source, index = mixture.pick(position)
    return encode_example(source, index, processor, pixel_dtype)


def encode_example(
    source: Source, index: int, processor: Any, pixel_dtype: torch.dtype, find: GazeFinder | None = None
) -> Row:
    """One of a source's examples, encoded."""
    example = source.example(index)
    encoded = example.encode(processor)
    for name in ("pixel_values", "pixel_values_videos"):
        pixels = getattr(encoded.inputs, name)
        if pixels is not None and pixels.dtype is not pixel_dtype:
            setattr(encoded.inputs, name, pixels.to(pixel_dtype))
    row = Row(encoded.inputs, encoded.labels, example.source, example.weight, encoded.looks, index)
    return row if find is None else replace(row, gazes=find(row))


def work(job: Job, chunks: Any, environment: dict[str, str]) -> None:
    """Put the job's chunks in order, until killed or orphaned.

    `environment` is the trainer's own, where storages look for credentials: the server that forks workers may be older.
    """
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    torch.set_num_threads(1)
    os.nice(NICENESS)
    first = job.first
    while True:
        chunk = _chunk(job, first)
        if not _hand_over(chunk, chunks) or isinstance(chunk, Failure):
            break
        first += job.stride
    chunks.close()


def _chunk(job: Job, first: int) -> list[list[Any]] | Failure:
    """What is at each of the job's positions."""
    where, chunk = "", []
    try:
        _prepare(job, first)
        for position in range(first, first + job.chunk):
            wires = []
            for source, index in job.mixture.drawn(position):
                where = f"example {index} of source {source.name!r}"
                row = encode_example(source, index, job.processor, job.pixel_dtype, job.find)
                wires.append(to_wire(row, job.pixel_dtype))
            chunk.append(wires)
        return chunk
    except Exception as error:
        return Failure(type(error).__name__, f"{where}: {error}", traceback.format_exc())


def _prepare(job: Job, first: int) -> None:
    """Tells sources that fetch from afar what comes now, and what comes next."""
    for start in (first, first + job.stride):
        for position in range(start, start + job.chunk):
            for source, index in job.mixture.drawn(position):
                if isinstance(source, Prepared):
                    source.prepare(index)


def _hand_over(chunk: Any, chunks: Any) -> bool:
    """Whether the parent could be given the chunk; False when it is gone."""
    parent = parent_process()
    while parent is None or parent.is_alive():
        try:
            chunks.put(chunk, timeout=LOOK_S)
            return True
        except queue.Full:
            continue
    os._exit(1)  # orphaned: a plain exit would wait for the queue's thread, which nobody reads from
