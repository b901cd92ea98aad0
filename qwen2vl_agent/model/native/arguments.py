"""What the kernels are given, as C has it."""

import ctypes

import torch
from torch import Tensor

Size = ctypes.c_int64


def at(values: Tensor) -> ctypes.c_void_p:
    """Where a tensor's numbers begin."""
    return ctypes.c_void_p(values.data_ptr())


def threads() -> Size:
    """As many as PyTorch takes."""
    return Size(torch.get_num_threads())


def is_half(dtype: torch.dtype) -> Size:
    """Whether numbers are bfloat16; they are float32 otherwise.

    Raises:
        AssertionError: they are neither.
    """
    assert dtype in (torch.float32, torch.bfloat16), f"kernels compute in float32 or bfloat16, not {dtype}"
    return Size(dtype == torch.bfloat16)
