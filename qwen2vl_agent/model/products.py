"""Attention as plain matrix products, a stretch of queries at a time: on CPU faster than the fused kernel.

In bfloat16 torch's kernel runs at a third of the machine; and a cached prefix, which it knows only as a mask, costs it
more still. Scores are rounded to the inputs' type before the softmax, as in eager attention.

Shape letters: T queries, S keys, N query heads, K key and value heads, G = N / K, H head dimension.
"""

import torch
from torch import Tensor

ROWS_AT_ONCE = 768
"""Queries of all heads of a group in one product: its scores stay in the cache (256 and 3,072 are slower)."""


def attend_by_products(q_TNH: Tensor, k_SKH: Tensor, v_SKH: Tensor, causal: bool) -> Tensor:
    """softmax(q k' / sqrt(H)) v as `[T, N * H]`, without gradients.

    The queries are the last `T` of the `S` tokens if `causal`: query i sees the keys up to S - T + i.
    """
    tokens, heads, width = q_TNH.shape
    keys, groups = k_SKH.shape[:2]
    q_KGTH = (q_TNH * width**-0.5).view(tokens, groups, -1, width).permute(1, 2, 0, 3)
    out_TKGH = torch.empty(tokens, groups, heads // groups, width, dtype=v_SKH.dtype, device=v_SKH.device)
    stretch = max(1, ROWS_AT_ONCE // (heads // groups))
    for group in range(groups):
        k_HS, v_SH = k_SKH[:, group].t().contiguous(), v_SKH[:, group]
        for start in range(0, tokens, stretch):
            part_GCH = q_KGTH[group, :, start : start + stretch]
            end = keys - tokens + start + part_GCH.shape[1] if causal else keys
            out = _one_product(part_GCH, k_HS[:, :end], v_SH[:end], causal)
            out_TKGH[start : start + stretch, group] = out.transpose(0, 1)
    return out_TKGH.flatten(1)


def _one_product(q_GCH: Tensor, k_HS: Tensor, v_SH: Tensor, causal: bool) -> Tensor:
    scores = q_GCH.reshape(-1, q_GCH.shape[-1]) @ k_HS
    queries = q_GCH.shape[1]
    if causal and queries > 1:
        newest = scores.view(-1, queries, scores.shape[-1])[..., -queries:]
        newest += newest.new_full((queries, queries), float("-inf")).triu(1)
    return (scores.softmax(-1) @ v_SH).view(q_GCH.shape)


def one_query_by_head(q_1NH: Tensor, k_SKH: Tensor, v_SKH: Tensor) -> Tensor:
    """The same for a single query, which sees all keys: `[1, N * H]`. No key is copied, the softmax is in float32."""
    groups, width = k_SKH.shape[1:]
    q_KGH = (q_1NH[0] * width**-0.5).view(groups, -1, width)
    outs = []
    for q_GH, k_SH, v_SH in zip(q_KGH, k_SKH.unbind(1), v_SKH.unbind(1), strict=True):
        weights_GS = (q_GH @ k_SH.T).softmax(-1, dtype=torch.float32).to(v_SH.dtype)
        outs.append(weights_GS @ v_SH)
    return torch.cat(outs).view(1, -1)
