"""Muon with its work divided: matrices of one shape together, and among replicas each makes its share orthogonal.

One by one, the matrices of a small network are more calls than work on a GPU; and alone, every replica would do all of
it for the same numbers: about 140 ms a step for the tiny language model (`docs/log.md`). Source: K. Jordan, "Muon: an
optimizer for hidden layers in neural networks"; torch's implementation, of which this takes the constants.
"""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon

from qwen2vl_agent.model.precision import fast_dtype
from qwen2vl_agent.training.parallel.replicas import Replicas


class SharedMuon(Muon):
    """torch's Muon, step for step, with its work divided among the processes that hold the same gradients."""

    def __init__(self, groups: list[dict[str, Any]], replicas: Replicas | None, **settings: Any) -> None:
        super().__init__(groups, **settings)
        self._replicas = replicas

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every matrix that has a gradient."""
        assert closure is None, "closures are not supported"
        moves = [(parameter, group) for group in self.param_groups for parameter in group["params"]]
        moves = [(parameter, group) for parameter, group in moves if parameter.grad is not None]
        if not moves:
            return
        momenta = self._momenta([parameter for parameter, _ in moves], moves[0][1]["momentum"])
        made: dict[int, Tensor] = {}
        for numbers in self._mine([parameter.shape for parameter, _ in moves]):
            group = moves[numbers[0]][1]
            together = torch.stack([momenta[number] for number in numbers])
            results = orthogonal(together, group["ns_coefficients"], group["ns_steps"], group["eps"])
            made.update(zip(numbers, results.unbind(), strict=True))
        if self._replicas is not None:
            whole = [made[number] if number in made else torch.zeros_like(m) for number, m in enumerate(momenta)]
            made = dict(enumerate(self._replicas.added(whole)))
        parameters = [parameter for parameter, _ in moves]
        torch._foreach_mul_(parameters, [1 - group["lr"] * group["weight_decay"] for _, group in moves])
        sizes = [-group["lr"] * 0.2 * max(parameter.shape) ** 0.5 for parameter, group in moves]  # AdamW's usual size
        torch._foreach_add_(parameters, torch._foreach_mul([made[number] for number in range(len(moves))], sizes))

    def _mine(self, shapes: list[torch.Size]) -> list[list[int]]:
        """Numbers of the matrices that are this process's, those of one shape together."""
        rank, count = (0, 1) if self._replicas is None else (self._replicas.rank, self._replicas.count)
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for number, turn in enumerate(share_out(shapes, count)):
            if turn == rank:
                alike[shapes[number]].append(number)
        return list(alike.values())

    def _momenta(self, parameters: list[Tensor], decay: float) -> list[Tensor]:
        """The gradients smoothed over the steps, one look ahead (Nesterov)."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(gradient)
        smooth = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(smooth, gradients, 1 - decay)
        return list(torch._foreach_lerp(gradients, smooth, decay))


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


def orthogonal(updates_NRC: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Nearly the orthogonal matrices closest to `updates`, by Newton and Schulz's iteration in bfloat16.

    In float32 on a CPU that only emulates bfloat16.
    """
    a, b, c = coefficients
    tall = updates_NRC.shape[1] > updates_NRC.shape[2]
    x = updates_NRC.to(fast_dtype(updates_NRC.device))
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()
