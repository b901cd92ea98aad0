"""The one seam to attention kernels: scaled dot-product attention in whatever way the device does it best.

Shape letters: B batch, T queries, S keys, N query heads, K key and value heads, H head
dimension. N is a multiple of K.
"""

from collections.abc import Callable
from functools import cache, partial
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from qwen2vl_agent.model.masks import Segments, Visibility
from qwen2vl_agent.model.native import attention as native
from qwen2vl_agent.model.products import attend_by_products, one_query_by_head

VarlenKernel = Callable[..., Tensor]
PRODUCTS_FROM = 256
"""Length of a segment from which plain products are faster (`_products_pay`)."""
KEYS_BY_HEAD = 512
"""Keys from which one query in half precision is faster head by head: a batched product copies the keys."""
QUERIES_AT_ONCE = 256
"""Queries of one product of causal attention."""


def attend(
    q_BTNH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, sees: Visibility, varlen: VarlenKernel | None = None
) -> Tensor:
    """Attention output `[B, T, N * H]`; scores are scaled by 1 / sqrt(H).

    It is computed in the type of the values; while training on CPU in float32, or by products in autocast's type.
    `varlen` replaces the kernel for segments (by default, on CUDA in half precision, flash-attn's or torch's own).
    """
    q_BTNH, k_BSKH = q_BTNH.to(v_BSKH.dtype), k_BSKH.to(v_BSKH.dtype)
    tokens = q_BTNH.shape[1]
    if sees.segments is not None:
        assert q_BTNH.shape[0] == 1, "segments are of one row"
        kernel = varlen or _varlen_for(q_BTNH)
        row = (q_BTNH[0], k_BSKH[0], v_BSKH[0])
        if kernel is not None:
            return _by_varlen(*row, sees.segments, sees.causal, kernel)[None]
        return _by_segment(*row, sees.segments, sees.causal)[None]
    if sees.mask is None and _products_serve(q_BTNH) and not _is_short(q_BTNH, k_BSKH):
        rows = zip(q_BTNH, k_BSKH, v_BSKH, strict=True)
        return torch.stack([_by_products(*row, sees.causal) for row in rows])
    if tokens == 1 and not torch.is_grad_enabled():
        return _one_query(q_BTNH, k_BSKH, v_BSKH, sees.mask)
    mask, causal = sees.mask, sees.causal
    if causal and k_BSKH.shape[1] > tokens:  # the kernel takes the queries for the oldest of the tokens
        mask, causal = _later(tokens, k_BSKH.shape[1], q_BTNH) == 0, False
    out_BNTH = _sdpa(q_BTNH.transpose(1, 2), k_BSKH.transpose(1, 2), v_BSKH.transpose(1, 2), mask, causal)
    return out_BNTH.transpose(1, 2).flatten(2)


def _products_serve(q_BTNH: Tensor) -> bool:
    """Whether to attend without gradients by products: on CPU in half precision they take half of the kernel's time."""
    half = q_BTNH.dtype in (torch.bfloat16, torch.float16)
    return half and q_BTNH.device.type == "cpu" and not torch.is_grad_enabled()


def _is_short(q_BTNH: Tensor, k_BSKH: Tensor) -> bool:
    """One query and few keys, which a batched product takes at once; our own kernel is as fast."""
    return q_BTNH.shape[1] == 1 and k_BSKH.shape[1] < KEYS_BY_HEAD and not native.serves(q_BTNH[0])


def _by_products(q_TNH: Tensor, k_SKH: Tensor, v_SKH: Tensor, causal: bool) -> Tensor:
    """By our own kernel if there is one, which takes two thirds of the products' time and an eighth for one query."""
    if native.serves(q_TNH):
        return native.attend(q_TNH, k_SKH, v_SKH, causal)
    if len(q_TNH) == 1:
        return one_query_by_head(q_TNH, k_SKH, v_SKH)
    return attend_by_products(q_TNH, k_SKH, v_SKH, causal)


def _precision(values: Tensor) -> torch.dtype:
    """The kernel's backward in bfloat16 takes three times as long on CPU as in float32, its forward no less."""
    if values.device.type == "cpu" and torch.is_grad_enabled():
        return torch.promote_types(values.dtype, torch.float32)
    return values.dtype


def _sdpa(q_BNTH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """torch's kernel, in the values' type or float32 whatever autocast would like."""
    dtype = _precision(v_BKSH)
    q_BNTH, k_BKSH, v_BKSH = q_BNTH.to(dtype), k_BKSH.to(dtype), v_BKSH.to(dtype)
    grouped = q_BNTH.shape[1] != k_BKSH.shape[1]
    with torch.autocast(q_BNTH.device.type, enabled=False):
        return F.scaled_dot_product_attention(q_BNTH, k_BKSH, v_BKSH, mask, is_causal=causal, enable_gqa=grouped)


def _one_query(q_B1NH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, mask: Tensor | None) -> Tensor:
    """Decoding: two small matrix products, the heads of a group as rows. SDPA takes 70 times as long on CPU."""
    batch, _, heads, head_dim = q_B1NH.shape
    kv_heads = k_BSKH.shape[2]
    q_BKGH = q_B1NH.view(batch, kv_heads, heads // kv_heads, head_dim) * head_dim**-0.5
    scores_BKGS = q_BKGH @ k_BSKH.permute(0, 2, 3, 1)
    if mask is not None:
        scores_BKGS = scores_BKGS.masked_fill(~mask, float("-inf"))
    weights = scores_BKGS.softmax(-1, dtype=torch.float32).to(v_BSKH.dtype)
    return (weights @ v_BSKH.transpose(1, 2)).reshape(batch, 1, heads * head_dim)


def _by_segment(q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, segments: Segments, causal: bool) -> Tensor:
    """One batched call for each length."""
    if _products_serve(q_TNH[None]) and min(segments.lengths) >= PRODUCTS_FROM:
        parts = (x.split(list(segments.lengths)) for x in (q_TNH, k_TKH, v_TKH))
        return torch.cat([_by_products(q, k, v, causal) for q, k, v in zip(*parts, strict=True)])
    if segments.order is not None:
        q_TNH, k_TKH, v_TKH = (x.index_select(0, segments.order) for x in (q_TNH, k_TKH, v_TKH))
    outs = []
    sizes = [count * length for count, length in segments.calls]
    pieces = zip(*(x.split(sizes) for x in (q_TNH, k_TKH, v_TKH)), strict=True)  # slices would fill zeros in backward
    for shape, row in zip(segments.calls, pieces, strict=True):
        q, k, v = (x.unflatten(0, shape).transpose(1, 2) for x in row)
        attended = _products(q, k, v, causal) if _products_pay(q) else _sdpa(q, k, v, None, causal)
        outs.append(attended.transpose(1, 2).flatten(2).flatten(0, 1))
    out = outs[0] if len(outs) == 1 else torch.cat(outs)
    return out if segments.inverse is None else out.index_select(0, segments.inverse)


def _products_pay(q_BNTH: Tensor) -> bool:
    """Whether plain products beat the fused kernel: training on CPU in bfloat16 they take half of its time."""
    training = q_BNTH.device.type == "cpu" and torch.is_grad_enabled()
    return training and torch.is_autocast_enabled("cpu") and q_BNTH.shape[2] >= PRODUCTS_FROM


def _products(q_BNTH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, causal: bool) -> Tensor:
    """softmax(q k' / sqrt(H)) v in autocast's type; causal, in stretches of queries that leave out what comes later."""
    shape, kv_heads = q_BNTH.shape, k_BKSH.shape[1]
    q = (q_BNTH * shape[-1] ** -0.5).reshape(shape[0] * kv_heads, -1, *shape[2:])
    k, v = k_BKSH.flatten(0, 1), v_BKSH.flatten(0, 1)
    outs = []
    for start in range(0, shape[2], QUERIES_AT_ONCE if causal else shape[2]):
        part = q[:, :, start : start + QUERIES_AT_ONCE] if causal else q
        end = start + part.shape[2] if causal else k.shape[1]
        scores = torch.bmm(part.flatten(1, 2), k[:, :end].transpose(1, 2)).unflatten(1, part.shape[1:3])
        if causal:
            scores = scores + _later(part.shape[2], end, scores)
        with torch.autocast("cpu", enabled=False):
            weights = scores.softmax(-1)
        outs.append(torch.bmm(weights.flatten(1, 2), v[:, :end]).unflatten(1, part.shape[1:3]))
    return torch.cat(outs, dim=2).view(shape)


def _later(queries: int, keys: int, like: Tensor) -> Tensor:
    """[queries, keys] minus infinity where a key comes after the query, of which there are the last so many."""
    return like.new_full((queries, keys), float("-inf")).triu(1 + keys - queries)


def _by_varlen(
    q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, segments: Segments, causal: bool, kernel: VarlenKernel
) -> Tensor:
    """All segments in one call of a variable-length kernel (flash-attn's signature)."""
    edges, longest = segments.edges, max(segments.lengths)
    out_TNH = kernel(q_TNH, k_TKH, v_TKH, edges, edges, longest, longest, causal=causal)
    return out_TNH.flatten(1)


def _varlen_for(q: Tensor) -> VarlenKernel | None:
    if q.device.type == "cuda" and q.dtype in (torch.float16, torch.bfloat16):
        return _varlen_kernel()
    return None


@cache
def _varlen_kernel() -> VarlenKernel | None:
    """flash-attn's kernel where installed, else the one that torch brings since 2.11."""
    try:
        from flash_attn import flash_attn_varlen_func
    except ImportError:
        return torch_varlen()
    return flash_attn_varlen_func


def torch_varlen() -> VarlenKernel | None:
    """torch's variable-length kernel by flash-attn's signature; None before torch 2.11."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    kernel: Any = varlen_attn
    words = signature(kernel).parameters
    if "window_size" not in words:  # before 2.11
        return None
    return partial(_by_torch_varlen, kernel, "enable_gqa" in words)


def _by_torch_varlen(
    kernel: VarlenKernel,
    knows_groups: bool,
    q_TNH: Tensor,
    k_TKH: Tensor,
    v_TKH: Tensor,
    edges_q: Tensor,
    edges_k: Tensor,
    longest_q: int,
    longest_k: int,
    causal: bool,
) -> Tensor:
    """A window of (-1, 0) is torch's word for causal. A kernel that does not know groups is given each key as often."""
    grouped = q_TNH.shape[1] // k_TKH.shape[1]
    words: dict[str, Any] = {"window_size": (-1, 0) if causal else (-1, -1)}
    if grouped > 1 and knows_groups:
        words["enable_gqa"] = True
    elif grouped > 1:
        k_TKH, v_TKH = k_TKH.repeat_interleave(grouped, 1), v_TKH.repeat_interleave(grouped, 1)
    return kernel(q_TNH, k_TKH, v_TKH, edges_q, edges_k, longest_q, longest_k, **words)
