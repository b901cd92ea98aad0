"""The job's processes on a grid of pipeline x data x tensor parallel, and the groups in which they talk."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.layout import Layout

AXES = ("pp", "dp", "tp")
LOST_AFTER = timedelta(minutes=10)
"""A process that does not answer for so long is taken for dead."""


@dataclass(frozen=True, slots=True)
class Grid:
    """This process's place on the grid."""

    layout: Layout
    mesh: DeviceMesh
    device: torch.device
    plane: Any = None
    """Group of the processes with the same share of the data: all stages and tensor parts of one replica."""
    ends: Any = None
    """Group of the first and the last stage with the same shard; None where this process is in neither, or pp is 1."""
    saving: Any = field(default=None, repr=False)
    """A group of its own for checkpoints, which are written while training goes on."""

    @property
    def rank(self) -> int:
        """Among all processes."""
        return dist.get_rank()

    @property
    def stage(self) -> int:
        """Number of this process's pipeline stage."""
        return self.mesh["pp"].get_local_rank()

    @property
    def replica(self) -> int:
        """Which share of the data this process works on."""
        return self.mesh["dp"].get_local_rank()

    @property
    def part(self) -> int:
        """Which part of the sharded matrices this process has."""
        return self.mesh["tp"].get_local_rank()

    @property
    def first(self) -> bool:
        """Whether this is the stage with the vision encoder."""
        return self.stage == 0

    @property
    def last(self) -> bool:
        """Whether this is the stage with the head and the loss."""
        return self.stage == self.layout.pp - 1

    @property
    def reads(self) -> bool:
        """Whether this process reads the data of its replica, for all of its plane."""
        return self.first and self.part == 0

    @property
    def tells(self) -> bool:
        """Whether this process knows its replica's losses, and is the one to count them."""
        return self.last and self.part == 0

    def sum(self, *numbers: float) -> list[float]:
        """Each number summed over all processes."""
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total)
        return [float(number) for number in total.tolist()]

    def wait(self) -> None:
        """Until every process is here."""
        dist.barrier()


def rank_at(layout: Layout, stage: int, replica: int, part: int) -> int:
    """The rank at a place. Worked example, dp 2, tp 2: stage 1, replica 0, part 1 is rank 5."""
    return (stage * layout.dp + replica) * layout.tp + part


def make_grid(layout: Layout, device: torch.device | str = "cpu") -> Grid:
    """The grid over `torch.distributed`'s default group, whose size must be the layout's.

    Raises:
        ConfigError: more or fewer processes than the layout needs.
    """
    if dist.get_world_size() != layout.world:
        raise ConfigError(
            f"the layout dp {layout.dp} x pp {layout.pp} x tp {layout.tp} needs {layout.world} processes, but the job "
            f"has {dist.get_world_size()}; start it with torchrun --nproc-per-node"
        )
    device = torch.device(device)
    mesh = init_device_mesh(device.type, (layout.pp, layout.dp, layout.tp), mesh_dim_names=AXES)
    planes = [
        [rank_at(layout, stage, replica, part) for stage in range(layout.pp) for part in range(layout.tp)]
        for replica in range(layout.dp)
    ]
    ends = [
        [rank_at(layout, stage, replica, part) for stage in (0, layout.pp - 1)]
        for replica in range(layout.dp)
        for part in range(layout.tp)
        if layout.pp > 1
    ]
    return Grid(layout, mesh, device, _group(planes), _group(ends), dist.new_group(backend=_cpu_backend()))


def _group(families: list[list[int]]) -> Any:
    """The one of the groups that this process is in. Every process must make all of them, in the same order."""
    own = None
    for ranks in families:
        group = dist.new_group(ranks)
        if dist.get_rank() in ranks:
            own = group
    return own


def _cpu_backend() -> str:
    return "fake" if dist.get_backend() == "fake" else "gloo"


@contextmanager
def joined(layout: Layout, device: str = "cpu") -> Iterator[Grid]:
    """The grid of this job: the processes that torchrun started, or this one alone.

    Raises:
        ConfigError: the layout needs another number of processes.
    """
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)  # how it gathers for an export
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group(backend, timeout=LOST_AFTER)
    else:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, timeout=LOST_AFTER)
    try:
        yield make_grid(layout, device)
    finally:
        dist.destroy_process_group()
