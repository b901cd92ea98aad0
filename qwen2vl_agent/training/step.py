"""One optimizer step over one or more packed rows."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.loss import LossSums, target_loss
from qwen2vl_agent.training.parallel.replicas import Replicas

LossFunction = Callable[[Any, Any, int], LossSums]
"""(model, batch, most logits to hold at once) to the batch's sums."""


@dataclass(slots=True)
class StepResult:
    """What one step did."""

    tokens: int = 0
    patches: int = 0
    examples: int = 0
    grad_norm: float = 0.0
    """Before clipping; not finite where the step was left out."""
    losses: dict[str, float] = field(default_factory=dict)
    """Sum of the targets' cross-entropies by source."""
    targets: dict[str, int] = field(default_factory=dict)
    """Number of targets by source."""
    padding: int = 0
    """Tokens that were added to make lengths even; not among `tokens`."""
    balance: float = 1.0
    """Patches of the replica with most, beside the mean of all."""
    flops: float = 0.0
    """Floating point operations of the whole job, vision encoder included; 0: not counted."""
    trouble: str | None = None
    """What went wrong, if anything did."""
    skipped: bool = False
    """Whether the gradient was thrown away although it was finite."""

    @property
    def loss(self) -> float:
        """Mean over all targets, each counted once."""
        return sum(self.losses.values()) / max(sum(self.targets.values()), 1)

    @property
    def applied(self) -> bool:
        """Whether the weights moved: a gradient that is not finite is thrown away."""
        return math.isfinite(self.grad_norm) and not self.skipped


def train_step(
    model: Any,
    optimizer: Optimizer,
    batches: Sequence[Any],
    config: TrainConfig,
    replicas: Replicas | None = None,
    loss: LossFunction = target_loss,
) -> StepResult:
    """Gradients of all rows, divided by the weight of all their targets together, clipped and applied.

    With replicas the rows of all of them make the step; the result counts this process's own.
    """
    result = StepResult()
    total_weight = sum(batch.weight for batch in batches)
    if replicas is not None:
        (total_weight,) = replicas.add(total_weight)
    device_type = torch.device(config.device).type
    for batch in batches:
        batch = batch.to(config.device)
        with torch.autocast(device_type, torch.bfloat16, enabled=config.dtype == "bfloat16"):
            sums = loss(model, batch, config.logits_chunk)
        (sums.total / max(total_weight, 1e-9)).backward()
        _count(result, batch, sums)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if replicas is not None:
        replicas.add_gradients(trained)
    result.grad_norm = float(nn.utils.clip_grad_norm_(trained, config.clip_norm))
    if result.applied:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return result


def _count(result: StepResult, batch: Any, sums: LossSums) -> None:
    result.tokens += batch.num_tokens
    result.examples += batch.num_examples
    result.patches += batch.num_patches
    for source, loss, count in zip(sums.sources, sums.by_source.tolist(), sums.counts.tolist(), strict=True):
        result.losses[source] = result.losses.get(source, 0.0) + loss
        result.targets[source] = result.targets.get(source, 0) + count
