"""The one seam to attention kernels: scaled dot-product attention in whatever way the device does it best.

Shape letters: B batch, T queries, S keys, N query heads, K key and value heads, H head
dimension. N is a multiple of K.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from qwen2vl_agent.model.masks import Segments, Visibility

VarlenKernel = Callable[..., Tensor]


def attend(
    q_BTNH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, sees: Visibility, varlen: VarlenKernel | None = None
) -> Tensor:
    """Attention output `[B, T, N * H]`; scores are scaled by 1 / sqrt(H).

    It is computed in the type of the values, or in float32 while training on CPU.
    `varlen` replaces the kernel for segments (by default flash-attn's on CUDA in half precision, where installed).
    """
    dtype = _precision(v_BSKH)
    q_BTNH, k_BSKH, v_BSKH = q_BTNH.to(dtype), k_BSKH.to(dtype), v_BSKH.to(dtype)
    tokens = q_BTNH.shape[1]
    if sees.segments is not None:
        assert q_BTNH.shape[0] == 1, "segments are of one row"
        kernel = varlen or _varlen_for(q_BTNH)
        row = (q_BTNH[0], k_BSKH[0], v_BSKH[0])
        if kernel is not None:
            return _by_varlen(*row, sees.segments, sees.causal, kernel)[None]
        return _by_segment(*row, sees.segments, sees.causal)[None]
    if tokens == 1 and not torch.is_grad_enabled():
        return _one_query(q_BTNH, k_BSKH, v_BSKH, sees.mask)
    out_BNTH = _sdpa(q_BTNH.transpose(1, 2), k_BSKH.transpose(1, 2), v_BSKH.transpose(1, 2), sees.mask, sees.causal)
    return out_BNTH.transpose(1, 2).flatten(2)


def _precision(values: Tensor) -> torch.dtype:
    """The kernel's backward in bfloat16 takes three times as long on CPU as in float32, its forward no less."""
    if values.device.type == "cpu" and torch.is_grad_enabled():
        return torch.promote_types(values.dtype, torch.float32)
    return values.dtype


def _sdpa(q_BNTH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """torch's kernel, in the type of its arguments whatever autocast would like."""
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
    if segments.order is not None:
        q_TNH, k_TKH, v_TKH = (x.index_select(0, segments.order) for x in (q_TNH, k_TKH, v_TKH))
    outs = []
    sizes = [count * length for count, length in segments.calls]
    pieces = zip(*(x.split(sizes) for x in (q_TNH, k_TKH, v_TKH)), strict=True)  # slices would fill zeros in backward
    for shape, row in zip(segments.calls, pieces, strict=True):
        q, k, v = (x.unflatten(0, shape).transpose(1, 2) for x in row)
        outs.append(_sdpa(q, k, v, None, causal).transpose(1, 2).flatten(2).flatten(0, 1))
    out = outs[0] if len(outs) == 1 else torch.cat(outs)
    return out if segments.inverse is None else out.index_select(0, segments.inverse)


def _by_varlen(
    q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, segments: Segments, causal: bool, kernel: VarlenKernel
) -> Tensor:
    """All segments in one call of a variable-length kernel (flash-attn's signature)."""
    edges = torch.tensor((0, *segments.lengths), device=q_TNH.device).cumsum(0, dtype=torch.int32)
    longest = max(segments.lengths)
    out_TNH = kernel(q_TNH, k_TKH, v_TKH, edges, edges, longest, longest, causal=causal)
    return out_TNH.flatten(1)


def _varlen_for(q: Tensor) -> VarlenKernel | None:
    if q.device.type == "cuda" and q.dtype in (torch.float16, torch.bfloat16):
        return _flash_attention()
    return None


@cache
def _flash_attention() -> Any:
    try:
        from flash_attn import flash_attn_varlen_func
    except ImportError:
        return None
    return flash_attn_varlen_func
