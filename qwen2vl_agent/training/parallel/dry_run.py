"""What a job of any size would look like: the real mesh, cut and sharding code, on tensors without memory.

One process plays the first process of each stage in turn, on `torch.distributed`'s fake backend, whose messages go
nowhere. Numbers are of a process, in GiB (2^30 bytes); activations are an estimate, the rest is counted.
"""

import warnings
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.parallel import activations
from qwen2vl_agent.training.parallel.activation_checkpoint import Recompute
from qwen2vl_agent.training.parallel.activations import Row
from qwen2vl_agent.training.parallel.apply import apply_parallel
from qwen2vl_agent.training.parallel.grid import Grid, make_grid, rank_at
from qwen2vl_agent.training.parallel.layout import PATCHES_PER_TOKEN, Layout
from qwen2vl_agent.training.parallel.lora import add_lora
from qwen2vl_agent.training.parallel.stage import Stage
from qwen2vl_agent.training.parallel.step import local_part

GIB = 2**30


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One pipeline stage's processes."""

    stage: int
    layers: tuple[int, ...]
    has_vision: bool
    has_head: bool
    parameters: int
    """Of the whole stage."""
    own_parameters: int
    """Of a process while it computes: its part of the matrices."""
    shared_parameters: int
    """Of those, what every tensor-parallel process has alike."""
    trained_parameters: int
    weights_gib: float
    """Those that train are gathered for a step; the others stay as they are, whole."""
    gradients_gib: float
    """Of all micro-batches, in float32."""
    optimizer_gib: float
    """Float32 weights and AdamW's two moments of those that train, shared out among the replicas."""
    activations_gib: float
    """Estimate, of as many micro-batches as 1F1B keeps in flight."""

    @property
    def total_gib(self) -> float:
        """All of it."""
        return self.weights_gib + self.gradients_gib + self.optimizer_gib + self.activations_gib


def plan(
    config: Qwen2VLConfig, layout: Layout, train: TrainConfig, recompute: Recompute, lora_rank: int = 0
) -> list[StagePlan]:
    """Every stage's memory, by running what a job runs to cut and share out the network.

    Raises:
        ConfigError: the network cannot be cut so.
    """
    layout.check(config)
    if dist.is_initialized():
        raise ConfigError("a dry run is one process by itself; start it without torchrun")
    return [_stage_plan(config, layout, train, recompute, lora_rank, stage) for stage in range(layout.pp)]


def _stage_plan(
    config: Qwen2VLConfig, layout: Layout, train: TrainConfig, recompute: Recompute, lora_rank: int, number: int
) -> StagePlan:
    from torch.testing._internal.distributed.fake_pg import FakeStore

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rank = rank_at(layout, number, 0, 0)
        dist.init_process_group("fake", rank=rank, world_size=layout.world, store=FakeStore())
        try:
            grid = make_grid(layout)
            with torch.device("meta"):
                model = Qwen2VL(config)
            if lora_rank:
                add_lora(model, lora_rank, alpha=1.0)
            stage = apply_parallel(model, grid, train, recompute)
            return _counted(stage, grid, train, recompute)
        finally:
            dist.destroy_process_group()


def _counted(stage: Stage, grid: Grid, train: TrainConfig, recompute: Recompute) -> StagePlan:
    parameters = list(stage.parameters())
    own = [_cut(parameter) for parameter in parameters]
    shared = sum(size for p, size in zip(parameters, own, strict=True) if size == p.numel())
    trained = sum(size for p, size in zip(parameters, own, strict=True) if p.requires_grad)
    kept = sum(local_part(p).numel() * 12 for p in parameters if p.requires_grad)
    return StagePlan(
        stage=grid.stage,
        layers=tuple(index for chunk in stage.chunks for index in chunk),
        has_vision=stage.visual is not None,
        has_head=stage.lm_head is not None,
        parameters=sum(parameter.numel() for parameter in parameters),
        own_parameters=sum(own),
        shared_parameters=shared if grid.layout.tp > 1 else 0,
        trained_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        weights_gib=(2 if train.dtype == "bfloat16" else 4) * sum(own) / GIB,
        gradients_gib=4 * trained / GIB,
        optimizer_gib=kept / GIB,
        activations_gib=_activations(stage, grid, train, recompute) / GIB,
    )


def _cut(parameter: Tensor) -> int:
    """Numbers of a parameter that a process computes with: cut by tensor parallelism, gathered over replicas."""
    mesh = getattr(parameter, "device_mesh", None)
    if mesh is None or "tp" not in (mesh.mesh_dim_names or ()):
        return parameter.numel()
    placement = parameter.placements[-1]  # type: ignore[attr-defined]
    return parameter.numel() // (1 if placement.is_replicate() else mesh["tp"].size())


def _activations(stage: Stage, grid: Grid, train: TrainConfig, recompute: Recompute) -> float:
    """Bytes of the micro-batches in flight, pp in the first stage and one in the last, and of the block in work.

    That is the largest block that is being computed again, or is locked and keeps nothing.
    """
    layout, config, tokens = grid.layout, stage.config, train.batch_tokens
    item = 2 if train.dtype == "bfloat16" else 4
    row = Row(tokens=tokens, patches=int(PATCHES_PER_TOKEN * tokens), item=item, parts=layout.tp)
    held = len(stage.language_model.layers) * activations.decoder_block(config, row, recompute)
    passing = [0.0] if recompute == "none" else [activations.decoder_block(config, row, "none")]
    if stage.visual is not None:
        sees, merges = (trains(part) for part in (stage.visual.blocks, stage.visual))
        held += config.vision.depth * activations.vision_block(config, row, recompute) if sees else 0
        held += activations.merger(config, row) if merges else 0
        passing.append(activations.vision_block(config, row, "none") if recompute != "none" or not sees else 0.0)
    if stage.lm_head is not None:
        held += activations.head(config, row) + activations.logits(config, row, train.logits_chunk)
    return held * (layout.pp - grid.stage) + max(passing)


def trains(module: nn.Module) -> bool:
    """Whether any of its parameters does."""
    return any(parameter.requires_grad for parameter in module.parameters())
