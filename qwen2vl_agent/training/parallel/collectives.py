"""Messages between tensor-parallel processes, each with its counterpart in backward.

| operation | forward | backward |
| --- | --- | --- |
| `gather` | every process's tokens, put together | sum, then each its own tokens |
| `scatter_sum` | sum, then each its own tokens | every process's tokens, put together |
| `split` | each its own tokens | every process's tokens, put together |
| `unite` | every process's tokens, put together | each its own tokens |
| `sum_parts` | sum | nothing |

Tokens are the last dimension but one. The first four are sequence parallelism's, the last is for parts whose
activations every process holds in full. Source: Megatron-LM, arXiv 1909.08053 §3 and 2205.05198 §4.2.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

Group = Any
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
"""The names of torch 2.13, or those before it."""


def gather(x: Tensor, group: Group) -> Tensor:
    """`[..., T / parts, D]` to `[..., T, D]`."""
    return _Gather.apply(x, group)


def scatter_sum(x: Tensor, group: Group) -> Tensor:
    """`[..., T, D]`, of which each process has a summand, to `[..., T / parts, D]`."""
    return _ScatterSum.apply(x, group)


def split(x: Tensor, group: Group) -> Tensor:
    """`[..., T, D]`, the same everywhere, to `[..., T / parts, D]`."""
    return _Split.apply(x, group)


def unite(x: Tensor, group: Group) -> Tensor:
    """`[..., T / parts, D]` to `[..., T, D]`, with which every process goes on in the same way."""
    return _Unite.apply(x, group)


def sum_parts(x: Tensor, group: Group) -> Tensor:
    """The sum of every process's `x`; its gradient is the same everywhere."""
    return _SumParts.apply(x, group)


def filled(x: Tensor, multiple: int) -> Tensor:
    """`[T, D]` with rows of zeros behind it, so that `multiple` divides their number."""
    gap = -x.shape[0] % multiple
    return F.pad(x, (0, 0, 0, gap)) if gap else x


def cut(x: Tensor, count: int) -> Tensor:
    """The first `count` rows; a copy, since FSDP warns of views, unless that is all."""
    return x if len(x) == count else x[:count].clone()


def _gathered(x: Tensor, group: Group) -> Tensor:
    rows = x.flatten(0, -2).contiguous()
    out = rows.new_empty(rows.shape[0] * dist.get_world_size(group), rows.shape[1])
    _all_gather(out, rows, group=group)
    return out.view(*x.shape[:-2], -1, x.shape[-1])


def _scattered(x: Tensor, group: Group) -> Tensor:
    rows = x.flatten(0, -2).contiguous()
    out = rows.new_empty(rows.shape[0] // dist.get_world_size(group), rows.shape[1])
    _reduce_scatter(out, rows, group=group)
    return out.view(*x.shape[:-2], -1, x.shape[-1])


def _own(x: Tensor, group: Group) -> Tensor:
    return x.chunk(dist.get_world_size(group), dim=-2)[dist.get_rank(group)].contiguous()


def _summed(x: Tensor, group: Group) -> Tensor:
    out = x.contiguous().clone()
    dist.all_reduce(out, group=group)
    return out


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return _gathered(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _scattered(gradient, ctx.group), None


class _ScatterSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return _scattered(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _gathered(gradient, ctx.group), None


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return _own(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _gathered(gradient, ctx.group), None


class _Unite(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return _gathered(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _own(gradient, ctx.group), None


class _SumParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        return _summed(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
