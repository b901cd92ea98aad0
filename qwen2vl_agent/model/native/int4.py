"""Weights of 4 bits multiplied by `int4.cpp`, which reads them at the memory's speed.

Shape letters: R rows, I inputs, O outputs, G groups of an output's inputs.
"""

import ctypes

import torch
from torch import Tensor

from qwen2vl_agent.model.native.arguments import Size, at, is_half, threads
from qwen2vl_agent.model.native.build import kernel, needed

LANES = 16
"""Outputs that are packed together."""
TYPES = (torch.float32, torch.bfloat16)


class _Weights(ctypes.Structure):
    _fields_ = (
        *((name, Size) for name in ("outputs", "inputs", "group")),
        *((name, ctypes.c_void_p) for name in ("packed", "factors")),
    )


def available() -> bool:
    """Whether the kernel is there."""
    return kernel("int4") is not None


class Int4Weights:
    """Packed weights."""

    def __init__(self, packed: Tensor, factors_GO2: Tensor) -> None:
        """uint8 `[O, I / 2]` as a checkpoint packs them, bfloat16 scales and zeros."""
        self._shape = len(packed), 2 * packed.shape[1]
        self._packed = torch.empty_like(packed)
        self._move("int4_pack", packed, self._packed)
        self._factors = factors_GO2.view(len(factors_GO2), -1, LANES, 2).transpose(0, 1).contiguous()

    def __call__(self, x_RI: Tensor) -> Tensor:
        """`[R, O]` in float32 or bfloat16, as the rows are."""
        x_RI = x_RI.contiguous()
        out_RO = x_RI.new_empty(len(x_RI), self._shape[0])
        sizes = Size(len(x_RI)), at(x_RI), at(out_RO)
        if needed("int4").int4_product(ctypes.byref(self._weights()), *sizes, is_half(x_RI.dtype), threads()):
            raise MemoryError(f"no memory for {len(x_RI)} rows of {self._shape[1]} inputs")
        return out_RO

    def turned_back(self, start: int, count: int, dtype: torch.dtype) -> Tensor:
        """The weights `[I, count]` of the outputs from `start` on."""
        out_IC = torch.empty(self._shape[1], count, dtype=dtype)
        some = Size(start), Size(count), at(out_IC)
        needed("int4").int4_turn_back(ctypes.byref(self._weights()), *some, is_half(dtype), threads())
        return out_IC

    def packed(self) -> Tensor:
        """uint8 `[O, I / 2]` as they were given."""
        packed = torch.empty_like(self._packed)
        self._move("int4_unpack", self._packed, packed)
        return packed

    def factors(self) -> Tensor:
        """bfloat16 `[G, O, 2]` as they were given."""
        return self._factors.transpose(0, 1).flatten(1, 2).contiguous()

    def _weights(self) -> _Weights:
        outputs, inputs = self._shape
        return _Weights(outputs, inputs, inputs // self._factors.shape[1], at(self._packed), at(self._factors))

    def _move(self, name: str, source: Tensor, to: Tensor) -> None:
        source, sizes = source.contiguous(), map(Size, self._shape)
        getattr(needed("int4"), name)(at(source), *sizes, at(to), threads())
