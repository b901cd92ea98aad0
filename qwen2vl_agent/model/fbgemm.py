"""Weights packed for fbgemm, the kernels that PyTorch brings for processors with AVX2.

Shape letters: R rows, I inputs, O outputs.
"""

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

ENGINE = "fbgemm"
MULTIPLY = "linear_with_input_q_dq_qweight_dq_output_fp32"
MIDDLE = 128
"""The unsigned 8-bit number that stands for zero."""


def available() -> bool:
    """Whether this processor and this PyTorch have them."""
    needed = ("linear_prepack", "linear_prepack_fp16", MULTIPLY)
    return ENGINE in torch.backends.quantized.supported_engines and all(hasattr(torch.ops.quantized, n) for n in needed)


class Int8Weights:
    """Weights of 8 bits, multiplied with numbers from -127 to 127 that are rounded to integers."""

    def __init__(self, values_OI: Tensor, scales_O: Tensor) -> None:
        points = torch.zeros(len(scales_O), dtype=torch.int64)
        scales = scales_O.double()
        with warnings.catch_warnings(), _packing():
            warnings.simplefilter("ignore")  # PyTorch 2.13 means to take away this way of making such a tensor
            weights = torch.quantize_per_channel(values_OI * scales_O[:, None], scales, points, 0, torch.qint8)
            self._packed = torch.ops.quantized.linear_prepack(weights, None)

    def __call__(self, x_RI: Tensor, dtype: torch.dtype) -> Tensor:
        """`[R, O]`."""
        return getattr(torch.ops.quantized, MULTIPLY)(x_RI.float(), 1.0, MIDDLE, self._packed).to(dtype)

    def values(self) -> Tensor:
        """int8 `[O, I]`."""
        return torch.ops.quantized.linear_unpack(self._packed)[0].int_repr()


class HalfWeights:
    """Weights of 16 bits, multiplied in float32."""

    def __init__(self, values_OI: Tensor) -> None:
        with _packing():
            self._packed = torch.ops.quantized.linear_prepack_fp16(values_OI.float(), None)

    def __call__(self, x_RI: Tensor) -> Tensor:
        """`[R, O]` in float32."""
        return torch.ops.quantized.linear_dynamic_fp16(x_RI.float(), self._packed)

    def values(self) -> Tensor:
        """float16 `[O, I]`."""
        return torch.ops.quantized.linear_unpack_fp16(self._packed)[0].half()


@contextlib.contextmanager
def _packing() -> Iterator[None]:
    """PyTorch packs for the engine that is set at that moment, and multiplies by the one it was packed for."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = ENGINE
    try:
        yield
    finally:
        torch.backends.quantized.engine = before
