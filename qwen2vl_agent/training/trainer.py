"""The trainer: one loop for every stage. It resumes exactly where it stopped."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from rich.console import Console

from qwen2vl_agent.schema.errors import CheckpointError, ConfigError
from qwen2vl_agent.training.checkpoint import Checkpoints, load_state
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.metrics import METRICS_FILE, Display, MetricsFile, Window
from qwen2vl_agent.training.optim import MovingAverage, lr_at, make_optimizer, set_lr
from qwen2vl_agent.training.parallel.replicas import Replicas
from qwen2vl_agent.training.stages import freeze_all_but, trainable_names
from qwen2vl_agent.training.step import LossFunction, train_step

INTERRUPTED_STATUS = 130
MAX_SKIPPED = 10
"""Gradients that are not finite, one after the other, before the run is given up."""


@dataclass(slots=True)
class Progress:
    """How far a run is: all that a resumed one needs to know besides tensors."""

    step: int = 0
    tokens: int = 0
    position: int = 0
    """The mixture's position: the first example not yet trained on."""
    seconds: float = 0.0
    """Time spent training, over all sittings."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a call of `fit` ended."""

    reason: Literal["done", "time"]
    progress: Progress
    loss: float
    """Of the last window of metrics."""


class Trainer:
    """Trains `model` on what `loader` brings, as `config` says, and keeps everything under `out`.

    `out/metrics.jsonl` has a line for each window, `out/checkpoints/` the last few checkpoints, and `out/model/` the
    model when the run is done (the moving average's weights where there is one).
    """

    def __init__(
        self,
        config: TrainConfig,
        model: Any,
        loader: Any,
        out: Path | str,
        *,
        processor: Any = None,
        resume: bool = False,
        console: Console | None = None,
        replicas: Replicas | None = None,
        loss: LossFunction = target_loss,
    ) -> None:
        """`replicas`: this process among several that train together, each with its share of the data; rank 0 writes.

        `loss` is what a batch of this loader costs the model.
        `processor`, where given, is saved beside the weights, so that every checkpoint is a complete model.

        Raises:
            ConfigError: `out` holds a run already and `resume` is False, or the run's data are not the ones it had; or
                replicas are to end by their clocks, which do not agree.
        """
        if replicas is not None and config.seconds_budget is not None:
            raise ConfigError("seconds_budget is for one process: the clocks of replicas do not agree; give steps")
        self.config = config
        self.model = model.to(config.device)
        self.progress = Progress(position=loader.position)
        self._loader = loader
        self._out = Path(out)
        self._saved_parts = [model] if processor is None else [model, processor]
        self._checkpoints = Checkpoints(self._out / "checkpoints", config.keep_checkpoints)
        self._console = console
        self._replicas = replicas
        self._loss = loss
        self._leads = replicas is None or replicas.rank == 0
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.trained = trainable_names(model, config)
        freeze_all_but(model, self.trained)
        self._optimizer = make_optimizer(model, config, replicas)
        self._average = MovingAverage(model, config.ema_decay) if config.ema_decay else None
        self._stopping: int | None = None
        self._skipped_in_a_row = 0
        self._last_line: dict[str, Any] = {"loss": float("nan")}
        latest = self._checkpoints.latest()
        if latest and not resume:
            raise ConfigError(f"{self._out} holds a run already ({latest.name}); resume it or choose another folder")
        if latest:
            self._restore(latest)
        self._out.mkdir(parents=True, exist_ok=True)
        self._metrics = MetricsFile(self._out / METRICS_FILE, self.progress.step) if self._leads else None

    @property
    def spent(self) -> float:
        """How much of the run is over, 0 to 1."""
        return self.config.spent(self.progress.step, self.progress.tokens, self.progress.seconds)

    def fit(self) -> Finished:
        """Train until the steps, the tokens or the time are spent.

        Raises:
            SystemExit: with status 130, after saving, on SIGTERM or Ctrl-C; a second one stops at once.
        """
        began = saved_at = time.perf_counter()
        window, self.model = Window(), self.model.train()
        with self._signals(), self._loader, Display(self.config.stage, self._console) as display:
            while self.spent < 1.0 and not self._to_stop(began):
                self._one_step(window)
                now = time.perf_counter()
                if self.progress.step % self.config.log_every == 0 or self.spent >= 1.0:
                    window = self._report(window, display)
                if self._agreed(self._checkpoint_due(now - saved_at)):
                    self.save()
                    saved_at = time.perf_counter()
            self.save()
            if self._agreed(self._stopping is not None):
                display.say(f"stopped after step {self.progress.step}; saved, to be resumed")
                raise SystemExit(INTERRUPTED_STATUS)
        if self.spent < 1.0:
            return Finished("time", self.progress, self._last_line["loss"])
        self._export()
        return Finished("done", self.progress, self._last_line["loss"])

    def _one_step(self, window: Window) -> None:
        began = time.perf_counter()
        batches = [next(self._loader) for _ in range(self.config.accumulate)]
        set_lr(self._optimizer, lr_at(self.progress.step, self.spent, self.config))
        result = train_step(self.model, self._optimizer, batches, self.config, self._replicas, self._loss)
        self._skipped_in_a_row = 0 if result.applied else self._skipped_in_a_row + 1
        if self._skipped_in_a_row >= MAX_SKIPPED:
            raise ConfigError(f"the gradient was not finite {MAX_SKIPPED} times in a row; try a lower learning rate")
        if self._average is not None:
            self._average.update(self.progress.step)
        self.progress.step += 1
        self.progress.tokens += self._of_all(result.tokens)
        self.progress.position = batches[-1].position
        self.progress.seconds += time.perf_counter() - began
        window.add(result)

    def _report(self, window: Window, display: Display) -> Window:
        waited = self._loader.waited_s / max(window.steps, 1)
        self._loader.waited_s = 0.0
        line = {
            "step": self.progress.step,
            "tokens": self.progress.tokens,
            "position": self.progress.position,
            "seconds": round(self.progress.seconds, 3),
            "lr": self._optimizer.param_groups[0]["lr"] / self._optimizer.param_groups[0]["factor"],
            "wait_s": waited,
            **window.summary(),
        }
        if self._metrics is not None:
            self._metrics.write(line)
            display.show(line, self.spent)
        self._last_line = line
        return Window()

    def _of_all(self, number: int) -> int:
        """The sum over all replicas."""
        return number if self._replicas is None else int(self._replicas.add(number)[0])

    def _agreed(self, wish: bool) -> bool:
        """Whether any replica wishes it: all of them then do it together."""
        return bool(self._of_all(int(wish)))

    def _to_stop(self, began: float) -> bool:
        return self._agreed(self._stopping is not None or self._out_of_time(began))

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        positions = [self.progress.position]
        if self._replicas is not None:
            positions = self._replicas.gather(self.progress.position)
        if self._leads:
            self._save(positions)
        if self._replicas is not None:
            self._replicas.wait()

    def _save(self, positions: list[int]) -> None:
        state = {
            "positions": positions,
            "progress": asdict(self.progress),
            "mixture": self._loader.mixture.describe(),
            "trained": self.trained,
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.shadow if self._average else None,
            "rng": torch.get_rng_state(),
        }
        self._checkpoints.save(self.progress.step, state, self.config.to_json(), *self._saved_parts)

    def _restore(self, folder: Path) -> None:
        state = load_state(folder)
        if state["mixture"] != self._loader.mixture.describe():
            raise ConfigError(f"{folder} was trained on {state['mixture']}, not on {self._loader.mixture.describe()}")
        if state["trained"] != self.trained:
            raise ConfigError(f"{folder} trained {len(state['trained'])} parameters, this config {len(self.trained)}")
        weights = type(self.model).from_pretrained(folder, dtype="float32").state_dict()
        missing = set(self.model.state_dict()) - set(weights)
        if missing:
            raise CheckpointError(f"{folder} lacks {sorted(missing)[:3]}; it is of another model")
        self.model.load_state_dict(weights)
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None and state["average"] is not None:
            torch._foreach_copy_(list(self._average.shadow.values()), list(state["average"].values()))
        torch.set_rng_state(state["rng"])
        self.progress = Progress(**state["progress"])
        self.progress.position = state["positions"][self._replicas.rank if self._replicas else 0]
        self._loader.seek(self.progress.position)

    def _export(self) -> None:
        """Put the finished model at `out/model`."""
        if self._average is not None:
            self._average.swap()
        for part in self._saved_parts if self._leads else []:
            part.save_pretrained(self._out / "model")
        if self._average is not None:
            self._average.swap()

    def _checkpoint_due(self, since_s: float) -> bool:
        every = self.config.checkpoint_every_steps
        return since_s >= self.config.checkpoint_every_s or bool(every and self.progress.step % every == 0)

    def _out_of_time(self, began: float) -> bool:
        limit = self.config.max_seconds
        return limit is not None and time.perf_counter() - began >= limit

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C ask for a stop after the step; a second one has its usual effect."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def stop(number: int, _: FrameType | None) -> None:
            self._stopping = number
            signal.signal(number, kept[number])

        for number in kept:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
