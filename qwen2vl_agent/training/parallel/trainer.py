"""The trainer of a job of one or many processes: one loop for every stage and layout."""

import dataclasses
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from rich.console import Console

from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError, JobLost
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.metrics import METRICS_FILE, Display, MetricsFile, Window
from qwen2vl_agent.training.optim import lr_at, make_optimizer, set_lr
from qwen2vl_agent.training.parallel.activation_checkpoint import Recompute
from qwen2vl_agent.training.parallel.adapter import export_adapter
from qwen2vl_agent.training.parallel.apply import apply_parallel
from qwen2vl_agent.training.parallel.checkpoint import (
    JobCheckpoints,
    job_of,
    restore,
    restore_random,
    tensors_of,
)
from qwen2vl_agent.training.parallel.data_order import Rows
from qwen2vl_agent.training.parallel.export import export
from qwen2vl_agent.training.parallel.flops import Passes
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.lora import trained_names
from qwen2vl_agent.training.parallel.monitor import Monitor
from qwen2vl_agent.training.parallel.reduction import reconcile
from qwen2vl_agent.training.parallel.step import ParallelStep
from qwen2vl_agent.training.spikes import SpikeWatch
from qwen2vl_agent.training.tensorboard import Board
from qwen2vl_agent.training.trainer import INTERRUPTED_STATUS, MAX_SKIPPED, Progress

_BROKEN = ("connection", "peer", "gloo", "nccl", "socket")
"""Words in what torch says when another process is gone."""

LOST_STATUS = 2


class JobTrainer:
    """Trains this process's part of `model` on what `data` brings, and keeps everything under `out`.

    `out/metrics.jsonl` has a line for each window, `out/checkpoints/` the last few checkpoints, and `out/model/` the
    model when the run is done; thin matrices are merged there, and alone in `out/adapter/`, for peft.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: Qwen2VL,
        data: Rows,
        grid: Grid,
        out: Path,
        *,
        processor: Any = None,
        base_model: str = "",
        resume: bool = False,
        recompute: Recompute = "none",
        reconcile_every: int = 100,
        watch: SpikeWatch | None = None,
        peak_tflops: float = 0.0,
        tensorboard: bool = False,
        console: Console | None = None,
    ) -> None:
        """`reconcile_every`: steps between two offline reductions; one more comes before every checkpoint.

        `peak_tflops`: of a device, for the part of it that is used; 0 measures it. `tensorboard`: write its files too.

        Raises:
            ConfigError: `out` holds a run already and `resume` is False, the run's data are not the ones it had, or
                the layout does not fit the network.
        """
        self.config = config
        self.progress = Progress()
        self.updates = 0
        """Steps that moved the weights: a gradient that is not finite moves none."""
        self.drift = 0.0
        self._data, self._grid, self._out = data, grid, out
        self._base_model = base_model
        self._processor, self._console, self._reconcile_every = processor, console, reconcile_every
        torch.manual_seed(config.seed)
        self.trained = trained_names(model, config)
        self.stage = apply_parallel(model, grid, config, recompute)
        trains = any(parameter.requires_grad for parameter in self.stage.parameters())
        self.optimizer = make_optimizer(self.stage, config) if trains else None
        self._step = ParallelStep(self.stage, grid, data.sources, config.dtype)
        self._step.passes = Passes.of(self.trained)
        self._monitor = Monitor(grid, out, self._step, watch or SpikeWatch(), peak_tflops)
        self._checkpoints = JobCheckpoints(out / "checkpoints", config.keep_checkpoints, grid)
        self._asked_to_stop = False
        self._skipped_in_a_row = 0
        self._saved_step = 0
        self._waited_s = self._rate = 0.0
        latest = self._checkpoints.latest()
        if latest and not resume:
            raise ConfigError(f"{out} holds a run already ({latest.name}); resume it or choose another folder")
        if latest:
            self._restore(latest)
        self._metrics, self._board = None, None
        if grid.rank == 0:
            out.mkdir(parents=True, exist_ok=True)
            self._metrics = MetricsFile(out / METRICS_FILE, self.progress.step)
            self._board = Board(out, self.progress.step) if tensorboard else None

    @property
    def spent(self) -> float:
        """How much of the run is over, 0 to 1."""
        return self.config.spent(self.progress.step, self.progress.tokens)

    def fit(self) -> None:
        """Train until the steps, the tokens or the time are spent, and export the model if the run is done.

        Raises:
            JobLost: another process of the job is gone. Only the first process says so; others exit with status 2.
            SystemExit: with status 130, after saving, on SIGTERM or Ctrl-C.
        """
        try:
            self._fit()
        except RuntimeError as error:
            lost = _lost(error)
            if lost is None:
                raise
            if self._grid.rank:
                raise SystemExit(LOST_STATUS) from error
            raise JobLost(
                f"a process of the job is gone, so the others end too; go on from the last checkpoint in {self._out} "
                f"with --resume ({lost})"
            ) from error
        finally:
            self._data.close()
            if self._board is not None:
                self._board.close()

    def _fit(self) -> None:
        began = saved_at = time.perf_counter()
        window = Window()
        shown = Display(self.config.stage, self._console) if self._metrics else nullcontext()
        with self._signals(), shown as display:
            while self.spent < 1.0 and not self._agreed(self._asked_to_stop or self._out_of_time(began)):
                self._one_step(window, display)
                if self.progress.step % self.config.log_every == 0 or self.spent >= 1.0:
                    window = self._report(window, display)
                self._checkpoints.poll()
                if self._agreed(self._checkpoint_due(time.perf_counter() - saved_at)):
                    self.save()
                    saved_at = time.perf_counter()
            self.save()
            self._checkpoints.finish()
        if self._agreed(self._asked_to_stop):
            raise SystemExit(INTERRUPTED_STATUS)
        if self.spent >= 1.0:
            self._export()

    def _one_step(self, window: Window, display: Display | None) -> None:
        began = time.perf_counter()
        self._rate = lr_at(self.progress.step, self.spent, self.config)
        result = self._step.gradients(self._data.next_rows())
        if self.optimizer is not None:
            set_lr(self.optimizer, self._rate)
        self._monitor.before_update(result)
        result.grad_norm = self._step.apply(self.optimizer, self.config.clip_norm, result.skipped)
        told = self._monitor.after_update(result, self.progress.step + 1)
        if told and display:
            display.say(told)
        self.updates += result.applied
        self._skipped_in_a_row = 0 if result.applied else self._skipped_in_a_row + 1
        if self._skipped_in_a_row >= MAX_SKIPPED:
            raise ConfigError(f"{MAX_SKIPPED} steps in a row were skipped ({told}); try a lower learning rate")
        self.progress.step += 1
        self.progress.tokens += result.tokens
        if self.progress.step % self._reconcile_every == 0:
            self._reconcile()
        self.progress.seconds += time.perf_counter() - began
        window.add(result)

    def _reconcile(self) -> None:
        self.drift = reconcile(self.stage, self.optimizer)

    def _report(self, window: Window, display: Display | None) -> Window:
        summary = window.summary()
        watched, news = self._monitor.window(summary["flops_per_s"])
        if self._metrics is not None and display is not None:
            line = {
                "step": self.progress.step,
                "tokens": self.progress.tokens,
                "seconds": round(self.progress.seconds, 3),
                "lr": self._rate,
                "wait_s": (self._data.waited_s - self._waited_s) / max(window.steps, 1),
                "drift": self.drift,
                **summary,
                **watched,
            }
            self._metrics.write(line)
            if self._board is not None:
                self._board.write(line)
            display.show(line, self.spent)
            for told in news:
                display.say(told)
            self._waited_s = self._data.waited_s
        return Window()

    def save(self) -> None:
        """Begin to write a checkpoint of this moment, unless there is one, after bringing shared weights together."""
        if self._saved_step == self.progress.step:
            return
        self._saved_step = self.progress.step
        self._reconcile()
        job = {
            "progress": dataclasses.asdict(self.progress),
            "updates": self.updates,
            "recent_losses": list(self._monitor.watch.recent),
            "positions": self._data.positions(),
            "data": self._data.describe(),
            "trained": self.trained,
            "layout": dataclasses.asdict(self._grid.layout),
            "config": self.config.to_json(),
        }
        self._checkpoints.begin(self.progress.step, tensors_of(self.stage, self.optimizer), job)

    def _restore(self, folder: Path) -> None:
        job = job_of(folder)
        try:
            same_data, same_trained = job["data"] == self._data.describe(), job["trained"] == self.trained
            self.progress, self.updates = Progress(**job["progress"]), int(job["updates"])
            positions = list(job["positions"])
            self._monitor.watch.recent.extend(job["recent_losses"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{folder} is damaged: {error!r}; remove it to go on from the one before") from error
        if not same_data:
            raise ConfigError(f"{folder} was trained on {job['data']}, not on {self._data.describe()}")
        if not same_trained:
            raise ConfigError(f"{folder} trained {len(job['trained'])} parameters, this config {len(self.trained)}")
        self._saved_step = self.progress.step
        restore(folder, self.stage, self.optimizer, self.updates)
        restore_random(folder)
        self._data.seek(positions)

    def _export(self) -> None:
        if self._processor is not None and self._grid.rank == 0:
            self._processor.save_pretrained(_made(self._out / "model"))
        export(self.stage, self._grid, self._out / "model")
        export_adapter(self.stage, self._grid, self._out / "adapter", self._base_model)

    def _agreed(self, wish: bool) -> bool:
        """Whether any process wishes it: all of them then do it together."""
        return self._grid.sum(wish)[0] > 0

    def _checkpoint_due(self, since_s: float) -> bool:
        every = self.config.checkpoint_every_steps
        return since_s >= self.config.checkpoint_every_s or bool(every and self.progress.step % every == 0)

    def _out_of_time(self, began: float) -> bool:
        limit = self.config.max_seconds
        return limit is not None and time.perf_counter() - began >= limit

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C ask for a stop after the step; a second one has its usual effect."""
        kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def stop(number: int, _: FrameType | None) -> None:
            self._asked_to_stop = True
            signal.signal(number, kept[signal.Signals(number)])

        for number in kept:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)


def _lost(error: BaseException | None) -> str | None:
    """What torch says of a process that is gone, if the error or one behind it is of that; pipelining wraps it."""
    while error is not None:
        first_line = next(iter(str(error).strip().splitlines()), "")
        if isinstance(error, RuntimeError) and any(word in first_line.lower() for word in _BROKEN):
            return first_line[:160]
        error = error.__cause__ or error.__context__
    return None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
