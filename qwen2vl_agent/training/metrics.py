"""What a run says of itself: lines of JSON for machines, a progress bar or plain lines for people."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from qwen2vl_agent.training.step import StepResult

METRICS_FILE = "metrics.jsonl"


@dataclass(slots=True)
class Window:
    """Sums since the last line of metrics."""

    began: float = field(default_factory=time.perf_counter)
    steps: int = 0
    skipped: int = 0
    tokens: int = 0
    patches: int = 0
    examples: int = 0
    grad_norm: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    padding: int = 0
    balance: float = 0.0
    flops: float = 0.0

    def add(self, result: StepResult) -> None:
        """Count one step in."""
        self.steps += 1
        self.tokens += result.tokens
        self.patches += result.patches
        self.examples += result.examples
        self.padding += result.padding
        self.balance += result.balance
        self.flops += result.flops
        if result.applied:
            self.grad_norm += result.grad_norm
        else:
            self.skipped += 1
        for source, count in result.targets.items():
            self.losses[source] = self.losses.get(source, 0.0) + result.losses[source]
            self.targets[source] = self.targets.get(source, 0) + count

    def summary(self) -> dict[str, Any]:
        """Means over the window; a source's loss is per target token of that source."""
        seconds = max(time.perf_counter() - self.began, 1e-9)
        targets = max(sum(self.targets.values()), 1)
        return {
            "loss": sum(self.losses.values()) / targets,
            "losses": {name: self.losses[name] / max(self.targets[name], 1) for name in sorted(self.losses)},
            "targets": {name: self.targets[name] for name in sorted(self.targets)},
            "grad_norm": self.grad_norm / max(self.steps - self.skipped, 1),
            "skipped_steps": self.skipped,
            "tokens_per_s": self.tokens / seconds,
            "patches_per_s": self.patches / seconds,
            "examples_per_s": self.examples / seconds,
            "step_s": seconds / max(self.steps, 1),
            "padding": self.padding / max(self.padding + self.tokens, 1),
            "balance": self.balance / max(self.steps, 1),
            "flops_per_s": self.flops / seconds,
        }


class MetricsFile:
    """An append-only file of JSON lines, one for each window."""

    def __init__(self, path: Path, resumed_at: int = 0) -> None:
        """Lines of steps after `resumed_at` are dropped: the resumed run writes them again."""
        self._path = path
        if path.exists():
            kept = [line for line in path.read_text("utf-8").splitlines(keepends=True) if _step(line) <= resumed_at]
            draft = path.with_suffix(".tmp")
            draft.write_text("".join(kept), "utf-8")
            os.replace(draft, path)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics, a torn last one left out."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if _step(line) < float("inf")]


def _step(line: str) -> float:
    """The step of a line; infinity for one that was cut off in the writing."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")


class Display:
    """A progress bar on a terminal, a plain line for each window elsewhere."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task(title, total=1.0, said="")

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.stop()

    def show(self, line: dict[str, Any], spent: float) -> None:
        """One window."""
        losses = " ".join(f"{name} {loss:.3f}" for name, loss in line["losses"].items())
        said = f"step {line['step']} loss {line['loss']:.4f} lr {line['lr']:.1e} {line['tokens_per_s']:.0f} tok/s"
        self._bar.update(self._task, completed=spent, said=said)
        if not self._console.is_terminal:
            self.say(f"{spent:6.1%} {said} wait {line['wait_s']:.2f}s | {losses}")

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
