"""Every parallelism in order, applied to a network that knows of none."""

import torch

from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.parallel.activation_checkpoint import Recompute, apply_activation_checkpoint
from qwen2vl_agent.training.parallel.grid import Grid
from qwen2vl_agent.training.parallel.lora import trained_names
from qwen2vl_agent.training.parallel.needs import check_torch
from qwen2vl_agent.training.parallel.stage import Stage
from qwen2vl_agent.training.parallel.tensor_parallel import apply_tensor_parallel
from qwen2vl_agent.training.parallel.zero import apply_zero, hold_weights
from qwen2vl_agent.training.stages import freeze_all_but


def apply_parallel(model: Qwen2VL, grid: Grid, config: TrainConfig, recompute: Recompute = "none") -> Stage:
    """This process's part of `model`, ready to train what `config` says; `model` is of no use afterwards.

    Its weights may be on the meta device, to plan only, or read lazily from a file: each process takes its own part.

    Raises:
        ConfigError: torch is too old, the network cannot be cut so, or `config` names parameters that it has not.
    """
    check_torch()
    grid.layout.check(model.config)
    trained = set(trained_names(model, config))
    stage = Stage(model, grid.layout, grid.stage)
    stage.logits_chunk = config.logits_chunk
    stage.computes_in = torch.bfloat16 if config.dtype == "bfloat16" else torch.float32
    if grid.layout.tp > 1:
        apply_tensor_parallel(stage, grid.mesh["tp"])
    locked = hold_weights(stage, trained, grid.device)
    apply_activation_checkpoint(stage, recompute)
    apply_zero(stage, grid, stage.computes_in, locked)
    freeze_all_but(stage, [name for name, _ in stage.named_parameters() if name in trained])  # after all others
    return stage
