"""Muon among replicas: each makes its share of the updates orthogonal, and gives the others the result.

Alone, every replica would do all of it for the same numbers: about 140 ms a step for the tiny language model
(`docs/log.md`). Source: K. Jordan, "Muon: an optimizer for hidden layers in neural networks"; torch's implementation,
of which this takes the constants.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon

from qwen2vl_agent.training.parallel.replicas import Replicas


class SharedMuon(Muon):
    """torch's Muon, step for step, with its work divided among the processes that hold the same gradients."""

    def __init__(self, groups: list[dict[str, Any]], replicas: Replicas, **settings: Any) -> None:
        super().__init__(groups, **settings)
        self._replicas = replicas

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every matrix that has a gradient."""
        assert closure is None, "closures are not supported"
        moves = [(parameter, group) for group in self.param_groups for parameter in group["params"]]
        moves = [(parameter, group) for parameter, group in moves if parameter.grad is not None]
        turns = share_out([parameter.shape for parameter, _ in moves], self._replicas.count)
        momenta = [self._momentum(parameter, group["momentum"]) for parameter, group in moves]
        made = [
            orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
            if turn == self._replicas.rank
            else torch.zeros_like(update)
            for update, turn, (_, group) in zip(momenta, turns, moves, strict=True)
        ]
        for update, (parameter, group) in zip(self._replicas.added(made), moves, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update, alpha=-group["lr"] * 0.2 * max(parameter.shape) ** 0.5)  # AdamW's usual size

    def _momentum(self, parameter: Tensor, decay: float) -> Tensor:
        """The gradient smoothed over the steps, one look ahead (Nesterov)."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        smooth = state["momentum_buffer"].lerp_(parameter.grad, 1 - decay)
        return parameter.grad.lerp(smooth, decay)


def share_out(shapes: list[torch.Size], count: int) -> list[int]:
    """Which of `count` processes takes each matrix: the costliest first, each to whom has least to do.

    Worked example: costs 8, 4, 4, 1 among two -> 0, 1, 1, 0.
    """
    costs = [max(shape) * min(shape) ** 2 for shape in shapes]
    loads, turns = [0] * count, [0] * len(shapes)
    for number in sorted(range(len(shapes)), key=lambda place: -costs[place]):
        turns[number] = loads.index(min(loads))
        loads[turns[number]] += costs[number]
    return turns


def orthogonal(update: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Nearly the orthogonal matrix closest to `update`, by Newton and Schulz's iteration in bfloat16."""
    a, b, c = coefficients
    tall = update.shape[0] > update.shape[1]
    x = update.bfloat16().T if tall else update.bfloat16()
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).float()
