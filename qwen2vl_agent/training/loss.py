"""Cross-entropy of the target tokens, with logits at the targets' places only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from qwen2vl_agent.data.packing import Batch


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over the targets of one batch."""

    sources: tuple[str, ...]
    """Names of the sources that occur."""
    total: Tensor
    """Weighted sum of the cross-entropies; the gradient flows from here."""
    by_source: Tensor
    """[sources] unweighted sums, detached."""
    counts: Tensor
    """[sources] how many targets each source has."""
    by_example: Tensor | None = None
    """[examples] mean cross-entropy of each example's targets, detached; 0 where it has none."""


def target_loss(model: Any, batch: Batch, chunk: int = 8192) -> LossSums:
    """The sums of one packed row; never more than `chunk` rows of logits exist at a time."""
    hidden_TD = model.hidden_states(batch.inputs)
    return hidden_loss(hidden_TD, batch, lambda hidden, ids: _cross_entropy(model.lm_head, hidden, ids), chunk)


def hidden_loss(
    hidden_TD: Tensor, batch: Batch, cross_entropy: Callable[[Tensor, Tensor], Tensor], chunk: int = 8192
) -> LossSums:
    """The same of states that are there already; `cross_entropy` takes some of them and the ids they are to predict."""
    targets, size = batch.targets, len(batch.sources)
    hidden_ND = hidden_TD.index_select(0, targets.where)
    if len(targets.ids) <= chunk:
        losses_N = cross_entropy(hidden_ND, targets.ids)
    else:
        parts = zip(hidden_ND.split(chunk), targets.ids.split(chunk), strict=True)
        losses_N = torch.cat([checkpoint(cross_entropy, part, ids, use_reentrant=False) for part, ids in parts])
    by_source = torch.zeros(size, device=losses_N.device).index_add_(0, targets.source, losses_N.detach())
    counts = torch.bincount(targets.source, minlength=size)
    total = (losses_N * targets.weights).sum()
    return LossSums(batch.sources, total, by_source, counts, _by_example(losses_N.detach(), batch))


def _by_example(losses_N: Tensor, batch: Batch) -> Tensor:
    lengths = batch.inputs.segment_lengths or (batch.num_tokens,)
    ends = torch.tensor(lengths, device=losses_N.device).cumsum(0)
    owner_N = torch.searchsorted(ends, batch.targets.where, right=True)
    sums = torch.zeros(len(lengths), device=losses_N.device).index_add_(0, owner_N, losses_N)
    return sums / torch.bincount(owner_N, minlength=len(lengths)).clamp(min=1)


def _cross_entropy(lm_head: Any, hidden_ND: Tensor, ids_N: Tensor) -> Tensor:
    return F.cross_entropy(lm_head(hidden_ND).float(), ids_N, reduction="none")
