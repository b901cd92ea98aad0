"""Products of rows of numbers from -127 to 127 with weights of 8 bits, by the kernel that is right and fast here.

oneDNN's where the processor has instructions for them (VNNI). Where it has none, oneDNN's are wrong
(`products_overflow`); fbgemm's are right with weights of 7 bits, and four times as fast for one row (`docs/log.md`).

Shape letters: R rows, I inputs, O outputs.
"""

from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from qwen2vl_agent.model.fbgemm import Int8Weights, available
from qwen2vl_agent.model.native import pointwise

LARGEST, MIDDLE = 127, 128
"""A row's largest number, and what is added to make it unsigned."""
SAFE = 64
"""Largest weight whose pairs of products with inputs below 256 stay below 2**15, where processors without VNNI cut."""


class Int8Product(Protocol):
    """Packed weights."""

    def __call__(self, x_RI: Tensor) -> Tensor:
        """`[R, O]` in the inputs' type; each row is rounded with a scale of its own."""

    def values(self) -> Tensor:
        """The weights again, int8 `[O, I]`."""


class ByOneDNN:
    """See `Int8Product`."""

    def __init__(self, values_OI: Tensor, scales_O: Tensor) -> None:
        self._scales, self._points = scales_O, torch.zeros(len(values_OI), dtype=torch.int64)
        self._packed = torch.ops.onednn.qlinear_prepack(values_OI, [1, values_OI.shape[1]])

    def __call__(self, x_RI: Tensor) -> Tensor:
        """See `Int8Product`."""
        if pointwise.serves(x_RI):
            numbers_RI, largest_R1 = pointwise.rounded(x_RI)
        else:
            stretched_RI, largest_R1 = _stretched(x_RI)
            numbers_RI = stretched_RI.add_(MIDDLE + 0.5).to(torch.uint8)  # cut off, which rounds
        if len(x_RI) == 1:
            return self._product(numbers_RI, float(largest_R1), x_RI.dtype)
        return self._product(numbers_RI, 1.0, x_RI.dtype).mul_(largest_R1.to(x_RI.dtype))

    def values(self) -> Tensor:
        """See `Int8Product`."""
        return self._packed.to_dense().T.contiguous()

    def _product(self, numbers_RI: Tensor, largest: float, dtype: torch.dtype) -> Tensor:
        rows, weights = (numbers_RI, largest / LARGEST, MIDDLE), (self._packed, self._scales, self._points)
        return torch.ops.onednn.qlinear_pointwise(*rows, *weights, None, 1.0, 0, dtype, "none", [], "")


class ByFbgemm:
    """See `Int8Product`."""

    def __init__(self, values_OI: Tensor, scales_O: Tensor) -> None:
        self._weights = Int8Weights(values_OI, scales_O / LARGEST)

    def __call__(self, x_RI: Tensor) -> Tensor:
        """See `Int8Product`."""
        stretched_RI, largest_R1 = _stretched(x_RI)
        return self._weights(stretched_RI, x_RI.dtype).mul_(largest_R1.to(x_RI.dtype))

    def values(self) -> Tensor:
        """See `Int8Product`."""
        return self._weights.values()


def _stretched(x_RI: Tensor) -> tuple[Tensor, Tensor]:
    """Rows whose largest number is `LARGEST`, and what it was, `[R, 1]`; both in float32."""
    largest_R1 = x_RI.abs().amax(-1, keepdim=True).float().clamp(min=1e-12)
    return x_RI * (LARGEST / largest_R1), largest_R1


def pack_int8(values_OI: Tensor, scales_O: Tensor) -> tuple[Int8Product, Tensor]:
    """int8 `[O, I]` and float32 `[O]` for this machine, and the scales that then hold."""
    if not products_overflow():
        return ByOneDNN(values_OI, scales_O), scales_O
    if values_OI.abs().amax() > SAFE:
        less = SAFE / LARGEST
        values_OI, scales_O = (values_OI * less).round().to(torch.int8), scales_O / less
    return (ByFbgemm if available() else ByOneDNN)(values_OI, scales_O), scales_O


@cache
def products_overflow() -> bool:
    """Whether this machine's products of 8-bit integers are wrong where inputs and weights are large.

    Without VNNI instructions oneDNN adds products in pairs of 16 bits, which are cut off at 32,767: 512 ones times 512
    ones made 4. Source: oneDNN's developer guide, "Nuances of int8 computations".
    """
    product = ByOneDNN(torch.full((64, 64), LARGEST, dtype=torch.int8), torch.ones(64))
    return bool(product(torch.ones(32, 64)).min() < 0.99 * LARGEST * 64)
