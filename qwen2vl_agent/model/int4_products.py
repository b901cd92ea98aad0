"""Products of rows with weights of 4 bits: by our own kernel where it can be had, else by PyTorch's.

PyTorch's has vector instructions for bfloat16 alone, to which rows are rounded; ours rounds them to 8 bits.

Shape letters: R rows, I inputs, O outputs, G groups of an output's inputs, C some outputs.
"""

from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from qwen2vl_agent.model.native import int4 as native
from qwen2vl_agent.schema.errors import ConfigError

KEPT_BLOCK = 64
"""Outputs that a checkpoint packs together."""
BLOCKS = (KEPT_BLOCK, 32)
"""Outputs that PyTorch's kernel packs together, by instruction set."""
MIDDLE = 8
"""The 4-bit number that stands for a group's zero."""


class Int4Product(Protocol):
    """Packed weights, their outputs filled up to whole blocks of `KEPT_BLOCK`."""

    def pays(self, rows: int, dtype: torch.dtype) -> bool:
        """Whether so many rows are faster by the kernel than by weights turned back."""

    def __call__(self, x_RI: Tensor) -> Tensor:
        """`[R, O]` in the inputs' type."""

    def turned_back(self, part: slice, dtype: torch.dtype) -> Tensor:
        """The weights `[I, C]` of some outputs."""

    def kept(self) -> dict[str, Tensor]:
        """`packed` and `factors` as a checkpoint has them, and `pack_int4` takes them."""


class ByPyTorch:
    """See `Int4Product`."""

    def __init__(self, packed: Tensor, factors_GO2: Tensor) -> None:
        self._block, self._factors = block_of_kernel(), factors_GO2
        self._packed = repacked(packed, KEPT_BLOCK, self._block)
        self._group = 2 * packed.shape[1] // len(factors_GO2)

    def pays(self, rows: int, dtype: torch.dtype) -> bool:
        """See `Int4Product`. The kernel takes 0.16 ms a row, turning back 5 (`docs/log.md`)."""
        return rows < 48

    def __call__(self, x_RI: Tensor) -> Tensor:
        """See `Int4Product`."""
        half = x_RI.contiguous().bfloat16()  # in other types the kernel is a plain loop
        out = torch.ops.aten._weight_int4pack_mm_for_cpu(half, self._packed, self._group, self._factors)
        return out.to(x_RI.dtype)

    def turned_back(self, part: slice, dtype: torch.dtype) -> Tensor:
        """See `Int4Product`."""
        scales_GC, zeros_GC = (factor.contiguous() for factor in self._factors[:, part].to(dtype).unbind(-1))
        groups_GSC = in_order(self._packed[part], self._block, dtype).unflatten(0, (-1, self._group))
        return torch.addcmul(zeros_GC[:, None], groups_GSC, scales_GC[:, None], out=groups_GSC).flatten(0, 1)

    def kept(self) -> dict[str, Tensor]:
        """See `Int4Product`."""
        return {"packed": repacked(self._packed, self._block, KEPT_BLOCK), "factors": self._factors}


class ByOurs:
    """See `Int4Product`."""

    def __init__(self, packed: Tensor, factors_GO2: Tensor) -> None:
        self._weights = native.Int4Weights(packed, factors_GO2)

    def pays(self, rows: int, dtype: torch.dtype) -> bool:
        """See `Int4Product`. In float32 it is four times as fast with any number of rows (`docs/log.md`)."""
        return dtype != torch.bfloat16 or rows <= 256

    def __call__(self, x_RI: Tensor) -> Tensor:
        """See `Int4Product`."""
        if x_RI.dtype in native.TYPES:
            return self._weights(x_RI)
        return self._weights(x_RI.float()).to(x_RI.dtype)

    def turned_back(self, part: slice, dtype: torch.dtype) -> Tensor:
        """See `Int4Product`."""
        computed = dtype if dtype in native.TYPES else torch.float32
        return self._weights.turned_back(part.start, part.stop - part.start, computed).to(dtype)

    def kept(self) -> dict[str, Tensor]:
        """See `Int4Product`."""
        return {"packed": self._weights.packed(), "factors": self._weights.factors()}


def pack_int4(packed: Tensor, factors_GO2: Tensor) -> Int4Product:
    """`in_blocks` of `KEPT_BLOCK` and bfloat16 `[G, O, 2]` scales and zeros, for this machine."""
    return (ByOurs if native.available() else ByPyTorch)(packed, factors_GO2)


def kernel_available() -> bool:
    """Whether this machine has a kernel for them."""
    return native.available() or hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu")


def in_blocks(numbers_OI: Tensor, block: int) -> Tensor:
    """4-bit numbers in uint8 as the kernel packs them, `[O, I / 2]`; O is a multiple of `block`.

    For each block of outputs and each input the kernel keeps `block / 2` bytes: byte d has output d in its lower half
    and output d + block / 2 in its upper. Source: PyTorch, `aten/src/ATen/native/cpu/int4mm_kernel.cpp`.
    """
    lower_BHI, upper_BHI = numbers_OI.view(-1, 2, block // 2, numbers_OI.shape[1]).unbind(1)
    return (lower_BHI | (upper_BHI << 4)).transpose(1, 2).reshape(len(numbers_OI), -1)


def in_order(packed: Tensor, block: int, dtype: torch.dtype) -> Tensor:
    """The numbers of `in_blocks` less `MIDDLE`, `[I, O]`."""
    bytes_BIH = packed.view(torch.uint8).view(len(packed) // block, -1, block // 2)
    numbers_IBO = torch.empty(bytes_BIH.shape[1], len(bytes_BIH), block, dtype=dtype)
    lower, upper = numbers_IBO.transpose(0, 1).chunk(2, dim=-1)
    lower.copy_((bytes_BIH & 15).view(torch.int8).sub_(MIDDLE))
    upper.copy_((bytes_BIH >> 4).view(torch.int8).sub_(MIDDLE))
    return numbers_IBO.flatten(1)


def repacked(packed: Tensor, block: int, wanted: int) -> Tensor:
    """What `in_blocks` gives for another size of blocks."""
    if block == wanted:
        return packed
    return in_blocks(in_order(packed, block, torch.int16).T.add(MIDDLE).to(torch.uint8).contiguous(), wanted)


@cache
def block_of_kernel() -> int:
    """Outputs that this machine's kernel packs together, found by letting it pack.

    Raises:
        ConfigError: this build of PyTorch packs in an order that is not known here.
    """
    numbers = torch.arange(64 * 64, dtype=torch.int32).view(64, 64) * 7 % 16
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1).view(torch.uint8)
    for block in BLOCKS:
        if torch.equal(in_blocks(numbers.to(torch.uint8), block), packed):
            return block
    raise ConfigError("this build of PyTorch packs 4-bit weights in an unknown order; use --quantize int8 or none")
