"""Norms, gates and rotations in bfloat16 by `pointwise.cpp`, each in one pass over memory and rounded once.

Shape letters: R rows, I inputs, T tokens, N heads, H head dimension, F = H / 2 frequencies.
"""

from ctypes import c_float

import torch
from torch import Tensor

from qwen2vl_agent.model.native.arguments import Size, at, is_half, threads
from qwen2vl_agent.model.native.build import kernel, needed

LANES = 16
"""Numbers of a vector."""


def serves(*given: Tensor) -> bool:
    """Whether the kernels are there and take these: in bfloat16 on CPU, in whole vectors, without gradients."""
    takes = all(x.dtype == torch.bfloat16 and x.shape[-1] % LANES == 0 and x.stride(-1) == 1 for x in given)
    return takes and given[0].device.type == "cpu" and not torch.is_grad_enabled() and kernel("pointwise") is not None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """The last dimension over its root mean square, times the weight."""
    rows, out = _rows(x), x.new_empty(x.shape)
    sizes = Size(rows.stride(0)), at(weight), Size(len(rows)), Size(rows.shape[1]), c_float(eps)
    needed("pointwise").rms_norm(at(rows), *sizes, at(out), threads())
    return out


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up."""
    gates, ups, out = _rows(gate), _rows(up), gate.new_empty(gate.shape)
    if gates.stride(0) != ups.stride(0):
        gates, ups = gates.contiguous(), ups.contiguous()
    sizes = Size(gates.stride(0)), Size(len(gates)), Size(gates.shape[1])
    needed("pointwise").gated(at(gates), at(ups), *sizes, at(out), threads())
    return out


def quick_gelu_(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x) in place of x, which has no gaps."""
    assert x.is_contiguous()
    needed("pointwise").quick_gelu(at(x), Size(x.numel()), threads())
    return x


def turned(x_TNH: Tensor, cos_TF: Tensor, sin_TF: Tensor) -> Tensor:
    """Each head's halves turned as pairs; the angles in bfloat16 or float32, without gaps."""
    tokens, heads, width = x_TNH.shape
    out = x_TNH.new_empty(x_TNH.shape)
    half = is_half(cos_TF.dtype)
    sizes = Size(tokens), Size(heads), Size(width // 2)
    strides = Size(x_TNH.stride(0)), Size(x_TNH.stride(1))
    needed("pointwise").turned(at(x_TNH), *strides, at(cos_TF), at(sin_TF), half, *sizes, at(out), threads())
    return out


def rounded(x_RI: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in uint8 around 128, the largest of each 127 from it, and what that was: float32 `[R, 1]`."""
    numbers_RI = torch.empty(x_RI.shape, dtype=torch.uint8)
    largest_R1 = torch.empty(len(x_RI), 1)
    sizes = Size(x_RI.stride(0)), Size(len(x_RI)), Size(x_RI.shape[1])
    needed("pointwise").rounded(at(x_RI), *sizes, at(numbers_RI), at(largest_R1), threads())
    return numbers_RI, largest_R1


def _rows(x: Tensor) -> Tensor:
    """As rows of the last dimension, copied only where they lie at several distances."""
    return x.reshape(-1, x.shape[-1])
