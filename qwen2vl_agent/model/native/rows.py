"""Few rows multiplied by `rows.cpp` with one or several bfloat16 matrices, each read once, as fast as memory gives it.

Shape letters: R rows, I inputs, O outputs.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qwen2vl_agent.model.native.arguments import Size, at, threads
from qwen2vl_agent.model.native.build import kernel, needed

MOST = 6
"""Rows; more are as fast by PyTorch's product."""
INPUTS = 32
"""Their number is a multiple of this."""


class _Part(ctypes.Structure):
    _fields_ = (*((name, ctypes.c_void_p) for name in ("weights", "bias", "out")), ("outputs", Size))


def serve(x: Tensor, layers: Sequence[nn.Linear]) -> bool:
    """Whether the kernel is there, and takes these rows and layers."""
    few = x.numel() <= MOST * x.shape[-1] and x.dtype == torch.bfloat16 and x.device.type == "cpu"
    if not few or type(x) is not Tensor or torch.is_grad_enabled() or x.shape[-1] % INPUTS or kernel("rows") is None:
        return False
    weights = [layer.weight for layer in layers]
    return all(w.dtype == x.dtype and w.is_contiguous() for w in weights)


def products(x: Tensor, layers: Sequence[nn.Linear]) -> list[Tensor]:
    """What each layer gives."""
    x_RI = x.reshape(-1, x.shape[-1]).contiguous()
    outs = [x.new_empty(*x.shape[:-1], len(layer.weight)) for layer in layers]
    parts = (_Part * len(layers))()
    for part, layer, out in zip(parts, layers, outs, strict=True):
        bias = None if layer.bias is None else at(layer.bias)
        part.weights, part.bias, part.out, part.outputs = at(layer.weight), bias, at(out), len(layer.weight)
    needed("rows").rows_product(at(x_RI), Size(len(x_RI)), Size(x_RI.shape[1]), parts, Size(len(parts)), threads())
    return outs
