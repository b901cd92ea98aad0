"""Teaches where to look while a place is written: an attention head must rest on the visual token of that place.

The digits alone teach it too slowly: their loss reaches the right one of 136 tokens only through a head that already
looks there. Source of the idea: pointer networks (Vinyals et al. 2015) and attention as the pointer of a screen agent
(GUI-Actor, Wu et al. 2025); here it is one of the decoder's own heads, so nothing is added to the model.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.data.gaze import POINTING, READING, Gaze, GazeFinder
from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.model.layers import Rotary
from qwen2vl_agent.training.loss import LossSums, target_loss

HEADS = 2
"""Heads that share a key and value head: such a group is taught together."""
SHARE = 0.5
"""What a nat of the attention counts beside a nat of the digits."""
HEADS_OF = {POINTING: (3, 0), READING: (2, 1)}
"""Decoder layer and group of the heads that point, and of those that read.

Those that read come first: they find the token that goes on as the last few letters do, in words never seen too, and so
the pointing ones have candidates to choose from.
"""


class PointingLoss:
    """`target_loss`, and beside it the cross-entropy of the taught heads' attention at the places that are written.

    It reports what it adds as a source of its own, unweighted, for each query.
    """

    def __init__(self, find: GazeFinder) -> None:
        """`find` is asked about batches whose loader did not."""
        self._find = find

    def __call__(self, model: Any, batch: Batch, chunk: int = 8192) -> LossSums:
        gazes = self._find(batch) if batch.gazes is None else batch.gazes
        layers = [layer.self_attn for layer in model.language_model.layers]
        seen: dict[str, tuple[Tensor, Rotary]] = {}
        with ExitStack() as hooks:
            for source in gazes:
                hooks.enter_context(_watched(layers[HEADS_OF[source][0]], partial(seen.__setitem__, source)))
            sums = target_loss(model, batch, chunk)
        for source, gaze in gazes.items():
            layer, group = HEADS_OF[source]
            lengths = batch.inputs.segment_lengths or ()
            sums = _with(sums, source, attention_loss(layers[layer], *seen[source], gaze, lengths, group))
        return sums


@contextmanager
def _watched(attention: Any, keep: Callable[[tuple[Tensor, Rotary]], None]) -> Iterator[None]:
    """Hands the attention's own inputs to `keep` when it runs."""
    handle = attention.register_forward_pre_hook(lambda _, args: keep((args[0], args[1])))
    try:
        yield
    finally:
        handle.remove()


def _with(sums: LossSums, source: str, losses_Q: Tensor) -> LossSums:
    """The sums and, as a source of its own, what the attention costs."""
    return LossSums(
        (*sums.sources, source),
        sums.total + SHARE * losses_Q.sum(),
        torch.cat([sums.by_source, losses_Q.detach().sum()[None]]),
        torch.cat([sums.counts, torch.tensor([len(losses_Q)], device=sums.counts.device)]),
    )


def attention_loss(
    attention: Any, x_BTD: Tensor, rotary: Rotary, gaze: Gaze, lengths: tuple[int, ...], group: int = 0
) -> Tensor:
    """[Q] minus the logarithm of the attention that the right tokens get together, the mean of the group's heads.

    Segment by segment, each filled up to the longest (S segments, R queries and T tokens at most).
    """
    x_TD, queries = x_BTD[0], gaze.queries
    turned = Rotary(rotary.cos[:, queries], rotary.sin[:, queries])
    width, heads = attention.head_dim, slice(group * HEADS, (group + 1) * HEADS)
    q_QNH = turned.rotate(attention.q_proj(x_TD[queries])[None].unflatten(-1, (-1, width)))[0, :, heads]
    k_TH = rotary.rotate(attention.k_proj(x_TD)[None].unflatten(-1, (-1, width)))[0, :, group]
    first_Q, row_Q, place_Q, tokens_ST = _by_segment(queries, lengths or (len(x_TD),))
    q_SRNH = q_QNH.new_zeros(len(tokens_ST), int(place_Q.max()) + 1, *q_QNH.shape[1:])
    q_SRNH = q_SRNH.index_put((row_Q, place_Q), q_QNH)
    scores_SRNT = torch.einsum("srnh,sth->srnt", q_SRNH.float(), k_TH[tokens_ST].float())
    scores_QNT = scores_SRNT[row_Q, place_Q] * width**-0.5
    later_QT = torch.arange(tokens_ST.shape[1], device=x_TD.device) > (queries - first_Q)[:, None]
    log_QNT = scores_QNT.masked_fill(later_QT[:, None], float("-inf")).log_softmax(-1)
    right_QNK = log_QNT.gather(2, (gaze.keys - first_Q[:, None])[:, None].expand(-1, HEADS, -1))
    repeated_QK = torch.arange(gaze.keys.shape[1], device=x_TD.device) >= gaze.counts[:, None]
    return -right_QNK.masked_fill(repeated_QK[:, None], float("-inf")).logsumexp(-1).mean(-1)


def _by_segment(queries: Tensor, lengths: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each query its segment's first token, that segment's row among those with queries, and its place there.

    The last are the tokens of those rows [S, T], the row's last one repeated.
    """
    ends = torch.tensor(lengths, device=queries.device).cumsum(0)
    segment_Q = torch.searchsorted(ends, queries, right=True)
    asked_S, row_Q = segment_Q.unique(return_inverse=True)
    order = row_Q.argsort(stable=True)
    counts_S = torch.bincount(row_Q)
    places = torch.arange(len(queries), device=queries.device) - (counts_S.cumsum(0) - counts_S)[row_Q[order]]
    lengths_S = torch.tensor(lengths, device=queries.device)[asked_S]
    first_S = ends[asked_S] - lengths_S
    across = torch.arange(int(lengths_S.max()), device=queries.device)
    tokens_ST = first_S[:, None] + across.minimum(lengths_S[:, None] - 1)
    return first_S[row_Q], row_Q, torch.empty_like(places).scatter_(0, order, places), tokens_ST
