"""1F1B, plain or interleaved, over micro-batches of different lengths, by `torch.distributed.pipelining`'s schedules.

Stock pipelining takes the first micro-batch's shape for all. Here the lengths of all micro-batches are known before
the step (`exchange.py` sent them to every stage), and each micro-batch's buffers have its own length: nothing is
padded and nothing is negotiated on the way. One stage alone is a pipeline too, so that every layout runs this code.

The only file that touches private names of `torch.distributed.pipelining` (2.13); `needs.py` tells where they are gone.
Source: Qwen2-VL technical report §2.3, "we broadcast the dynamic sequence lengths before initiating the 1F1B process
and access the shape information using batch indices".
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleInterleaved1F1B
from torch.distributed.pipelining import stage as engine

from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.stage import Stage
from qwen2vl_agent.training.parallel.zero import accumulate, reduce_gradients


class Stopwatch:
    """Sums up the time that its blocks take: on CUDA the device's own, on CPU that of the clock."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._seconds = 0.0
        self._began: Any = None
        self._pairs: list[tuple[Any, Any]] = []

    def __enter__(self) -> None:
        self._began = self._now()

    def __exit__(self, *_: Any) -> None:
        if self._cuda:
            self._pairs.append((self._began, self._now()))
        else:
            self._seconds += self._now() - self._began

    def take(self) -> float:
        """Seconds since the last time; on CUDA all work must be done."""
        milliseconds = sum(began.elapsed_time(ended) for began, ended in self._pairs)
        taken, self._seconds, self._pairs = self._seconds + milliseconds / 1e3, 0.0, []
        return taken

    def _now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


class Pipeline:
    """Runs forward and backward of a step's micro-batches through all stages."""

    def __init__(self, stage: Stage, grid: Grid, dtype: torch.dtype) -> None:
        """`dtype` is that of the states that go from stage to stage."""
        self._grid, self._stage = grid, stage
        self._watch = Stopwatch(grid.device)
        chunks = grid.layout.chunks
        modules = [stage] if chunks == 1 else [_Chunk(stage, chunk) for chunk in range(chunks)]
        self._engines = [
            _MeasuredStage(module, grid, stage.config.text.hidden_size, dtype, chunk, self._watch)
            for chunk, module in enumerate(modules)
        ]

    def computed_s(self) -> float:
        """Seconds that this process computed since the last time it was asked; waiting for other stages is none."""
        return self._watch.take()

    def run(self, batches: Sequence[Batch], total_weight: float) -> None:
        """Gradients of all micro-batches are added to the stage's parameters; what it found is in `stage.done`.

        Raises:
            ConfigError: there are too few micro-batches, or a number that does not suit interleaved stages.
        """
        check_rows(len(batches), self._grid.layout)
        for each in self._engines:
            each.measure([batch.num_tokens // self._grid.layout.tp for batch in batches])
        args = [(batch.inputs.input_ids,) if self._grid.first else () for batch in batches]
        kwargs = [{"batch": batch, "total_weight": total_weight} for batch in batches]
        losses: list[Any] | None = [] if self._grid.last else None
        targets = list(range(len(batches))) if self._grid.last else None
        schedule = self._schedule(len(batches))
        if len(self._engines) > 1:
            accumulate(self._stage)
        schedule._step_microbatches(args, kwargs, targets, losses, return_outputs=False)
        if len(self._engines) > 1:
            reduce_gradients(self._stage)

    def _schedule(self, count: int) -> Any:
        """Of so many micro-batches; shapes are known, so that there is nothing to find out first."""
        if len(self._engines) == 1:
            plain: Any = Schedule1F1B(self._engines[0], count, loss_fn=_itself, scale_grads=False)
            plain._stage_forward_initialized = plain._stage_backward_initialized = True
            return plain
        stages: list[Any] = list(self._engines)
        interleaved: Any = ScheduleInterleaved1F1B(stages, count, loss_fn=_itself, scale_grads=False)
        interleaved._stages_forward_initialized = interleaved._stages_backward_initialized = True
        return interleaved


def check_rows(rows: int, layout: Layout) -> None:
    """See that a replica's micro-batches suit the pipeline.

    Raises:
        ConfigError: they do not.
    """
    if rows < layout.pp:
        raise ConfigError(
            f"a step has {rows} packed rows for each replica, but --pp {layout.pp} needs as many as it "
            "has stages; raise rows_per_step"
        )
    if layout.chunks > 1 and rows % (rows // layout.pp):
        raise ConfigError(
            f"a step has {rows} packed rows for each replica; interleaved, --pp {layout.pp} must divide it"
        )


class _Chunk(nn.Module):
    """One of several pipeline stages that a process holds. Its parameters are the whole's, which shares them out."""

    def __init__(self, stage: Stage, chunk: int) -> None:
        super().__init__()
        self._run = partial(stage, chunk=chunk)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)


class _MeasuredStage(PipelineStage):
    """A stage whose one activation is `[1, T_i, D]`, with T_i known for each micro-batch i. It times itself."""

    def __init__(
        self, module: nn.Module, grid: Grid, width: int, dtype: torch.dtype, chunk: int, watch: Stopwatch
    ) -> None:
        number, layout = grid.stage + chunk * grid.layout.pp, grid.layout
        super().__init__(module, number, layout.stages, grid.device, group=grid.mesh["pp"].get_group())
        self._width, self._dtype, self.watch = width, dtype, watch

    def forward_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        """Waiting for the stage before ended already, that for the one after has not begun."""
        with self.watch:
            return super().forward_one_chunk(*args, **kwargs)

    def backward_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        """The same on the way back."""
        with self.watch:
            return super().backward_one_chunk(*args, **kwargs)

    def measure(self, rows: Sequence[int]) -> None:
        """Buffers for micro-batches of these lengths."""
        self.has_backward = True
        self.chunks = len(rows)
        self.clear_runtime_states()
        self._inference_mode = engine.InferenceMode.STATIC
        here, back = self._meta(rows[0], True), self._meta(rows[0], False)
        self._stage_meta.inputs = self._stage_meta.outputs = (here,)
        self._stage_meta.output_grads = None if self.is_last else (back,)
        self._stage_meta.input_grads = None if self.is_first else (back,)
        self.act_send_info = {0: [] if self.is_last else [self.stage_index + 1]}
        self.grad_send_info = None
        for index, length in enumerate(rows):
            self.args_recv_info[index] = (self._arrival(index, length),)
            self.grad_recv_info[index] = () if self.is_last else (self._return(index, length),)

    def _arrival(self, index: int, length: int) -> Any:
        if self.is_first:
            return engine._RecvInfo(f"root_{index}", None, None, self._meta(length, False), is_root_arg=True)
        return engine._RecvInfo(
            f"forward_{index}", self.stage_index - 1, self._buffer(length), self._meta(length, True)
        )

    def _return(self, index: int, length: int) -> Any:
        return engine._RecvInfo(
            f"backward_{index}", self.stage_index + 1, self._buffer(length), self._meta(length, False)
        )

    def _buffer(self, length: int) -> torch.Tensor:
        return torch.empty((1, length, self._width), dtype=self._dtype, device=self.device)

    def _meta(self, length: int, gradient: bool) -> Any:
        like = torch.empty((1, length, self._width), dtype=self._dtype, device="meta", requires_grad=gradient)
        return engine._TensorMeta.from_tensor(like)


def _itself(loss: Any, _: Any) -> Any:
    return loss
