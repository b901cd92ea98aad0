"""Embedding and cross-entropy over a vocabulary of which every tensor-parallel process has a stretch.

Shape letters: N targets, V the stretch of this process.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from qwen2vl_agent.training.parallel import collectives


def embed_ids(ids: Tensor, weight_VD: Tensor, group: Any) -> Tensor:
    """Embeddings of ids, each looked up by the process that has it and summed over all."""
    where = ids - dist.get_rank(group) * len(weight_VD)
    elsewhere = (where < 0) | (where >= len(weight_VD))
    found = F.embedding(where.masked_fill(elsewhere, 0), weight_VD)
    return collectives.sum_parts(found.masked_fill(elsewhere[..., None], 0.0), group)


def cross_entropy(logits_NV: Tensor, ids_N: Tensor, group: Any) -> Tensor:
    """`[N]` cross-entropies of logits that each process has a stretch of; they never lie together anywhere."""
    return _CrossEntropy.apply(logits_NV, ids_N, group)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, ids: Tensor, group: Any) -> Tensor:
        top = logits.max(dim=1).values
        dist.all_reduce(top, dist.ReduceOp.MAX, group=group)
        shifted = logits - top[:, None]
        where = ids - dist.get_rank(group) * logits.shape[1]
        here = (where >= 0) & (where < logits.shape[1])
        where = where.masked_fill(~here, 0)
        own = shifted.gather(1, where[:, None])[:, 0].masked_fill(~here, 0.0)
        shares = shifted.exp_()
        sums = torch.stack((shares.sum(1), own))
        dist.all_reduce(sums, group=group)
        shares /= sums[0][:, None]
        ctx.save_for_backward(shares, where, here)
        return sums[0].log() - sums[1]

    @staticmethod
    def backward(ctx: Any, gradient_N: Tensor) -> tuple[Tensor, None, None]:
        shares, where, here = ctx.saved_tensors
        out = shares * gradient_N[:, None]
        return out.scatter_add_(1, where[:, None], -(gradient_N * here)[:, None]), None, None
