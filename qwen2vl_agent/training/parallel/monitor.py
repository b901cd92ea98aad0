"""Watches a job: steps that go wrong, processes that hold the others up, memory, and how well devices are used."""

import json
import resource
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.flops import measured_peak
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.step import ParallelStep
from qwen2vl_agent.training.parallel.stragglers import Finding, Timing, compare
from qwen2vl_agent.training.spikes import SpikeWatch
from qwen2vl_agent.training.step import StepResult

STRAGGLERS_FILE = "stragglers.json"
INCIDENTS_FILE = "incidents.jsonl"
COMPARED = 50
"""Steps of which the processes' times are compared."""
LEAST = 5
"""With fewer there is no verdict."""


class Monitor:
    """One process's part of the watching. Every method is to be called by all processes together."""

    def __init__(self, grid: Grid, out: Path, step: ParallelStep, watch: SpikeWatch, peak_tflops: float = 0.0) -> None:
        """`peak_tflops`: what a device can do; 0: as much as it does in a large product now."""
        self.watch = watch
        self._grid, self._out, self._step = grid, out, step
        self._seconds: deque[float] = deque(maxlen=COMPARED)
        self._work: deque[float] = deque(maxlen=COMPARED)
        own = peak_tflops * 1e12 or measured_peak(grid.device, step.dtype)
        (self._peak,) = grid.sum(own)
        self._told: set[tuple[int, str]] = set()

    def before_update(self, result: StepResult) -> None:
        """Judge a step by its loss, before its gradient is used."""
        result.trouble = self.watch.judge(result.loss)
        result.skipped = self.watch.skips(result.trouble)
        self._seconds.append(self._step.computed_s())
        self._work.append(self._step.work)

    def after_update(self, result: StepResult, step: int) -> str | None:
        """What to tell of a step that went wrong, which `incidents.jsonl` keeps with the worst examples' names.

        Raises:
            ConfigError: the run is to end at a spike.
        """
        if result.trouble is None and not result.applied:
            result.trouble = "gradient not finite"
        if result.trouble is None:
            return None
        worst = self._step.worst_examples()
        incident = {
            "step": step,
            "trouble": result.trouble,
            "loss": result.loss,
            "usual": self.watch.usual,
            "grad_norm": result.grad_norm,
            "applied": result.applied,
            "examples": worst,
        }
        if self._grid.rank == 0:
            with (self._out / INCIDENTS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(incident) + "\n")
        names = ", ".join(f"{one['source']}:{one['index']} ({one['loss']:.3g})" for one in worst[:3])
        done = "trained on" if result.applied else "skipped"
        told = f"step {step}: {result.trouble} (loss {result.loss:.3g}), {done}; highest losses: {names}"
        if result.trouble == "loss spike" and self.watch.on_spike == "stop":
            raise ConfigError(f"{told}; the run ends here, as on_spike says. Go on from the last checkpoint: --resume")
        return told

    def window(self, flops_per_s: float) -> tuple[dict[str, Any], list[str]]:
        """What a line of metrics has from here, and what to tell the operator; the report is written."""
        timing = Timing(
            dist.get_rank(),
            socket.gethostname(),
            self._grid.stage,
            self._grid.replica,
            self._grid.part,
            tuple(self._seconds),
            tuple(self._work),
            _memory_gib(self._grid.device),
        )
        timings: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(timings, timing)
        findings = compare(timings) if len(self._seconds) >= LEAST else []
        if self._grid.rank == 0 and findings:
            told = [finding.to_json() for finding in findings]
            (self._out / STRAGGLERS_FILE).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        line = {
            "mfu": flops_per_s / self._peak,
            "memory_gib": max(timing.memory_gib for timing in timings),
            "slowness": max((finding.slowness for finding in findings), default=1.0),
        }
        return line, self._news(findings)

    def _news(self, findings: list[Finding]) -> list[str]:
        """Of each process that is not even with the others, when it becomes so."""
        now = {(finding.rank, finding.verdict): finding for finding in findings if finding.verdict != "even"}
        new = [finding.told() for key, finding in now.items() if key not in self._told]
        self._told = set(now)
        return new


def _memory_gib(device: torch.device) -> float:
    """The most that this process has held: of the device's memory, or on CPU of its own."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
