"""Offline reduction: weights that tensor-parallel processes share are brought together again, now and then.

Patch embedding, merger and the vision encoder's norms are trained by every such process alike. Their gradients agree
only as far as the kernels are deterministic, so the copies drift apart. In place of a message every step, copies and
the optimizer's state of them are averaged every few steps and before every checkpoint; the drift is measured.

Source: Qwen2-VL technical report §2.3; pytorch/pytorch#160169 reports the drift where nothing is done.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from qwen2vl_agent.training.parallel.stage import Stage
from qwen2vl_agent.training.parallel.step import local_part, replicated


@torch.no_grad()
def reconcile(stage: Stage, optimizer: Optimizer | None) -> float:
    """Make the copies equal by averaging; gives how far they were apart.

    That is the largest distance of a copy's weight from the mean, as a part of the tensor's largest weight.
    """
    if stage.group is None:
        return 0.0
    shared = [parameter for parameter in stage.parameters() if replicated(parameter) and parameter.requires_grad]
    weights = [local_part(parameter) for parameter in shared]
    moments = [moment for parameter in shared for moment in _moments(optimizer, parameter)]
    means = _means([*weights, *moments], stage.group)
    drift = max((_apart(weight, mean) for weight, mean in zip(weights, means, strict=False)), default=0.0)
    for tensor, mean in zip([*weights, *moments], means, strict=True):
        tensor.copy_(mean)
    worst = torch.tensor([drift], dtype=torch.float64)
    dist.all_reduce(worst, dist.ReduceOp.MAX, group=stage.group)
    return float(worst[0])


def _means(tensors: list[Tensor], group: Any) -> list[Tensor]:
    """Over the group, in one message."""
    if not tensors:
        return []
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat, group=group)
    flat /= dist.get_world_size(group)
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


def _apart(tensor: Tensor, mean: Tensor) -> float:
    if not tensor.numel():
        return 0.0
    return float((tensor - mean).abs().max() / mean.abs().max().clamp(min=1e-12))


def _moments(optimizer: Optimizer | None, parameter: Tensor) -> list[Tensor]:
    state = optimizer.state.get(parameter, {}) if optimizer is not None else {}
    return [local_part(value) for value in state.values() if isinstance(value, Tensor) and value.dim()]
