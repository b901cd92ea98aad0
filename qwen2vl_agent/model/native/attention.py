"""Attention in bfloat16 by `attention.cpp`: no row of scores leaves the cache, and sums stay in float32.

Shape letters: T queries, S keys, N query heads, K key and value heads, H head dimension.
"""

import ctypes

import torch
from torch import Tensor

from qwen2vl_agent.model.native.arguments import Size, threads
from qwen2vl_agent.model.native.build import kernel, needed

WIDTHS = range(16, 129, 16)
"""Head dimensions that it is written for."""
_LENGTHS = ("queries", "keys", "heads", "kv_heads", "width", "causal")
_DISTANCES = ("q_token", "q_head", "k_token", "k_head", "v_token", "v_head")


class _Attention(ctypes.Structure):
    _fields_ = (
        *((name, Size) for name in _LENGTHS),
        *((name, ctypes.c_void_p) for name in "qkv"),
        *((name, Size) for name in _DISTANCES),
        ("out", ctypes.c_void_p),
    )


def serves(q_TNH: Tensor) -> bool:
    """Whether the kernel is there, and takes such queries."""
    takes = q_TNH.dtype == torch.bfloat16 and q_TNH.device.type == "cpu" and q_TNH.shape[-1] in WIDTHS
    return takes and kernel("attention") is not None


def attend(q_TNH: Tensor, k_SKH: Tensor, v_SKH: Tensor, causal: bool) -> Tensor:
    """softmax(q k' / sqrt(H)) v as `[T, N * H]`, in bfloat16 and without gradients.

    The queries are the last `T` of the `S` tokens if `causal`: query i sees the keys up to S - T + i.
    """
    rows = [x if x.stride(-1) == 1 else x.contiguous() for x in (q_TNH, k_SKH, v_SKH)]
    queries, heads, width = q_TNH.shape
    out_TD = q_TNH.new_empty(queries, heads * width)
    asked = _Attention(
        *(queries, len(k_SKH), heads, k_SKH.shape[1], width, causal),
        *(x.data_ptr() for x in rows),
        *(distance for x in rows for distance in x.stride()[:2]),
        out_TD.data_ptr(),
    )
    if needed("attention").attend(ctypes.byref(asked), threads()):
        raise MemoryError(f"no memory for attention to {len(k_SKH)} keys")
    return out_TD
