"""Checkpoints of a job, by `torch.distributed.checkpoint`: every process writes its own part, any layout reads them.

`<out>/checkpoints/step-00001200/` is there whole or not at all: it is written under another name, in the background
while training goes on, and renamed when every process is done. Beside the tensors lies `job.json`.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.optim import Optimizer

from qwen2vl_agent.schema.errors import CheckpointError
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.stage import Stage

JOB_FILE = "job.json"
RANDOM_FILE = "random.pt"
DRAFT = ".draft-"
MOMENTS = ("exp_avg", "exp_avg_sq")


class JobCheckpoints:
    """The checkpoints of one job, the last few of which are kept."""

    def __init__(self, root: Path, keep: int, grid: Grid) -> None:
        self._root, self._keep, self._grid = root, keep, grid
        self._pending: tuple[Any, Path, Path] | None = None

    def latest(self) -> Path | None:
        """The newest complete checkpoint, if there is any: the first process looks, for all."""
        found = [str(path) for path in self._all()[-1:]] if self._grid.rank == 0 else []
        told: list[Any] = [found]
        dist.broadcast_object_list(told, src=0)
        return Path(told[0][0]) if told[0] else None

    def begin(self, step: int, tensors: dict[str, Tensor], job: dict[str, Any]) -> None:
        """Start to write one, after the one before is finished; the tensors may change at once."""
        self.finish()
        final, draft = self._root / f"step-{step:08d}", self._root / f"{DRAFT}{step:08d}"
        states: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(states, torch.get_rng_state())
        if self._grid.rank == 0:
            self._root.mkdir(parents=True, exist_ok=True)
            for left_over in self._root.glob(DRAFT + "*"):
                shutil.rmtree(left_over)
            draft.mkdir()
            (draft / JOB_FILE).write_text(json.dumps(job, indent=2) + "\n", "utf-8")
            torch.save(states, draft / RANDOM_FILE)
        dist.barrier()
        self._pending = (dcp.async_save(tensors, checkpoint_id=draft, process_group=self._grid.saving), draft, final)

    def poll(self) -> None:
        """Finish the one that is being written if every process is done with it; a collective call."""
        if self._pending is not None and self._grid.sum(not self._pending[0].done()) == [0.0]:
            self.finish()

    def finish(self) -> None:
        """Wait for the one that is being written, and let it appear."""
        if self._pending is None:
            return
        written, draft, final = self._pending
        self._pending = None
        written.result()
        dist.barrier()
        if self._grid.rank == 0:
            if final.exists():
                shutil.rmtree(final)
            _sync(draft)
            os.replace(draft, final)
            for old in self._all()[: -self._keep]:
                aside = old.with_name(DRAFT + old.name)  # out of sight first: half deleted it must not look whole
                os.replace(old, aside)
                shutil.rmtree(aside)
        dist.barrier()

    def _all(self) -> list[Path]:
        return sorted(path for path in self._root.glob("step-*") if (path / JOB_FILE).is_file())


def job_of(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of its job.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        job: dict[str, Any] = json.loads((folder / JOB_FILE).read_text("utf-8"))
        return job
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder / JOB_FILE} cannot be read ({error}); remove {folder} to go on from the one before"
        ) from error


def tensors_of(stage: Stage, optimizer: Optimizer | None) -> dict[str, Tensor]:
    """Weights and optimizer state by name, the same names in every layout."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in stage.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        state = optimizer.state.get(parameter, {}) if optimizer is not None else {}
        tensors |= {f"optimizer.{name}.{kind}": state[kind] for kind in MOMENTS if kind in state}
    return tensors


def restore(folder: Path, stage: Stage, optimizer: Optimizer | None, updates: int) -> None:
    """Weights and optimizer state of a checkpoint, written in whatever layout, after `updates` updates.

    Raises:
        CheckpointError: it lacks something, or is of another network.
    """
    if optimizer is not None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                optimizer.state[parameter] = _state(parameter, updates) if updates else {}
    try:
        dcp.load(tensors_of(stage, optimizer), checkpoint_id=folder)
    except (CheckpointException, RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(f"{folder} does not fit this network, or is damaged: {str(error)[:300]}") from error


def restore_random(folder: Path) -> None:
    """Each process's random numbers go on where they were, if there are as many processes."""
    states = torch.load(folder / RANDOM_FILE, weights_only=True)
    if len(states) == dist.get_world_size():
        torch.set_rng_state(states[dist.get_rank()])


def _state(parameter: nn.Parameter, updates: int) -> dict[str, Tensor]:
    moments = {kind: torch.zeros_like(parameter.detach()) for kind in MOMENTS}
    return {"step": torch.tensor(float(updates)), **moments}


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
